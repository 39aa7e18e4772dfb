//! The frame of each screen: the tabs, the state of the trace, a message, the keys.

use std::ops::Range;

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
};

use super::{
    paint::{cut, put, rate},
    states,
};
use crate::top::app::{App, Pane, Tab};
use tracer_event::{duration::count, escape::escape};
use tracer_output::{phrase, text::grouped, width::columns, wrap::broken};

const NAME: &str = " tracer top ";
/// Width of the time.
const CLOCK: usize = 10;

/// Draws the frame; returns the area of the screen inside.
pub(super) fn draw(app: &App, area: Rect, buffer: &mut Buffer) -> Rect {
    put(buffer, area, 0, &tabs(app, area.width));
    put(buffer, area, 1, &status(app, usize::from(area.width)));
    clock(app, area, buffer);
    let last = usize::from(area.height) - 1;
    if let Some(message) = message(app, usize::from(area.width)) {
        put(buffer, area, last - 1, &message);
    }
    put(buffer, area, last, &keys(app, area));
    body(app, area)
}

/// The area inside the frame.
pub(super) fn body(app: &App, area: Rect) -> Rect {
    let below = if app.messages.is_empty() { 1 } else { 2 };
    Rect { y: area.y + 2, height: area.height.saturating_sub(2 + below), ..area }
}

/// The tabs with their titles and columns.
fn titles(app: &App, width: u16) -> Vec<(Tab, String, Range<u16>)> {
    let mut column = NAME.len() as u16;
    let mut titles = Vec::new();
    for (index, tab) in Tab::ALL.into_iter().enumerate() {
        let count = app.ui_snapshot.findings.len();
        let name = match tab {
            Tab::Diagnosis if count > 0 => format!("{}({count})", app.said(tab.name())),
            _ => app.said(tab.name()).to_owned(),
        };
        // All five fit into 80 columns.
        let title = match width {
            ..100 => format!(" {} {name} ", index + 1),
            _ => format!(" {}  {name}  ", index + 1),
        };
        let end = column + columns(&title) as u16;
        titles.push((tab, title, column..end));
        column = end;
    }
    titles
}

pub(super) fn tab_at(app: &App, area: Rect, at: Position) -> Option<Tab> {
    let titles = titles(app, area.width);
    let mut titles = titles.into_iter().filter(|_| at.y == area.y);
    titles.find(|(_, _, range)| range.contains(&(at.x - area.x))).map(|(tab, ..)| tab)
}

fn tabs(app: &App, width: u16) -> Line<'static> {
    let mut spans = vec![Span::styled(NAME, app.theme.title())];
    for (tab, title, _) in titles(app, width) {
        let style = match app.ui_snapshot.findings.first() {
            _ if tab == app.tab => app.theme.selected(),
            Some(worst) if tab == Tab::Diagnosis => app.theme.severity(worst.severity),
            _ => Style::new(),
        };
        spans.push(Span::styled(title, style));
    }
    Line::from(spans)
}

fn status(app: &App, width: usize) -> Line<'static> {
    let (ui_snapshot, theme) = (&app.ui_snapshot, &app.theme);
    let total: u64 = ui_snapshot.counts.iter().sum();
    let state = match app.frozen {
        true => Span::styled(format!(" {} ", app.said("FROZEN")), theme.selected()),
        false => Span::styled(format!(" {} ", app.said("live")), theme.good()),
    };
    let texts = app.texts();
    let events = match rate(ui_snapshot.events()) {
        none if none.is_empty() => app.said("no transitions").to_owned(),
        some => phrase!(texts, "top-transitions", [some], "{some} transitions/s"),
    };
    let (number, sockets) = (grouped(total), count(total, "socket"));
    let sockets = phrase!(texts, "screen-count", [number], "{sockets}");
    let counts = format!("  {sockets}  {events}  ");
    let lost = match ui_snapshot.lost {
        0 => Span::styled(app.said("no events lost").to_owned(), theme.dim()),
        lost => {
            let (number, events) = (grouped(lost), count(lost, "event"));
            let words = phrase!(texts, "top-lost", [number], "{events} lost");
            Span::styled(words, theme.bad())
        }
    };
    let mut spans = vec![state, Span::raw(counts), lost];
    if let Some(header) = &ui_snapshot.header
        && header.options.len() > 1
    {
        let options = escape(header.options[1..].join(" ").as_bytes()).into_owned();
        let taken: usize = spans.iter().map(Span::width).sum();
        let room = width.saturating_sub(taken + 2 + CLOCK);
        if room > 3 {
            spans.push(Span::styled(format!("  {}", cut(options, room)), theme.dim()));
        }
    }
    Line::from(spans)
}

