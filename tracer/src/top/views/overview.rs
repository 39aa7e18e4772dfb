//! The first screen: what is wrong, with what to do about it, and the sockets by state.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::{
    diagnosis,
    paint::{Align, Column, GAP, beside, block, header, rate, row, some},
    spark::curve,
};
use crate::top::{app::App, ui_snapshot::HISTORY};
use tracer_event::{finding::Finding, state::State};
use tracer_output::{phrase, phrases::of_wording, text::grouped, wrap::broken};

/// From this width on, findings and states stand beside each other.
const BESIDE: usize = 156;
/// States with sockets, and their header.
const TABLE: usize = State::COUNT;

pub(super) fn lines(app: &App, width: usize, height: usize) -> Vec<Line<'static>> {
    if width >= BESIDE && !app.ui_snapshot.findings.is_empty() {
        let left = width - GAP - BESIDE / 2;
        let findings = findings(app, left, height);
        let mut lines = beside(findings, table(app, BESIDE / 2), left);
        lines.truncate(height);
        return lines;
    }
    let room = height.saturating_sub(TABLE + 1).max(3);
    let mut lines = findings(app, width, room);
    lines.push(Line::default());
    lines.extend(table(app, width));
    lines.truncate(height);
    lines
}

/// As much of the findings as there is room for: all of them, or their heads and some evidence, or
/// the heads of the worst.
fn findings(app: &App, width: usize, room: usize) -> Vec<Line<'static>> {
    let findings = &app.ui_snapshot.findings;
    if findings.is_empty() {
        return diagnosis::status(app, width);
    }
    let whole: Vec<Line<'static>> =
        findings.iter().flat_map(|finding| diagnosis::report(app, finding, width)).collect();
    if whole.len() <= room {
        return whole;
    }
    let mut parts: Vec<Vec<Line<'static>>> =
        findings.iter().map(|finding| diagnosis::head(app, finding, width)).collect();
    let needed: usize = parts.iter().map(Vec::len).sum();
    if needed > room {
        let mut lines = parts.remove(0);
        let mut more = findings.len() - 1;
        for part in parts {
            if lines.len() + part.len() >= room {
                break;
            }
            lines.extend(part);
            more -= 1;
        }
        let words = phrase!(app.texts(), "top-more-findings", [more], "and {more} more: Enter");
        let words = format!("{}{words}", " ".repeat(diagnosis::MARK));
        lines.push(Line::styled(words, app.theme.dim()));
        return lines;
    }
    let mut left = room - needed;
    for (part, finding) in parts.iter_mut().zip(findings.iter()) {
        let mut more = more(app, finding, width);
        more.truncate(left);
        left -= more.len();
        part.extend(more);
    }
    parts.concat()
}

/// Two lines of evidence, and the first remedy.
fn more(app: &App, finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let mut facts: Vec<String> = finding
        .evidence()
        .into_iter()
        .filter(|line| line.label != "process")
        .map(|line| format!("{} {}", app.said(line.label), of_wording(&line.text, app.texts())))
        .collect();
    let room = width.saturating_sub(diagnosis::MARK);
    while facts.len() > 1 && broken(&facts.join(" · "), Some(room)).len() > 2 {
        facts.pop();
    }
    let dim = app.theme.dim();
    let mut lines = block(("", dim), diagnosis::MARK, &facts.join(" · "), dim, width);
    if let Some(remedy) = finding.remedies().into_iter().next() {
        let words = of_wording(&remedy.text, app.texts());
        let words = match remedy.command {
            Some(command) => format!("{words}: {command}"),
            None => words.into_owned(),
        };
        let label = format!("  {}", app.said("remedy"));
        let mark = (label.as_str(), app.theme.title());
        lines.extend(block(mark, diagnosis::MARK, &words, Style::new(), width).into_iter().take(3));
    }
    lines
}

fn table(app: &App, width: usize) -> Vec<Line<'static>> {
    let mut columns = [
        Column("STATE", 11, Align::Left),
        Column("SOCKETS", 9, Align::Right),
        Column("±/MIN", 8, Align::Right),
        Column("IN/S", 8, Align::Right),
        Column("LINGER", 8, Align::Right),
        Column(" LAST 5 MINUTES", 0, Align::Left),
    ];
    let used: usize = columns[..5].iter().map(|column| column.1 + 1).sum();
    let room = width.saturating_sub(used + 3);
    columns[5].1 = room + 1;
    let states = State::ALL.into_iter().filter(|state| *state != State::Closed);
    let rows = states.map(|state| row(Span::raw(" "), &columns, cells(app, state, room)));
    [header(app, &columns)].into_iter().chain(rows).collect()
}

/// The row of a state; the curve has `room` columns.
fn cells(app: &App, state: State, room: usize) -> [(String, Style); 6] {
    let (ui_snapshot, theme) = (&app.ui_snapshot, &app.theme);
    let index = state.index();
    let course: Vec<u32> = ui_snapshot.history.iter().map(|sample| sample[index]).collect();
    let count = ui_snapshot.counts[index];
    let change = match ui_snapshot.change(state) {
        None | Some(0) => String::new(),
        Some(change) => {
            format!("{}{}", if change > 0 { "+" } else { "-" }, grouped(change.unsigned_abs()))
        }
    };
    let [style, number] = match count {
        0 => [theme.dim(); 2],
        _ => [theme.state(state), Style::new()],
    };
    [
        (state.name().to_owned(), style),
        (grouped(count), number),
        (change, Style::new()),
        (rate(ui_snapshot.entering(state)), Style::new()),
        (some(ui_snapshot.lingering[index]), theme.warning()),
        (format!(" {}", curve(&course, HISTORY, room)), theme.bar()),
    ]
}
