//! Once, again when it worsens, and when it is over.

use tracer_wire::kind;

use super::*;
use crate::table::{Snapshot, tests::record};
use tracer_event::{
    close::{Initiator, Reason},
    host::{Host, NetFacts, PortRange},
    state::State,
    update::{Close, Source},
};

const NETNS: u32 = 7;

fn watch() -> Watch {
    Watch::new(Ticks { hz: 250 })
}

/// A connect() of process 12 that found no port.
fn failure(time: u64, peer_port: u16) -> Transition {
    let mut record = record(State::SynSent, State::Closed);
    (record.netns, record.peer_port) = (NETNS, peer_port);
    let process = Process { pid: 12, comm: [b'x'; 16], start_ns: 0 };
    let owner = Some(Owner { process, evidence: Evidence::Connect, fd: None, others: 0 });
    Transition {
        time,
        subject: Subject {
            cookie: Some(1),
            ordinal: 1,
            tuple: Tuple::of(&record),
            uid: None,
            inode: None,
            cgroup: 0,
            owner,
            role: None,
        },
        from: State::SynSent,
        to: State::Closed,
        kernel: None,
        source: Source::Tracepoint,
        elapsed: None,
        handshake: None,
        close: Some(Close::new(Reason::NoLocalPort, Some(Initiator::Local))),
        orphaned: false,
        sequence: None,
        sent: None,
    }
}

fn count(finding: &Finding) -> u64 {
    finding.problem.count()
}

#[test]
fn failures_are_told_at_once_at_each_tenfold_and_when_over() {
    let mut watch = watch();
    let told: Vec<(Status, u64)> = (1..=250)
        .filter_map(|n| watch.transition(&failure(n, 443)))
        .map(|finding| (finding.status, count(&finding)))
        .collect();
    assert_eq!(told, [(Status::Raised, 1), (Status::Continues, 10), (Status::Continues, 100)]);
    assert!(watch.expire(QUIET).is_empty());
    let over = watch.expire(250 + QUIET);
    assert_eq!((over[0].status, count(&over[0])), (Status::Cleared, 250));
    assert!(watch.expire(u64::MAX).is_empty());
    // From the beginning.
    assert_eq!(watch.transition(&failure(QUIET * 9, 443)).unwrap().status, Status::Raised);
}

#[test]
fn each_destination_is_a_finding_of_its_own() {
    let mut watch = watch();
    assert!(watch.transition(&failure(1, 443)).is_some());
    assert!(watch.transition(&failure(2, 444)).is_some());
    assert!(watch.transition(&failure(3, 443)).is_none());
    let graceful = Close::new(Reason::Graceful, None);
    assert!(watch.transition(&Transition { close: Some(graceful), ..failure(4, 445) }).is_none());
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

fn told(watch: &mut Watch, look: &HostSnapshot) -> Vec<(&'static str, Status, Severity)> {
    watch
        .look(look, &Filter::default())
        .iter()
        .map(|finding| (finding.problem.code(), finding.status, finding.severity))
        .collect()
}

#[test]
fn ports_are_told_when_they_get_scarce_scarcer_and_plenty() {
    let mut watch = watch();
    let mut at = |seconds: u64, used| told(&mut watch, &look(seconds * SECOND, used, 0));
    let code = "ephemeral_ports";
    assert_eq!(at(1, 4), []);
    assert_eq!(at(2, 5), [(code, Status::Raised, Severity::Warning)]);
    assert_eq!(at(3, 6), []);
    assert_eq!(at(4, 9), [(code, Status::Continues, Severity::Critical)]);
    // To and fro around the threshold is reported once.
    assert_eq!(at(5, 8), []);
    assert_eq!(at(6, 10), []);
    assert_eq!(at(7, 4), [(code, Status::Cleared, Severity::Critical)]);
    assert_eq!(at(8, 0), []);
}

#[test]
fn growth_is_from_look_to_look() {
    let mut watch = watch();
    let filter = Filter::default();
    assert!(watch.look(&look(SECOND, 2, 0), &filter).is_empty());
    let findings = watch.look(&look(11 * SECOND, 7, 0), &filter);
    let Problem::EphemeralPorts(ports) = &findings[0].problem else { panic!("{findings:?}") };
    assert!((ports.growth - 30.0).abs() < 1e-9, "{ports:?}");
    assert!((ports.minutes_left.unwrap() - 0.1).abs() < 1e-9);
}

#[test]
fn a_full_queue_is_told_once_and_when_it_has_room_again() {
    let mut watch = watch();
    let mut at = |seconds: u64, queue| told(&mut watch, &look(seconds * SECOND, 0, queue));
    let code = "accept_queue_full";
    assert_eq!(at(1, 8), []);
    assert_eq!(at(2, 9), [(code, Status::Raised, Severity::Critical)]);
    assert_eq!(at(3, 9), []);
    assert_eq!(at(4, 0), [(code, Status::Cleared, Severity::Critical)]);
}

#[test]
fn what_is_not_asked_about_is_not_told() {
    let filter = Filter { remote_ports: vec![5432], ..Filter::default() };
    assert!(watch().look(&look(SECOND, 10, 0), &filter).is_empty());
    let filter = Filter { local_ports: vec![22], ..Filter::default() };
    assert!(watch().look(&look(SECOND, 0, 9), &filter).is_empty());
}
