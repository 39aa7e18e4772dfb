//! Whose sockets they are, as events and holders tell.

use super::{
    lives::{ACCEPTED_FD, Kernel, Life, STARTED, Step, opens::LISTENER},
    stage::{Stage, holder},
};
use rstest::rstest;
use tracer_wire::Record;

use crate::model::{
    connection::Connection,
    owner::{Evidence, Owner},
};
use Step::*;

fn known(stage: &Stage, cookie: u64) -> &Connection {
    stage.table.connections().find(|known| known.id.cookie() == Some(cookie)).unwrap()
}

fn owner_of(stage: &Stage, cookie: u64) -> (u32, Evidence, Option<u32>) {
    let owner = known(stage, cookie).owner().unwrap();
    (owner.process.pid, owner.evidence, owner.fd)
}

#[test]
fn a_client_belongs_to_who_connects() {
    let mut stage = Stage::new();
    let mut life = Life::new(1);
    stage.play(&mut life, &[Connect]);
    life.socket.pid = 4_242;
    stage.play(&mut life, &[Established, PeerFin]);
    assert_eq!(owner_of(&stage, 1), (101, Evidence::Connect, None));
}

#[test]
fn a_child_is_guessed_to_be_its_listeners_until_a_process_is_seen_with_it() {
    let mut stage = Stage::new();
    let mut listener = Life::new(LISTENER);
    stage.play(&mut listener, &[Listen]);
    let mut child = Life::new(1);
    stage.play(&mut child, &[Syn, Ack]);
    assert_eq!(owner_of(&stage, 1), (listener.socket.pid, Evidence::Listener, None));
    stage.table.merge_holders(&[holder(&child, 77, 9)]);
    assert_eq!(owner_of(&stage, 1), (77, Evidence::TaskFile, Some(9)));
    child.socket.pid = 78;
    stage.play(&mut child, &[Close]);
    assert_eq!(owner_of(&stage, 1), (78, Evidence::Close, None));
}

#[test]
fn who_made_a_socket_stays_its_owner_when_others_hold_it_too() {
    let mut stage = Stage::new();
    let mut life = Life::new(1);
    stage.play(&mut life, &[Connect, Established]);
    stage.table.merge_holders(&[holder(&life, 500, 4), holder(&life, 101, 6)]);
    assert_eq!(owner_of(&stage, 1), (101, Evidence::Connect, Some(6)));
}

#[test]
fn who_holds_a_socket_owns_it_when_its_maker_does_not_any_more() {
    let mut stage = Stage::new();
    let mut life = Life::new(1);
    stage.play(&mut life, &[Connect, Established]);
    stage.table.merge_holders(&[holder(&life, 500, 9), holder(&life, 500, 4)]);
    assert_eq!(owner_of(&stage, 1), (500, Evidence::TaskFile, Some(4)));
}

#[test]
fn the_administrator_who_ends_a_connection_does_not_own_it() {
    let mut stage = Stage::new();
    let mut life = Life::new(1);
    stage.play(&mut life, &[Connect, Established]);
    life.socket.pid = 1;
    stage.play(&mut life, &[Kill]);
    assert_eq!(stage.told.stories[0].subject.owner.unwrap().process.pid, 101);
}

#[test]
fn a_closed_listener_owns_no_more_children() {
    let mut stage = Stage::new();
    let mut listener = Life::new(LISTENER);
    stage.play(&mut listener, &[Listen, Close]);
    stage.play(&mut Life::new(1), &[Syn, Ack]);
    assert!(stage.table.connections().next().unwrap().owner().is_none());
}

/// A master makes the listener, its workers accept.
#[rstest]
#[case(Kernel::NEW)]
#[case(Kernel::OLD)]
fn who_accepts_a_connection_owns_it(#[case] kernel: Kernel) {
    let mut stage = Stage::new();
    let mut listener = Life::new(LISTENER).on(kernel);
    stage.play(&mut listener, &[Listen]);
    let mut child = Life::new(1).on(kernel);
    stage.play(&mut child, &[Syn, Ack]);
    let told = stage.told.transitions.len();
    child.socket.pid = 555;
    stage.play(&mut child, &[Accept]);
    assert_eq!(stage.told.transitions.len(), told, "accept() is no transition");
    assert_eq!(owner_of(&stage, 1), (555, Evidence::Accept, Some(ACCEPTED_FD)));
    stage.play(&mut child, &[PeerFin, Close]);
    assert_eq!(owner_of(&stage, 1), (555, Evidence::Accept, Some(ACCEPTED_FD)));
    stage.play(&mut child, &[FinAcked]);
    let [.., story] = &stage.told.stories[..] else { panic!() };
    assert_eq!(story.subject.owner.unwrap().process.pid, 555);
}

