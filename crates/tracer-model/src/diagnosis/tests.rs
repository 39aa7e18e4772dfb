//! Two snapshots, made by hand, and what is found.

mod accepting;
mod alike;
mod descriptors;
mod doing;
mod ended;
mod forwarding;
mod innocent;
mod losses;
mod resets;
mod silence;
mod situation;
mod stuck;
mod unread;

use std::net::{IpAddr, Ipv4Addr};

use rstest::rstest;
use tracer_wire::{Holder, Record, flag, kind};

use super::*;
use crate::table;
use tracer_event::{
    enricher::Unknown,
    finding::{Cause, Leak, Problem, Service, Severity},
    host::{Counters, NetFacts, PortRange, ProcessFacts},
    process::Halt,
    state::State,
};

const NETNS: u32 = 7;
const SECOND: u64 = 1_000_000_000;
const HZ: u64 = 250;
const JIFFIES: u64 = 1_000_000;
const SERVER: u16 = 8080;
const OBSERVED: u64 = 10 * SECOND; // Between the snapshots.

fn wire(last: u8) -> [u8; 16] {
    Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped().octets()
}

/// A server's end, silent for some seconds.
fn socket(n: u64, state: State, seconds: u64) -> Record {
    Record {
        kind: kind::SOCKET,
        cookie: n,
        netns: NETNS,
        local_address: wire(1),
        local_port: SERVER,
        peer_address: wire(2),
        peer_port: 40_000 + n as u16,
        new_state: state as u8,
        flags: flag::HAS_SOCKET | flag::DONE,
        rcv_nxt: 1,
        jiffies: JIFFIES,
        last_ack: (JIFFIES - seconds * HZ) as u32,
        ..Record::EMPTY
    }
}

fn close_wait(n: u64, seconds: u64) -> Record {
    socket(n, State::CloseWait, seconds)
}

fn listener(queue: u32, backlog: u32) -> Record {
    Record {
        peer_port: 0,
        accept_queue: queue,
        accept_backlog: backlog,
        ..socket(9_999, State::Listen, 0)
    }
}

fn holder(record: &Record, pid: u32) -> Holder {
    Holder {
        cookie: record.cookie,
        sk: 0,
        inode: 0,
        start_ns: 0,
        pid,
        fd: 5 + record.cookie as u32,
        netns: NETNS,
        tid: pid,
        comm: *b"app\0\0\0\0\0\0\0\0\0\0\0\0\0",
    }
}

/// A snapshot of sockets that process 900 holds, except those without a file.
fn look(time: u64, records: Vec<Record>) -> HostSnapshot {
    let holders = records
        .iter()
        .filter(|record| record.has(flag::HAS_SOCKET))
        .map(|record| holder(record, 900))
        .collect();
    let ports = Some(PortRange { low: 40_000, high: 40_099, reserved: Vec::new() });
    let facts =
        NetFacts { ports, max_time_wait: Some(100), mtu_probing: Some(0), ..NetFacts::default() };
    let process = ProcessFacts {
        descriptors: Some(records.len() as u64),
        descriptor_limit: Some(100_000),
        ..ProcessFacts::default()
    };
    HostSnapshot {
        snapshot: Snapshot {
            begun: time,
            ended: time,
            records,
            namespaces: vec![NETNS],
            holders,
            held_at: Some(time),
        },
        host: Host {
            namespaces: [(NETNS, facts)].into(),
            processes: [(900, process)].into(),
            home: NETNS,
            ..Host::default()
        },
    }
}

fn find(first: &HostSnapshot, last: &HostSnapshot) -> Diagnosis {
    find_wanted(&Filter::default(), first, last)
}

/// Of what is asked about.
fn find_wanted(filter: &Filter, first: &HostSnapshot, last: &HostSnapshot) -> Diagnosis {
    let table = Table::new(table::Options::default());
    find_in(filter, first, last, &Observed::default(), &table)
}

