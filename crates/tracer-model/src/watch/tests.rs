//! Once, again when it worsens, and when it is over.

use tracer_wire::{Record, kind};

use super::*;
use crate::table::{self, Snapshot, tests::record};
use tracer_event::{
    close::{Initiator, Reason},
    endpoint::Tuple,
    enricher::Unknown,
    finding::{Problem, Severity},
    host::{Host, NetFacts, PortRange},
    process::{Evidence, Owner, Process},
    state::State,
    update::{Close, Role, Sequence, Subject, Transition},
};

const NETNS: u32 = 7;

/// A connect() of process 12 that found no port.
fn failure(time: u64, peer_port: u16) -> Transition {
    let mut record = record(State::SynSent, State::Closed);
    (record.netns, record.peer_port) = (NETNS, peer_port);
    let process = Process { pid: 12, comm: [b'x'; 16], start_ns: 0 };
    let owner = Some(Owner { process, evidence: Evidence::Connect, fd: None, others: 0 });
    let subject = Subject { cookie: Some(1), owner, ..Subject::of_addresses(Tuple::of(&record)) };
    Transition {
        close: Some(Close::new(Reason::NoLocalPort, Some(Initiator::Local))),
        ..Transition::new(subject, time, State::SynSent, State::Closed)
    }
}

/// What is asked about, and nothing is known of the sockets.
struct Asked {
    watch: Watch,
    filter: Filter,
    table: Table,
}

impl Asked {
    fn about(filter: Filter) -> Self {
        let table = Table::new(table::Options::default());
        Self { watch: Watch::new(Ticks { hz: 250 }), filter, table }
    }

