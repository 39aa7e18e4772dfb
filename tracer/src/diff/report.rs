//! What changed, as a table for people and as an object for machines.

use std::fmt::Write as _;

use super::{
    compare::{Comparison, FACTOR, LEVEL, Metric, Quantile, Row},
    observed::Observed,
};
use crate::exec::tally::Place;
use tracer_event::{
    diff::{self, Compared, Diff, Findings, Found, Recording, Unit, Verdict},
    duration::{count, duration, grouped},
    exec::Direction,
    finding::Finding,
};
use tracer_output::{
    json::Bare,
    phrase,
    phrases::{of_finding, said},
    stamps::Stamps,
    text::reason,
    width::{columns, padded},
    wrap::broken,
};
use tracer_texts::Texts;

/// Lines are no longer.
const WIDTH: usize = 80;
/// Width of the names; longer ones have a line of their own.
const NAME: usize = 38;

/// What is reported.
pub struct Report<'a> {
    /// Names of the recordings, made harmless for output.
    pub names: [&'a str; 2],
    /// The recordings.
    pub both: [&'a Observed; 2],
    /// How they differ.
    pub comparison: &'a Comparison,
    /// In which language people are spoken to; without texts in English.
    pub texts: Option<&'a Texts>,
}

impl Report<'_> {
    /// Lines for people; with `all`, also what is not beyond noise.
    pub fn text(&self, all: bool) -> String {
        let (mut text, texts) = (String::new(), self.texts);
        let labels = [
            phrase!(texts, "diff-before", [], "before"),
            phrase!(texts, "diff-after", [], "after"),
        ];
        for (label, (name, one)) in labels.iter().zip(self.names.into_iter().zip(self.both)) {
            let number = one.connections().1;
            let (number, connections) = (grouped(number), count(number, "connection"));
            let time = duration(one.duration.unwrap_or_default());
            let lost = if one.is_complete { "" } else { "incomplete: events were lost" };
            let lost = if lost.is_empty() { lost } else { &format!("; {}", said(texts, lost)) };
            let words = phrase!(
                texts,
                "diff-recording",
                [name, number, time],
                "{name}: {connections} in {time}"
            );
            push(&mut text, &padded(label, 8), &format!("{words}{lost}"));
        }
        let (changed, same): (Vec<&Row>, Vec<&Row>) =
            self.comparison.rows.iter().partition(|row| row.is_changed());
        text.push('\n');
        self.table(&mut text, "CHANGED BEYOND NOISE", &changed);
        self.findings(&mut text);
        if all {
            text.push('\n');
            self.table(&mut text, "NOT BEYOND NOISE", &same);
        }
        self.unsure(&mut text, &same, all);
        text
    }

    fn findings(&self, text: &mut String) {
        let (Comparison { new_findings, gone_findings, .. }, texts) = (self.comparison, self.texts);
        for (words, mark, findings) in
            [("finding new", "!", new_findings), ("finding gone", "+", gone_findings)]
        {
            let words = said(texts, words);
            for finding in findings {
                let (code, sentence) = (finding.problem.code(), of_finding(finding, texts));
                push(text, &format!("{mark} "), &format!("{words}: {code}: {sentence}"));
            }
        }
    }

    /// What is not in the table.
    fn unsure(&self, text: &mut String, same: &[&Row], all: bool) {
        let texts = self.texts;
        let ways: Vec<String> = same
            .iter()
            .filter_map(|row| match row.metric {
                Metric::Place(place) if row.before == 0.0 || row.after == 0.0 => {
                    let word = if row.before == 0.0 { "only after" } else { "only before" };
                    Some(format!("{} ({})", place_name(place, texts), said(texts, word)))
                }
                _ => None,
            })
            .collect();
        text.push('\n');
        if !ways.is_empty() && !all {
            let words = said(texts, "too few to exclude chance");
            push(text, "= ", &format!("{words}: {}", ways.join(", ")));
        }
        for reason in &self.comparison.not_judged {
            let what = reason.say(texts);
            let words = phrase!(texts, "view-not-judged", [what], "not judged: {what}");
            push(text, "= ", &words);
        }
        push(text, "= ", &self.verdict(same));
    }

    /// What it comes to.
    fn verdict(&self, same: &[&Row]) -> String {
        let rows = &self.comparison.rows;
        let number = |verdict| rows.iter().filter(|row| row.verdict() == verdict).count();
        let (changed, all) = (rows.len() - same.len(), rows.len());
        let (worse, better) = (number(Verdict::Worse), number(Verdict::Better));
        phrase!(
            self.texts,
            "diff-verdict",
            [changed, all, worse, better, LEVEL, FACTOR],
            "{changed} of {all} comparisons beyond noise: {worse} worse, {better} better; counted \
             where p < {LEVEL} (Holm) and by a factor of {FACTOR} or more"
        )
    }

    fn table(&self, text: &mut String, title: &str, rows: &[&Row]) {
        let (title, texts) = (said(self.texts, title), self.texts);
        if rows.is_empty() {
            let _ = writeln!(text, "{title}: {}", said(texts, "nothing"));
            return;
        }
        let head = [
            phrase!(texts, "diff-before", [], "BEFORE"),
            phrase!(texts, "diff-after", [], "AFTER"),
            said(texts, "CHANGE").to_owned(),
            "P".to_owned(),
        ];
        line(text, "  ", title, &head);
        for row in rows {
            let mark = match row.verdict() {
                Verdict::Worse => "! ",
                Verdict::Better => "+ ",
                Verdict::Neither => "  ",
            };
            let unit = row.metric.unit();
            let p = if row.p < 0.001 { "<0.001".to_owned() } else { format!("{:.3}", row.p) };
            let cells = [value(unit, row.before), value(unit, row.after), change(row, texts), p];
            line(text, mark, &metric_name(row.metric, texts), &cells);
        }
    }

    /// One object, on a line.
    ///
    /// # Errors
    ///
    /// None that can happen.
    pub fn json(&self) -> serde_json::Result<String> {
        let Comparison { rows, new_findings, gone_findings, not_judged } = self.comparison;
        let [before, after] = [0, 1].map(|index| recording(self.names[index], self.both[index]));
        let findings = |list: &[Finding]| list.iter().map(found).collect();
        let diff = Diff {
            before,
            after,
            level: LEVEL,
            factor: FACTOR,
            regression: self.comparison.is_regression(),
            comparisons: rows.iter().map(compared).collect(),
            findings: Findings { new: findings(new_findings), gone: findings(gone_findings) },
            not_judged: not_judged.iter().map(|one| one.say(None)).collect(),
        };
        let mut stamps = Stamps::utc();
        let time = stamps.write(self.both[1].ended);
        Ok(serde_json::to_string(&Bare::new("diff", time.into(), diff))? + "\n")
    }
}

