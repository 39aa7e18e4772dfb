//! What the passing of time brings: minisockets end, sockets linger.

use std::cmp::Reverse;

use super::{Deadline, Observer, Slot, Source, State, Table, Update, close::RESET_FOLLOWS_WITHIN};
use crate::model::{
    connection::Connection,
    update::{Linger, LingerStatus},
};

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
        let planned = removal.into_iter().chain(self.doublings.peek().map(|next| next.0.time));
        let patience = self.options.port_patience;
        let unannounced = self.unannounced.front().map(|next| next.time + patience);
        let raising = self.options.thresholds.states().filter_map(|state| self.raise_at(state));
        undecided.chain(planned).chain(unannounced).chain(raising).min()
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

    /// When the next socket that a process may hold will be flagged: its holder should be known
    /// by then.
    pub fn next_raise(&self) -> Option<u64> {
        let states = self.options.thresholds.states().filter(|state| *state != State::TimeWait);
        states.filter_map(|state| self.raise_at(state)).min()
    }

    /// When the oldest socket in a state will outlast its threshold.
    fn raise_at(&self, state: State) -> Option<u64> {
        let oldest = self.store.get(self.store.oldest(state)?)?;
        Some(oldest.since.saturating_add(self.options.thresholds.of(state)?))
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
                    self.tell_held(waiting.slot, out);
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

    fn is_lingering(&self, slot: Slot, now: u64) -> bool {
        self.store.get(slot).is_some_and(|connection| {
            self.options
                .thresholds
                .of(connection.state)
                .is_some_and(|threshold| connection.since + threshold <= now)
        })
    }

    /// Flags the sockets that have just outlasted their threshold.
    fn raise(&mut self, now: u64, lingers: &mut Vec<Linger>) {
        let thresholds = self.options.thresholds;
        for state in thresholds.states() {
            while let Some(slot) = self.store.oldest(state).filter(|&s| self.is_lingering(s, now)) {
                self.store.dequeue(slot);
                let Some(connection) = self.store.get(slot) else {
                    break;
                };
                let threshold = thresholds.of(state).unwrap_or(u64::MAX);
                lingers.push(linger(connection, threshold, now, LingerStatus::Raised));
                self.plan_doubling(slot, threshold, now);
            }
        }
    }

    /// Tells again of those whose age has doubled.
    fn double(&mut self, now: u64, lingers: &mut Vec<Linger>) {
        while let Some(due) = pop_due(&mut self.doublings, now) {
            let Some(connection) = self.store.get(due.slot) else {
                continue;
            };
            let threshold = self.options.thresholds.of(connection.state);
            let (Some(threshold), true) = (threshold, connection.since == due.since) else {
                continue;
            };
            let status = match connection.next_linger {
                Some(_) => LingerStatus::Continues,
                None => LingerStatus::Raised,
            };
            lingers.push(linger(connection, threshold, now, status));
            self.plan_doubling(due.slot, threshold, now);
        }
    }

    /// A socket that is in no queue is looked at when its threshold is reached.
    pub(super) fn plan_if_left_out(&mut self, slot: Slot) {
        if !self.store.is_left_out(slot) {
            return;
        }
        let Some(connection) = self.store.get(slot) else {
            return;
        };
        let Some(threshold) = self.options.thresholds.of(connection.state) else {
            return;
        };
        let (since, time) = (connection.since, connection.since.saturating_add(threshold));
        self.doublings.push(Reverse(Deadline { time, slot, since }));
    }

    fn plan_doubling(&mut self, slot: Slot, threshold: u64, now: u64) {
        let Some(connection) = self.store.get_mut(slot) else {
            return;
        };
        let since = connection.since;
        let mut age = connection.next_linger.unwrap_or(threshold);
        while since.saturating_add(age) <= now {
            age = age.saturating_mul(2);
        }
        connection.next_linger = Some(age);
        self.doublings.push(Reverse(Deadline { time: since.saturating_add(age), slot, since }));
    }

    /// What is to be told when a flagged socket leaves its state at `time`.
    pub(super) fn cleared(&self, slot: Slot, time: u64) -> Option<Linger> {
        let connection = self.store.get(slot).filter(|c| c.next_linger.is_some())?;
        let threshold = self.options.thresholds.of(connection.state)?;
        Some(linger(connection, threshold, time, LingerStatus::Cleared))
    }
}

fn pop_due(
    heap: &mut std::collections::BinaryHeap<Reverse<Deadline>>,
    now: u64,
) -> Option<Deadline> {
    if heap.peek()?.0.time > now {
        return None;
    }
    heap.pop().map(|next| next.0)
}

fn linger(connection: &Connection, threshold: u64, now: u64, status: LingerStatus) -> Linger {
    Linger {
        time: now,
        subject: connection.subject(),
        state: connection.state,
        age: now.saturating_sub(connection.since),
        at_least: !connection.since_known,
        threshold,
        status,
        orphaned: connection.orphaned,
    }
}
