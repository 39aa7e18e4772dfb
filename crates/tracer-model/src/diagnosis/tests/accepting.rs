//! Connections that wait for accept(), that somebody else holds, and that are with themselves.

use std::collections::BTreeSet;

use super::*;
use tracer_event::{
    activity::{Activity, Wait},
    finding::{AcceptWait, ClosedButHeld},
};
use tracer_wire::segment;

pub(super) const SERVER_PID: u32 = 901;
const CHILD: u32 = 902;

fn of_codes(diagnosis: &Diagnosis) -> Vec<&str> {
    diagnosis.findings.iter().map(|finding| finding.problem.code()).collect()
}

/// A connection in the queue of the listener at address 1, silent for some seconds.
pub(super) fn waiting(n: u64, seconds: u64, state: State) -> Record {
    Record { flags: flag::DONE, listener: 1, ..socket(n, state, seconds) }
}

/// Two listeners share a port; process 901 has the first, 902 the second.
pub(super) fn shared(mut waiting: Vec<Record>, time: u64) -> HostSnapshot {
    let queue = waiting.len() as u32;
    let one = |n: u64, queue| Record { sk: n, cookie: 9_000 + n, ..listener(queue, 128) };
    waiting.extend([one(1, queue), one(2, 0)]);
    let mut look = look(time, waiting);
    let listeners = look.snapshot.records.iter().filter(|record| record.sk != 0);
    look.snapshot.holders =
        listeners.map(|record| holder(record, 900 + record.sk as u32)).collect();
    look.host.processes = [(SERVER_PID, ProcessFacts::default())].into();
    look
}

pub(super) fn wait(diagnosis: &Diagnosis) -> (Severity, &AcceptWait) {
    let [finding] = &diagnosis.findings[..] else { panic!("{:?}", diagnosis.findings) };
    let Problem::AcceptWait(wait) = &finding.problem else { panic!("{finding:?}") };
    (finding.severity, wait)
}

pub(super) const OPEN: State = State::Established;
const CLOSED: State = State::CloseWait;

/// Before and now: number, silence in seconds and state of each.
#[rstest]
#[case::stands(&[(1, 1, OPEN)], &[(1, 11, OPEN), (2, 3, OPEN)], Some((Severity::Warning, false)))]
#[case::some_have_given_up(
    &[(1, 1, OPEN)], &[(1, 11, CLOSED), (2, 3, OPEN)], Some((Severity::Warning, false))
)]
#[case::a_moment(&[(1, 0, OPEN)], &[(1, 2, OPEN)], Some((Severity::Info, false)))]
#[case::slow(&[(1, 9, OPEN), (2, 1, OPEN)], &[(2, 11, OPEN)], Some((Severity::Warning, true)))]
#[case::moves(&[(1, 1, OPEN), (2, 1, OPEN)], &[(2, 2, OPEN)], None)]
#[case::new_ones(&[(1, 1, OPEN)], &[(2, 9, OPEN)], None)]
#[case::all_have_given_up_which_is_told_already(&[(1, 9, OPEN)], &[(1, 9, CLOSED)], None)]
fn a_queue_that_does_not_move_is_told_long_before_it_is_full(
    #[case] before: &[(u64, u64, State)],
    #[case] now: &[(u64, u64, State)],
    #[case] found: Option<(Severity, bool)>,
) {
    let all = |list: &[(u64, u64, State)]| {
        list.iter().map(|&(n, seconds, state)| waiting(n, seconds, state)).collect()
    };
    let (first, last) = (shared(all(before), SECOND), shared(all(now), SECOND + OBSERVED));
    let diagnosis = find(&first, &last);
    let Some((severity, moves)) = found else {
        assert!(!of_codes(&diagnosis).contains(&"accept_wait"), "{:?}", diagnosis.findings);
        return;
    };
    let (found, wait) = wait(&diagnosis);
    assert_eq!((found, wait.moves), (severity, moves));
    let pids: Vec<u32> = wait.listener.processes.iter().map(|one| one.process.pid).collect();
    assert_eq!(pids, [SERVER_PID], "and not who shares the port");
    assert_eq!((wait.waiting, wait.siblings), (now.len() as u64, 1));
}

