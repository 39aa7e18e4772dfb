//! Linux 5.10 gives no cookies: a socket is named by its address, which is used again at once, and
//! a minisocket has another address.

use rstest::rstest;
use tracer_wire::{Record, kind};

use super::{
    fixture::Fixture,
    lives::{Kernel, Life, SECOND, Step},
};
use crate::table::Merged;
use Step::*;
use tracer_event::{state::State, update::Role};

const INTO_TIME_WAIT: &[Step] = &[Connect, Established, ShutdownWrite, FinAcked, PeerFin];
const INTO_ORPHAN: &[Step] = &[Connect, Established, Close, FinAcked];

fn life(cookie: u64) -> Life {
    Life::new(cookie).on(Kernel::WITHOUT_COOKIES)
}

#[rstest]
fn a_minisocket_outlives_the_address_of_its_full_socket(
    #[values(INTO_TIME_WAIT, INTO_ORPHAN)] steps: &[Step],
) {
    let mut fixture = Fixture::new();
    let mut first = life(1);
    let address = first.socket.sk;
    fixture.play(&mut first, steps);
    let state = first.state();
    fixture.told.take();
    let mut second = life(2);
    second.socket.sk = address;
    fixture.play(&mut second, &[Connect, Established]);
    assert_eq!(fixture.told.take(), ["CLOSED>SYN_SENT", "SYN_SENT>ESTABLISHED"]);
    assert_eq!((fixture.table.count(state), fixture.table.len()), (1, 2));
    assert_eq!(fixture.look(&[&first, &second]), Merged::default());
    assert_eq!(fixture.table.len(), 2);
}

#[rstest]
fn a_look_finds_no_second_socket_in_a_minisocket(
    #[values(INTO_TIME_WAIT, INTO_ORPHAN)] steps: &[Step],
) {
    let mut fixture = Fixture::new();
    let mut life = life(1);
    fixture.play(&mut life, steps);
    fixture.told.take();
    assert_eq!(fixture.look(&[&life]), Merged::default());
    assert_eq!(fixture.look(&[&life]), Merged::default());
    assert_eq!(fixture.told.take(), [""; 0]);
    assert_eq!(fixture.table.len(), 1);
    fixture.until(fixture.now + 70 * SECOND);
    assert!(fixture.table.is_empty());
    assert_eq!(fixture.told.stories.len(), 1);
}

/// A dump by another tool gives every socket a cookie.
#[test]
fn a_socket_that_gets_a_cookie_late_is_the_same_socket() {
    let mut fixture = Fixture::new();
    let mut before = life(1);
    fixture.play(&mut before, &[Connect, Established]);
    let mut life = before.on(Kernel::OLD);
    fixture.look(&[&life]);
    assert_eq!(fixture.table.len(), 1);
    fixture.play(&mut life, &[PeerFin, Close, FinAcked]);
    assert!(fixture.table.is_empty());
    assert_eq!(fixture.told.stories.len(), 1);
    assert!(fixture.told.stories[0].began.is_some());
}

/// Somebody asks for the cookie between connect() and the peer's answer.
#[test]
fn segments_of_a_socket_that_gets_a_cookie_late_are_its_own() {
    let mut fixture = Fixture::new();
    let mut before = life(1);
    fixture.play(&mut before, &[Connect]);
    fixture.play(&mut before.clone().on(Kernel::OLD), &[SynAgain]);
    fixture.play(&mut before.on(Kernel::OLD), &[PeerReset]);
    assert_eq!(fixture.told.retransmits[0].subject.role, Some(Role::Client));
    let lines = [
        "CLOSED>SYN_SENT",
        "SYN again, 1",
        "RST Received in SYN_SENT",
        "SYN_SENT>CLOSED Refused by Peer",
        "story: Refused by Peer",
    ];
    assert_eq!(fixture.told.take(), lines);
}

#[rstest]
#[case::that_lives(&[PeerFin], 1)]
#[case::that_ends(&[PeerFin, Close, FinAcked], 0)]
fn a_socket_that_gets_a_cookie_during_a_look_is_the_same_socket(
    #[case] steps: &[Step],
    #[case] sockets: usize,
) {
    let mut fixture = Fixture::new();
    let mut before = life(1);
    fixture.play(&mut before, &[Connect, Established]);
    fixture.table.expect_snapshot();
    let picture = fixture.picture(&[&before]);
    let mut life = before.on(Kernel::OLD);
    fixture.play(&mut life, steps);
    assert_eq!(fixture.merge(&picture), Merged::default());
    assert_eq!(fixture.table.len(), sockets);
    fixture.look(&[&life]);
    fixture.look(&[&life]);
    assert_eq!((fixture.table.len(), fixture.told.lost), (sockets, 0));
}

#[test]
fn an_address_that_is_used_again_is_a_new_socket() {
    let mut fixture = Fixture::new();
    let mut first = life(1);
    fixture.play(&mut first, &[Syn, Ack, PeerFin, Close, FinAcked]);
    let mut second = life(2);
    second.socket.sk = first.socket.sk;
    fixture.play(&mut second, &[Syn, Ack]);
    assert_eq!(fixture.table.count(State::Established), 1);
    let [.., last] = &fixture.told.transitions[..] else { panic!() };
    assert_eq!((last.subject.cookie, last.subject.tuple.peer.port), (None, 40_002));
    assert_eq!((last.subject.ordinal, last.subject.inode), (1, None));
}

/// `tcp:tcp_destroy_sock`.
fn destroyed(fixture: &Fixture, life: &Life) -> Record {
    let Record { sk, netns, .. } = life.socket;
    Record { kind: kind::DESTROYED, time_ns: fixture.now + 1, sk, netns, ..Record::EMPTY }
}

#[test]
fn a_socket_at_the_address_of_a_refused_one_has_its_first_connection() {
    let mut fixture = Fixture::new();
    let mut first = life(1);
    fixture.play(&mut first, &[Connect, PeerReset]);
    fixture.ingest(&destroyed(&fixture, &first));
    let mut second = life(2);
    second.socket.sk = first.socket.sk;
    fixture.play(&mut second, &[Connect, Established]);
    let [.., last] = &fixture.told.transitions[..] else { panic!() };
    assert_eq!(last.subject.ordinal, 1);
    assert_eq!(fixture.told.lost, 0);
}

#[test]
fn a_socket_whose_end_was_not_seen_ends_with_its_address() {
    let mut fixture = Fixture::new();
    let mut lost = life(1);
    fixture.play(&mut lost, &[Connect, Established]);
    fixture.told.take();
    fixture.play_unseen(&mut lost, &[PeerReset]);
    fixture.ingest(&destroyed(&fixture, &lost));
    assert!(fixture.table.is_empty());
    fixture.until(fixture.now);
    assert_eq!(
        fixture.told.take(),
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
    let mut fixture = Fixture::new();
    let mut life = life(1);
    let full = life.clone();
    fixture.play(&mut life, steps);
    fixture.ingest(&destroyed(&fixture, &full));
    assert_eq!((fixture.table.len(), fixture.told.lost), (1, 0));
}
