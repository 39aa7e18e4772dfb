//! A proxy holds CLOSE_WAIT on one side because the peer of the other side does not close.

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