fn recording(file: &str, one: &Observed) -> Recording {
    let (ended, connections) = one.connections();
    let (duration_ns, complete) = (one.duration, one.is_complete);
    Recording { file: file.to_owned(), duration_ns, connections, ended, complete }
}

fn found(finding: &Finding) -> Found {
    Found { code: finding.problem.code(), text: finding.sentence().to_string() }
}

/// A text that goes on below itself.
fn push(text: &mut String, label: &str, words: &str) {
    let indent = columns(label);
    for (index, part) in broken(words, Some(WIDTH - indent)).into_iter().enumerate() {
        let label = if index == 0 { label } else { "" };
        let _ = writeln!(text, "{}", format!("{}{part}", padded(label, indent)).trim_end());
    }
}

fn line(text: &mut String, mark: &str, name: &str, cells: &[String; 4]) {
    let mut name = name;
    if columns(name) > NAME {
        let _ = writeln!(text, "{mark}{name}");
        name = "";
    }
    let mark = if name.is_empty() { "  " } else { mark };
    let _ = write!(text, "{mark}{}", padded(name, NAME));
    for (cell, width) in cells.iter().zip([11_usize, 9, 9, 6]) {
        let _ = write!(text, " {}{cell}", " ".repeat(width.saturating_sub(columns(cell))));
    }
    text.push('\n');
}

