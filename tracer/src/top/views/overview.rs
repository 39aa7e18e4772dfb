//! The first screen: what is wrong, in a sentence with what to do, and the sockets by state.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::{block, diagnosis, left, rate, right, spark::curve};
use crate::{
    model::{finding::Finding, state::State},
    sink::{
        finding::{evidence, remedies, sentence},
        report::broken,
        text::{duration, grouped},
    },
    top::{
        app::App,
        picture::{HISTORY, Picture},
    },
};

/// States with sockets, and their header.
const TABLE: usize = State::COUNT;
/// The mark of a severity and two spaces.
const MARK: usize = 10;

pub(super) fn lines(app: &App, width: usize, height: usize) -> Vec<Line<'static>> {
    let room = height.saturating_sub(TABLE + 1).max(3);
    let mut lines = findings(app, width, room);
    lines.push(Line::default());
    lines.extend(table(app, width));
    lines.truncate(height);
    lines
}

fn findings(app: &App, width: usize, room: usize) -> Vec<Line<'static>> {
    let Picture { findings, observed, .. } = &app.picture;
    let theme = &app.theme;
    if findings.is_empty() {
        let (mark, words) = match observed {
            None => ("", "comparing two snapshots, some seconds apart".into()),
            Some(time) => ("OK", format!("no problems found (observed for {})", duration(*time))),
        };
        return block((mark, theme.good()), MARK, &words, theme.good(), width);
    }
    let mut parts: Vec<Vec<Line<'static>>> =
        findings.iter().map(|finding| head(app, finding, width)).collect();
    let needed: usize = parts.iter().map(Vec::len).sum();
    if needed > room {
        let mut lines: Vec<Line<'static>> = Vec::new();
        let mut shown = 0;
        for part in parts {
            if lines.len() + part.len() >= room && shown > 0 {
                break;
            }
            lines.extend(part);
            shown += 1;
        }
        let more = format!("and {} more: Enter", findings.len() - shown);
        lines.push(Line::styled(format!("{}{more}", " ".repeat(MARK)), theme.dim()));
        return lines;
    }
    let whole: Vec<Line<'static>> =
        findings.iter().flat_map(|finding| diagnosis::report(app, finding, width)).collect();
    if whole.len() <= room {
        return whole;
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

fn head(app: &App, finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let style = app.theme.severity(finding.severity);
    let mark = match finding.severity.name() {
        "critical" => "CRITICAL",
        "warning" => "WARNING",
        _ => "INFO",
    };
    block((mark, style), MARK, &sentence(finding), Style::new().bold(), width)
}

/// The evidence in short, and the first remedy.
fn more(app: &App, finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let said = |label: &str| !["process", "remedy"].contains(&label);
    let facts: Vec<String> = evidence(finding)
        .into_iter()
        .filter(|line| said(line.label))
        .map(|line| format!("{} {}", line.label, line.text))
        .collect();
    let room = width.saturating_sub(MARK);
    let mut lines = Vec::new();
    let mut facts = facts;
    let mut rest = broken(&facts.join(" · "), Some(room));
    while rest.len() > 2 && facts.len() > 1 {
        facts.pop();
        rest = broken(&facts.join(" · "), Some(room));
    }
    let indent = " ".repeat(MARK);
    for part in rest {
        lines.push(Line::styled(format!("{indent}{part}"), app.theme.dim()));
    }
    if let Some(remedy) = remedies(finding).into_iter().next() {
        let words = match remedy.command {
            Some(command) => format!("{}: {command}", remedy.text),
            None => remedy.text,
        };
        let mark = ("  remedy", app.theme.title());
        lines.extend(block(mark, MARK, &words, Style::new(), width).into_iter().take(3));
    }
    lines
}

fn table(app: &App, width: usize) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let picture = &app.picture;
    let room = width.saturating_sub(FIXED + 1);
    let header = format!(
        " {:<11} {:>9} {:>8} {:>8} {:>8}  {}",
        "STATE",
        "SOCKETS",
        "±/MIN",
        "IN/S",
        "LINGER",
        left("LAST 5 MINUTES", room)
    );
    let mut lines = vec![Line::styled(header, theme.dim())];
    for state in State::ALL.into_iter().filter(|state| *state != State::Closed) {
        let index = state.index();
        let course: Vec<u32> = picture.history.iter().map(|sample| sample[index]).collect();
        let count = picture.counts[index];
        let change = match picture.change(state) {
            None | Some(0) => String::new(),
            Some(change) => {
                format!("{}{}", if change > 0 { "+" } else { "-" }, grouped(change.unsigned_abs()))
            }
        };
        let lingering = match picture.lingering[index] {
            0 => String::new(),
            lingering => grouped(lingering),
        };
        let style = if count > 0 { theme.state(state) } else { theme.dim() };
        let number = if count > 0 { Style::new() } else { theme.dim() };
        lines.push(Line::from(vec![
            Span::raw(" "),
            Span::styled(state.name(), style),
            Span::raw(" ".repeat(11 - state.name().len())),
            Span::styled(right(&grouped(count), 10), number),
            Span::raw(right(&change, 9)),
            Span::raw(right(&rate(picture.entering(state)), 9)),
            Span::styled(" ".repeat(9 - lingering.len()), Style::new()),
            Span::styled(lingering, theme.warning()),
            Span::raw("  "),
            Span::styled(curve(&course, HISTORY, room), theme.bar()),
        ]));
    }
    lines
}

/// Columns before the curve.
const FIXED: usize = 1 + 11 + 10 + 9 + 9 + 9 + 2;
