mod bounds;
mod korean;

use std::sync::{Arc, Mutex};

use rstest::rstest;
use tracer_wire::Record;

use super::{
    headroom::Headroom,
    stays::{Guests, STATES},
    timeline::{Event, Timeline},
    *,
};
use tracer_event::{
    close::Reason,
    endpoint::{Endpoint, Tuple},
    finding::{Finding, NoLocalPort, Problem, Severity},
    fixtures,
    header::{Degraded, Host},
    process::{Evidence, Owner},
    state::State,
    update::{ConnectionSummary, Handshake, Linger, Subject, Transition},
};
use tracer_model::{
    linger::Thresholds,
    table::{self, Table},
};

const SECOND: u64 = 1_000_000_000;
const BEGUN: u64 = 100 * SECOND;

fn end(text: &str, port: u16) -> Endpoint {
    Endpoint::new(text.parse().unwrap(), port)
}

/// A connection from this local port, by a process of this name.
fn client(port: u16, name: &str) -> Subject {
    let process = fixtures::process(7, name);
    Subject {
        tuple: Tuple { local: end("10.0.0.1", port), peer: end("10.0.0.2", 443), netns: 1 },
        owner: Some(Owner { process, evidence: Evidence::Connect, fd: None, others: 0 }),
        ..fixtures::subject(port.into())
    }
}

fn step(subject: Subject, time: u64, from: State, to: State) -> Transition {
    Transition::new(subject, BEGUN + time, from, to)
}

fn connection(subject: Subject, time: u64, reason: Reason) -> ConnectionSummary {
    fixtures::connection(subject, BEGUN + time, reason)
}

fn header() -> Header {
    let degraded = vec![Degraded {
        feature: "cookies".into(),
        lost: "identity".into(),
        reason: "<old>".into(),
        remedy: "a newer kernel".into(),
    }];
    Header { degraded, options: vec!["report".into()], ..fixtures::header() }
}

fn gathered() -> Report {
    Report::new(header(), BEGUN)
}

