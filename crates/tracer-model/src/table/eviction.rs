//! What the table gives up where it may hold no more sockets.
//!
//! First a minisocket, the one that will end soonest: all that is missed of it is its end. Where
//! there is none, a socket that is neither a listener nor flagged, unless there are [`PATIENCE`] of
//! these in a row; its later events are treated as those of one from before. What was given up is counted and said, once a second at most.

use super::{LossPlace, Observer, Slot, State, Table, Update, emit::lost};

/// Sockets that are passed over at most in the search for one to give up.
const PATIENCE: usize = 64;
/// How often it is said, nanoseconds.
const SAID: u64 = 1_000_000_000;

/// Sockets that are not tracked though they should be.
#[derive(Debug, Default)]
pub(super) struct Evicted {
    /// Not said yet.
    count: u64,
    /// When it was said last.
    said: u64,
    /// Where the search goes on.
    cursor: Slot,
    /// Most that a snapshot has found and there was no room for.
    left_out: u64,
}

impl Table {
    /// Makes room for one more.
    pub(super) fn make_room(&mut self, time: u64, out: &mut impl Observer) {
        if self.store.len() < self.options.max_sockets {
            return;
        }
        let Some(slot) = self.soonest_to_end().or_else(|| self.dispensable()) else { return };
        if let Some(cleared) = self.cleared(slot, time) {
            out.observe(Update::Linger(&[cleared]));
        }
        self.forget(slot, time);
        self.evicted.count += 1;
        // A snapshot that shows it again must not take it for one whose beginning was missed.
        self.covered.give_up();
    }

    /// Whether a socket that a snapshot shows can be taken in; of too many nothing is known.
    pub(super) fn has_room(&self) -> bool {
        self.store.len() < self.options.max_sockets
    }

    /// There was no room for `count` sockets of a snapshot.
    pub(super) fn leave_out(&mut self, count: u64) {
        let Evicted { count: unsaid, left_out, .. } = &mut self.evicted;
        *unsaid += count.saturating_sub(*left_out);
        *left_out = count.max(*left_out);
    }

    /// When it is to be said how many have been given up.
    pub(super) fn next_evicted(&self) -> Option<u64> {
        let Evicted { count, said, .. } = self.evicted;
        (count > 0).then_some(said + SAID)
    }

    /// Says how many have been given up, if it is time.
    pub(super) fn emit_evicted_in_time(&mut self, now: u64, out: &mut impl Observer) {
        if self.next_evicted().is_some_and(|next| next <= now) {
            self.emit_evicted(now, out);
        }
    }

    /// Says what has not been said yet.
    pub fn emit_evicted(&mut self, now: u64, out: &mut impl Observer) {
        let Evicted { count, said, .. } = &mut self.evicted;
        if *count > 0 {
            *said = now;
            lost(now, LossPlace::Table, std::mem::take(count), out);
        }
    }

    fn soonest_to_end(&mut self) -> Option<Slot> {
        while let Some((slot, times)) = self.removals.pop() {
            if self.store.get(slot).is_some_and(|known| times.contains(&known.removal())) {
                return Some(slot);
            }
        }
        None
    }

    fn dispensable(&mut self) -> Option<Slot> {
        let mut found = None;
        for _ in 0..PATIENCE {
            found = self.store.queues.next_taken(self.evicted.cursor);
            self.evicted.cursor = found? + 1;
            let known = found.and_then(|slot| self.store.get(slot));
            if known.is_some_and(|known| known.state != State::Listen && known.doublings == 0) {
                break;
            }
        }
        found
    }
}