/// Who waits for a child is a master, and none of those who accept.
#[test]
fn a_master_is_named_last() {
    let at = |time| {
        let mut look = shared(vec![waiting(1, 9, OPEN)], time);
        let listener = *look.snapshot.records.iter().find(|one| one.sk == 1).unwrap();
        look.snapshot.holders.push(holder(&listener, 903));
        for (pid, function) in [(SERVER_PID, "do_wait"), (903, "futex_wait_queue")] {
            let waits = vec![Wait { function: function.into(), threads: 1 }];
            let activity = Activity { waits, ..Activity::default() };
            look.host.processes.insert(pid, ProcessFacts { activity, ..ProcessFacts::default() });
        }
        look
    };
    let diagnosis = find(&at(SECOND), &at(SECOND + OBSERVED));
    let listener = &wait(&diagnosis).1.listener;
    let pids: Vec<u32> = listener.processes.iter().map(|one| one.process.pid).collect();
    assert_eq!(pids, [903, SERVER_PID]);
    assert_eq!(&*listener.doing.as_ref().unwrap().waits[0].function, "futex_wait_queue");
}

/// One that has given up waits for its turn; it has been there for two seconds.
#[test]
fn who_gives_up_in_a_full_queue_that_moves_is_no_leak() {
    let given_up = Record { flags: flag::DONE, ..close_wait(1, 2) };
    let found = between(vec![listener(129, 128)], vec![listener(129, 128), given_up]);
    assert_eq!(of_codes(&found), ["accept_queue_full"]);
    let stays = Record { last_ack: (JIFFIES - 20 * HZ) as u32, ..given_up };
    let found = between(vec![listener(129, 128), given_up], vec![listener(129, 128), stays]);
    assert_eq!(of_codes(&found), ["accept_queue_full", "close_wait_leak"]);
}

#[test]
fn a_full_queue_is_told_as_that() {
    let full = |time| {
        let mut look = shared((1..5).map(|n| waiting(n, 9, OPEN)).collect(), time);
        look.snapshot.records.iter_mut().for_each(|one| one.accept_backlog = 3);
        look
    };
    let diagnosis = find(&full(SECOND), &full(SECOND + OBSERVED));
    assert_eq!(of_codes(&diagnosis), ["accept_queue_full"]);
}

/// A client that has acknowledged the SYN+ACK, and nothing else.
#[rstest]
#[case::speechless(3_000, 40, 128, Some(Severity::Info))]
#[case::crowded(3_000, 40, 50, Some(Severity::Warning))]
#[case::young(900, 40, 128, None)]
fn clients_that_say_nothing_are_told_with_their_listener(
    #[case] milliseconds: u32,
    #[case] clients: u64,
    #[case] backlog: u32,
    #[case] severity: Option<Severity>,
) {
    let half_open = |n| Record {
        kind: kind::REQUEST_SOCKET,
        flags: 0,
        segment_flags: segment::ACK,
        last_ack: milliseconds,
        retransmits: 3,
        listener: 1,
        ..socket(n, State::SynRecv, 0)
    };
    let server = Record { sk: 1, defer_accept: 5, ..listener(0, backlog) };
    let now: Vec<Record> = (0..clients).map(half_open).chain([server]).collect();
    let diagnosis = between(now.clone(), now);
    let found: Vec<Severity> = diagnosis.findings.iter().map(|one| one.severity).collect();
    assert_eq!(found, severity.into_iter().collect::<Vec<_>>());
    if let [finding] = &diagnosis.findings[..] {
        let Problem::DeferredAccept(deferred) = &finding.problem else { panic!("{finding:?}") };
        let age = u64::from(milliseconds) * 1_000_000;
        assert_eq!((deferred.half_open, deferred.oldest), (clients, age));
        assert_eq!(deferred.listener.processes[0].process.pid, 900);
    }
}

#[derive(Clone, Copy, PartialEq)]
enum But {
    Nothing,
    ParentHoldsIt,
    NoRelation,
    ItIsItsInput,
    ItWaitsForIt,
    ItWorks,
    ItIsAnotherProgram,
    ItsChildHoldsItToo,
    ARequestCame,
}

