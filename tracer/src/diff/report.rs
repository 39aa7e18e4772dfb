//! What changed, as a table for people and as an object for machines.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    compare::{Comparison, FACTOR, LEVEL, Metric, Quantile, Row, Unit, Verdict},
    observed::Observed,
};
use crate::exec::tally::Place;
use tracer_event::duration::{duration, grouped};
use tracer_output::{text::reason, wrap::broken};

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
}

impl Report<'_> {
    /// Lines for people; with `all`, also what is not beyond noise.
    pub fn text(&self, all: bool) -> String {
        let mut text = String::new();
        for (label, (name, one)) in
            ["before", "after"].into_iter().zip(self.names.into_iter().zip(self.both))
        {
            let count = one.connections().1;
            let s = if count == 1 { "" } else { "s" };
            let count = grouped(count);
            let time = duration(one.duration.unwrap_or_default());
            let lost = if one.is_complete { "" } else { "; incomplete: events were lost" };
            let words = format!("{name}: {count} connection{s} in {time}{lost}");
            push(&mut text, &format!("{label:8}"), &words);
        }
        let (changed, same): (Vec<&Row>, Vec<&Row>) =
            self.comparison.rows.iter().partition(|row| row.is_changed());
        text.push('\n');
        table(&mut text, "CHANGED BEYOND NOISE", &changed);
        self.findings(&mut text);
        if all {
            text.push('\n');
            table(&mut text, "NOT BEYOND NOISE", &same);
        }
        self.unsure(&mut text, &same, all);
        text
    }

    fn findings(&self, text: &mut String) {
        let Comparison { new_findings, gone_findings, .. } = self.comparison;
        for (word, mark, findings) in [("new", "!", new_findings), ("gone", "+", gone_findings)] {
            for (code, sentence) in findings {
                push(text, &format!("{mark} "), &format!("finding {word}: {code}: {sentence}"));
            }
        }
    }

    /// What is not in the table.
    fn unsure(&self, text: &mut String, same: &[&Row], all: bool) {
        let ways: Vec<String> = same
            .iter()
            .filter_map(|row| match row.metric {
                Metric::Place(place) if row.before == 0.0 || row.after == 0.0 => {
                    let word = if row.before == 0.0 { "only after" } else { "only before" };
                    Some(format!("{} ({word})", place_name(place)))
                }
                _ => None,
            })
            .collect();
        text.push('\n');
        if !ways.is_empty() && !all {
            let words = format!("too few to exclude chance: {}", ways.join(", "));
            push(text, "= ", &words);
        }
        for reason in &self.comparison.not_judged {
            push(text, "= ", &format!("not judged: {reason}"));
        }
        let rows = &self.comparison.rows;
        let count = |verdict| rows.iter().filter(|row| row.verdict() == verdict).count();
        let changed = rows.len() - same.len();
        let words = format!(
            "{} of {} comparisons beyond noise: {} worse, {} better; chance below {LEVEL} (Holm), \
             by a factor of {FACTOR} or more",
            changed,
            rows.len(),
            count(Verdict::Worse),
            count(Verdict::Better),
        );
        push(text, "= ", &words);
    }

    /// One object, on a line.
    pub fn json(&self) -> String {
        let Comparison { rows, new_findings, gone_findings, not_judged } = self.comparison;
        let recording = |index: usize| {
            let one = self.both[index];
            let (ended, connections) = one.connections();
            json!({
                "file": self.names[index],
                "duration_ns": one.duration,
                "connections": connections,
                "ended": ended,
                "complete": one.is_complete,
            })
        };
        let findings = |list: &[(&str, String)]| {
            let one = |(code, text): &(&str, String)| json!({ "code": code, "text": text });
            list.iter().map(one).collect::<Vec<_>>()
        };
        let object = json!({
            "kind": "diff",
            "before": recording(0),
            "after": recording(1),
            "level": LEVEL,
            "factor": FACTOR,
            "regression": self.comparison.is_regression(),
            "comparisons": rows.iter().map(row_json).collect::<Vec<_>>(),
            "findings": { "new": findings(new_findings), "gone": findings(gone_findings) },
            "not_judged": not_judged,
        });
        format!("{object}\n")
    }
}

