//! More sockets than the table may hold.

use super::{
    lives::{Life, SECOND, Step},
    stage::{Stage, options},
};
use crate::model::{state::State, table::Options};
use Step::*;

fn stage(max_sockets: usize) -> Stage {
    Stage::with(Options { max_sockets, ..options(250) })
}

#[test]
fn the_minisocket_that_ends_soonest_gives_way_and_it_is_said() {
    let mut stage = stage(2);
    let mut ended = Life::new(1);
    stage.play(&mut ended, &[Connect, Established, ShutdownWrite, FinAcked, PeerFin]);
    assert_eq!(stage.sockets(), [(1, State::TimeWait)]);
    stage.play(&mut Life::new(2), &[Connect, Established]);
    stage.told.take();
    stage.play(&mut Life::new(3), &[Connect, Established]);
    assert_eq!(stage.sockets(), [(2, State::Established), (3, State::Established)]);
    stage.until(stage.now + SECOND);
    let told = stage.told.take();
    assert!(told.contains(&"lost 1 Table".to_owned()), "{told:?}");
}

#[test]
fn what_was_given_up_is_not_taken_for_missed_when_a_look_shows_it_again() {
    let mut stage = stage(2);
    let mut lives: Vec<Life> = (1..=3).map(Life::new).collect();
    stage.look(&[]);
    for life in &mut lives {
        stage.play(life, &[Connect, Established]);
    }
    assert_eq!(stage.sockets(), [(2, State::Established), (3, State::Established)]);
    stage.until(stage.now + SECOND);
    stage.told.take();
    stage.look(&lives.iter().collect::<Vec<_>>());
    stage.until(stage.now + 2 * SECOND);
    // By the look, for which there was no room either.
    assert_eq!(stage.told.take(), ["lost 1 Table"]);
    // What follows is told as of one from before, and takes another one's place.
    stage.play(&mut lives[0], &[PeerFin]);
    assert_eq!(stage.sockets().len(), 2);
    assert_eq!(stage.told.take(), ["ESTABLISHED>CLOSE_WAIT", "lost 1 Table"]);
}

#[test]
fn what_a_look_had_no_room_for_is_not_new_when_there_is() {
    let mut stage = stage(2);
    stage.look(&[]);
    let mut lives: Vec<Life> = (1..=3).map(Life::new).collect();
    for life in &mut lives {
        stage.play_unseen(life, &[Connect, Established]);
    }
    stage.look(&lives.iter().collect::<Vec<_>>());
    assert_eq!(stage.sockets().len(), 2);
    stage.until(stage.now + SECOND);
    stage.told.take();
    stage.play(&mut lives[0], &[PeerReset]);
    stage.told.take();
    stage.look(&lives[1..].iter().collect::<Vec<_>>());
    assert_eq!(stage.sockets().len(), 2);
    assert_eq!(stage.told.take(), [""; 0]);
}
