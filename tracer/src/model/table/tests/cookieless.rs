//! Linux 5.10 gives no cookies: a socket is named by its address, which is used again at once, and
//! a minisocket has another address.

use rstest::rstest;
use tracer_wire::{Record, kind};

use super::{
    lives::{Kernel, Life, SECOND, Step},
    stage::Stage,
};
use crate::model::{state::State, table::Merged};
use Step::*;

const INTO_TIME_WAIT: &[Step] = &[Connect, Established, ShutdownWrite, FinAcked, PeerFin];
const INTO_ORPHAN: &[Step] = &[Connect, Established, Close, FinAcked];

fn life(cookie: u64) -> Life {
    Life::new(cookie).on(Kernel::WITHOUT_COOKIES)
}

#[rstest]
fn a_minisocket_outlives_the_address_of_its_full_socket(
    #[values(INTO_TIME_WAIT, INTO_ORPHAN)] steps: &[Step],
) {
    let mut stage = Stage::new();
    let mut first = life(1);
    let address = first.socket.sk;
    stage.play(&mut first, steps);
    let state = first.state();
    stage.told.take();
    let mut second = life(2);
    second.socket.sk = address;
    stage.play(&mut second, &[Connect, Established]);
    assert_eq!(stage.told.take(), ["CLOSED>SYN_SENT", "SYN_SENT>ESTABLISHED"]);
    assert_eq!((stage.table.count(state), stage.table.len()), (1, 2));
    assert_eq!(stage.look(&[&first, &second]), Merged::default());
    assert_eq!(stage.table.len(), 2);
}

#[rstest]
fn a_look_finds_no_second_socket_in_a_minisocket(
    #[values(INTO_TIME_WAIT, INTO_ORPHAN)] steps: &[Step],
) {
    let mut stage = Stage::new();
    let mut life = life(1);
    stage.play(&mut life, steps);
    stage.told.take();
    assert_eq!(stage.look(&[&life]), Merged::default());
    assert_eq!(stage.look(&[&life]), Merged::default());
    assert_eq!(stage.told.take(), [""; 0]);
    assert_eq!(stage.table.len(), 1);
    stage.until(stage.now + 70 * SECOND);
    assert!(stage.table.is_empty());
    assert_eq!(stage.told.stories.len(), 1);
}

/// A dump by another tool gives every socket a cookie.
#[test]
fn a_socket_that_gets_a_cookie_late_is_the_same_socket() {
    let mut stage = Stage::new();
    let mut before = life(1);
    stage.play(&mut before, &[Connect, Established]);
    let mut life = before.on(Kernel::OLD);
    stage.look(&[&life]);
    assert_eq!(stage.table.len(), 1);
    stage.play(&mut life, &[PeerFin, Close, FinAcked]);
    assert!(stage.table.is_empty());
    assert_eq!(stage.told.stories.len(), 1);
    assert!(stage.told.stories[0].began.is_some());
}

#[rstest]
#[case::that_lives(&[PeerFin], 1)]
#[case::that_ends(&[PeerFin, Close, FinAcked], 0)]
fn a_socket_that_gets_a_cookie_during_a_look_is_the_same_socket(
    #[case] steps: &[Step],
    #[case] sockets: usize,
) {
    let mut stage = Stage::new();
    let mut before = life(1);
    stage.play(&mut before, &[Connect, Established]);
    stage.table.expect_snapshot();
    let picture = stage.picture(&[&before]);
    let mut life = before.on(Kernel::OLD);
    stage.play(&mut life, steps);
    assert_eq!(stage.merge(&picture), Merged::default());
    assert_eq!(stage.table.len(), sockets);
    stage.look(&[&life]);
    stage.look(&[&life]);
    assert_eq!((stage.table.len(), stage.told.lost), (sockets, 0));
}

#[test]
fn an_address_that_is_used_again_is_a_new_socket() {
    let mut stage = Stage::new();
    let mut first = life(1);
    stage.play(&mut first, &[Syn, Ack, PeerFin, Close, FinAcked]);
    let mut second = life(2);
    second.socket.sk = first.socket.sk;
    stage.play(&mut second, &[Syn, Ack]);
    assert_eq!(stage.table.count(State::Established), 1);
    let [.., last] = &stage.told.transitions[..] else { panic!() };
    assert_eq!((last.subject.cookie, last.subject.tuple.peer.port), (None, 40_002));
    assert_eq!((last.subject.ordinal, last.subject.inode), (1, None));
}

/// `tcp:tcp_destroy_sock`.
fn destroyed(stage: &Stage, life: &Life) -> Record {
    let Record { sk, netns, .. } = life.socket;
    Record { kind: kind::DESTROYED, time_ns: stage.now + 1, sk, netns, ..Record::EMPTY }
}

#[test]
fn a_socket_at_the_address_of_a_refused_one_has_its_first_connection() {
    let mut stage = Stage::new();
    let mut first = life(1);
    stage.play(&mut first, &[Connect, PeerReset]);
    stage.ingest(&destroyed(&stage, &first));
    let mut second = life(2);
    second.socket.sk = first.socket.sk;
    stage.play(&mut second, &[Connect, Established]);
    let [.., last] = &stage.told.transitions[..] else { panic!() };
    assert_eq!(last.subject.ordinal, 1);
    assert_eq!(stage.told.lost, 0);
}

#[test]
fn a_socket_whose_end_was_not_seen_ends_with_its_address() {
    let mut stage = Stage::new();
    let mut lost = life(1);
    stage.play(&mut lost, &[Connect, Established]);
    stage.told.take();
    stage.play_unseen(&mut lost, &[PeerReset]);
    stage.ingest(&destroyed(&stage, &lost));
    assert!(stage.table.is_empty());
    stage.until(stage.now);
    assert_eq!(
        stage.told.take(),
        [
            "ESTABLISHED>CLOSED [Inferred] Unknown by nobody",
            "story: Unknown by nobody [Inferred]",
            "lost ≥1 Unseen",
        ]
    );
}

#[rstest]
fn the_end_of_its_full_socket_is_not_that_of_a_minisocket(
    #[values(INTO_TIME_WAIT, INTO_ORPHAN)] steps: &[Step],
) {
    let mut stage = Stage::new();
    let mut life = life(1);
    let full = life.clone();
    stage.play(&mut life, steps);
    stage.ingest(&destroyed(&stage, &full));
    assert_eq!((stage.table.len(), stage.told.lost), (1, 0));
}
