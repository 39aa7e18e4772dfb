//! When sockets are flagged for lingering, and when that is reported again.
//!
//! What counts is the time without progress: a flag waits for a snapshot that shows whether data
//! still moves, in the states in which it can, and who holds the socket (`Options::look_patience`).

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{Deadline, Slot, State, Store, Table, causes::why, expire::pop_due};
use crate::{connection::Connection, linger::LOOK_LEAD, progress::Progress};
use tracer_event::update::{Linger, LingerStatus};

/// No age is longer than the clock can measure.
const MOST_DOUBLINGS: u8 = 63;
/// Deadlines that may be out of date, beside one for each socket.
const SPARE: usize = 1 << 10;

impl Table {
    /// When the next socket that a process may hold, or on which data may still move, will be
    /// flagged: a snapshot should show it by then.
    pub fn next_raise(&self) -> Option<u64> {
        let states = self.options.thresholds.states().filter(|state| *state != State::TimeWait);
        let first =
            self.raisings.peek().map(|next| next.0).filter(|next| {
                self.store.get(next.slot).is_some_and(|c| c.state != State::TimeWait)
            });
        let queued = states.filter_map(|state| self.first_due(state)).map(|next| next.time);
        queued.chain(first.map(|next| next.time)).chain(self.half_open.next()).min()
    }

    /// When [`Self::raise`] or [`Self::double`] has something to do next.
    pub(super) fn next_linger(&self) -> Option<u64> {
        let queued = self.options.thresholds.states().filter_map(|state| self.first_due(state));
        let raisings = queued.chain(self.raisings.peek().map(|next| next.0)).map(|next| {
            let patience =
                if self.waits_for_snapshot(next) { self.options.look_patience } else { 0 };
            next.time.saturating_add(patience)
        });
        raisings.chain(self.doublings.peek().map(|next| next.0.time)).min()
    }

    /// When the oldest socket in a state will outlast its threshold.
    fn first_due(&self, state: State) -> Option<Deadline> {
        let slot = self.store.queues.oldest(state)?;
        let connection = &self.store[slot];
        let time = connection.since.saturating_add(self.options.thresholds.of(state)?);
        Some(Deadline::of(slot, connection, time))
    }

    /// Whether no snapshot has shown yet who holds a socket that is due, or if data still moves on
    /// it.
    fn waits_for_snapshot(&self, due: Deadline) -> bool {
        let is_old = |look: u64| look.saturating_add(LOOK_LEAD) < due.time;
        self.options.look_patience > 0
            && self.store.get(due.slot).is_some_and(|connection| {
                let (state, orphaned) = (connection.state, connection.is_orphaned());
                // Data for an orphan is answered by an RST.
                let moves =
                    Progress::is_possible_in(state) && !(orphaned && state == State::FinWait2);
                let is_held = state != State::TimeWait && !orphaned;
                due.is_of(connection)
                    && (moves && is_old(connection.looked())
                        || is_held && self.held_at.is_some_and(is_old))
            })
    }

    fn must_wait(&self, due: Deadline, now: u64) -> bool {
        now < due.time.saturating_add(self.options.look_patience) && self.waits_for_snapshot(due)
    }

    /// Flags the sockets that have just outlasted their threshold.
    pub(super) fn raise(&mut self, now: u64, lingers: &mut Vec<Linger>) {
        let thresholds = self.options.thresholds;
        for state in thresholds.states() {
            while let Some(due) = self.first_due(state).filter(|due| due.time <= now) {
                if self.must_wait(due, now) {
                    // What comes after it is younger, and the same snapshot will show it.
                    break;
                }
                self.store.queues.dequeue(due.slot);
                self.raise_if_idle(due, now, lingers);
            }
        }
        while let Some(Reverse(due)) = self.raisings.peek().copied() {
            if due.time > now || self.must_wait(due, now) {
                break;
            }
            self.raisings.pop();
            self.raise_if_idle(due, now, lingers);
        }
    }

    /// Flags a socket, or plans to check it again if it was making progress.
    fn raise_if_idle(&mut self, due: Deadline, now: u64, lingers: &mut Vec<Linger>) {
        let Some((connection, threshold)) = self.still_in_state(due) else { return };
        let time = connection.idle_since().saturating_add(threshold);
        if time > now {
            push(&mut self.raisings, Deadline { time, ..due }, &self.store);
        } else if connection.doublings == 0 {
            lingers.push(linger(connection, threshold, now, LingerStatus::Raised));
            self.plan_doubling(due.slot, threshold, now);
        }
    }

