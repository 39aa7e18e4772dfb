//! More sockets than the table may hold.

use super::{
    fixture::{Fixture, options},
    lives::{Life, SECOND, Step},
};
use crate::table::Options;
use Step::*;
use tracer_event::state::State;

fn fixture(max_sockets: usize) -> Fixture {
    Fixture::with(Options { max_sockets, ..options(250) })
}

#[test]
fn the_minisocket_that_ends_soonest_gives_way_and_it_is_said() {
    let mut fixture = fixture(2);
    let mut ended = Life::new(1);
    fixture.play(&mut ended, &[Connect, Established, ShutdownWrite, FinAcked, PeerFin]);
    assert_eq!(fixture.sockets(), [(1, State::TimeWait)]);
    fixture.play(&mut Life::new(2), &[Connect, Established]);
    fixture.told.take();
    fixture.play(&mut Life::new(3), &[Connect, Established]);
    assert_eq!(fixture.sockets(), [(2, State::Established), (3, State::Established)]);
    fixture.until(fixture.now + SECOND);
    let told = fixture.told.take();
    assert!(told.contains(&"lost 1 Table".to_owned()), "{told:?}");
}

/// Who counts the flags must not wait for its end.
#[test]
fn the_flag_of_what_is_given_up_is_taken_back() {
    let thresholds = "time-wait=1s".parse().unwrap();
    let mut fixture = Fixture::with(Options { max_sockets: 1, thresholds, ..options(250) });
    let mut ended = Life::new(1);
    fixture.play(&mut ended, &[Connect, Established, ShutdownWrite, FinAcked, PeerFin]);
    fixture.until(fixture.now + 2 * SECOND);
    fixture.told.take();
    fixture.play(&mut Life::new(2), &[Connect]);
    assert_eq!(fixture.told.take(), ["Cleared TIME_WAIT 2001 ms", "lost 1 Table"]);
}

#[test]
fn what_was_given_up_is_not_taken_for_missed_when_a_look_shows_it_again() {
    let mut fixture = fixture(2);
    let mut lives: Vec<Life> = (1..=3).map(Life::new).collect();
    fixture.look(&[]);
    for life in &mut lives {
        fixture.play(life, &[Connect, Established]);
    }
    assert_eq!(fixture.sockets(), [(2, State::Established), (3, State::Established)]);
    fixture.until(fixture.now + SECOND);
    fixture.told.take();
    fixture.look(&lives.iter().collect::<Vec<_>>());
    fixture.until(fixture.now + 2 * SECOND);
    // By the snapshot, for which there was no room either.
    assert_eq!(fixture.told.take(), ["lost 1 Table"]);
    // What follows is reported as of one from before, and takes another one's place.
    fixture.play(&mut lives[0], &[PeerFin]);
    assert_eq!(fixture.sockets().len(), 2);
    assert_eq!(fixture.told.take(), ["ESTABLISHED>CLOSE_WAIT", "lost 1 Table"]);
}

#[test]
fn what_a_look_had_no_room_for_is_not_new_when_there_is() {
    let mut fixture = fixture(2);
    fixture.look(&[]);
    let mut lives: Vec<Life> = (1..=3).map(Life::new).collect();
    for life in &mut lives {
        fixture.play_unseen(life, &[Connect, Established]);
    }
    fixture.look(&lives.iter().collect::<Vec<_>>());
    assert_eq!(fixture.sockets().len(), 2);
    fixture.until(fixture.now + SECOND);
    fixture.told.take();
    fixture.play(&mut lives[0], &[PeerReset]);
    fixture.told.take();
    fixture.look(&lives[1..].iter().collect::<Vec<_>>());
    assert_eq!(fixture.sockets().len(), 2);
    assert_eq!(fixture.told.take(), [""; 0]);
}
