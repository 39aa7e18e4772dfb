//! What the passing of time brings: minisockets end, and what was held back is reported.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use super::{Deadline, Observer, Slot, Source, Table, Update};

/// The kernel may run its timers this much late: a snapshot that still shows the socket would
/// otherwise bring it back.
const TIMER_DELAY: u64 = 200_000_000;

/// A SYN_SENT that is wanted only if its local port is, and of which nothing more is heard for so
/// long, nanoseconds, was not.
const OPEN_PATIENCE: u64 = 500_000_000;

impl Table {
    /// Reports what is due at `now`. To be called after each batch of events and at
    /// [`Self::next_deadline`].
    pub fn expire(&mut self, now: u64, out: &mut impl Observer) {
        self.emit_unseen(now, out);
        self.decide_overdue(now, out);
        self.announce_overdue(now, out);
        self.remove_minisockets(now, out);
        let mut lingers = Vec::new();
        self.raise(now, &mut lingers);
        self.double(now, &mut lingers);
        if !lingers.is_empty() {
            out.observe(Update::Linger(&lingers));
        }
        self.emit_evicted_in_time(now, out);
    }

    /// When [`Self::expire`] has something to do next, nanoseconds of `CLOCK_MONOTONIC`.
    pub fn next_deadline(&self) -> Option<u64> {
        let undecided = self.undecided.next();
        let removal = self.removals.next().map(|time| time + TIMER_DELAY);
        let patience = self.options.port_patience;
        let unannounced = self.unannounced.front().map(|next| next.time);
        let unannounced = unannounced.into_iter().chain(self.answers.next()).min();
        let unannounced = unannounced.map(|time| time + patience);
        let open = self.open.front().map(|next| next.time + OPEN_PATIENCE);
        let planned = removal.into_iter().chain(unannounced).chain(open);
        let told = self.next_linger().into_iter().chain(self.next_evicted());
        undecided.into_iter().chain(planned).chain(told).min()
    }

    /// Whether a SYN_SENT has waited for its local port since before `time`: a snapshot shows it.
    pub fn wants_ports(&mut self, time: u64) -> bool {
        while let Some(&waiting) = self.unannounced.front() {
            if self.is_unannounced(waiting) {
                return waiting.time <= time;
            }
            self.unannounced.pop_front();
        }
        false
    }

    /// Whether the filter cannot say yet whether the socket is wanted.
    pub(super) fn is_open(&self, slot: Slot) -> bool {
        self.options.filter.covers(&self.store[slot].tuple).is_none()
    }

    pub(super) fn is_unannounced(&self, waiting: Deadline) -> bool {
        let connection = self.store.get(waiting.slot);
        connection.is_some_and(|c| c.is_unannounced() && waiting.is_of(c))
    }

    /// Gives up waiting for local ports that no event shows.
    fn announce_overdue(&mut self, now: u64, out: &mut impl Observer) {
        let (patience, open_patience) = (self.options.port_patience, OPEN_PATIENCE);
        while let Some(due) = self.overdue(|table| &mut table.unannounced, patience, now) {
            self.emit_held(due.slot, None, out);
        }
        self.emit_overdue_answers(now.saturating_sub(patience), out);
        while let Some(due) = self.overdue(|table| &mut table.open, open_patience, now) {
            self.forget(due.slot, due.time);
        }
    }

    /// Takes the first of those held back, if it has waited for long enough.
    fn overdue(
        &mut self,
        queue: impl Fn(&mut Self) -> &mut VecDeque<Deadline>,
        patience: u64,
        now: u64,
    ) -> Option<Deadline> {
        loop {
            let first = *queue(self).front()?;
            let (waits, is_due) = (self.is_unannounced(first), first.time + patience <= now);
            if waits && !is_due {
                return None;
            }
            queue(self).pop_front();
            if waits {
                return Some(first);
            }
        }
    }

    /// Ends the minisockets whose timers must have fired.
    fn remove_minisockets(&mut self, now: u64, out: &mut impl Observer) {
        let now = now.saturating_sub(TIMER_DELAY);
        while let Some((slots, times)) = self.removals.take_due(now) {
            // Another time is planned where the timer was armed again.
            let planned = |slot: Slot| self.store.get(slot).map(|known| (known.removal(), slot));
            let mut due: Vec<(u64, Slot)> = slots.into_iter().filter_map(planned).collect();
            due.retain(|(time, _)| times.contains(time));
            due.sort_unstable();
            due.dedup();
            for (time, slot) in due {
                self.vanish(slot, time, Source::Timer, out);
            }
        }
    }
}

pub(super) fn pop_due(heap: &mut BinaryHeap<Reverse<Deadline>>, now: u64) -> Option<Deadline> {
    heap.peek().filter(|next| next.0.time <= now)?;
    heap.pop().map(|next| next.0)
}