/// With what events have shown.
fn find_in(
    filter: &Filter,
    first: &HostSnapshot,
    last: &HostSnapshot,
    observed: &Observed,
    table: &Table,
) -> Diagnosis {
    let (enricher, ticks, stacks) = (&Unknown, Ticks { hz: HZ }, None);
    let first = &Baseline::of(first, ticks);
    let recent = first;
    diagnose(&Input { filter, enricher, ticks, first, recent, last, observed, table, stacks })
}

fn between(before: Vec<Record>, now: Vec<Record>) -> Diagnosis {
    find(&look(SECOND, before), &look(SECOND + OBSERVED, now))
}

fn leak(diagnosis: &Diagnosis) -> &Leak {
    let [finding] = diagnosis.findings.as_slice() else { panic!("{}", diagnosis.findings.len()) };
    let Problem::CloseWaitLeak(leak) = &finding.problem else { panic!("{finding:?}") };
    leak
}

#[test]
fn four_hundred_sockets_of_one_process_are_one_finding() {
    let sockets: Vec<Record> = (0..400).map(|n| close_wait(n, 60 + n)).collect();
    let diagnosis = between(sockets.clone(), sockets);
    let leak = leak(&diagnosis);
    assert_eq!((leak.sockets, leak.cause, leak.fds.len()), (400, Cause::Held, 400));
    assert_eq!(leak.peers.len(), 1);
    assert_eq!(leak.peers[0].1, 400);
    assert_eq!((leak.oldest, leak.at_least), (459 * SECOND, true));
    assert_eq!(leak.growth, 0.0);
    assert_eq!(diagnosis.findings[0].severity, Severity::Warning);
}

#[test]
fn what_comes_and_goes_does_not_grow() {
    let before = (0..10).map(|n| close_wait(n, 60)).collect();
    // Four have been closed, six are new: two more in ten seconds.
    let now = (4..16).map(|n| close_wait(n, 4)).collect();
    assert_eq!(leak(&between(before, now)).growth, 12.0);
}

#[test]
fn growth_counts_the_young_ones_at_both_looks() {
    // One a second: at each snapshot one of them is too young to be reported.
    let before = (0..10).map(|n| close_wait(n, 9 - n)).collect();
    let now = (0..20).map(|n| close_wait(n, 19 - n)).collect();
    let diagnosis = between(before, now);
    assert_eq!((leak(&diagnosis).sockets, leak(&diagnosis).growth), (19, 60.0));
}

#[rstest]
#[case::just_now(&[0], None)]
#[case::one_that_may_be_in_use(&[29], Some(Severity::Info))]
#[case::one_that_cannot(&[30], Some(Severity::Warning))]
#[case::several_that_are_young(&[2, 2, 2], Some(Severity::Info))]
#[case::several_of_which_one_is_older(&[2, 5, 2], Some(Severity::Warning))]
fn young_ones_may_be_closed_yet(#[case] ages: &[u64], #[case] severity: Option<Severity>) {
    let now = ages.iter().zip(0..).map(|(&age, n)| close_wait(n, age)).collect();
    let diagnosis = between(Vec::new(), now);
    let leaks =
        diagnosis.findings.iter().filter(|one| matches!(one.problem, Problem::CloseWaitLeak(_)));
    let found: Vec<Severity> = leaks.map(|one| one.severity).collect();
    assert_eq!(found, severity.into_iter().collect::<Vec<_>>());
}

#[test]
fn what_still_sends_is_counted_apart() {
    let earlier = close_wait(1, 60);
    let now = Record { bytes_acked: 100, ..earlier };
    let diagnosis = between(vec![earlier], vec![now]);
    assert_eq!((diagnosis.findings.len(), diagnosis.sending), (0, 1));
    assert_eq!(diagnosis.states[&State::CloseWait], 1);
}

#[test]
fn the_listener_is_to_blame_for_what_nobody_accepts() {
    let waiting = |n| Record { flags: flag::DONE, ..close_wait(n, 60) };
    let now: Vec<Record> = (0..5).map(waiting).chain([listener(5, 128)]).collect();
    let diagnosis = between(now.clone(), now);
    let leak = leak(&diagnosis);
    assert_eq!(leak.cause, Cause::NeverAccepted);
    let from = leak.listener.as_ref().unwrap();
    assert_eq!((from.queue, from.backlog), (5, 128));
    assert_eq!(from.processes[0].process.pid, 900);
    assert!(leak.holders.is_empty() && leak.fds.is_empty());
    assert!(matches!(leak.service, Service::Here(local) if local.port == SERVER));
}

