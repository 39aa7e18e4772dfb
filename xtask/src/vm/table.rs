//! The results as one table, kernel by scenario, and what there is to say of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{
    machine::{Machine, Outcome, Report},
    suites,
};

/// A machine and what it did.
pub(super) type Ran = (Machine, Report);

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict<'a> {
    Passed,
    /// The kernel lacks this, which the test needs.
    Cannot(&'a str),
    Failed,
}

/// Names of what a kernel lacks, as `tracer features` says there.
fn lacking(report: &Report) -> Vec<&str> {
    features(report, false).filter_map(|feature| feature["feature"].as_str()).collect()
}

fn features(report: &Report, available: bool) -> impl Iterator<Item = &serde_json::Value> {
    let lines = report.facts["features"].as_array().map(Vec::as_slice).unwrap_or_default();
    lines.iter().filter(move |line| line["available"] == available)
}

/// What a test says that has found by trying that it cannot be run (`tests/src/kernel.rs`).
const LACKS: &str = "this kernel lacks ";

fn verdict<'a>(outcome: &'a Outcome, lacking: &[&'a str]) -> Verdict<'a> {
    if outcome.passed {
        return Verdict::Passed;
    }
    let found = || outcome.said.split_once(LACKS)?.1.lines().next();
    match suites::missing(&outcome.suite, &outcome.test, lacking).or_else(found) {
        Some(feature) => Verdict::Cannot(feature),
        None => Verdict::Failed,
    }
}

/// What has to be mended, a line each.
pub(super) fn failures(ran: &[Ran]) -> Vec<String> {
    let mut failures = Vec::new();
    for (machine, report) in ran {
        let name = machine.name();
        failures.extend(report.broken.iter().map(|broken| format!("{name}: {broken}")));
        let lacking = lacking(report);
        for outcome in &report.outcomes {
            if verdict(outcome, &lacking) == Verdict::Failed {
                let Outcome { suite, test, said, .. } = outcome;
                failures.push(format!("{name}: {suite}: {test}:\n{said}"));
            }
        }
        if report.outcomes.is_empty() {
            failures.push(format!("{name}: no test was run"));
        }
    }
    failures
}

/// What the document has of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Column {
    /// As [`Machine::name`] has it.
    pub(super) name: String,
    /// What was booted, when, and how long it took: the cells behind the name.
    pub(super) machine: Vec<String>,
    /// What became of each scenario that was run.
    pub(super) cells: BTreeMap<String, String>,
    /// Each test that has not passed: the cells behind the name.
    pub(super) not_passed: Vec<Vec<String>>,
    /// What the kernel lacks, in the words of `tracer features`, a line each.
    pub(super) lacks: Vec<String>,
}

impl Column {
    /// Of a machine that was run on a day.
    pub(super) fn of((machine, report): &Ran, date: &str) -> Self {
        let scenarios: BTreeSet<&String> =
            report.outcomes.iter().map(|outcome| &outcome.suite).collect();
        let cell = |scenario: &String| (scenario.clone(), cell(report, scenario));
        let minutes = report.took.as_secs_f64() / 60.0;
        Self {
            name: machine.name(),
            machine: vec![
                machine.kernel.release.clone(),
                date.to_owned(),
                format!("{:.0} s", report.booted.as_secs_f64()),
                format!("{minutes:.0} min"),
            ],
            cells: scenarios.into_iter().map(cell).collect(),
            not_passed: not_passed(report),
            lacks: lacks(report),
        }
    }

    /// With the scenarios that were run again on the same kernel, with their day where it is another.
    pub(super) fn renewed(&self, some: Self) -> Option<Self> {
        let [release, date, ..] = &self.machine[..] else { return None };
        let [same, day, ..] = &some.machine[..] else { return None };
        let mut new = self.clone();
        new.not_passed.retain(|row| row.first().is_none_or(|name| !some.cells.contains_key(name)));
        new.not_passed.extend(some.not_passed);
        let dated = |cell| if day == date { cell } else { format!("{cell} ({day})") };
        new.cells.extend(some.cells.into_iter().map(|(name, cell)| (name, dated(cell))));
        (release == same).then_some(new)
    }
}

