//! Linux 5.10 gives no cookies: a socket is named by its address, which is used again at once, and
//! a minisocket has another address.

use rstest::rstest;

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
