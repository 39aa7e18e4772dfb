//! A proxy holds CLOSE_WAIT on one side because the peer of the other side does not close, or does
//! not answer.

use super::*;
use tracer_event::finding::OtherSide;

/// Both sides of a connection that process 900 forwards: closed by the client so many seconds ago,
/// and passed on so many seconds ago; and the bytes that went each way, as the kernel counts them.
fn forwarded(n: u64, closed: u64, passed_on: u64, state: State) -> [Record; 2] {
    let client = Record { bytes_received: 101, bytes_acked: 50, ..close_wait(n, closed) };
    let server = Record {
        local_port: 40_050 + n as u16,
        peer_port: 9_000,
        peer_address: wire(5),
        flags: flag::HAS_SOCKET,
        // The SYN, and the FIN where it is acknowledged.
        bytes_acked: 100 + 1 + u64::from(state == State::FinWait2),
        bytes_received: 50,
        ..socket(1_000 + n, state, passed_on)
    };
    [client, server]
}

fn found(records: &[Record]) -> Leak {
    let records = [records, &[listener(0, 128)]].concat();
    let diagnosis = find(&look(SECOND, records.clone()), &look(SECOND + OBSERVED, records));
    leak(&diagnosis).clone()
}

#[rstest]
#[case::bytes_and_time(forwarded(1, 60, 60, State::FinWait2), Cause::PassedOn)]
// Data has gone on for a while after the FIN.
#[case::bytes(forwarded(1, 60, 20, State::FinWait2), Cause::PassedOn)]
#[case::time(
    forwarded(1, 60, 60, State::FinWait2).map(|one| Record { bytes_received: 7, ..one }),
    Cause::PassedOn
)]
#[case::not_passed_on(forwarded(1, 60, 60, State::Established), Cause::NotPassedOn)]
// A process that asks others before it answers is no proxy.
#[case::another_connection(
    forwarded(1, 60, 60, State::Established).map(|one| Record { bytes_received: 7, ..one }),
    Cause::Held
)]
#[case::another_time(
    forwarded(1, 60, 20, State::FinWait2).map(|one| Record { bytes_received: 7, ..one }),
    Cause::Held
)]
fn two_sides_of_one_connection_take_evidence(#[case] records: [Record; 2], #[case] cause: Cause) {
    let leak = found(&records);
    assert_eq!(leak.cause, cause);
    assert_eq!(leak.other_side.is_some(), cause != Cause::Held);
}

#[test]
fn the_end_that_does_not_close_is_named() {
    let records: Vec<Record> = (1..4).flat_map(|n| forwarded(n, 60, 60, State::FinWait2)).collect();
    let leak = found(&records);
    assert_eq!(leak.sockets, 3);
    let OtherSide { service, peers, states, .. } = leak.other_side.unwrap();
    let Service::There(peer) = service else { panic!("{service:?}") };
    assert_eq!((peer.to_string(), peers), ("10.0.0.5:9000".to_owned(), vec![(peer, 3)]));
    assert_eq!(states, [(State::FinWait2, 3)].into());
}

/// Another process's sockets, and two that both came from a listener.
#[test]
fn sides_are_of_one_process_and_of_opposite_directions() {
    let [client, server] = forwarded(1, 60, 60, State::FinWait2);
    let records = vec![client, server, listener(0, 128)];
    let apart = |time| {
        let mut look = look(time, records.clone());
        look.snapshot.holders[1].pid = 901;
        look
    };
    let diagnosis = find(&apart(SECOND), &apart(SECOND + OBSERVED));
    assert_eq!(leak(&diagnosis).cause, Cause::Held);
    let accepted = Record { local_port: SERVER, peer_port: 41_000, ..server };
    assert_eq!(found(&[client, accepted]).cause, Cause::Held);
}

/// A jiffy so many milliseconds ago.
fn ago(milliseconds: u64) -> u32 {
    (JIFFIES - milliseconds * HZ / 1_000) as u32
}