/// The table: a scenario a row, a kernel a column.
pub(super) fn matrix(columns: &[Column], scenarios: &[&str]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
    let mut text = format!("| scenario | {} |\n|---|", names.join(" | "));
    text += &"---|".repeat(columns.len());
    text.push('\n');
    for scenario in scenarios {
        let cell = |column: &Column| column.cells.get(*scenario).cloned();
        let cells: Vec<String> =
            columns.iter().map(|column| cell(column).unwrap_or_else(|| "–".into())).collect();
        let _ = writeln!(text, "| {scenario} | {} |", cells.join(" | "));
    }
    text
}

fn cell(report: &Report, scenario: &str) -> String {
    let lacking = lacking(report);
    let outcomes: Vec<_> =
        report.outcomes.iter().filter(|outcome| outcome.suite == scenario).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut passed, mut failed) = (0, 0);
    for outcome in &outcomes {
        match verdict(outcome, &lacking) {
            Verdict::Passed => passed += 1,
            Verdict::Failed => failed += 1,
            Verdict::Cannot(feature) => *counts.entry(feature).or_default() += 1,
        }
    }
    let mut parts = vec![format!("{passed} of {}", outcomes.len())];
    if passed == outcomes.len() {
        parts = vec![format!("all {passed}")];
    }
    parts.extend(counts.iter().map(|(feature, count)| format!("{count} without {feature}")));
    if failed > 0 {
        parts.push(format!("**{failed} failed**"));
    }
    parts.join(", ")
}

fn lacks(report: &Report) -> Vec<String> {
    let line = |line: &serde_json::Value| {
        let [feature, lost, reason] =
            ["feature", "lost", "reason"].map(|field| line[field].as_str().unwrap_or("?"));
        format!("* **{feature}**: {lost}. Why: {}", one_line(reason))
    };
    features(report, false).map(line).collect()
}

/// Scenario, test and reason of each test that has not passed.
fn not_passed(report: &Report) -> Vec<Vec<String>> {
    let lacking = lacking(report);
    let broken =
        |broken: &String| vec![String::new(), String::new(), format!("**{}**", one_line(broken))];
    let mut rows: Vec<Vec<String>> = report.broken.iter().map(broken).collect();
    for outcome in &report.outcomes {
        let Outcome { suite, test, said, attempts, .. } = outcome;
        let why = match verdict(outcome, &lacking) {
            Verdict::Passed if *attempts == 1 => continue,
            Verdict::Passed => format!("passed when tried again; before: {}", last_words(said)),
            Verdict::Cannot(feature) => format!("needs {feature}"),
            Verdict::Failed => format!("**failed**: {}", last_words(said)),
        };
        rows.push(vec![suite.clone(), test.replace('_', " "), why]);
    }
    rows
}

