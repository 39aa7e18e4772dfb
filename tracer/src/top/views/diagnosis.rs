//! All findings, with evidence and remedies, as `tracer diagnose` reports them.

use ratatui::{style::Style, text::Line};

use super::paint::block;
use crate::top::app::App;
use tracer_event::finding::Finding;
use tracer_output::{
    phrase,
    phrases::{of_finding, of_wording},
    text::duration,
    width::padded,
};

/// The mark of a severity and two spaces.
pub(super) const MARK: usize = 10;
/// Labels, indented.
const LABEL: usize = 14;

/// The lines, and in which of them each finding begins.
pub(super) fn lines(app: &App, width: usize) -> (Vec<Line<'static>>, Vec<usize>) {
    let findings = &app.ui_snapshot.findings;
    let mut lines = Vec::new();
    let mut starts = Vec::new();
    for finding in findings.iter() {
        starts.push(lines.len());
        lines.extend(report(app, finding, width));
        lines.push(Line::default());
    }
    if let Some(start) = starts.get(at(&starts, app.scroll))
        && findings.len() > 1
        && let Some(mark) = lines[*start].spans.first_mut()
    {
        mark.style = app.theme.selected();
    }
    lines.extend(status(app, width));
    (lines, starts)
}

/// How long the host has been observed, and whether all is well.
pub(super) fn status(app: &App, width: usize) -> Vec<Line<'static>> {
    let texts = app.texts();
    let good = app.ui_snapshot.findings.is_empty();
    let (mark, words) = match app.ui_snapshot.observed.map(duration) {
        None => ("", app.said("comparing two snapshots, some seconds apart").to_owned()),
        Some(time) if good => {
            ("OK", phrase!(texts, "top-healthy", [time], "no problems found (observed for {time})"))
        }
        Some(time) => {
            let words = phrase!(
                texts,
                "top-observed",
                [time],
                "observed for {time}; checked every few seconds"
            );
            ("", words)
        }
    };
    let style = if good { app.theme.good() } else { app.theme.dim() };
    block((mark, style), MARK, &words, style, width)
}

/// The finding that line `scroll` belongs to.
pub(super) fn at(starts: &[usize], scroll: usize) -> usize {
    starts.iter().rposition(|start| *start <= scroll).unwrap_or(0)
}

/// The severity and the sentence.
pub(super) fn head(app: &App, finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let mark = finding.severity.name().to_ascii_uppercase();
    let style = app.theme.severity(finding.severity);
    block((&mark, style), MARK, &of_finding(finding, app.texts()), app.theme.title(), width)
}

pub(super) fn report(app: &App, finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let (dim, plain, bold) = (app.theme.dim(), Style::new(), app.theme.title());
    let mut lines = head(app, finding, width);
    for line in finding.evidence() {
        let label = format!("  {}", app.said(line.label));
        let words = of_wording(&line.text, app.texts());
        lines.extend(block((&label, dim), LABEL, &words, plain, width));
    }
    for (index, remedy) in finding.remedies().into_iter().enumerate() {
        let label = app.said(if index == 0 { "remedy" } else { "" });
        let label = padded(&format!("  {label}"), LABEL) + "• ";
        let words = of_wording(&remedy.text, app.texts());
        lines.extend(block((&label, dim), LABEL + 2, &words, plain, width));
        if let Some(command) = remedy.command {
            lines.extend(block(("", bold), LABEL + 2, &format!("$ {command}"), bold, width));
        }
    }
    lines
}
