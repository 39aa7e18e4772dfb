//! A table that sees only what the kernel lets through.

use super::{
    fixture::{Fixture, options},
    lives::{Life, SECOND, Step},
};
use crate::{
    filter::{Condition, End, Filter},
    table::Options,
};
use Step::*;
use tracer_event::state::State;

fn fixture(port: u16) -> Fixture {
    let filter = Filter::from(Condition::Port(End::Either, port.into()));
    Fixture::with(Options { filter, ..options(250) })
}

#[test]
fn a_syn_whose_port_turned_out_to_be_another_is_forgotten_without_a_word() {
    let mut fixture = fixture(9);
    fixture.play(&mut Life::new(1), &[Connect]);
    assert_eq!(fixture.sockets(), [(1, State::SynSent)]);
    assert!(!fixture.table.wants_ports(fixture.now + SECOND), "a look for what is not wanted");
    fixture.until(fixture.now + SECOND);
    assert_eq!(fixture.sockets(), []);
    assert_eq!(fixture.told.take(), [""; 0]);
}

#[test]
fn a_look_adds_nothing_that_the_kernel_keeps_back() {
    let mut fixture = fixture(9);
    let mut life = Life::new(1);
    fixture.play(&mut life, &[Connect]);
    fixture.play_unseen(&mut life, &[Established]);
    let mut other = Life::new(2);
    fixture.play_unseen(&mut other, &[Listen]);
    fixture.look(&[&life, &other]);
    assert_eq!(fixture.sockets(), []);
    assert_eq!(fixture.told.take(), [""; 0]);
}

#[test]
fn what_is_wanted_is_told_in_full() {
    let mut life = Life::new(1).with_ports(40_000, 9);
    let mut fixture = fixture(9);
    fixture.play(&mut life, &[Connect, Established]);
    assert_eq!(fixture.sockets(), [(1, State::Established)]);
    assert_eq!(fixture.told.take().len(), 2);
}