    fn ask<T>(&mut self, judge: impl FnOnce(&mut Watch, Scope<'_>) -> T) -> T {
        let Self { watch, filter, table } = self;
        judge(watch, Scope { filter, enricher: &Unknown, table })
    }

    fn tick(&mut self, seconds: u64) -> Vec<(Status, u64)> {
        let findings = self.ask(|watch, scope| watch.tick(seconds * SECOND, scope));
        findings.iter().map(|one| (one.status, one.problem.count())).collect()
    }

    /// What a look changes.
    fn look(&mut self, seconds: u64, used: u16, queue: u32) -> Vec<Finding> {
        let look = Arc::new(look(seconds * SECOND, used, queue));
        self.ask(|watch, scope| watch.look(&look, scope)).map_or_else(Vec::new, |(_, some)| some)
    }

    fn told(&mut self, seconds: u64, used: u16, queue: u32) -> Vec<(String, Status, Severity)> {
        let changes = self.look(seconds, used, queue);
        let of = |one: &Finding| (one.problem.code().to_owned(), one.status, one.severity);
        changes.iter().map(of).collect()
    }
}

#[test]
fn failures_are_told_within_a_second_at_each_tenfold_and_when_over() {
    let mut asked = Asked::about(Filter::default());
    let fail = |asked: &mut Asked, times: u64| {
        (0..times).for_each(|n| asked.watch.observe(Update::Transition(&failure(n, 443))));
    };
    assert_eq!(asked.tick(1), []);
    fail(&mut asked, 1);
    assert_eq!(asked.tick(2), [(Status::Raised, 1)]);
    fail(&mut asked, 8);
    assert_eq!(asked.tick(3), []);
    fail(&mut asked, 91);
    assert_eq!(asked.tick(4), [(Status::Continues, 100)]);
    assert_eq!(asked.tick(17), []);
    fail(&mut asked, 1);
    // Those of half a minute count.
    assert_eq!(asked.tick(32), []);
    assert_eq!(asked.tick(47), []);
    assert_eq!(asked.tick(63), [(Status::Cleared, 1)]);
    fail(&mut asked, 1);
    assert_eq!(asked.tick(64), [(Status::Raised, 1)]);
}

#[test]
fn each_destination_is_a_finding_of_its_own() {
    let mut asked = Asked::about(Filter::default());
    for (time, port) in [(1, 443), (2, 444), (3, 443)] {
        asked.watch.observe(Update::Transition(&failure(time, port)));
    }
    let graceful = Close::new(Reason::Graceful, None);
    let well = Transition { close: Some(graceful), ..failure(4, 445) };
    asked.watch.observe(Update::Transition(&well));
    assert_eq!(asked.tick(1), [(Status::Raised, 2), (Status::Raised, 1)]);
}

/// Connections to one destination from a range of ten ports, and a listener with so many that wait.
fn look(time: u64, used: u16, queue: u32) -> HostSnapshot {
    let socket = |state: State| Record {
        kind: kind::SOCKET,
        netns: NETNS,
        new_state: state as u8,
        peer_port: 443,
        ..Record::EMPTY
    };
    let clients = (0..used).map(|n| Record {
        cookie: 100 + u64::from(n),
        local_port: 20_000 + n,
        ..socket(State::Established)
    });
    let listener = Record {
        cookie: 1,
        local_port: 80,
        peer_port: 0,
        accept_queue: queue,
        accept_backlog: 8,
        ..socket(State::Listen)
    };
    let ports = Some(PortRange { low: 20_000, high: 20_009, reserved: Vec::new() });
    let facts = NetFacts { ports, ..NetFacts::default() };
    HostSnapshot {
        snapshot: Snapshot {
            begun: time,
            ended: time,
            records: clients.chain([listener]).collect(),
            namespaces: vec![NETNS],
            holders: Vec::new(),
            held_at: None,
        },
        host: Host { namespaces: [(NETNS, facts)].into(), ..Host::default() },
    }
}

#[test]
fn ports_are_told_when_they_get_scarce_scarcer_and_plenty() {
    let mut asked = Asked::about(Filter::default());
    let mut at = |seconds: u64, used| asked.told(seconds, used, 0);
    let told = |status, severity| [("ephemeral_ports".to_owned(), status, severity)];
    assert_eq!(at(1, 4), []);
    assert_eq!(at(2, 5), told(Status::Raised, Severity::Warning));
    assert_eq!(at(3, 6), []);
    assert_eq!(at(4, 9), told(Status::Continues, Severity::Critical));
    // To and fro around the threshold is reported once.
    assert_eq!(at(5, 8), []);
    assert_eq!(at(6, 10), []);
    assert_eq!(at(7, 4), told(Status::Cleared, Severity::Critical));
    assert_eq!(at(8, 0), []);
}

#[test]
fn growth_is_that_of_the_last_quarter_of_a_minute_or_half() {
    let mut asked = Asked::about(Filter::default());
    assert!(asked.look(1, 2, 0).is_empty());
    let mut growth = |seconds, used| {
        let look = Arc::new(look(seconds * SECOND, used, 0));
        let (diagnosis, _) = asked.ask(|watch, scope| watch.look(&look, scope)).unwrap();
        let problem = diagnosis.findings.first().map(|one| one.problem.clone());
        let Some(Problem::EphemeralPorts(ports)) = problem else { panic!("{diagnosis:?}") };
        ports.growth
    };
    assert_eq!(growth(11, 7), 30.0, "five in ten seconds");
    assert_eq!(growth(17, 6), 15.0, "four in sixteen");
    assert_eq!(growth(26, 8), 14.4, "six in twenty-five");
    assert_eq!(growth(31, 8), 3.0, "one in twenty");
    assert_eq!(asked.watch.earlier.len(), 2);
}

#[test]
fn a_full_queue_is_told_once_and_when_it_has_room_again() {
    let mut asked = Asked::about(Filter::default());
    let mut at = |seconds: u64, queue| asked.told(seconds, 0, queue);
    let told = |status, severity| [("accept_queue_full".to_owned(), status, severity)];
    assert_eq!(at(1, 0), []);
    assert_eq!(at(2, 9), told(Status::Raised, Severity::Warning));
    assert_eq!(at(3, 9), told(Status::Continues, Severity::Critical), "it stays full");
    assert_eq!(at(4, 9), []);
    assert_eq!(at(5, 0), told(Status::Cleared, Severity::Critical));
}

#[test]
fn what_events_show_does_not_end_what_snapshots_have_shown() {
    let mut asked = Asked::about(Filter::default());
    asked.look(1, 0, 0);
    assert_eq!(asked.look(2, 0, 9).len(), 1);
    assert_eq!(asked.look(3, 0, 9).len(), 1, "it has become worse");
    assert_eq!(asked.tick(4), []);
    assert_eq!(asked.look(5, 0, 9).len(), 0);
}

#[test]
fn what_is_not_asked_about_is_not_told() {
    let mut asked = Asked::about("dport 5432".parse().unwrap());
    assert!(asked.look(1, 10, 0).is_empty() && asked.look(2, 10, 0).is_empty());
    let mut asked = Asked::about("sport 22".parse().unwrap());
    assert!(asked.look(1, 0, 9).is_empty() && asked.look(2, 0, 9).is_empty());
}

/// It has happened, and is not over some time later.
#[test]
fn the_end_of_a_process_is_reported_once_its_connections_have_ended_or_after_seconds() {
    let mut asked = Asked::about(Filter::default());
    let listens =
        Transition { from: State::Listen, close: None, at_exit: true, ..failure(2 * SECOND, 443) };
    asked.watch.observe(Update::Transition(&Transition { at_exit: false, ..listens }));
    assert_eq!(asked.tick(2), []);
    asked.watch.observe(Update::Transition(&listens));
    assert_eq!(asked.tick(3), [(Status::Raised, 1)]);
    for seconds in 4..60 {
        assert_eq!(asked.tick(seconds), [], "after {seconds} s");
    }
    // Neither has it listened, nor is it asked about.
    let is_client = Transition { from: State::Established, to: State::FinWait1, ..listens };
    asked.watch.observe(Update::Transition(&is_client));
    assert_eq!(asked.tick(61), []);
    let mut asked = Asked::about("pid 12".parse().unwrap());
    asked.watch.observe(Update::Transition(&is_client));
    assert_eq!(asked.tick(2), [(Status::Raised, 1)]);
}

/// Connections that were reset, whose other ends are open here as far as events show, or not: whether
/// these have sent the RST is for the next snapshot to say.
#[rstest::rstest]
#[case::on_this_host(true, &[])]
#[case::elsewhere(false, &[(Status::Raised, 3)])]
fn a_reset_is_told_when_it_is_known_who_has_sent_it(
    #[case] is_here: bool,
    #[case] told: &[(Status, u64)],
) {
    let mut asked = Asked::about(Filter::default());
    for port in 40_000..40_003 {
        let (cookie, peer_port) = (u64::from(port), port);
        let opened = record(State::SynRecv, State::Established);
        let other = Record { cookie, peer_port, ..opened };
        if is_here {
            asked.table.ingest(&other, &mut Observed::default());
        }
        let tuple = Tuple::of(&other).reversed();
        let [snd_una, snd_nxt, write_seq, rcv_nxt] = [18, 20, 20, 100];
        let numbers = Sequence { snd_una, snd_nxt, write_seq, rcv_nxt, acked: 1, received: 1 };
        let subject = Subject { role: Some(Role::Client), ..Subject::of_addresses(tuple) };
        asked.watch.observe(Update::Transition(&Transition {
            close: Some(Close::new(Reason::ResetReceived, Some(Initiator::Peer))),
            sequence: Some(numbers),
            ..Transition::new(subject, SECOND, State::Established, State::Closed)
        }));
    }
    assert_eq!(asked.tick(2), told);
}