#[test]
fn a_stopped_process_is_another_cause() {
    let sockets = vec![close_wait(1, 60)];
    let mut last = look(SECOND + OBSERVED, sockets.clone());
    last.host.processes.get_mut(&900).unwrap().halted = Some(Halt::Traced);
    let diagnosis = find(&look(SECOND, sockets), &last);
    assert_eq!(leak(&diagnosis).cause, Cause::Halted(Halt::Traced));
}

#[rstest]
#[case::full_and_stays(129, 129, 0, 0, Some(Severity::Critical))]
#[case::full_and_drops(0, 129, 3, 3, Some(Severity::Critical))]
#[case::full_just_now(0, 129, 0, 0, Some(Severity::Warning))]
#[case::nearly_at_both(110, 120, 0, 0, Some(Severity::Warning))]
#[case::nearly_at_both_and_drops(110, 120, 3, 3, Some(Severity::Critical))]
#[case::nearly_at_both_and_one_was_full(110, 120, 3, 0, Some(Severity::Warning))]
#[case::nearly_just_now(0, 120, 0, 0, None)]
#[case::was_full_meanwhile(0, 0, 3, 3, Some(Severity::Warning))]
#[case::another_that_is_gone_was_full(0, 0, 3, 0, None)]
#[case::dropped_for_another_reason(0, 0, 0, 3, None)]
#[case::empty(0, 0, 0, 0, None)]
fn accept_queues_are_judged_by_both_looks_and_the_counters(
    #[case] before: u32,
    #[case] now: u32,
    #[case] overflows: u64,
    #[case] dropped: u32,
    #[case] severity: Option<Severity>,
) {
    let first = look(SECOND, vec![Record { segment_seq: 40, ..listener(before, 128) }]);
    let last = Record { segment_seq: 40 + dropped, ..listener(now, 128) };
    let mut last = look(SECOND + OBSERVED, vec![last]);
    last.host.namespaces.get_mut(&NETNS).unwrap().counters =
        Counters { listen_overflows: overflows, ..Counters::default() };
    let found: Vec<Severity> =
        find(&first, &last).findings.iter().map(|one| one.severity).collect();
    assert_eq!(found, severity.into_iter().collect::<Vec<_>>());
}

/// Whose queue was full only in between: not the one whose queue is longer now.
#[test]
fn the_listener_that_has_dropped_connections_is_named() {
    let guilty = |dropped| Record { segment_seq: dropped, ..listener(0, 4) };
    let innocent = |queue| Record { cookie: 9_998, local_port: 81, ..listener(queue, 128) };
    let first = look(SECOND, vec![guilty(7), innocent(0)]);
    let mut last = look(SECOND + OBSERVED, vec![guilty(12), innocent(1)]);
    let counters = Counters { listen_overflows: 5, syn_cookies: 2, ..Counters::default() };
    last.host.namespaces.get_mut(&NETNS).unwrap().counters = counters;
    let found = find(&first, &last).findings;
    let [Finding { problem: Problem::AcceptQueueFull(queue), .. }] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!((queue.listener.local.port, queue.dropped), (SERVER, Some(5)));

    // A scan: what the other one drops are RSTs.
    let scanned = |dropped| Record { segment_seq: dropped, ..innocent(1) };
    last.snapshot.records = vec![guilty(12), scanned(4)];
    let found = find(&first, &last).findings;
    let [Finding { problem: Problem::AcceptQueueFull(queue), .. }] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!((queue.listener.local.port, queue.dropped), (SERVER, Some(5)));
}

fn time_wait(n: u64) -> Record {
    Record {
        kind: kind::TIME_WAIT_SOCKET,
        timer_expires: JIFFIES + 30 * HZ,
        flags: 0,
        ..socket(n, State::TimeWait, 30)
    }
}

