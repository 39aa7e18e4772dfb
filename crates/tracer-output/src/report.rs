//! A diagnosis as one screen, worst first, or as JSON lines.
//!
//! On a terminal sentences are broken between words and go on indented; commands never are, so
//! that they can be copied. Pipes get a line for each.

use std::fmt::Display;

use anstyle::Style;

use super::{
    Format as _,
    json::Json,
    phrases::{of_finding, of_wording, said, worded},
    text::{Palette, duration, grouped},
    width::{columns, padded},
    wrap::broken,
};
use tracer_event::{
    diagnosis::Diagnosis,
    duration::count,
    finding::{Finding, Line, Remedy, Severity},
};
use tracer_event::{header::Header, wall_clock::WallClock};
use tracer_texts::Texts;

/// Findings of one kind that are shown whole, and by their sentences: of one cause there may be many
/// destinations.
const WHOLE: usize = 5;
const NAMED: usize = 20;
/// Labels are as wide as the longest.
const LABEL: usize = 12;
/// The mark of a severity and two spaces.
const MARK: usize = 10;

/// JSON lines: `hello`, a `finding` each, `summary`.
pub fn json(diagnosis: &Diagnosis, header: &Header, clock: WallClock, out: &mut Vec<u8>) {
    let mut json = Json::default();
    json.header(header, clock, out);
    for finding in &diagnosis.findings {
        json.finding(finding, clock, out);
    }
    json.diagnosis(diagnosis, clock, out);
}

/// For people; `width` is that of the terminal. Without texts in English.
pub fn text(
    diagnosis: &Diagnosis,
    palette: Palette,
    width: Option<usize>,
    texts: Option<&Texts>,
    out: &mut Vec<u8>,
) {
    let mut page = Page { palette, width, texts, out };
    // Several do not fit a screen: first what there is, then the details.
    if width.is_some() && diagnosis.findings.len() > 1 {
        ranked(diagnosis).for_each(|(rank, finding)| page.named(rank, finding));
        page.rest(diagnosis);
        page.out.push(b'\n');
    }
    for (_, finding) in ranked(diagnosis).filter(|(rank, _)| *rank < WHOLE) {
        page.finding(finding);
    }
    let others = ranked(diagnosis).filter(|(rank, _)| *rank >= WHOLE);
    if width.is_none() && others.clone().next().is_some() {
        others.for_each(|(rank, finding)| page.named(rank, finding));
        page.rest(diagnosis);
        page.out.push(b'\n');
    }
    page.all_clear_or_counts(diagnosis, true);
}

/// For people who know the rest: of each finding the sentence and the first remedy.
pub fn brief(
    diagnosis: &Diagnosis,
    palette: Palette,
    width: Option<usize>,
    texts: Option<&Texts>,
    out: &mut Vec<u8>,
) {
    let mut page = Page { palette, width, texts, out };
    for (rank, finding) in ranked(diagnosis) {
        page.named(rank, finding);
        if let Some(remedy) = finding.remedies().into_iter().next().filter(|_| rank < WHOLE) {
            page.remedy("  • ", &remedy);
        }
    }
    page.rest(diagnosis);
    page.all_clear_or_counts(diagnosis, false);
}

struct Page<'a> {
    palette: Palette,
    width: Option<usize>,
    texts: Option<&'a Texts>,
    out: &'a mut Vec<u8>,
}

/// How many sockets there are, where, and in which states.
fn counts(diagnosis: &Diagnosis, with_states: bool, texts: Option<&Texts>) -> String {
    let Diagnosis { states, namespaces, observed, .. } = diagnosis;
    let total: u64 = states.values().sum();
    let by_state: Vec<String> =
        states.iter().map(|(state, sockets)| format!("{} {state}", grouped(*sockets))).collect();
    let observed = duration(*observed);
    let sockets = count(total, "socket");
    let places = count(*namespaces as u64, "network namespace");
    let english = format_args!("{sockets} in {places}, observed for {observed}");
    let total = grouped(total);
    let values: [(&str, &dyn Display); 3] =
        [("sockets", &total), ("namespaces", namespaces), ("observed", &observed)];
    let mut counts = worded(texts, "view-all-observed", &values, english);
    if with_states && !by_state.is_empty() {
        counts.push_str(&format!(": {}", by_state.join(", ")));
    }
    counts
}

/// Each finding with how many of its kind come before it.
fn ranked(diagnosis: &Diagnosis) -> impl Iterator<Item = (usize, &Finding)> + Clone {
    let all = &diagnosis.findings;
    let kind = |finding: &Finding| (finding.severity, finding.problem.code());
    all.iter().enumerate().map(move |(place, finding)| {
        (all[..place].iter().filter(|one| kind(one) == kind(finding)).count(), finding)
    })
}

