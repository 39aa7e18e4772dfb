//! Half-open connections that linger.

use rstest::rstest;
use tracer_wire::{Record, kind, segment};

use super::{
    fixture::Fixture,
    lives::{Life, MILLISECOND, NETNS, SECOND, Step, opens::LISTENER},
};
use crate::table::Snapshot;
use Step::*;
use tracer_event::{linger::LingerCause, update::Segment};

/// A request socket in a snapshot of `fixture`, which has been one for so many milliseconds.
fn request(fixture: &Fixture, half_open_ms: u32, segment_flags: u8) -> Snapshot {
    let mut life = Life::new(5);
    life.apply(Syn);
    let seen = life.seen(fixture.now + MILLISECOND).unwrap();
    assert_eq!(seen.kind, kind::REQUEST_SOCKET);
    let records = vec![Record { last_ack: half_open_ms, segment_flags, ..seen }];
    Snapshot { begun: fixture.now, records, namespaces: vec![NETNS], ..Snapshot::default() }
}

#[test]
fn half_open_connections_linger_as_looks_show_them() {
    let mut fixture = Fixture::lingering("syn-recv=10s");
    let snapshot = request(&fixture, 4_000, 0);
    fixture.merge(&snapshot);
    assert_eq!(fixture.told.take(), [""; 0]);
    let due = fixture.table.next_raise().unwrap();
    let look_at = fixture.now + 6 * SECOND;
    assert!(due.abs_diff(look_at) < SECOND / 5, "{due}, not {look_at}");
    fixture.until(look_at);
    let snapshot = request(&fixture, 10_001, 0);
    fixture.merge(&snapshot);
    assert_eq!(fixture.told.take(), ["Raised SYN_RECV 10001 ms"]);
    assert_eq!(fixture.told.lingers[0].why, Some(LingerCause::NoAnswer(Segment::SynAck)));
    let snapshot = request(&fixture, 19_000, 0);
    fixture.merge(&snapshot);
    assert_eq!(fixture.told.take(), [""; 0]);
    fixture.until(fixture.now + 30 * SECOND);
    let snapshot = request(&fixture, 41_000, 0);
    fixture.merge(&snapshot);
    assert_eq!(fixture.told.take(), ["Continues SYN_RECV 41000 ms"]);
    // Another namespace has been looked into.
    let elsewhere = Snapshot { records: Vec::new(), namespaces: vec![1], ..snapshot };
    fixture.merge(&elsewhere);
    assert_eq!(fixture.told.take(), [""; 0]);
    let mut child = Life::new(5);
    child.apply(Syn);
    fixture.play(&mut child, &[Ack]);
    let told = fixture.told.take();
    assert!(told.iter().any(|line| line.starts_with("Cleared SYN_RECV")), "{told:?}");
}

#[rstest]
#[case::silent(0, 0, LingerCause::NoAnswer(Segment::SynAck))]
#[case::deferred(segment::ACK, 1, LingerCause::NoData)]
#[case::no_room(segment::ACK, 0, LingerCause::NoRoom)]
fn a_half_open_connection_says_what_it_waits_for(
    #[case] flags: u8,
    #[case] deferred: u8,
    #[case] why: LingerCause,
) {
    let mut fixture = Fixture::lingering("syn-recv=10s");
    let mut listener = Life::new(LISTENER);
    fixture.play(&mut listener, &[Listen]);
    let mut snapshot = request(&fixture, 11_000, flags);
    snapshot.records[0].listener = listener.socket.sk;
    let shown = listener.seen(fixture.now + MILLISECOND).unwrap();
    snapshot.records.push(Record { defer_accept: deferred, ..shown });
    fixture.merge(&snapshot);
    let [flag] = &fixture.told.lingers[..] else { panic!("{:?}", fixture.told.lingers) };
    assert_eq!(flag.why, Some(why));
    assert_eq!(flag.subject.owner.unwrap().process.pid, listener.socket.pid);
}