/// Where a test panicked, and with what; without the records that it shows, which say little
/// outside of their trace.
fn last_words(said: &str) -> String {
    let after = said.split_once("panicked at ").map_or(said, |(_, words)| words);
    let mut lines = after.lines().map(str::trim).filter(|line| !line.is_empty());
    let place = lines.next().unwrap_or_default();
    let place = place.rsplit('/').next().unwrap_or(place).trim_end_matches(':');
    let message = lines.next().unwrap_or_default().split(['{', '[']).next().unwrap_or_default();
    let sides =
        lines.filter(|line| ["left: ", "right: "].iter().any(|side| line.starts_with(side)));
    let words: Vec<&str> = [place, message.trim_end_matches([':', ' '])]
        .into_iter()
        .chain(sides)
        .filter(|words| !words.is_empty())
        .collect();
    one_line(&words.join(", ")).chars().take(200).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;
    use crate::architecture::Architecture;
    use crate::vm::kernels::Kernel;

    fn outcome(suite: &str, test: &str, passed: bool) -> Outcome {
        Outcome {
            suite: suite.into(),
            test: test.into(),
            passed,
            attempts: 1,
            milliseconds: 1,
            said: "thread 't' panicked at tests/x.rs:1:2:\nleft | right\nnote: more".into(),
        }
    }

    fn ran(line: &str, outcomes: Vec<Outcome>) -> Ran {
        let kernel = Kernel {
            line: line.into(),
            release: format!("{line}.0"),
            image: PathBuf::new(),
            modules: PathBuf::new(),
        };
        let machine =
            Machine { architecture: Architecture::X86, kernel, setting: None, is_steady: false };
        let facts = json!({"features": [
            {"kind": "host"},
            {"feature": "accept", "available": true},
            {"feature": "landlock", "available": false, "lost": "all", "reason": "too\nold"},
        ]});
        (machine, Report { facts, outcomes, ..Report::default() })
    }

    fn column(ran: &Ran) -> Column {
        Column::of(ran, "2026-11-29")
    }

    #[test]
    fn the_table_has_a_column_for_each_kernel() {
        let old = ran("5.10", vec![outcome("ends", "one", true), outcome("ends", "two", false)]);
        let new = ran("7.2", vec![outcome("ends", "one", true), outcome("ends", "two", true)]);
        assert_eq!(
            matrix(&[column(&old), column(&new)], &["ends", "other"]),
            "| scenario | 5.10 | 7.2 |\n|---|---|---|\n\
             | ends | 1 of 2, **1 failed** | all 2 |\n| other | – | – |\n"
        );
    }

    #[test]
    fn what_failed_is_told_with_what_it_said() {
        let ran = [ran("5.10", vec![outcome("ends", "by_reset", false)])];
        let row = ["ends", "by reset", "**failed**: x.rs:1:2, left \\| right"];
        assert_eq!(column(&ran[0]).not_passed, [row]);
        let failures = failures(&ran);
        assert_eq!(failures.len(), 1);
        assert!(failures[0].starts_with("5.10: ends: by_reset:\n"), "{failures:?}");
    }

    #[test]
    fn of_what_a_test_said_records_are_left_out() {
        let said = "thread 't' panicked at tests/tests/x.rs:1:2:\nassertion failed: {\"kind\": 1}\n  \
                    left: 1\n right: 2\nnote: more";
        assert_eq!(last_words(said), "x.rs:1:2, assertion failed, left: 1, right: 2");
        assert_eq!(last_words("panicked at x.rs:3:\n{}"), "x.rs:3");
        assert_eq!(last_words("not done"), "not done");
    }

    #[test]
    fn what_passed_only_when_tried_again_is_no_secret() {
        let again = Outcome { attempts: 2, ..outcome("ends", "one", true) };
        let ran = [ran("5.10", vec![again])];
        assert!(column(&ran[0]).not_passed[0][2].starts_with("passed when tried again"));
        assert_eq!(failures(&ran), [""; 0]);
    }

    #[test]
    fn what_a_test_finds_missing_is_not_its_failure() {
        let mut one = outcome("ends", "one", false);
        one.said = "panicked at x.rs:1:\nthis kernel lacks SOCK_DESTROY\nnote: more".into();
        let ran = [ran("5.10", vec![one])];
        let column = column(&ran[0]);
        assert_eq!(column.cells["ends"], "0 of 1, 1 without SOCK_DESTROY");
        assert_eq!(column.not_passed[0][2], "needs SOCK_DESTROY");
        assert_eq!(failures(&ran), [""; 0]);
    }

    #[test]
    fn a_scenario_that_was_run_again_replaces_its_own_result_alone() {
        let passed = |suite| outcome(suite, "one", true);
        let failed = |suite| outcome(suite, "one", false);
        let before = column(&ran("5.10", vec![failed("ends"), failed("wire")]));
        let again = Column::of(&ran("5.10", vec![passed("ends")]), "2026-12-01");
        let renewed = before.renewed(again.clone()).unwrap();
        assert_eq!(renewed.cells["ends"], "all 1 (2026-12-01)");
        assert_eq!(renewed.cells["wire"], before.cells["wire"]);
        assert_eq!(renewed.not_passed, before.not_passed[1..]);
        assert_eq!(renewed.machine, before.machine);
        assert_eq!(column(&ran("5.9", Vec::new())).renewed(again), None);
    }

    #[test]
    fn a_machine_that_ran_nothing_has_failed() {
        assert_eq!(failures(&[ran("5.10", Vec::new())]), ["5.10: no test was run"]);
    }

    #[test]
    fn what_a_kernel_lacks_is_told_in_its_own_words() {
        let column = column(&ran("5.10", Vec::new()));
        assert_eq!(column.lacks, ["* **landlock**: all. Why: too old"]);
    }
}
