//! Whose sockets they are, as events and holders tell.

use super::{
    lives::{Life, Step, opens::LISTENER},
    stage::{Stage, holder},
};
use crate::model::owner::Evidence;
use Step::*;

fn owner_of(stage: &Stage, cookie: u64) -> (u32, Evidence, Option<u32>) {
    let connection =
        stage.table.connections().find(|known| known.id.cookie() == Some(cookie)).unwrap();
    let owner = connection.owner.unwrap();
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
    assert!(stage.table.connections().next().unwrap().owner.is_none());
}
