//! Details of one socket: who holds it, where its time went, its timeline and its ladder.

use std::sync::Arc;

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::paint::{GAP, beside, block};
use crate::top::{
    app::App,
    ui_snapshot::{self, Chosen},
};
use tracer_event::{
    endpoint::Tuple,
    state::State,
    update::{LingerStatus, OwnedUpdate},
};
use tracer_output::{
    Format as _,
    ladder::{self, Ladder},
    phrase,
    stamps::Times,
    step,
    text::{Palette, arrow, cause, duration, flag, of_reset, of_retransmit, process},
    width::padded,
};

/// Labels, indented.
const LABEL: usize = 12;
/// From this width on, timeline and segments stand beside each other.
const BESIDE: usize = 156;

pub(super) fn lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let Some(chosen) = &app.ui_snapshot.chosen else {
        return vec![Line::styled(format!(" {}", app.said("loading")), theme.dim())];
    };
    let mut lines = vec![title(app, chosen)];
    for (label, text) in facts(app, chosen) {
        let label = format!("  {}", app.said(label));
        lines.extend(block((&label, theme.dim()), LABEL, &text, Style::new(), width));
    }
    let titled = |title: &str| {
        let title = format!(" {}", app.said(title));
        vec![Line::default(), Line::styled(title, theme.title())]
    };
    let mut events = titled("Timeline");
    events.extend(timeline(app, chosen));
    let mut drawn = titled("Segments");
    if width < BESIDE {
        drawn.extend(segments(app, chosen, width));
        lines.extend(events.into_iter().chain(drawn));
    } else {
        let left = width / 2 - 2;
        drawn.extend(segments(app, chosen, width - left - GAP));
        lines.extend(beside(events, drawn, left));
    }
    lines
}

fn title(app: &App, chosen: &Chosen) -> Line<'static> {
    let row = &chosen.row;
    let age = duration(app.ui_snapshot.clock.now.saturating_sub(row.since));
    let sign = if row.at_least { "≥" } else { "" };
    let since = phrase!(app.texts(), "top-for", [sign, age], "for {sign}{age}");
    let ends = match row.state {
        State::Listen => format!("  {}", row.subject.tuple.local),
        _ => {
            let Tuple { local, peer, .. } = row.subject.tuple;
            format!("  {local}{}{peer}", arrow(row.subject.role))
        }
    };
    Line::from(vec![
        Span::raw(" "),
        Span::styled(row.state.name(), app.theme.state(row.state)),
        Span::raw(format!(" {since}")),
        Span::styled(ends, app.theme.title()),
    ])
}