    /// Reports those again whose time without progress has doubled.
    pub(super) fn double(&mut self, now: u64, lingers: &mut Vec<Linger>) {
        while let Some(due) = pop_due(&mut self.doublings, now) {
            let Some((connection, threshold)) = self.still_in_state(due) else { continue };
            if connection.doublings == 0 {
                continue;
            }
            let time = connection.idle_since().saturating_add(age(connection.doublings, threshold));
            if time > now {
                push(&mut self.doublings, Deadline { time, ..due }, &self.store);
                continue;
            }
            lingers.push(linger(connection, threshold, now, LingerStatus::Continues));
            self.plan_doubling(due.slot, threshold, now);
        }
    }

    /// The socket that a deadline is of and its threshold, if it has not changed its state since.
    fn still_in_state(&self, due: Deadline) -> Option<(&Connection, u64)> {
        let connection = self.store.get(due.slot).filter(|known| due.is_of(known))?;
        Some((connection, self.options.thresholds.of(connection.state)?))
    }

    /// A socket that is in no queue is looked at when its threshold is reached.
    pub(super) fn plan_if_left_out(&mut self, slot: Slot) {
        if self.store.queues.is_left_out(slot)
            && let Some(threshold) = self.options.thresholds.of(self.store[slot].state)
        {
            let connection = &self.store[slot];
            let time = connection.since.saturating_add(threshold);
            push(&mut self.raisings, Deadline::of(slot, connection, time), &self.store);
        }
    }

    fn plan_doubling(&mut self, slot: Slot, threshold: u64, now: u64) {
        let connection = &mut self.store[slot];
        let idle_since = connection.idle_since();
        let idle = now.saturating_sub(idle_since);
        connection.doublings = doublings_beyond(idle, connection.doublings, threshold);
        let time = idle_since.saturating_add(age(connection.doublings, threshold));
        let next = Deadline::of(slot, connection, time);
        // One that is due already has doubled as often as is counted: it would be due for ever.
        if next.time > now {
            push(&mut self.doublings, next, &self.store);
        }
    }

    /// What is to be reported when a flagged socket leaves its state at `time`.
    pub(super) fn cleared(&self, slot: Slot, time: u64) -> Option<Linger> {
        let connection = Some(&self.store[slot]).filter(|known| known.doublings > 0)?;
        let threshold = self.options.thresholds.of(connection.state)?;
        Some(linger(connection, threshold, time, LingerStatus::Cleared))
    }
}

/// Adds a deadline. Those of sockets that have left their state stay until their time, but no more
/// of them than there are sockets.
fn push(deadlines: &mut BinaryHeap<Reverse<Deadline>>, deadline: Deadline, store: &Store) {
    if deadlines.len() > 2 * store.len() + SPARE {
        deadlines.retain(|Reverse(due)| store.get(due.slot).is_some_and(|known| due.is_of(known)));
    }
    deadlines.push(Reverse(deadline));
}

/// Time without progress at which lingering is reported next.
pub(super) fn age(doublings: u8, threshold: u64) -> u64 {
    threshold.saturating_mul(1 << doublings)
}

/// How often the threshold is doubled for a time that has not come yet.
pub(super) fn doublings_beyond(idle: u64, mut doublings: u8, threshold: u64) -> u8 {
    while age(doublings, threshold) <= idle && doublings < MOST_DOUBLINGS {
        doublings += 1;
    }
    doublings
}

pub(super) fn linger(
    connection: &Connection,
    threshold: u64,
    now: u64,
    status: LingerStatus,
) -> Linger {
    let age = now.saturating_sub(connection.since);
    let idle = Some(now.saturating_sub(connection.idle_since()));
    Linger {
        time: now,
        subject: connection.subject(),
        state: connection.state,
        age,
        idle: idle.filter(|idle| *idle != age),
        at_least: !connection.since_known(),
        threshold,
        status,
        orphaned: connection.is_orphaned(),
        holders: connection.holding(),
        why: why(connection),
        creator: connection.creator(),
    }
}
