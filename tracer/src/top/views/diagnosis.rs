//! All findings, with evidence and remedies, as `tracer diagnose` reports them.

use ratatui::{style::Style, text::Line};

use super::block;
use crate::{
    model::finding::{Finding, Severity},
    sink::{
        finding::{evidence, remedies, sentence},
        text::duration,
    },
    top::app::App,
};

/// The mark of a severity and two spaces.
const MARK: usize = 10;
/// Labels, indented.
const LABEL: usize = 14;

/// The lines, and in which of them each finding begins.
pub(super) fn lines(app: &App, width: usize) -> (Vec<Line<'static>>, Vec<usize>) {
    let mut lines = Vec::new();
    let mut starts = Vec::new();
    let findings = &app.picture.findings;
    for finding in findings.iter() {
        starts.push(lines.len());
        lines.extend(report(app, finding, width));
        lines.push(Line::default());
    }
    let top = at(&starts, app.scroll);
    if let Some(line) = starts.get(top).and_then(|start| lines.get_mut(*start))
        && findings.len() > 1
        && let Some(mark) = line.spans.first_mut()
    {
        mark.style = app.theme.selected();
    }
    let words = match app.picture.observed {
        None => "comparing two snapshots, some seconds apart".to_owned(),
        Some(time) if findings.is_empty() => {
            format!("no problems found (observed for {})", duration(time))
        }
        Some(time) => format!("observed for {}; checked every few seconds", duration(time)),
    };
    let style = if findings.is_empty() { app.theme.good() } else { app.theme.dim() };
    let mark = if findings.is_empty() && app.picture.observed.is_some() { "OK" } else { "" };
    lines.extend(block((mark, style), MARK, &words, style, width));
    (lines, starts)
}

/// The finding that line `scroll` belongs to.
pub(super) fn at(starts: &[usize], scroll: usize) -> usize {
    starts.iter().rposition(|start| *start <= scroll).unwrap_or(0)
}

pub(super) fn report(app: &App, finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let (dim, plain) = (app.theme.dim(), Style::new());
    let mark = match finding.severity {
        Severity::Critical => "CRITICAL",
        Severity::Warning => "WARNING",
        Severity::Info => "INFO",
    };
    let style = app.theme.severity(finding.severity);
    let mut lines = block((mark, style), MARK, &sentence(finding), plain.bold(), width);
    for line in evidence(finding) {
        let label = format!("  {}", line.label);
        lines.extend(block((&label, dim), LABEL, &line.text, plain, width));
    }
    for (index, remedy) in remedies(finding).into_iter().enumerate() {
        let label = if index == 0 { "  remedy" } else { "" };
        lines.extend(block((label, dim), LABEL, &format!("• {}", remedy.text), plain, width));
        if let Some(command) = remedy.command {
            let bold = app.theme.title();
            lines.extend(block(("", bold), LABEL + 2, &format!("$ {command}"), bold, width));
        }
    }
    lines
}