fn value(unit: Unit, value: f64) -> String {
    match unit {
        Unit::PerSecond if value >= 100.0 => format!("{}/s", grouped(value as u64)),
        Unit::PerSecond => format!("{value:.2}/s"),
        Unit::Share => format!("{:.1} %", value * 100.0),
        Unit::Time => duration(value as u64),
    }
}

fn change(row: &Row, texts: Option<&Texts>) -> String {
    let word = match (row.before == 0.0, row.after == 0.0) {
        (true, true) => "none",
        (true, false) => "new",
        (false, true) => "gone",
        (false, false) => {
            let percent = (row.change() / row.before * 100.0).round();
            return if percent >= 1000.0 {
                format!("x{:.0}", row.after / row.before)
            } else {
                format!("{percent:+.0} %")
            };
        }
    };
    said(texts, word).to_owned()
}

fn place_name(place: Place, texts: Option<&Texts>) -> String {
    match place {
        Place::To(peer) => phrase!(texts, "diff-to", [peer], "connections to {peer}"),
        Place::At(local) => phrase!(texts, "exec-place-at", [local], "accepted at {local}"),
    }
}

fn metric_name(metric: Metric, texts: Option<&Texts>) -> String {
    let quantile = |of: &str, quantile| {
        let of = said(texts, of);
        match quantile {
            Quantile::Median => format!("{of} p50"),
            Quantile::Tail => format!("{of} p99"),
        }
    };
    let words = match metric {
        Metric::Place(place) => return place_name(place, texts),
        Metric::Outcome(ended) => {
            return format!("{}: {}", said(texts, "ended"), said(texts, reason(ended)));
        }
        Metric::Handshake(which) => return quantile("handshake", which),
        Metric::Lifetime(which) => return quantile("lifetime", which),
        Metric::Connections => "connections",
        Metric::Churn => "TIME_WAIT entered (churn)",
        Metric::Retransmits => "connections with retransmissions",
        Metric::Leaks => "leaked connections",
    };
    said(texts, words).to_owned()
}

/// The name of a metric in JSON.
fn code(metric: Metric) -> String {
    let quantile = |of: &str, quantile| match quantile {
        Quantile::Median => format!("{of}_p50"),
        Quantile::Tail => format!("{of}_p99"),
    };
    match metric {
        Metric::Connections => "connections".to_owned(),
        Metric::Place(_) => "destination".to_owned(),
        Metric::Churn => "churn".to_owned(),
        Metric::Outcome(_) => "outcome".to_owned(),
        Metric::Handshake(which) => quantile("handshake", which),
        Metric::Lifetime(which) => quantile("lifetime", which),
        Metric::Retransmits => "retransmits".to_owned(),
        Metric::Leaks => "leaks".to_owned(),
    }
}

fn compared(row: &Row) -> Compared {
    let place = |place| match place {
        Place::To(end) => diff::Place { direction: Direction::Outgoing, end },
        Place::At(end) => diff::Place { direction: Direction::Incoming, end },
    };
    let (place, reason) = match row.metric {
        Metric::Place(of) => (Some(place(of)), None),
        Metric::Outcome(ended) => (None, Some(ended.name())),
        _ => (None, None),
    };
    Compared {
        metric: code(row.metric),
        unit: row.metric.unit(),
        before: row.before,
        after: row.after,
        change: row.change(),
        p: row.p,
        beyond_noise: row.is_changed(),
        verdict: row.verdict(),
        place,
        reason,
    }
}
