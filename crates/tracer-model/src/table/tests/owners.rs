//! Whose sockets they are, as events and holders tell.

use super::{
    fixture::{Fixture, holder},
    lives::{ACCEPTED_FD, Kernel, Life, MILLISECOND, STARTED, Step, opens::LISTENER},
};
use rstest::rstest;
use tracer_wire::Record;

use crate::connection::Connection;
use Step::*;
use tracer_event::process::{Evidence, Owner};

fn known(fixture: &Fixture, cookie: u64) -> &Connection {
    fixture.table.connections().find(|known| known.id.cookie() == Some(cookie)).unwrap()
}

fn owner_of(fixture: &Fixture, cookie: u64) -> (u32, Evidence, Option<u32>) {
    let owner = known(fixture, cookie).owner().unwrap();
    (owner.process.pid, owner.evidence, owner.fd)
}

#[test]
fn a_client_belongs_to_who_connects() {
    let (mut fixture, mut life) = Fixture::new().playing(&[Connect]);
    life.socket.pid = 4_242;
    fixture.play(&mut life, &[Established, PeerFin]);
    assert_eq!(owner_of(&fixture, 1), (101, Evidence::Connect, None));
}

#[test]
fn a_child_is_guessed_to_be_its_listeners_until_a_process_is_seen_with_it() {
    let mut fixture = Fixture::new();
    let mut listener = Life::new(LISTENER);
    fixture.play(&mut listener, &[Listen]);
    let mut child = Life::new(1);
    fixture.play(&mut child, &[Syn, Ack]);
    assert_eq!(owner_of(&fixture, 1), (listener.socket.pid, Evidence::Listener, None));
    fixture.hold(&[holder(&child, 77, 9)]);
    assert_eq!(owner_of(&fixture, 1), (77, Evidence::TaskFile, Some(9)));
    child.socket.pid = 78;
    fixture.play(&mut child, &[Close]);
    assert_eq!(owner_of(&fixture, 1), (78, Evidence::Close, None));
}

#[test]
fn who_made_a_socket_stays_its_owner_when_others_hold_it_too() {
    let (mut fixture, life) = Fixture::new().playing(&[Connect, Established]);
    fixture.hold(&[holder(&life, 500, 4), holder(&life, 101, 6)]);
    assert_eq!(owner_of(&fixture, 1), (101, Evidence::Connect, Some(6)));
}

/// The look had left the maker before there was the socket, and has come to a child of it before
/// exec() closed the copy.
#[rstest]
#[case::made(&[Connect, Established], Evidence::Connect, None)]
#[case::accepted(&[Syn, Ack, Accept], Evidence::Accept, Some(ACCEPTED_FD))]
fn who_made_a_socket_after_the_look_began_owns_it_unseen(
    #[case] steps: &[Step],
    #[case] evidence: Evidence,
    #[case] fd: Option<u32>,
) {
    let mut fixture = Fixture::new();
    let begun = fixture.now;
    let mut life = Life::new(1);
    fixture.play(&mut life, steps);
    let maker = owner_of(&fixture, 1).0;
    fixture.table.merge_holders(&[holder(&life, 500, 4)], begun);
    assert_eq!(owner_of(&fixture, 1), (maker, evidence, fd));
    assert_eq!(known(&fixture, 1).owner().unwrap().others, 1);
    fixture.table.merge_holders(&[holder(&life, 500, 4)], fixture.now + 1);
    assert_eq!(owner_of(&fixture, 1), (500, Evidence::TaskFile, Some(4)));
}

#[test]
fn who_holds_a_socket_owns_it_when_its_maker_does_not_any_more() {
    let (mut fixture, life) = Fixture::new().playing(&[Connect, Established]);
    fixture.hold(&[holder(&life, 500, 9), holder(&life, 500, 4)]);
    assert_eq!(owner_of(&fixture, 1), (500, Evidence::TaskFile, Some(4)));
}

