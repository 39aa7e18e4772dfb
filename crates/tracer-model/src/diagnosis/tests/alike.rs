//! Processes of one name are told together: the workers of a server, the clients of a script.

use super::*;
use tracer_event::{
    close::{Initiator, Reason},
    container::Cgroup,
    finding::{NoLocalPort, Program, StuckHandshake},
    fixtures,
    process::{Evidence, Owner, Process},
    update::{Close, Observer as _, Subject, Transition, Update},
};

/// Each socket is held by a process of its own.
fn look_at(time: u64, sockets: &[(Record, u32)]) -> HostSnapshot {
    let mut look = look(time, sockets.iter().map(|(record, _)| *record).collect());
    look.snapshot.holders = sockets.iter().map(|(record, pid)| holder(record, *pid)).collect();
    look
}

fn leaks(diagnosis: &Diagnosis) -> Vec<(Severity, &Leak)> {
    let leak = |one: &'_ Finding| matches!(one.problem, Problem::CloseWaitLeak(_));
    let found = diagnosis.findings.iter().filter(|one| leak(one));
    found
        .map(|one| match &one.problem {
            Problem::CloseWaitLeak(leak) => (one.severity, &**leak),
            _ => unreachable!(),
        })
        .collect()
}

#[test]
fn a_connection_of_each_worker_is_a_leak() {
    let sockets: Vec<(Record, u32)> = (0..12).map(|n| (close_wait(n, 8), 900 + n as u32)).collect();
    let before = look_at(SECOND, &sockets);
    let mut last = look_at(SECOND + OBSERVED, &sockets);
    let found = find(&before, &last);
    let [(Severity::Warning, leak)] = leaks(&found)[..] else { panic!("{:?}", found.findings) };
    assert_eq!((leak.sockets, leak.holders.len(), &leak.fds[..]), (12, 12, &[5][..]));

    // One of another name, and one in a container, have nothing to do with it.
    last.snapshot.holders[0].comm = *b"other\0\0\0\0\0\0\0\0\0\0\0";
    let cgroup = Cgroup::new("/docker/1234".into(), Some("1234".into()));
    let facts = ProcessFacts { cgroup: Some(cgroup), ..ProcessFacts::default() };
    last.host.processes.insert(901, facts);
    let found = find(&before, &last);
    let mut counts: Vec<u64> = leaks(&found).iter().map(|(_, leak)| leak.sockets).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 10]);
}

/// A helper that a server has started holds some of its connections too: one leak, the server's.
#[test]
fn what_a_child_holds_as_well_is_its_parent_s_leak() {
    let sockets: Vec<(Record, u32)> = (0..5).map(|n| (close_wait(n, 8), 900)).collect();
    let at = |time| {
        let mut look = look_at(time, &sockets);
        let too = look.snapshot.holders[..3].to_vec();
        look.snapshot.holders.extend(too.iter().map(|held| Holder { pid: 901, ..*held }));
        let child = ProcessFacts { parent: 900, ..ProcessFacts::default() };
        look.host.processes.insert(901, child);
        look
    };
    let found = find(&at(SECOND), &at(SECOND + OBSERVED));
    let [(_, leak)] = leaks(&found)[..] else { panic!("{:?}", found.findings) };
    let pids = |all: &[Program]| all.iter().map(|one| one.process.pid).collect::<Vec<_>>();
    assert_eq!((leak.sockets, pids(&leak.holders), pids(&leak.heirs)), (5, vec![900], vec![901]));
}

#[test]
fn workers_that_come_and_go_are_no_growth() {
    let of = |first: u64| -> Vec<(Record, u32)> {
        (first..first + 5).map(|n| (close_wait(n, 4), 900 + n as u32)).collect()
    };
    let found = find(&look_at(SECOND, &of(0)), &look_at(SECOND + OBSERVED, &of(5)));
    let [(_, leak)] = leaks(&found)[..] else { panic!("{:?}", found.findings) };
    assert_eq!((leak.sockets, leak.growth), (5, 0.0));
}

#[test]
fn the_worker_that_leaks_most_comes_first() {
    let pids = [900, 901, 901, 902];
    let sockets: Vec<(Record, u32)> =
        pids.iter().zip(0..).map(|(&pid, n)| (close_wait(n, 60), pid)).collect();
    let found = find(&look_at(SECOND, &sockets), &look_at(SECOND + OBSERVED, &sockets));
    let [(_, leak)] = leaks(&found)[..] else { panic!("{:?}", found.findings) };
    let pids: Vec<u32> = leak.holders.iter().map(|one| one.process.pid).collect();
    assert_eq!((pids, &leak.fds[..]), (vec![901, 900, 902], &[6, 7][..]));
}

#[test]
fn clients_that_get_no_answer_are_one_finding() {
    let stuck = |n: u64| {
        let socket = socket(n, State::SynSent, 0);
        (
            Record { local_port: 40_000 + n as u16, peer_port: 443, retransmits: 3, ..socket },
            900 + n as u32,
        )
    };
    let sockets: Vec<(Record, u32)> = (0..6).map(stuck).collect();
    let found = find(&look_at(SECOND, &[]), &look_at(SECOND + OBSERVED, &sockets));
    let [Finding { problem: Problem::StuckHandshake(stuck), .. }] = &found.findings[..] else {
        panic!("{:?}", found.findings)
    };
    let StuckHandshake { sockets, others, retransmits, .. } = *stuck;
    assert_eq!((sockets, others, retransmits), (6, 5, 3));
}

fn no_port(pid: u32) -> Transition {
    let process = Process { pid, comm: *b"curl\0\0\0\0\0\0\0\0\0\0\0\0", start_ns: 0 };
    let owner = Some(Owner { process, evidence: Evidence::Connect, fd: None, others: 0 });
    let subject = Subject { owner, ..fixtures::subject(1) };
    let close = Some(Close::new(Reason::NoLocalPort, Some(Initiator::Local)));
    Transition { close, subject, ..fixtures::transition(State::SynSent, State::Closed) }
}

/// Each is a process of its own, as `curl` in a script is.
#[test]
fn programs_that_find_no_port_are_one_finding() {
    let mut observed = Observed::default();
    for (pid, times) in [(901, 1), (902, 3), (903, 1)] {
        (0..times).for_each(|_| observed.observe(Update::Transition(&no_port(pid))));
    }
    let table = Table::new(table::Options::default());
    let (first, last) = (look_at(SECOND, &[]), look_at(SECOND + OBSERVED, &[]));
    let found = find_in(&Filter::default(), &first, &last, &observed, &table);
    let [Finding { problem: Problem::NoLocalPort(none), .. }] = &found.findings[..] else {
        panic!("{:?}", found.findings)
    };
    let NoLocalPort { process, others, count, .. } = *none;
    assert_eq!((process.unwrap().pid, others, count), (902, 2, 5));
}
