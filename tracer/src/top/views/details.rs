//! All of one socket: who holds it, where its time went, what happened to it, and its ladder.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::block;
use crate::{
    model::{state::State, update::LingerStatus},
    sink::{
        Format as _,
        finding::why,
        ladder::{self, Ladder},
        stamps::Times,
        step,
        text::{Palette, duration, process},
    },
    top::{
        app::App,
        picture::{Chosen, Told},
    },
};

/// Labels, indented.
const LABEL: usize = 12;

pub(super) fn lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let Some(chosen) = &app.picture.chosen else {
        return vec![Line::styled(" loading", theme.dim())];
    };
    let mut lines = vec![title(app, chosen)];
    for (label, text) in facts(app, chosen) {
        let label = format!("  {label}");
        lines.extend(block((&label, theme.dim()), LABEL, &text, Style::new(), width));
    }
    lines.push(Line::default());
    lines.push(Line::styled(" Timeline", theme.title()));
    lines.extend(timeline(app, chosen));
    lines.push(Line::default());
    lines.push(Line::styled(" Segments", theme.title()));
    lines.extend(drawn(app, chosen, width));
    lines
}

fn title(app: &App, chosen: &Chosen) -> Line<'static> {
    let row = &chosen.row;
    let age = duration(app.picture.clock.now.saturating_sub(row.since));
    let sign = if row.at_least { "≥" } else { "" };
    let ends = match row.state {
        State::Listen => format!("  {}", row.tuple.local),
        _ => format!("  {} ↔ {}", row.tuple.local, row.tuple.peer),
    };
    Line::from(vec![
        Span::raw(" "),
        Span::styled(row.state.name(), app.theme.state(row.state)),
        Span::raw(format!(" for {sign}{age}")),
        Span::styled(ends, Style::new().bold()),
    ])
}

fn facts(app: &App, chosen: &Chosen) -> Vec<(&'static str, String)> {
    let row = &chosen.row;
    let surroundings = &*app.list.surroundings;
    let mut facts = Vec::new();
    let mut owner = process(row.owner);
    if let Some(path) = row.owner.and_then(|owner| surroundings.executable(&owner.process)) {
        owner = format!("{owner} {path}");
    }
    if row.orphaned {
        owner = format!("orphaned: no process holds it; was {owner}");
    }
    facts.push(("process", owner));
    let held: Vec<String> = chosen
        .holders
        .iter()
        .filter_map(|holder| Some(format!("{} fd {}", process(Some(*holder)), holder.fd?)))
        .collect();
    if !held.is_empty() {
        facts.push(("held by", held.join(", ")));
    }
    let last = chosen.told.iter().rev().find_map(|told| match told {
        Told::Linger(linger) if linger.subject.tuple == row.tuple => Some(linger),
        _ => None,
    });
    if let Some(linger) = last.filter(|linger| linger.status != LingerStatus::Cleared) {
        facts.extend(why(linger).map(|why| ("cause", why)));
    }
    let spent: Vec<String> = State::ALL
        .into_iter()
        .filter(|state| chosen.spent[state.index()] > 0)
        .map(|state| format!("{} {}", state.name(), duration(chosen.spent[state.index()])))
        .collect();
    if !spent.is_empty() && row.state != State::Closed {
        let sign = if chosen.at_least { " (at least)" } else { "" };
        facts.push(("states", format!("{}{sign}", spent.join(", "))));
    }
    if let Some(handshake) = chosen.handshake {
        let figures = [("duration", handshake.duration_ns), ("RTT", handshake.rtt_ns)];
        let figures = figures.into_iter().filter_map(|(name, ns)| Some((name, ns?)));
        let words: Vec<String> =
            figures.map(|(name, ns)| format!("{name} {}", duration(ns))).collect();
        if !words.is_empty() {
            facts.push(("handshake", words.join(", ")));
        }
    }
    let mut ids: Vec<String> = Vec::new();
    ids.extend(row.container(surroundings).map(|id| format!("container {id}")));
    ids.push(format!("netns {}", row.tuple.netns));
    ids.extend(row.id.cookie().map(|cookie| format!("cookie {cookie}")));
    ids.extend(chosen.uid.map(|uid| format!("uid {uid}")));
    ids.extend(chosen.inode.map(|inode| format!("inode {inode}")));
    facts.push(("ids", ids.join(", ")));
    facts
}

fn timeline(app: &App, chosen: &Chosen) -> Vec<Line<'static>> {
    let mut times = Times::new(app.timestamps, app.zone.clone());
    let mut before = None;
    let mut lines = Vec::new();
    for told in &chosen.told {
        let time = told.time();
        let after = before.replace(time).map_or_else(String::new, |before| {
            format!("+{}", duration(time.saturating_sub(before)))
        });
        let here = told.subject().tuple == chosen.row.tuple;
        let stamp = times.write(app.picture.clock, time).to_owned();
        let (words, state) = happened(told);
        let style = state.map_or(app.theme.warning(), |state| app.theme.state(state));
        lines.push(Line::from(vec![
            Span::styled(format!(" {stamp} {after:>8} "), app.theme.dim()),
            Span::raw(if here { "local " } else { "peer  " }),
            Span::styled(words, if here { style } else { app.theme.dim() }),
        ]));
    }
    if lines.is_empty() {
        let words = " no events yet: it existed before the trace began";
        lines.push(Line::styled(words, app.theme.dim()));
    }
    lines
}

/// In words, with the state entered if one was.
fn happened(told: &Told) -> (String, Option<State>) {
    match told {
        Told::Transition(told) => {
            let words = format!("{} → {}: {}", told.from, told.to, step::meaning(told));
            (words, Some(told.to))
        }
        Told::Retransmit(told) => (format!("↻ {}", crate::sink::text::sent_again(told)), None),
        Told::Reset(told) => (crate::sink::text::broken_off(told).into(), None),
        Told::Linger(linger) => (crate::sink::text::flag(linger), None),
    }
}

fn drawn(app: &App, chosen: &Chosen, width: usize) -> Vec<Line<'static>> {
    if chosen.row.state == State::Listen {
        return vec![Line::styled(" a listener sends no segments of its own", app.theme.dim())];
    }
    let times = Times::new(app.timestamps, app.zone.clone());
    let mut ladder = Ladder::new(ladder::Style::default(), Palette::PLAIN, Some(width), times);
    let mut out = Vec::new();
    for told in &chosen.told {
        ladder.update(&told.update(), app.picture.clock, &mut out);
    }
    ladder.complete(app.picture.clock, &mut out);
    let text = String::from_utf8_lossy(&out);
    text.lines().map(|line| Line::raw(line.to_owned())).collect()
}
