//! What the passing of time brings: minisockets end, and what was held back is told.

use std::cmp::Reverse;

use super::{Deadline, Observer, Slot, Source, Table, Update, close::RESET_FOLLOWS_WITHIN};
use crate::model::connection::Connection;

/// The kernel may run its timers this much late: a snapshot that still shows the socket would
/// otherwise bring it back.
const TIMER_DELAY: u64 = 200_000_000;

/// A SYN_SENT that is wanted only if its local port is, and of which nothing more is heard for so
/// long, nanoseconds, was not.
const OPEN_PATIENCE: u64 = 500_000_000;

impl Table {
    /// Tells what is due at `now`. To be called after each batch of events and at
    /// [`Self::next_deadline`].
    pub fn expire(&mut self, now: u64, out: &mut impl Observer) {
        self.decide_overdue(now, out);
        self.announce_overdue(now, out);
        self.remove_minisockets(now, out);
        let mut lingers = Vec::new();
        self.raise(now, &mut lingers);
        self.double(now, &mut lingers);
        if !lingers.is_empty() {
            out.observe(Update::Linger(&lingers));
        }
    }

    /// When [`Self::expire`] has something to do next, nanoseconds of `CLOCK_MONOTONIC`.
    pub fn next_deadline(&self) -> Option<u64> {
        let undecided =
            self.undecided.iter().map(|undecided| undecided.record.time_ns + RESET_FOLLOWS_WITHIN);
        let removal = self.removals.peek().map(|next| next.0.time + TIMER_DELAY);
        let patience = self.options.port_patience;
        let unannounced = self.unannounced.front().map(|next| next.time + patience);
        undecided.chain(removal).chain(unannounced).chain(self.next_linger()).min()
    }

    /// Whether a SYN_SENT has waited for its local port since before `time`: a snapshot tells it.
    pub fn wants_ports(&self, time: u64) -> bool {
        self.unannounced
            .iter()
            .take_while(|waiting| waiting.time <= time)
            .any(|waiting| self.is_unannounced(*waiting) && !self.is_open(waiting.slot))
    }

    /// Whether the kernel has only let it through because its local port was not known: if it is
    /// not wanted, no further event will come.
    fn is_open(&self, slot: Slot) -> bool {
        let covers = |connection: &Connection| self.options.filter.covers(&connection.tuple);
        self.store.get(slot).is_some_and(|connection| covers(connection).is_none())
    }

    fn is_unannounced(&self, waiting: Deadline) -> bool {
        let connection = self.store.get(waiting.slot);
        connection.is_some_and(|c| c.unannounced && c.since == waiting.since)
    }

    /// Gives up waiting for local ports that nothing tells.
    fn announce_overdue(&mut self, now: u64, out: &mut impl Observer) {
        while let Some(&waiting) = self.unannounced.front() {
            let is_open = self.is_open(waiting.slot);
            let patience = if is_open { OPEN_PATIENCE } else { self.options.port_patience };
            let is_due = waiting.time + patience <= now;
            if !is_due && self.is_unannounced(waiting) {
                return;
            }
            self.unannounced.pop_front();
            if is_due && self.is_unannounced(waiting) {
                if is_open {
                    self.forget(waiting.slot);
                } else {
                    self.tell_held(waiting.slot, None, out);
                }
            }
        }
    }

    /// Ends the minisockets whose timers must have fired.
    fn remove_minisockets(&mut self, now: u64, out: &mut impl Observer) {
        while let Some(due) = pop_due(&mut self.removals, now.saturating_sub(TIMER_DELAY)) {
            // Another time is planned where the timer was armed again.
            let is_due = self.store.get(due.slot).is_some_and(|connection| {
                connection.since == due.since && connection.removal == due.time
            });
            if is_due {
                self.vanish(due.slot, due.time, Source::Timer, out);
            }
        }
    }
}

pub(super) fn pop_due(
    heap: &mut std::collections::BinaryHeap<Reverse<Deadline>>,
    now: u64,
) -> Option<Deadline> {
    if heap.peek()?.0.time > now {
        return None;
    }
    heap.pop().map(|next| next.0)
}