#[test]
fn the_administrator_who_ends_a_connection_does_not_own_it() {
    let (mut fixture, mut life) = Fixture::new().playing(&[Connect, Established]);
    life.socket.pid = 1;
    fixture.play(&mut life, &[Kill]);
    assert_eq!(fixture.told.stories[0].subject.owner.unwrap().process.pid, 101);
}

#[test]
fn a_closed_listener_owns_no_more_children() {
    let mut fixture = Fixture::new();
    let mut listener = Life::new(LISTENER);
    fixture.play(&mut listener, &[Listen, Close]);
    fixture.play(&mut Life::new(1), &[Syn, Ack]);
    assert!(fixture.table.connections().next().unwrap().owner().is_none());
}

/// A master makes the listener, its workers accept.
#[rstest]
#[case(Kernel::NEW)]
#[case(Kernel::OLD)]
fn who_accepts_a_connection_owns_it(#[case] kernel: Kernel) {
    let mut fixture = Fixture::new();
    let mut listener = Life::new(LISTENER).on(kernel);
    fixture.play(&mut listener, &[Listen]);
    let mut child = Life::new(1).on(kernel);
    fixture.play(&mut child, &[Syn, Ack]);
    let told = fixture.told.transitions.len();
    child.socket.pid = 555;
    fixture.play(&mut child, &[Accept]);
    assert_eq!(fixture.told.transitions.len(), told, "accept() is no transition");
    assert_eq!(owner_of(&fixture, 1), (555, Evidence::Accept, Some(ACCEPTED_FD)));
    fixture.play(&mut child, &[PeerFin, Close]);
    assert_eq!(owner_of(&fixture, 1), (555, Evidence::Accept, Some(ACCEPTED_FD)));
    fixture.play(&mut child, &[FinAcked]);
    let [.., story] = &fixture.told.stories[..] else { panic!() };
    assert_eq!(story.subject.owner.unwrap().process.pid, 555);
}

/// Each step takes a millisecond.
#[rstest]
#[case::at_once(&[Syn, Ack, Accept, PeerFin, Close, FinAcked], Some(1))]
#[case::after_a_while(&[Syn, Ack, Wait(300), Accept, PeerFin, Close, FinAcked], Some(302))]
#[case::after_the_peer_s_fin(&[Syn, Ack, PeerFin, Wait(40), Accept, Close, FinAcked], Some(43))]
#[case::fast_open(&[FastOpenSyn, Accept, Ack, PeerFin, Close, FinAcked], Some(0))]
#[case::accept_was_not_seen(&[Syn, Ack, PeerFin, Close, FinAcked], None)]
#[case::a_client(&[Connect, Established, PeerFin, Close, FinAcked], None)]
fn the_time_in_the_accept_queue_is_measured(#[case] steps: &[Step], #[case] wait: Option<u64>) {
    let mut fixture = Fixture::new();
    fixture.play(&mut Life::new(LISTENER), &[Listen]);
    fixture.play(&mut Life::new(1), steps);
    let [story] = &fixture.told.stories[..] else { panic!("{:?}", fixture.told.stories) };
    assert_eq!(story.accept_wait.map(|wait| wait / MILLISECOND), wait);
}

#[test]
fn how_long_one_waited_that_was_there_before_is_not_known() {
    let mut fixture = Fixture::new();
    let mut child = Life::new(1);
    fixture.play_unseen(&mut child, &[Syn, Ack]);
    fixture.look(&[&child]);
    fixture.play(&mut child, &[Accept, PeerFin, Close, FinAcked]);
    assert_eq!(fixture.told.stories[0].accept_wait, None);
}

#[test]
fn the_owner_outlives_the_socket_in_minisockets() {
    let mut fixture = Fixture::new();
    let mut child = Life::new(1);
    fixture.play(&mut child, &[Syn, Ack]);
    child.socket.pid = 555;
    fixture.play(&mut child, &[Accept, Close, FinAcked]);
    assert_eq!(known(&fixture, 1).owner().unwrap().process.pid, 555);
    fixture.play(&mut child, &[PeerFin]);
    fixture.look(&[&child]);
    assert_eq!(known(&fixture, 1).owner().unwrap().process.pid, 555);
    assert!(known(&fixture, 1).holding().is_empty());
}

