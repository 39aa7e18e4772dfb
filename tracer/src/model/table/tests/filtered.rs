//! A table that sees only what the kernel lets through.

use super::{
    lives::{Life, SECOND, Step},
    stage::{Stage, options},
};
use crate::model::{filter::Filter, state::State, table::Options};
use Step::*;

fn stage(port: u16) -> Stage {
    let filter = Filter { ports: vec![port], ..Filter::default() };
    Stage::with(Options { filter, ..options(250) })
}

#[test]
fn a_syn_whose_port_turned_out_to_be_another_is_forgotten_without_a_word() {
    let mut stage = stage(9);
    stage.play(&mut Life::new(1), &[Connect]);
    assert_eq!(stage.sockets(), [(1, State::SynSent)]);
    assert!(!stage.table.wants_ports(stage.now + SECOND), "a look for what is not wanted");
    stage.until(stage.now + SECOND);
    assert_eq!(stage.sockets(), []);
    assert_eq!(stage.told.take(), [""; 0]);
}

#[test]
fn a_look_adds_nothing_that_the_kernel_keeps_back() {
    let mut stage = stage(9);
    let mut life = Life::new(1);
    stage.play(&mut life, &[Connect]);
    stage.play_unseen(&mut life, &[Established]);
    let mut other = Life::new(2);
    stage.play_unseen(&mut other, &[Listen]);
    stage.look(&[&life, &other]);
    assert_eq!(stage.sockets(), []);
    assert_eq!(stage.told.take(), [""; 0]);
}

#[test]
fn what_is_wanted_is_told_in_full() {
    let mut life = Life::new(1).with_ports(40_000, 9);
    let mut stage = stage(9);
    stage.play(&mut life, &[Connect, Established]);
    assert_eq!(stage.sockets(), [(1, State::Established)]);
    assert_eq!(stage.told.take().len(), 2);
}
