//! A receiver that stops.

use std::sync::mpsc::{self, Receiver};

use super::*;
use tracer_event::{fixtures::transition, state::State};

/// Takes a few records, then hangs until the other end is dropped.
struct Hanging(u64, Receiver<()>);

impl Worker<Record> for Hanging {
    fn name(&self) -> String {
        "a receiver that hangs".to_owned()
    }

    fn deliver(&mut self, _: &mut Record) -> io::Result<()> {
        if self.0 == 0 {
            let _ = self.1.recv();
        }
        self.0 = self.0.saturating_sub(1);
        Ok(())
    }
}

#[test]
fn what_waits_for_a_receiver_that_hangs_is_counted_at_the_end() {
    let (release, hang) = mpsc::channel();
    let place = LossPlace::Journal;
    let mut sink = Delivery::start(Hanging(3, hang), place).unwrap();
    let step = transition(State::SynSent, State::Established);
    let clock = WallClock { lead: 0, now: 90 };
    (0..10).for_each(|_| sink.update(&Update::Transition(&step), clock.into()));
    // Those that wait, and the one that will tell of them.
    assert_eq!(sink.last(), Some(Undelivered { place, count: 7 + 1 }));
    drop(release);
}