/// What is guessed of a child says how many may have accepted it.
#[test]
fn the_owner_of_a_shared_listener_is_one_of_several() {
    let mut fixture = Fixture::new();
    let mut listener = Life::new(LISTENER);
    fixture.play(&mut listener, &[Listen]);
    assert!(fixture.table.wants_holders());
    let holders = [700, listener.socket.pid, 701, 701].map(|pid| holder(&listener, pid, 6));
    fixture.hold(&holders);
    assert!(!fixture.table.wants_holders());
    fixture.play(&mut Life::new(1), &[Syn, Ack]);
    let Owner { evidence, others, fd, .. } = known(&fixture, 1).owner().unwrap();
    assert_eq!((evidence, others, fd), (Evidence::Listener, 2, None));
}

/// Two listeners have one address and different processes.
#[test]
fn of_listeners_that_share_an_address_the_right_one_is_guessed_or_none() {
    let mut fixture = Fixture::new();
    let mut listeners = [LISTENER, LISTENER + 1].map(Life::new);
    for listener in &mut listeners {
        fixture.play(listener, &[Listen]);
    }
    fixture.play(&mut Life::new(1), &[Syn, Ack]);
    assert_eq!(owner_of(&fixture, 1), (listeners[0].socket.pid, Evidence::Listener, None));

    // A kernel that does not tell of which.
    let mut child = Life::new(2);
    child.now = fixture.now;
    for record in [Syn, Ack].into_iter().flat_map(|step| child.apply(step)) {
        fixture.ingest(&Record { listener: 0, ..record });
    }
    assert!(known(&fixture, 2).owner().is_none());

    // A snapshot shows in whose queue it waits.
    let mut snapshot = fixture.picture(&[&child]);
    snapshot.records[0].listener = listeners[1].socket.sk;
    fixture.merge(&snapshot);
    assert_eq!(owner_of(&fixture, 2), (listeners[1].socket.pid, Evidence::Listener, None));

    // The other one is closed: it has nothing to do with what still comes.
    fixture.play(&mut listeners[0], &[Close]);
    fixture.play(&mut Life::new(3), &[Syn, Ack]);
    assert!(known(&fixture, 3).owner().is_none());
}

#[test]
fn all_that_hold_a_shared_descriptor_are_known() {
    let (mut fixture, life) = Fixture::new().playing(&[Connect, Established]);
    assert!(known(&fixture, 1).holding().is_empty(), "not looked yet");
    fixture.hold(&[holder(&life, 101, 4), holder(&life, 500, 4)]);
    let holding = |fixture: &Fixture| -> Vec<_> {
        known(fixture, 1).holding().iter().map(|owner| (owner.process.pid, owner.fd)).collect()
    };
    assert_eq!(holding(&fixture), [(101, Some(4)), (500, Some(4))]);
    assert_eq!(known(&fixture, 1).owner().unwrap().others, 1);
    fixture.hold(&[holder(&life, 101, 4)]);
    assert_eq!(holding(&fixture), [(101, Some(4))]);
    assert_eq!(known(&fixture, 1).owner().unwrap().others, 0);
}

/// The process has ended, its child holds the socket, and yet another process has got its pid.
#[test]
fn a_reused_pid_does_not_mislead() {
    let (mut fixture, life) = Fixture::new().playing(&[Connect, Established]);
    let mut stranger = holder(&life, 101, 4);
    stranger.start_ns = STARTED + 1;
    fixture.hold(&[stranger]);
    assert_eq!(owner_of(&fixture, 1), (101, Evidence::TaskFile, Some(4)));
    assert_eq!(known(&fixture, 1).owner().unwrap().process.start_ns, STARTED + 1);

    let mut life = Life::new(2);
    fixture.play(&mut life, &[Connect, Established]);
    life.socket.start_ns += 1;
    fixture.play(&mut life, &[Close]);
    let owner = known(&fixture, 2).owner().unwrap();
    assert_eq!((owner.evidence, owner.process.start_ns), (Evidence::Close, STARTED + 1));
}
