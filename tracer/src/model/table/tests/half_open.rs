//! Half-open connections that linger.

use rstest::rstest;
use tracer_wire::{Record, kind, segment};

use super::{
    lives::{Life, MILLISECOND, NETNS, SECOND, Step, opens::LISTENER},
    stage::Stage,
};
use crate::model::{cause::Why, table::Snapshot, update::Segment};
use Step::*;

/// A request socket in a look of `stage`, which has been one for so many milliseconds.
fn request(stage: &Stage, half_open_ms: u32, segment_flags: u8) -> Snapshot {
    let mut life = Life::new(5);
    life.apply(Syn);
    let seen = life.seen(stage.now + MILLISECOND).unwrap();
    assert_eq!(seen.kind, kind::REQUEST_SOCKET);
    let records = vec![Record { last_ack: half_open_ms, segment_flags, ..seen }];
    Snapshot { begun: stage.now, records, namespaces: vec![NETNS], ..Snapshot::default() }
}

#[test]
fn half_open_connections_linger_as_looks_show_them() {
    let mut stage = Stage::lingering("syn-recv=10s");
    let snapshot = request(&stage, 4_000, 0);
    stage.merge(&snapshot);
    assert_eq!(stage.told.take(), [""; 0]);
    let due = stage.table.next_raise().unwrap();
    let look_at = stage.now + 6 * SECOND;
    assert!(due.abs_diff(look_at) < SECOND / 5, "{due}, not {look_at}");
    stage.until(look_at);
    let snapshot = request(&stage, 10_001, 0);
    stage.merge(&snapshot);
    assert_eq!(stage.told.take(), ["Raised SYN_RECV 10001 ms"]);
    assert_eq!(stage.told.lingers[0].why, Some(Why::NoAnswer(Segment::SynAck)));
    let snapshot = request(&stage, 19_000, 0);
    stage.merge(&snapshot);
    assert_eq!(stage.told.take(), [""; 0]);
    stage.until(stage.now + 30 * SECOND);
    let snapshot = request(&stage, 41_000, 0);
    stage.merge(&snapshot);
    assert_eq!(stage.told.take(), ["Continues SYN_RECV 41000 ms"]);
    // Another namespace has been looked into.
    let elsewhere = Snapshot { records: Vec::new(), namespaces: vec![1], ..snapshot };
    stage.merge(&elsewhere);
    assert_eq!(stage.told.take(), [""; 0]);
    let mut child = Life::new(5);
    child.apply(Syn);
    stage.play(&mut child, &[Ack]);
    let told = stage.told.take();
    assert!(told.iter().any(|line| line.starts_with("Cleared SYN_RECV")), "{told:?}");
}

#[rstest]
#[case::silent(0, 0, Why::NoAnswer(Segment::SynAck))]
#[case::deferred(segment::ACK, 1, Why::NoData)]
#[case::no_room(segment::ACK, 0, Why::NoRoom)]
fn a_half_open_connection_says_what_it_waits_for(
    #[case] flags: u8,
    #[case] deferred: u8,
    #[case] why: Why,
) {
    let mut stage = Stage::lingering("syn-recv=10s");
    let mut listener = Life::new(LISTENER);
    stage.play(&mut listener, &[Listen]);
    let mut snapshot = request(&stage, 11_000, flags);
    snapshot.records[0].listener = listener.socket.sk;
    let shown = listener.seen(stage.now + MILLISECOND).unwrap();
    snapshot.records.push(Record { defer_accept: deferred, ..shown });
    stage.merge(&snapshot);
    let [flag] = &stage.told.lingers[..] else { panic!("{:?}", stage.told.lingers) };
    assert_eq!(flag.why, Some(why));
    assert_eq!(flag.subject.owner.unwrap().process.pid, listener.socket.pid);
}
