//! Properties of a comparison: a recording against itself changes nothing, and swapped arguments
//! swap signs.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::{
    compare::{Comparison, Metric, Row},
    observed::Observed,
    report::Report,
};
use tracer_event::{
    close::Reason,
    connection::ConnectionSummary,
    diff::Verdict,
    endpoint::{Endpoint, Tuple},
    finding::{Finding, Problem, SelfConnect, Severity, Status},
    fixtures,
    state::State,
    subject::Subject,
    update::Update,
    wall_clock::WallClock,
};
use tracer_output::{json::schema::schema, width::columns};
use tracer_texts::{Language, Texts, untranslated::english};

const SECOND: u64 = 1_000_000_000;
/// How long each recording lasts.
const DURATION: u64 = 20 * SECOND;

/// A connection: when it began, how long it lived, to which port, how it ended.
type Life = (u64, u64, u16, usize);

const REASONS: [Reason; 3] = [Reason::Graceful, Reason::ResetReceived, Reason::Refused];

fn recorded(lives: &[Life]) -> Observed {
    let mut observed = Observed::default();
    observed.begin(0);
    for (index, (began, lived, port, reason)) in lives.iter().copied().enumerate() {
        let ended = began + lived;
        let end = |port| Endpoint::new(Ipv4Addr::LOCALHOST.into(), port);
        let tuple = Tuple { local: end(40_000), peer: end(port), netns: 1 };
        let subject = Subject { cookie: Some(index as u64), ..Subject::of_addresses(tuple) };
        let connection = ConnectionSummary {
            state: State::TimeWait,
            began: Some(began),
            ended: Some(ended),
            duration: lived,
            ..fixtures::connection(subject, ended, REASONS[reason])
        };
        observed.observe(&Update::Connection(&connection), WallClock::default().into());
    }
    observed.end(DURATION, true);
    observed
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let life = (0..DURATION, 1_000_u64..SECOND, 80_u16..83, 0..REASONS.len());
    proptest::collection::vec(life, 0..120)
}

fn row(comparison: &Comparison, metric: Metric) -> &Row {
    comparison.rows.iter().find(|row| row.metric == metric).unwrap()
}

proptest! {
    #[test]
    fn a_recording_does_not_differ_from_itself(lives in lives()) {
        let comparison = Comparison::of(&recorded(&lives), &recorded(&lives));
        prop_assert!(comparison.rows.iter().all(|row| !row.is_changed() && row.change() == 0.0));
        prop_assert!(!comparison.is_regression());
    }

    #[test]
    fn swapped_arguments_swap_signs(before in lives(), after in lives()) {
        let (before, after) = (recorded(&before), recorded(&after));
        let forth = Comparison::of(&before, &after);
        let back = Comparison::of(&after, &before);
        prop_assert_eq!(forth.rows.len(), back.rows.len());
        for one in &forth.rows {
            let other = row(&back, one.metric);
            prop_assert_eq!(one.change(), -other.change());
            prop_assert_eq!(one.is_changed(), other.is_changed());
            let opposite = match one.verdict() {
                Verdict::Worse => Verdict::Better,
                Verdict::Better => Verdict::Worse,
                Verdict::Neither => Verdict::Neither,
            };
            prop_assert_eq!(other.verdict(), opposite);
        }
    }

    #[test]
    fn lines_fit_a_terminal(before in lives(), after in lives()) {
        let both = [&recorded(&before), &recorded(&after)];
        let comparison = Comparison::of(both[0], both[1]);
        let names = ["before.json", "after.json"];
        let korean = Texts::of(Language::named("ko").unwrap());
        for texts in [None, Some(&korean)] {
            let text = Report { names, both, comparison: &comparison, texts }.text(true);
            prop_assert!(text.lines().all(|line| columns(line) <= 80), "{}", text);
            let stray = english(&text, &["before", "after", "json"]);
            prop_assert!(texts.is_none() || stray.is_empty(), "{:?}: {}", stray, text);
        }
    }
}

#[test]
fn what_changed_is_named_and_what_is_worse_is_a_regression() {
    let steady = |count: u64, reason: usize, port: u16| -> Vec<Life> {
        (0..count).map(|one| (one * DURATION / count, 1_000_000 + one, port, reason)).collect()
    };
    let before = recorded(&[steady(100, 0, 80), steady(60, 0, 81)].concat());
    let after = recorded(&[steady(100, 0, 80), steady(40, 2, 82)].concat());
    let comparison = Comparison::of(&before, &after);
    assert!(comparison.is_regression());
    let refused = row(&comparison, Metric::Outcome(Reason::Refused));
    assert_eq!((refused.verdict(), refused.before), (Verdict::Worse, 0.0));
    assert_eq!(row(&comparison, Metric::Outcome(Reason::Graceful)).verdict(), Verdict::Worse);
    assert!(!row(&comparison, Metric::Connections).is_changed());
    let both = [&before, &after];
    let report = Report { names: ["a", "b"], both, comparison: &comparison, texts: None };
    let text = report.text(false);
    for (port, word) in [(81, "gone"), (82, "new")] {
        let line = text.lines().find(|line| line.contains(&format!(":{port} "))).unwrap();
        assert!(line.contains(word), "{text}");
    }
    assert!(!text.contains(":80 "), "{text}");
    assert!(Comparison::of(&after, &before).rows.iter().all(|row| row.verdict() != Verdict::Worse));
}

#[test]
fn the_object_is_as_the_schema_says() {
    let lives = |count: u64, reason| -> Vec<Life> {
        (0..count).map(|one| (one * DURATION / count, 1_000_000 + one, 80, reason)).collect()
    };
    let before = recorded(&lives(100, 0));
    let mut after = recorded(&lives(40, 1));
    let problem = Problem::SelfConnect(SelfConnect {
        processes: Vec::new(),
        address: Endpoint::new(Ipv4Addr::LOCALHOST.into(), 40_000),
        range: None,
        reserved: Vec::new(),
    });
    let (severity, status) = (Severity::Warning, Status::Raised);
    let finding = Finding { time: 1, severity, status, netns: 1, entry: None, problem };
    after.findings.insert(finding.problem.code(), finding);
    let comparison = Comparison::of(&before, &after);
    let (names, both) = (["a", "b"], [&before, &after]);
    let text = Report { names, both, comparison: &comparison, texts: None }.json().unwrap();
    let object = serde_json::from_str(&text).unwrap();
    let schema = jsonschema::validator_for(&schema()).unwrap();
    let problems: Vec<_> = schema.iter_errors(&object).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{problems:?}: {text}");
    assert!(object["findings"]["new"][0]["code"] == "self_connect", "{text}");
    let destination = object["comparisons"].as_array().unwrap().iter();
    let mut destination = destination.filter(|one| one["metric"] == "destination");
    assert_eq!(destination.next().unwrap()["port"], 80, "{text}");
}