/// A request that came so many milliseconds ago, and what was asked for its sake; the other server has
/// answered before.
fn asked(n: u64, request: u64, question: u64) -> [Record; 2] {
    let [client, server] = forwarded(n, 60, 60, State::Established);
    let client =
        Record { bytes_acked: 0, bytes_received: 8, last_received: ago(request), ..client };
    let (last_sent, last_received) = (ago(question), ago(question + 4));
    // The look takes time.
    let jiffies = JIFFIES + 3;
    [client, Record { last_sent, last_received, jiffies, ..server }]
}

/// Its end with the client, and that with the other server.
fn changed(records: [Record; 2], client: bool, change: impl Fn(Record) -> Record) -> [Record; 2] {
    records.map(|one| if (one.local_port == SERVER) == client { change(one) } else { one })
}

#[rstest]
#[case::at_once(asked(1, 60_400, 60_396), Cause::AwaitsAnswer)]
#[case::in_the_same_tick(asked(1, 60_400, 60_400), Cause::AwaitsAnswer)]
#[case::an_earlier_answer(
    changed(asked(1, 60_400, 60_396), true, |one| Record {
        bytes_acked: 50,
        last_sent: ago(61_000),
        ..one
    }),
    Cause::AwaitsAnswer
)]
#[case::before_the_request(asked(1, 60_396, 60_400), Cause::Held)]
#[case::much_later(asked(1, 60_400, 58_000), Cause::Held)]
#[case::has_its_answer(
    changed(asked(1, 60_400, 60_396), false, |one| Record { last_received: ago(60_396), ..one }),
    Cause::Held
)]
#[case::has_answered(
    changed(asked(1, 60_400, 60_396), true, |one| Record {
        bytes_acked: 50,
        last_sent: ago(60_390),
        ..one
    }),
    Cause::Held
)]
#[case::the_question_has_not_arrived(
    changed(asked(1, 60_400, 60_396), false, |one| Record { write_seq: 9, ..one }),
    Cause::Held
)]
#[case::nobody_has_ever_answered_there(
    changed(asked(1, 60_400, 60_396), false, |one| Record { bytes_received: 0, ..one }),
    Cause::Held
)]
fn who_needs_an_answer_himself_does_not_leak(#[case] records: [Record; 2], #[case] cause: Cause) {
    let leak = found(&records);
    assert_eq!(leak.cause, cause);
    let unanswered = leak.other_side.as_ref().and_then(|side| side.unanswered);
    assert_eq!(unanswered.is_some(), cause == Cause::AwaitsAnswer);
}

fn by_cause(records: &[Record]) -> Vec<(Cause, u64, Option<u64>)> {
    let records = [records, &[listener(0, 128)]].concat();
    let diagnosis = find(&look(SECOND, records.clone()), &look(SECOND + OBSERVED, records));
    let leaks = diagnosis.findings.iter().filter_map(|found| match &found.problem {
        Problem::CloseWaitLeak(leak) => {
            let side = leak.other_side.as_ref();
            Some((leak.cause, leak.sockets, side.and_then(|side| side.unanswered)))
        }
        _ => None,
    });
    let mut leaks: Vec<_> = leaks.collect();
    leaks.sort_unstable();
    leaks
}

/// One question explains one connection only; two are no chance, even where nobody has answered yet.
#[test]
fn of_several_that_wait_each_has_asked() {
    let new = |n, request, question| {
        changed(asked(n, request, question), false, |one| Record { bytes_received: 0, ..one })
    };
    let [lonely, _] = asked(3, 60_404, 0);
    let [one, two] = [new(1, 60_400, 60_396), new(2, 60_440, 60_436)];
    let told = by_cause(&[&one[..], &two, &[lonely]].concat());
    let waiting = (Cause::AwaitsAnswer, 2, Some(60_436_000_000 + 12_000_000));
    assert_eq!(told, [(Cause::Held, 1, None), waiting]);
    // Where each request is logged, the log fits the last one.
    let told = by_cause(&[&one[..], &two[..1], &[lonely]].concat());
    assert_eq!(told, [(Cause::Held, 3, None)]);
    let answered = asked(1, 60_400, 60_396);
    assert_eq!(by_cause(&[&answered[..], &[lonely]].concat()), [(Cause::Held, 2, None)]);
}