impl Page<'_> {
    fn named(&mut self, rank: usize, finding: &Finding) {
        if rank < NAMED {
            self.sentence(finding);
        }
    }

    /// How many are not even named.
    fn rest(&mut self, diagnosis: &Diagnosis) {
        let rest = ranked(diagnosis).filter(|(rank, _)| *rank >= NAMED).count();
        if rest > 0 {
            let (findings, rest) = (count(rest as u64, "finding"), grouped(rest as u64));
            let english = format_args!("{findings} more of these kinds: --format json has all");
            let words = worded(self.texts, "view-more-findings", &[("count", &rest)], english);
            self.lines("", MARK, self.palette.dim, self.palette.dim, &words);
        }
    }

    fn sentence(&mut self, finding: &Finding) {
        let (mark, style) = match finding.severity {
            Severity::Critical => ("CRITICAL", self.palette.bad),
            Severity::Warning => ("WARNING", self.palette.warning),
            Severity::Info => ("INFO", self.palette.dim),
        };
        let words = of_finding(finding, self.texts);
        self.lines(mark, MARK, style, style, &words);
    }

    fn remedy(&mut self, label: &str, remedy: &Remedy) {
        let indent = columns(label);
        let words = of_wording(&remedy.text, self.texts);
        self.lines(label, indent, self.palette.open, self.palette.plain, &words);
        if let Some(command) = &remedy.command {
            self.push(self.palette.plain, &format!("{:indent$}$ {command}", ""));
        }
    }

    fn finding(&mut self, finding: &Finding) {
        self.sentence(finding);
        for Line { label, text } in finding.evidence() {
            let words = of_wording(&text, self.texts);
            self.labelled(said(self.texts, label), self.palette.dim, &words);
        }
        for (index, remedy) in finding.remedies().into_iter().enumerate() {
            let label = said(self.texts, if index == 0 { "remedy" } else { "" });
            self.remedy(&format!("  {}• ", padded(label, LABEL)), &remedy);
        }
        self.out.push(b'\n');
    }

    fn labelled(&mut self, label: &str, style: Style, text: &str) {
        let label = format!("  {label}");
        self.lines(&label, 2 + LABEL, style, self.palette.plain, text);
    }

    /// A label and a text that goes on below itself.
    fn lines(&mut self, label: &str, indent: usize, of_label: Style, of_text: Style, text: &str) {
        let room = self.width.map(|width| width.saturating_sub(indent).max(20));
        for (index, part) in broken(text, room).into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            let padding = " ".repeat(indent.saturating_sub(columns(label)));
            let (on, off) = (of_label.render(), of_label.render_reset());
            self.out.extend_from_slice(format!("{on}{label}{off}{padding}").as_bytes());
            self.push(of_text, &part);
        }
    }

    fn push(&mut self, style: Style, line: &str) {
        let (on, off) = (style.render(), style.render_reset());
        self.out.extend_from_slice(format!("{on}{line}{off}\n").as_bytes());
    }

    fn all_clear_or_counts(&mut self, diagnosis: &Diagnosis, with_states: bool) {
        let Diagnosis { findings, sending, lost, .. } = diagnosis;
        let texts = self.texts;
        let counts = counts(diagnosis, with_states, texts);
        if findings.is_empty() {
            let open = self.palette.open;
            self.lines("OK", MARK, open, open, said(texts, "no problems found"));
        }
        self.lines("", MARK, self.palette.dim, self.palette.dim, &counts);
        let not_judged = diagnosis.not_judged();
        if findings.is_empty() && !not_judged.is_empty() {
            let each = not_judged.iter().map(|words| of_wording(words, texts));
            let not_judged = each.collect::<Vec<_>>().join("; ");
            let english = format_args!("not judged: {not_judged}");
            let words = worded(texts, "view-not-judged", &[("what", &not_judged)], english);
            self.lines("", MARK, self.palette.dim, self.palette.dim, &words);
        }
        if *sending > 0 {
            let sends = if *sending == 1 { "sends" } else { "send" };
            let number = grouped(*sending);
            let english = format_args!(
                "{number} in CLOSE_WAIT still {sends}: half-closed by the peer, not leaked"
            );
            let words = worded(texts, "view-sending", &[("count", &number)], english);
            self.lines("", MARK, self.palette.dim, self.palette.dim, &words);
        }
        if *lost > 0 {
            let were = if *lost == 1 { "was" } else { "were" };
            let (events, number) = (count(*lost, "event"), grouped(*lost));
            let english = format_args!("{events} {were} lost: growth may be more than said");
            let words = worded(texts, "view-lost", &[("count", &number)], english);
            self.lines("", MARK, self.palette.warning, self.palette.warning, &words);
        }
    }
}

#[cfg(test)]
mod tests;