/// A text that goes on below itself.
fn push(text: &mut String, label: &str, words: &str) {
    let indent = label.chars().count();
    for (index, part) in broken(words, Some(WIDTH - indent)).into_iter().enumerate() {
        let label = if index == 0 { label } else { "" };
        let _ = writeln!(text, "{}", format!("{label:indent$}{part}").trim_end());
    }
}

fn table(text: &mut String, title: &str, rows: &[&Row]) {
    if rows.is_empty() {
        let _ = writeln!(text, "{title}: nothing");
        return;
    }
    let head = ["BEFORE", "AFTER", "CHANGE", "P"];
    line(text, "  ", title, head.map(str::to_owned));
    for row in rows {
        let mark = match row.verdict() {
            Verdict::Worse => "! ",
            Verdict::Better => "+ ",
            Verdict::Neither => "  ",
        };
        let unit = row.metric.unit();
        let p = if row.p < 0.001 { "<0.001".to_owned() } else { format!("{:.3}", row.p) };
        let cells = [value(unit, row.before), value(unit, row.after), change(row), p];
        line(text, mark, &metric_name(row.metric), cells);
    }
}

fn line(text: &mut String, mark: &str, name: &str, cells: [String; 4]) {
    let [before, after, change, p] = cells;
    let mut name = name;
    if name.chars().count() > NAME {
        let _ = writeln!(text, "{mark}{name}");
        name = "";
    }
    let mark = if name.is_empty() { "  " } else { mark };
    let _ = writeln!(text, "{mark}{name:NAME$} {before:>11} {after:>9} {change:>9} {p:>6}");
}

fn value(unit: Unit, value: f64) -> String {
    match unit {
        Unit::PerSecond if value >= 100.0 => format!("{}/s", grouped(value as u64)),
        Unit::PerSecond => format!("{value:.2}/s"),
        Unit::Share => format!("{:.1} %", value * 100.0),
        Unit::Time => duration(value as u64),
    }
}

fn change(row: &Row) -> String {
    if row.before == 0.0 && row.after == 0.0 {
        return "none".to_owned();
    }
    if row.before == 0.0 {
        return "new".to_owned();
    }
    if row.after == 0.0 {
        return "gone".to_owned();
    }
    let percent = (row.change() / row.before * 100.0).round();
    if percent >= 1000.0 {
        format!("x{:.0}", row.after / row.before)
    } else {
        format!("{percent:+.0} %")
    }
}

fn place_name(place: Place) -> String {
    match place {
        Place::To(peer) => format!("connections to {peer}"),
        Place::At(local) => format!("accepted at {local}"),
    }
}

fn metric_name(metric: Metric) -> String {
    let quantile = |of: &str, quantile| match quantile {
        Quantile::Median => format!("{of} p50"),
        Quantile::Tail => format!("{of} p99"),
    };
    match metric {
        Metric::Connections => "connections".to_owned(),
        Metric::Place(place) => place_name(place),
        Metric::Churn => "TIME_WAIT entered (churn)".to_owned(),
        Metric::Outcome(ended) => format!("ended: {}", reason(ended)),
        Metric::Handshake(which) => quantile("handshake", which),
        Metric::Lifetime(which) => quantile("lifetime", which),
        Metric::Retransmits => "connections with retransmissions".to_owned(),
        Metric::Leaks => "leaked connections".to_owned(),
    }
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

fn row_json(row: &Row) -> Value {
    let unit = match row.metric.unit() {
        Unit::PerSecond => "per_second",
        Unit::Share => "share",
        Unit::Time => "ns",
    };
    let verdict = match row.verdict() {
        Verdict::Worse => "worse",
        Verdict::Better => "better",
        Verdict::Neither => "neither",
    };
    let mut object = json!({
        "metric": code(row.metric),
        "unit": unit,
        "before": row.before,
        "after": row.after,
        "change": row.change(),
        "p": row.p,
        "beyond_noise": row.is_changed(),
        "verdict": verdict,
    });
    match row.metric {
        Metric::Place(place) => {
            let (direction, end) = match place {
                Place::To(peer) => ("outgoing", peer),
                Place::At(local) => ("incoming", local),
            };
            object["direction"] = direction.into();
            object["address"] = end.address().to_string().into();
            object["port"] = end.port.into();
        }
        Metric::Outcome(ended) => object["reason"] = ended.name().into(),
        _ => {}
    }
    object
}