/// A connection that process 902 holds, a child of 901, which listens.
fn inherited(but: But, seconds: u64) -> HostSnapshot {
    let moved = JIFFIES as u32 - (seconds * HZ) as u32;
    let received = if but == But::ARequestCame { moved + 1 } else { moved };
    let connection = Record {
        flags: flag::HAS_SOCKET,
        bytes_acked: 6,
        bytes_received: 1,
        rcv_nxt: 0,
        last_sent: moved,
        last_received: received,
        ..socket(1, OPEN, seconds)
    };
    let server = listener(0, 128);
    let mut look = look(SECOND, vec![connection, server]);
    let fd = if but == But::ItIsItsInput { 0 } else { 4 };
    let held = |pid| Holder { fd, ..holder(&connection, pid) };
    look.snapshot.holders = vec![holder(&server, SERVER_PID), held(CHILD)];
    if but == But::ItIsAnotherProgram {
        look.snapshot.holders[1].comm = *b"tail\0\0\0\0\0\0\0\0\0\0\0\0";
    }
    if but == But::ParentHoldsIt {
        look.snapshot.holders.push(held(SERVER_PID));
    }
    let function = if but == But::ItWorks { "pipe_read" } else { "hrtimer_nanosleep" };
    let served = if but == But::ItWaitsForIt { BTreeSet::from([4]) } else { BTreeSet::new() };
    let activity = Activity {
        waits: vec![Wait { function: function.into(), threads: 1 }],
        served: Some(served),
        ..Activity::default()
    };
    let parent = if but == But::NoRelation { 1 } else { SERVER_PID };
    let child = ProcessFacts { parent, activity, ..ProcessFacts::default() };
    look.host.processes = [(CHILD, child)].into();
    if but == But::ItsChildHoldsItToo {
        look.snapshot.holders.push(held(CHILD + 1));
        let child = ProcessFacts { parent: CHILD, ..look.host.processes[&CHILD].clone() };
        look.host.processes.insert(CHILD + 1, child);
    }
    look
}

fn held(diagnosis: &Diagnosis) -> Option<(Severity, &ClosedButHeld)> {
    let found = diagnosis.findings.iter().find_map(|finding| match &finding.problem {
        Problem::ClosedButHeld(held) => Some((finding.severity, &**held)),
        _ => None,
    });
    assert_eq!(diagnosis.findings.len(), usize::from(found.is_some()));
    found
}

#[rstest]
#[case::for_a_while(But::Nothing, 5, Some(Severity::Info))]
#[case::for_long(But::Nothing, 60, Some(Severity::Warning))]
#[case::a_shell_and_its_command(But::ItsChildHoldsItToo, 5, Some(Severity::Info))]
#[case::another_program(But::ItIsAnotherProgram, 5, Some(Severity::Warning))]
#[case::for_a_moment(But::Nothing, 3, Some(Severity::Info))]
#[case::just_now(But::Nothing, 1, None)]
#[case::both_hold_it(But::ParentHoldsIt, 60, None)]
#[case::handed_over_by_somebody(But::NoRelation, 60, None)]
#[case::as_inetd_starts_servers(But::ItIsItsInput, 60, None)]
#[case::the_child_serves_it(But::ItWaitsForIt, 60, None)]
#[case::the_child_passes_an_answer_on(But::ItWorks, 60, None)]
#[case::the_child_works_on_a_request(But::ARequestCame, 60, None)]
fn a_child_is_named_only_if_it_ignores_what_its_parent_has_closed(
    #[case] but: But,
    #[case] seconds: u64,
    #[case] severity: Option<Severity>,
) {
    let look = inherited(but, seconds);
    let diagnosis = find(&look, &look);
    let found = held(&diagnosis);
    assert_eq!(found.map(|(severity, _)| severity), severity);
    if let Some((_, held)) = found {
        assert_eq!(held.holders[0].process.pid, CHILD);
        assert_eq!((held.closed_by.pid, held.is_parent), (SERVER_PID, true));
        assert_eq!((&held.fds[..], held.sockets), (&[4][..], 1));
    }
}

/// A process with a listener for each of its threads (SO_REUSEPORT), all of which are stuck: they are
/// told as one, by the one where most wait.
#[test]
fn the_listeners_of_one_process_are_one_finding() {
    let look = |time| {
        let of = |listener, n| Record { listener, ..waiting(n, 9, OPEN) };
        let mut look = shared(vec![of(1, 1), of(2, 2), of(2, 3)], time);
        for record in look.snapshot.records.iter_mut().filter(|record| record.sk != 0) {
            record.accept_queue = record.sk as u32;
        }
        look.snapshot.holders.iter_mut().for_each(|one| one.pid = SERVER_PID);
        look
    };
    let diagnosis = find(&look(SECOND), &look(SECOND + OBSERVED));
    let (_, wait) = wait(&diagnosis);
    assert_eq!((wait.waiting, wait.siblings_waiting), (2, 1));
}