/// The time, at the right end of the second line.
fn clock(app: &App, area: Rect, buffer: &mut Buffer) {
    let time = app.ui_snapshot.clock.at(app.ui_snapshot.clock.now);
    let text = time.to_zoned(app.zone.clone()).strftime(" %H:%M:%S ").to_string();
    let width = text.len() as u16;
    let place = Rect { x: area.right() - width, y: area.y + 1, width, height: 1 };
    put(buffer, place, 0, &Line::styled(text, app.theme.dim()));
}

/// The oldest message that has not been dismissed.
fn message(app: &App, width: usize) -> Option<Line<'static>> {
    let first = app.messages.first()?;
    let more = match app.messages.len() {
        1 => String::new(),
        all => format!(" ({})", phrase!(app.texts(), "top-first-of", [all], "1 of {all}")),
    };
    let key = format!(" x: {}{more} ", app.said("dismiss"));
    let room = width.saturating_sub(columns(&key) + 1);
    // The help has all of it.
    let shown = match broken(first, Some(room)).as_slice() {
        [all] => all.clone(),
        _ => {
            let see = app.said("see ?");
            let room = room.saturating_sub(columns(see) + 4);
            let part = broken(first, Some(room)).into_iter().next()?;
            // What stands in parentheses is whole or not there.
            let open = part.rfind(" (").filter(|open| !part[*open..].contains(')'));
            match open {
                Some(open) => format!("{}: {see}", &part[..open]),
                None => format!("{}…: {see}", cut(part, room)),
            }
        }
    };
    Some(Line::from(vec![
        Span::styled(key, app.theme.selected()),
        Span::raw(" "),
        Span::styled(shown, app.theme.warning()),
    ]))
}

const CLEAR: (&str, &str) = ("Esc", "clear filter");
const SCROLL: (&str, &str) = ("↑↓", "scroll");
const FREEZE: (&str, &str) = ("f", "freeze");
const COPY: (&str, &str) = ("c", "copy command");

/// The keys that are needed most, and what they do, as far as they fit.
fn keys(app: &App, area: Rect) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    let mut room = usize::from(area.width).saturating_sub(1);
    for (key, what) in hints(app, area) {
        let key = app.said(key);
        let what = match what {
            // Elsewhere it is said of a connection.
            "open" => phrase!(app.texts(), "top-open", [], "open"),
            what => app.said(what).to_owned(),
        };
        let needed = columns(key) + 1 + columns(&what);
        if needed > room {
            break;
        }
        room = room.saturating_sub(needed + 2);
        spans.push(Span::styled(key.to_owned(), app.theme.title()));
        spans.push(Span::styled(format!(" {what}  "), app.theme.dim()));
    }
    Line::from(spans)
}

/// The keys, the most important ones first.
fn hints(app: &App, area: Rect) -> Vec<(&'static str, &'static str)> {
    let list = &app.list;
    let mut hints = Vec::new();
    if app.pane.is_none() && !list.typing {
        hints.extend([("q", "quit"), ("?", "help"), ("Tab", "next")]);
    }
    match (app.pane, app.tab) {
        _ if list.typing => hints.extend([("type", "to filter"), ("Enter", "done"), CLEAR]),
        (Some(Pane::Help), _) => hints.extend([("q", "back"), SCROLL]),
        (Some(Pane::Details), _) => hints.extend([("q", "back"), SCROLL, FREEZE]),
        (Some(Pane::Command), _) => hints.extend([("q", "back"), ("c", "copy again")]),
        (None, Tab::Overview) => {
            hints.extend([("Enter", "diagnosis"), ("/", "find"), COPY, FREEZE]);
        }
        (None, Tab::Diagnosis) => hints.extend([("Enter", "show sockets"), COPY, SCROLL, FREEZE]),
        (None, Tab::Sockets) => {
            if list.selection.within.is_some() {
                hints.push(("Esc", "back"));
            } else if !list.selection.filter.is_empty() {
                hints.push(CLEAR);
            }
            let enter = if list.grouping.is_some() { "open" } else { "details" };
            hints.extend([
                ("Enter", enter),
                ("/", "filter"),
                ("s", "sort"),
                ("g", "group"),
                FREEZE,
            ]);
        }
        (None, Tab::States) if states::height(body(app, area)) > body(app, area).height => {
            hints.extend([SCROLL, FREEZE]);
        }
        (None, Tab::States) => hints.push(FREEZE),
        (None, Tab::Handshakes) => hints.extend([SCROLL, FREEZE]),
    }
    hints
}