/// Labels and texts; what is not known is left out.
fn facts(app: &App, chosen: &Chosen) -> Vec<(&'static str, String)> {
    let Chosen { row, executable, holders, events, .. } = chosen;
    let subject = &row.subject;
    let mut owner = process(subject.owner);
    if let Some(path) = executable {
        owner = format!("{owner} {path}");
    }
    if row.orphaned {
        owner = phrase!(
            app.texts(),
            "top-orphaned",
            [owner],
            "orphaned: no process holds it; was {owner}"
        );
    }
    let held = holders
        .iter()
        .filter_map(|holder| Some(format!("{} fd {}", process(Some(*holder)), holder.fd?)));
    let mut of_socket =
        events.iter().rev().filter(|event| ui_snapshot::tuple(event) == Some(subject.tuple));
    let flagged = of_socket.find_map(|event| match event {
        OwnedUpdate::Linger(lingers) => lingers.first(),
        _ => None,
    });
    let flagged = flagged.filter(|linger| linger.status != LingerStatus::Cleared);
    let ids = [
        row.container.as_ref().map(|id| format!("{} {id}", app.said("container"))),
        Some(format!("netns {}", subject.tuple.netns)),
        subject.cookie.map(|cookie| format!("cookie {cookie}")),
        subject.uid.map(|uid| format!("uid {uid}")),
        subject.inode.map(|inode| format!("inode {inode}")),
    ];
    let facts = [
        ("process", owner),
        ("held by", joined(held)),
        ("cause", flagged.and_then(|linger| cause(linger, app.texts())).unwrap_or_default()),
        ("states", states(app, chosen)),
        ("handshake", handshake(app, chosen)),
        ("ids", joined(ids.into_iter().flatten())),
    ];
    facts.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

/// How long it was in each state.
fn states(app: &App, chosen: &Chosen) -> String {
    let spent = State::ALL.map(|state| (state, chosen.spent[state.index()]));
    let spent = spent.into_iter().filter(|(_, spent)| *spent > 0);
    let states =
        joined(spent.map(|(state, spent)| format!("{} {}", state.name(), duration(spent))));
    match chosen.at_least {
        _ if states.is_empty() || chosen.row.state == State::Closed => String::new(),
        true => format!("{states} ({})", app.said("at least")),
        false => states,
    }
}

fn handshake(app: &App, chosen: &Chosen) -> String {
    let Some(handshake) = chosen.handshake else { return String::new() };
    let times = [("duration", handshake.duration_ns), ("RTT", handshake.rtt_ns)].into_iter();
    joined(times.filter_map(|(name, ns)| Some(format!("{} {}", app.said(name), duration(ns?)))))
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

fn timeline(app: &App, chosen: &Chosen) -> Vec<Line<'static>> {
    let mut times = Times::new(app.timestamps, app.zone.clone());
    let mut before = None;
    let mut lines = Vec::new();
    for event in &chosen.events {
        let time = event.time();
        let after = before.replace(time).map_or_else(String::new, |before| {
            format!("+{}", duration(time.saturating_sub(before)))
        });
        let stamp = times.write(app.ui_snapshot.clock, time).to_owned();
        let (words, style) = match event {
            OwnedUpdate::Transition(event) => {
                let words = app.said(step::meaning(event));
                let words = format!("{} → {}: {words}", event.from, event.to);
                (words, app.theme.state(event.to))
            }
            OwnedUpdate::Retransmit(event) => {
                (format!("↻ {}", of_retransmit(event, app.texts())), app.theme.warning())
            }
            OwnedUpdate::Reset(event) => (app.said(of_reset(event)).into(), app.theme.warning()),
            OwnedUpdate::Linger(lingers) => {
                let flags = lingers.iter().map(|linger| flag(linger, app.texts()));
                (flags.collect(), app.theme.warning())
            }
            OwnedUpdate::Connection(_) | OwnedUpdate::Loss(_) | OwnedUpdate::Finding(_) => continue,
        };
        let local = ui_snapshot::tuple(event) == Some(chosen.row.subject.tuple);
        let (end, style) = if local { ("local", style) } else { ("peer", app.theme.dim()) };
        lines.push(Line::from(vec![
            Span::styled(format!(" {stamp} {after:>8} "), app.theme.dim()),
            Span::raw(padded(app.said(end), 6)),
            Span::styled(words, style),
        ]));
    }
    if lines.is_empty() {
        let words = app.said("no events yet: it existed before the trace began");
        lines.push(Line::styled(format!(" {words}"), app.theme.dim()));
    }
    lines
}

fn segments(app: &App, chosen: &Chosen, width: usize) -> Vec<Line<'static>> {
    if chosen.row.state == State::Listen {
        let words = app.said("a listener sends no segments of its own");
        return vec![Line::styled(format!(" {words}"), app.theme.dim())];
    }
    let times = Times::new(app.timestamps, app.zone.clone());
    let ladder = Ladder::new(ladder::Style::default(), Palette::PLAIN, Some(width), times);
    let mut ladder = ladder.with_texts(Arc::clone(&app.texts));
    let mut out = Vec::new();
    for event in &chosen.events {
        ladder.update(&event.update(), app.ui_snapshot.clock.into(), &mut out);
    }
    ladder.complete(app.ui_snapshot.clock, &mut out);
    let text = String::from_utf8_lossy(&out);
    text.lines().map(|line| Line::raw(line.to_owned())).collect()
}