/// Connections that process 901 has accepted, with the seconds since the answer.
#[rstest]
#[case::new_ones(&[60, 9, 4], "inet_csk_accept", Some(Severity::Warning))]
#[case::no_new_one(&[60, 60, 60], "inet_csk_accept", Some(Severity::Info))]
#[case::a_control_connection_and_another(&[60, 4], "inet_csk_accept", None)]
#[case::it_may_say_more_in_a_while(&[60, 9, 4], "hrtimer_nanosleep", None)]
fn who_only_accepts_leaves_open_what_is_answered(
    #[case] seconds: &[u64],
    #[case] function: &str,
    #[case] severity: Option<Severity>,
) {
    let look = |time| {
        let mut look = inherited(But::Nothing, 60);
        let server = look.snapshot.records[1];
        let of = |(n, seconds): (u64, &u64)| {
            let connection = inherited(But::Nothing, *seconds).snapshot.records[0];
            Record { sk: n, cookie: n, peer_port: n as u16, ..connection }
        };
        look.snapshot.begun = time;
        look.snapshot.records = (1..).zip(seconds).map(of).chain([server]).collect();
        let held = look.snapshot.records.iter().map(|record| holder(record, SERVER_PID));
        look.snapshot.holders = held.collect();
        let waits = vec![Wait { function: function.into(), threads: 1 }];
        let activity = Activity { waits, ..Activity::default() };
        look.host.processes =
            [(SERVER_PID, ProcessFacts { activity, ..Default::default() })].into();
        look
    };
    let diagnosis = find(&look(SECOND), &look(SECOND + OBSERVED));
    assert_eq!(diagnosis.findings.first().map(|one| one.severity), severity);
    if let [finding] = &diagnosis.findings[..] {
        let Problem::LeftOpen(left) = &finding.problem else { panic!("{finding:?}") };
        let new = seconds.iter().filter(|ago| **ago * SECOND < OBSERVED).count();
        assert_eq!((left.connections.sockets, left.new), (seconds.len() as u64, new as u64));
        assert_eq!(left.connections.holders[0].process.pid, SERVER_PID);
        assert_eq!(left.idle, 60 * SECOND);
    }
}

#[rstest]
#[case(40_001, 40_001, true)]
#[case(40_001, 40_002, false)]
fn a_socket_that_is_connected_to_itself_is_told(
    #[case] local_port: u16,
    #[case] peer_port: u16,
    #[case] is_told: bool,
) {
    let itself = Record { local_port, peer_port, peer_address: wire(1), ..socket(1, OPEN, 9) };
    let diagnosis = between(vec![itself], vec![itself]);
    assert_eq!(of_codes(&diagnosis), if is_told { &["self_connect"][..] } else { &[] });
    if let [finding] = &diagnosis.findings[..] {
        let Problem::SelfConnect(found) = &finding.problem else { panic!("{finding:?}") };
        assert_eq!((found.processes[0].process.pid, found.range), (900, Some((40_000, 40_099))));
    }
}

/// Listeners that share an address, held by processes 901 and 902.
#[rstest]
#[case::known(1, &[901], 1)]
#[case::the_other(2, &[902], 1)]
#[case::unknown(0, &[901, 902], 2)]
#[case::gone(9, &[], 0)]
fn who_does_not_accept_is_named_and_no_other(
    #[case] waits_for: u64,
    #[case] pids: &[u32],
    #[case] candidates: u32,
) {
    let mut records: Vec<Record> =
        (1..4).map(|n| Record { sk: n, cookie: 9_000 + n, ..listener(3 - n as u32, 8) }).collect();
    let holders = records.iter().map(|record| holder(record, 900 + record.sk as u32)).collect();
    let waiting = |n| Record { flags: flag::DONE, listener: waits_for, ..close_wait(n, 60) };
    records.extend((10..15).map(waiting));
    let mut last = look(SECOND + OBSERVED, records);
    last.snapshot.holders = holders;
    let diagnosis = find(&last.clone(), &last);
    let [finding] = &diagnosis.findings[..] else { panic!("{:?}", diagnosis.findings) };
    let Problem::CloseWaitLeak(leak) = &finding.problem else { panic!("{finding:?}") };
    assert_eq!((leak.cause, leak.sockets), (Cause::NeverAccepted, 5));
    let listener = leak.listener.as_ref();
    let named = listener.map_or_else(Vec::new, |from| {
        from.processes.iter().map(|program| program.process.pid).collect()
    });
    assert_eq!((&named[..], listener.map_or(0, |from| from.candidates)), (pids, candidates));
}