#[test]
fn the_owner_outlives_the_socket_in_minisockets() {
    let mut stage = Stage::new();
    let mut child = Life::new(1);
    stage.play(&mut child, &[Syn, Ack]);
    child.socket.pid = 555;
    stage.play(&mut child, &[Accept, Close, FinAcked]);
    assert_eq!(known(&stage, 1).owner().unwrap().process.pid, 555);
    stage.play(&mut child, &[PeerFin]);
    stage.look(&[&child]);
    assert_eq!(known(&stage, 1).owner().unwrap().process.pid, 555);
    assert!(known(&stage, 1).holding().is_empty());
}

/// What is guessed of a child says how many may have accepted it.
#[test]
fn the_owner_of_a_shared_listener_is_one_of_several() {
    let mut stage = Stage::new();
    let mut listener = Life::new(LISTENER);
    stage.play(&mut listener, &[Listen]);
    assert!(stage.table.wants_holders());
    let holders = [700, listener.socket.pid, 701, 701].map(|pid| holder(&listener, pid, 6));
    stage.table.merge_holders(&holders);
    assert!(!stage.table.wants_holders());
    stage.play(&mut Life::new(1), &[Syn, Ack]);
    let Owner { evidence, others, fd, .. } = known(&stage, 1).owner().unwrap();
    assert_eq!((evidence, others, fd), (Evidence::Listener, 2, None));
}

/// Two listeners have one address and different processes.
#[test]
fn of_listeners_that_share_an_address_the_right_one_is_guessed_or_none() {
    let mut stage = Stage::new();
    let mut listeners = [LISTENER, LISTENER + 1].map(Life::new);
    for listener in &mut listeners {
        stage.play(listener, &[Listen]);
    }
    stage.play(&mut Life::new(1), &[Syn, Ack]);
    assert_eq!(owner_of(&stage, 1), (listeners[0].socket.pid, Evidence::Listener, None));

    // A kernel that does not tell of which.
    let mut child = Life::new(2);
    child.now = stage.now;
    for record in [Syn, Ack].into_iter().flat_map(|step| child.apply(step)) {
        stage.ingest(&Record { listener: 0, ..record });
    }
    assert!(known(&stage, 2).owner().is_none());

    // A look shows in whose queue it waits.
    let mut snapshot = stage.picture(&[&child]);
    snapshot.records[0].listener = listeners[1].socket.sk;
    stage.merge(&snapshot);
    assert_eq!(owner_of(&stage, 2), (listeners[1].socket.pid, Evidence::Listener, None));

    // The other one is closed: it has nothing to do with what still comes.
    stage.play(&mut listeners[0], &[Close]);
    stage.play(&mut Life::new(3), &[Syn, Ack]);
    assert!(known(&stage, 3).owner().is_none());
}

#[test]
fn all_that_hold_a_shared_descriptor_are_known() {
    let mut stage = Stage::new();
    let mut life = Life::new(1);
    stage.play(&mut life, &[Connect, Established]);
    assert!(known(&stage, 1).holding().is_empty(), "not looked yet");
    stage.table.merge_holders(&[holder(&life, 101, 4), holder(&life, 500, 4)]);
    let holding = |stage: &Stage| -> Vec<_> {
        known(stage, 1).holding().iter().map(|owner| (owner.process.pid, owner.fd)).collect()
    };
    assert_eq!(holding(&stage), [(101, Some(4)), (500, Some(4))]);
    assert_eq!(known(&stage, 1).owner().unwrap().others, 1);
    stage.table.merge_holders(&[holder(&life, 101, 4)]);
    assert_eq!(holding(&stage), [(101, Some(4))]);
    assert_eq!(known(&stage, 1).owner().unwrap().others, 0);
}

/// The process has ended, its child holds the socket, and yet another process has got its pid.
#[test]
fn a_reused_pid_does_not_mislead() {
    let mut stage = Stage::new();
    let mut life = Life::new(1);
    stage.play(&mut life, &[Connect, Established]);
    let mut stranger = holder(&life, 101, 4);
    stranger.start_ns = STARTED + 1;
    stage.table.merge_holders(&[stranger]);
    assert_eq!(owner_of(&stage, 1), (101, Evidence::TaskFile, Some(4)));
    assert_eq!(known(&stage, 1).owner().unwrap().process.start_ns, STARTED + 1);

    let mut life = Life::new(2);
    stage.play(&mut life, &[Connect, Established]);
    life.socket.start_ns += 1;
    stage.play(&mut life, &[Close]);
    let owner = known(&stage, 2).owner().unwrap();
    assert_eq!((owner.evidence, owner.process.start_ns), (Evidence::Close, STARTED + 1));
}