#[rstest]
#[case(89, 0, false)]
#[case(90, 0, true)]
#[case(1, 5, true)]
fn time_wait_overflows_where_it_is_full_or_skipped(
    #[case] count: u64,
    #[case] skipped: u64,
    #[case] told: bool,
) {
    let sockets: Vec<Record> = (0..count).map(time_wait).chain([listener(0, 8)]).collect();
    let first = look(SECOND, sockets.clone());
    let mut last = look(SECOND + OBSERVED, sockets);
    last.host.namespaces.get_mut(&NETNS).unwrap().counters.time_wait_overflow = skipped;
    let diagnosis = find(&first, &last);
    assert_eq!(diagnosis.findings.len(), usize::from(told));
    if let [finding] = diagnosis.findings.as_slice() {
        let Problem::TimeWaitOverflow(overflow) = &finding.problem else { panic!("{finding:?}") };
        assert_eq!((overflow.time_wait, overflow.skipped), (count, skipped));
    }
}

#[test]
fn dropped_syns_come_before_cookies() {
    let found = |counters| {
        let mut last = look(SECOND + OBSERVED, vec![listener(0, 8)]);
        last.host.namespaces.get_mut(&NETNS).unwrap().counters = counters;
        let diagnosis = find(&look(SECOND, vec![listener(0, 8)]), &last);
        diagnosis.findings.first().map(|one| one.severity)
    };
    assert_eq!(found(Counters::default()), None);
    let cookies = Counters { syn_cookies: 3, ..Counters::default() };
    assert_eq!(found(cookies), Some(Severity::Warning));
    assert_eq!(found(Counters { syn_drops: 1, ..cookies }), Some(Severity::Critical));
}

#[test]
fn handshakes_are_stuck_from_the_second_retransmission_on() {
    let syn_sent = |n: u64, retransmits| Record {
        retransmits,
        local_port: 40_000 + n as u16,
        peer_port: 443,
        ..socket(n, State::SynSent, 3)
    };
    let now = vec![syn_sent(1, 1), syn_sent(2, 2), syn_sent(3, 6)];
    let diagnosis = between(Vec::new(), now);
    let [finding] = diagnosis.findings.as_slice() else { panic!("{:?}", diagnosis.findings) };
    let Problem::StuckHandshake(stuck) = &finding.problem else { panic!("{finding:?}") };
    assert_eq!((stuck.sockets, stuck.retransmits), (2, 6));
    let peer = IpAddr::from([10, 0, 0, 2]);
    assert!(matches!(stuck.service, Service::There(to) if to.address() == peer && to.port == 443));
}

#[test]
fn the_worst_comes_first_and_then_the_most() {
    let mut now: Vec<Record> = (0..3).map(|n| close_wait(n, 60)).collect();
    now.extend((10..20).map(|n| Record { local_port: 9090, ..close_wait(n, 60) }));
    now.push(Record { local_port: 9090, cookie: 8_888, ..listener(0, 8) });
    now.push(listener(9, 8));
    let diagnosis = between(now.clone(), now);
    let order: Vec<(Severity, u64)> =
        diagnosis.findings.iter().map(|one| (one.severity, one.problem.count())).collect();
    let expected = [(Severity::Critical, 9), (Severity::Warning, 10), (Severity::Warning, 3)];
    assert_eq!(order, expected);
}

#[test]
fn only_what_is_asked_about_is_told() {
    let sockets = vec![close_wait(1, 60), listener(9, 8)];
    let (first, last) = (look(SECOND, sockets.clone()), look(SECOND + OBSERVED, sockets));
    let told = |text: &str| find_wanted(&text.parse().unwrap(), &first, &last).findings.len();
    let filter = "sport 22".parse().unwrap();
    assert_eq!(find_wanted(&filter, &first, &last).namespaces, 0);
    assert_eq!(told("pid 900"), 2);
    assert_eq!(told("pid 901"), 0);
    assert_eq!(told("dport 40001"), 1);
    assert_eq!(told("sport 22"), 0);
}