/// A file in memory.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The report on these events, recorded, `after` the beginning.
fn report(updates: &[Update<'_>], after: u64) -> String {
    report_in(None, updates, after)
}

fn report_in(texts: Option<Texts>, updates: &[Update<'_>], after: u64) -> String {
    let paper = Paper::default();
    let (written, result) = std::sync::mpsc::channel();
    let mut sink = Box::new(Page::new(Options {
        title: "web<1>\u{1b}[31m".into(),
        zone: TimeZone::UTC,
        texts,
        ticks: Ticks { hz: 250 },
        filter: Filter::default(),
        file: Box::new(paper.clone()),
        written,
    }));
    let clock = |now| WallClock { lead: 1_700_000_000_000_000_000, now };
    sink.header(&header(), clock(BEGUN));
    let mut summary = Summary { complete: true, ..Summary::default() };
    for update in updates {
        sink.update(update, clock(BEGUN).into());
        summary.count(update);
    }
    sink.finish(&summary, clock(BEGUN + after).into());
    let html = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    assert_eq!(result.recv().unwrap().unwrap().bytes, html.len());
    html
}

/// Of a recording both are known; a live report's title is the host.
#[rstest]
#[case(Some("web1"), "trace.jsonl", "TCP on web1 (trace.jsonl)")]
#[case(Some("web1"), "web1", "TCP on web1")]
#[case(None, "trace.jsonl", "TCP on trace.jsonl")]
fn the_title_names_the_host(#[case] host: Option<&str>, #[case] of: &str, #[case] title: &str) {
    let host = host.map(|name| Host { name: name.into(), boot_id: None });
    let report = Report::new(Header { host, ..header() }, BEGUN);
    let clock = WallClock { lead: 1_700_000_000_000_000_000, now: BEGUN + 9 * SECOND };
    let frame = Frame { title: of.into(), zone: TimeZone::UTC, clock, texts: None };
    let html = report.html(&Summary::default(), &frame);
    assert!(html.contains(&format!("<title>{title}</title>")), "{html}");
    for time in ["22:15:00", "22:15:09"] {
        assert!(html.contains(time), "when it began and ended: {time}");
    }
}

fn handshake(time: u64) -> Handshake {
    Handshake {
        duration_ns: Some(time),
        rtt_ns: None,
        syn_retransmits: None,
        local_isn: None,
        peer_isn: None,
    }
}

/// One connection with a hostile name that waits in CLOSE_WAIT, flagged; one that was refused.
fn small(texts: Option<Texts>) -> String {
    let subject = client(40_000, "<b>&\"\x1b[1m");
    let opened = Transition {
        handshake: Some(handshake(30_000)),
        ..step(subject, SECOND, State::SynSent, State::Established)
    };
    let linger = Linger {
        time: BEGUN + 9 * SECOND,
        subject,
        age: 7 * SECOND,
        idle: Some(7 * SECOND),
        threshold: 5 * SECOND,
        ..fixtures::linger(1, State::CloseWait)
    };
    let problem = Problem::NoLocalPort(NoLocalPort {
        process: subject.owner.map(|owner| owner.process),
        others: 0,
        peer: subject.tuple.peer,
        count: 3,
        size: Some(10),
    });
    let finding = fixtures::finding(BEGUN + 3 * SECOND, Severity::Critical, problem);
    let finding = Finding { netns: 1, ..finding };
    let refused = client(40_001, "curl");
    report_in(
        texts,
        &[
            Update::Transition(&step(subject, SECOND, State::Closed, State::SynSent)),
            Update::Transition(&opened),
            Update::Transition(&step(subject, 2 * SECOND, State::Established, State::CloseWait)),
            Update::Transition(&step(refused, 3 * SECOND, State::Closed, State::SynSent)),
            Update::Transition(&step(refused, 3 * SECOND, State::SynSent, State::Closed)),
            Update::Connection(&connection(refused, 3 * SECOND, Reason::Refused)),
            Update::Finding(&finding),
            Update::Linger(&[linger]),
        ],
        10 * SECOND,
    )
}

/// All text of a report, element by element.
fn text(html: &str) -> String {
    let document = scraper::Html::parse_document(html);
    let body = scraper::Selector::parse("body").unwrap();
    let words = document.select(&body).next().unwrap().text().map(str::trim);
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_small_report_says_all_there_is() {
    insta::assert_snapshot!(text(&small(None)));
}

/// What is only good to know is no problem, and not nothing.
#[test]
fn findings_for_information_are_counted() {
    let problem = fixtures::no_local_port(client(40_000, "app").tuple.peer, 1);
    let finding = fixtures::finding(BEGUN, Severity::Info, problem);
    let text = text(&report(&[Update::Finding(&finding)], 0));
    assert!(text.contains("No problems; 1 finding for information: see below."), "{text}");
}

#[test]
fn an_empty_report_says_that_there_was_nothing() {
    let html = report(&[], 0);
    let text = text(&html);
    for words in [
        "No problems found in what was observed.",
        "There were no connections.",
        "No connection was opened or closed.",
        "No handshake was completed.",
        "No socket was closed.",
        "No socket was in this state.",
        "There were no outgoing connections.",
        "Nothing was lost.",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
}

#[rstest]
#[case(report(&[], 0))]
#[case(small(None))]
fn a_report_is_well_formed_and_needs_nothing_else(#[case] html: String) {
    let document = scraper::Html::parse_document(&html);
    assert_eq!(document.errors, Vec::<std::borrow::Cow<'_, str>>::new());
    let all = scraper::Selector::parse("*").unwrap();
    for element in document.select(&all) {
        assert!(!["script", "link", "img", "iframe", "object"].contains(&element.value().name()));
        for (name, value) in element.value().attrs() {
            assert!(!["src", "srcset", "xlink:href", "data"].contains(&name), "{name}={value}");
            assert!(name != "href" || value.starts_with('#'), "{name}={value}");
            assert!(!name.starts_with("on"), "{name}={value}");
        }
    }
    assert!(!html.contains("url(") && !html.contains("@import"), "the style refers to something");
    assert!(!html.contains('\u{1b}'), "what others chose is made harmless");
}

/// How many sockets were in each state, from transitions alone.
#[rstest]
// All of its life.
#[case(&[(State::Closed, State::SynSent), (State::SynSent, State::Established)], State::Established, (0, 1, 1))]
// It was there before: no event has reported its beginning.
#[case(&[(State::Established, State::CloseWait)], State::Established, (1, 1, 0))]
#[case(&[(State::Established, State::CloseWait)], State::CloseWait, (0, 1, 1))]
#[case(&[(State::TimeWait, State::Closed)], State::TimeWait, (1, 1, 0))]
// The listener stays.
#[case(&[(State::Closed, State::Listen), (State::Listen, State::SynRecv)], State::Listen, (0, 1, 1))]
#[case(&[(State::Listen, State::Closed)], State::Listen, (1, 1, 0))]
// An orphan's FIN_WAIT2 is reported twice.
#[case(&[(State::FinWait1, State::FinWait2), (State::FinWait2, State::FinWait2)], State::FinWait2, (0, 1, 1))]
fn sockets_are_counted_by_their_transitions(
    #[case] steps: &[(State, State)],
    #[case] state: State,
    #[case] (first, most, last): (u64, u64, u64),
) {
    let mut timeline = Timeline::new(BEGUN);
    for (index, &(from, to)) in steps.iter().enumerate() {
        let step = step(client(1, "a"), (index as u64 + 1) * SECOND, from, to);
        timeline.update(&Update::Transition(&step));
    }
    let highest = timeline.most(state).into_iter().max().unwrap();
    assert_eq!((timeline.at_first(state), highest, timeline.at_last(state)), (first, most, last));
}

#[test]
fn what_the_table_knows_beside_was_there_before() {
    let mut gathered = gathered();
    let opened = step(client(1, "a"), SECOND, State::SynSent, State::Established);
    gathered.update(&Update::Transition(&opened));
    let mut sockets = [0; State::COUNT];
    sockets[State::Established.index()] = 5;
    gathered.timeline.reconcile(sockets);
    assert_eq!(gathered.timeline.at_first(State::Established), 4);
    assert_eq!(gathered.timeline.at_last(State::Established), 5);
    assert_eq!(gathered.timeline.at_first(State::SynSent), 1, "it was reported when it left");
}

#[test]
fn a_look_at_the_table_finds_who_waits() {
    let options = table::Options { thresholds: Thresholds::NONE, ..table::Options::default() };
    let mut table = Table::new(options);
    let record = |cookie: u64, state: State| Record {
        kind: tracer_wire::kind::SOCKET,
        time_ns: BEGUN + SECOND,
        cookie,
        sk: cookie | 1 << 63,
        netns: 1,
        local_port: cookie as u16,
        peer_port: 443,
        new_state: state as u8,
        ..Record::EMPTY
    };
    let records = vec![record(1, State::CloseWait), record(2, State::Established)];
    let snapshot = table::Snapshot { begun: BEGUN, records, ..table::Snapshot::default() };
    struct Deaf;
    impl tracer_event::update::Observer for Deaf {
        fn observe(&mut self, _: Update<'_>) {}
    }
    table.merge(&snapshot, &mut Deaf);
    let mut gathered = gathered();
    gathered.read(&table, |_| true);
    gathered.read(&table, |_| true);
    assert_eq!(gathered.timeline.at_last(State::CloseWait), 1);
    let [close_wait, time_wait] = gathered.guests.at(BEGUN + 3 * SECOND);
    assert_eq!((close_wait.sockets, time_wait.sockets), (1, 0));
    assert_eq!(close_wait.by_process.sorted()[0].1.total(), 2 * SECOND);
    gathered.read(&table, |_| false);
    assert_eq!(gathered.timeline.at_last(State::CloseWait), 0, "not wanted");
}
