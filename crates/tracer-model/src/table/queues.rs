//! Connections in the order in which they entered their states.
//!
//! This makes the search for lingering sockets cheap: thresholds are the same for all sockets of a
//! state, so the one that lingers first is at the front. The queues run through the entries
//! themselves, since most sockets leave a state long before its threshold. Only states with a
//! threshold have one, and a socket that a snapshot shows to be much older than the others is left
//! out of it: finding its place would take too long.

use std::ops::{Index, IndexMut};

use super::arena::{Arena, NOWHERE, Slot};
use crate::connection::Connection;
use tracer_event::state::State;

/// What `before` is while the entry is in no queue.
const UNQUEUED: Slot = Slot::MAX - 1;
/// How far out of order a socket may be: events of different CPUs arrive interleaved.
const DISORDER: usize = 64;

#[derive(Debug)]
struct Entry {
    connection: Connection,
    /// Neighbours in the queue of its state.
    before: Slot,
    after: Slot,
}

impl Entry {
    const fn is_queued(&self) -> bool {
        self.before != UNQUEUED
    }
}

#[derive(Clone, Copy, Debug)]
struct Queue {
    first: Slot,
    last: Slot,
}

/// All connections, by slot and by state.
#[derive(Debug)]
pub(super) struct Queues {
    entries: Arena<Entry>,
    /// `None` for states without a threshold.
    queues: [Option<Queue>; State::COUNT],
    counts: [u64; State::COUNT],
}

impl Queues {
    /// With queues for the states `queued`.
    pub(super) fn new(queued: impl Iterator<Item = State>) -> Self {
        let mut queues = [None; State::COUNT];
        for state in queued {
            queues[state.index()] = Some(Queue { first: NOWHERE, last: NOWHERE });
        }
        Self { entries: Arena::new(), queues, counts: [0; State::COUNT] }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many connections are in a state.
    pub(super) fn count(&self, state: State) -> u64 {
        self.counts[state.index()]
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<&Connection> {
        self.entries.get(slot).map(|entry| &entry.connection)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Connection)> {
        self.entries.iter().map(|(slot, entry)| (slot, &entry.connection))
    }

    /// The first connection in the order of slots from this one on, beginning again at the end.
    pub(super) fn next_taken(&self, slot: Slot) -> Option<Slot> {
        self.entries.next_taken(slot)
    }

    pub(super) fn insert(&mut self, connection: Connection) -> Slot {
        self.counts[connection.state.index()] += 1;
        let slot = self.entries.insert(Entry { connection, before: UNQUEUED, after: NOWHERE });
        self.enqueue(slot);
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Connection> {
        self.dequeue(slot);
        let Entry { connection, .. } = self.entries.remove(slot)?;
        self.counts[connection.state.index()] -= 1;
        Some(connection)
    }

    /// Moves a connection to another state.
    pub(super) fn enter(&mut self, slot: Slot, state: State, time: u64) {
        self.dequeue(slot);
        let Self { entries, counts, .. } = self;
        let connection = &mut entries[slot].connection;
        counts[connection.state.index()] -= 1;
        counts[state.index()] += 1;
        connection.enter(state, time);
        self.enqueue(slot);
    }

    /// The connection that is longest in `state`, of those still in its queue.
    pub(super) fn oldest(&self, state: State) -> Option<Slot> {
        self.queues[state.index()].map(|queue| queue.first).filter(|&slot| slot != NOWHERE)
    }

    /// Whether the connection is of a state with a queue but too far out of order to be in it.
    pub(super) fn is_left_out(&self, slot: Slot) -> bool {
        self.entries.get(slot).is_some_and(|entry| {
            !entry.is_queued() && self.queues[entry.connection.state.index()].is_some()
        })
    }

    /// Takes a connection out of the queue of its state, where it waits no more.
    pub(super) fn dequeue(&mut self, slot: Slot) {
        let entry = &mut self.entries[slot];
        if !entry.is_queued() {
            return;
        }
        let (before, after) = (std::mem::replace(&mut entry.before, UNQUEUED), entry.after);
        let Some(queue) = &mut self.queues[entry.connection.state.index()] else {
            return;
        };
        if before == NOWHERE {
            queue.first = after;
        } else {
            self.entries[before].after = after;
        }
        if after == NOWHERE {
            queue.last = before;
        } else {
            self.entries[after].before = before;
        }
    }

    /// Puts a connection into the queue of its state, by the time of entry: at or near the end.
    fn enqueue(&mut self, slot: Slot) {
        let Entry { connection, .. } = &self.entries[slot];
        let (state, since) = (connection.state.index(), connection.since);
        let Some(queue) = self.queues[state] else {
            return;
        };
        let mut before = queue.last;
        let mut steps = 0;
        while before != NOWHERE && self[before].since > since {
            if steps == DISORDER {
                return;
            }
            steps += 1;
            before = self.entries[before].before;
        }
        self.link(slot, before);
    }

    /// Puts many connections that were left out into the queues of their states after all, in one
    /// pass through each.
    pub(super) fn enqueue_all(&mut self, mut slots: Vec<Slot>) {
        slots.retain(|slot| self.is_left_out(*slot));
        slots.sort_by_cached_key(|slot| {
            let connection = &self[*slot];
            (connection.since, *slot)
        });
        slots.dedup();
        let mut reached = self.queues.map(|queue| queue.map_or(NOWHERE, |queue| queue.last));
        for slot in slots.into_iter().rev() {
            let Connection { state, since, .. } = self[slot];
            let before = &mut reached[state.index()];
            while *before != NOWHERE && self[*before].since > since {
                *before = self.entries[*before].before;
            }
            let before = *before;
            self.link(slot, before);
        }
    }

    /// Puts a connection into the queue of its state, behind another one or at the front.
    fn link(&mut self, slot: Slot, before: Slot) {
        let state = self[slot].state.index();
        let Some(queue) = self.queues[state].as_mut() else {
            return;
        };
        let after = if before == NOWHERE {
            std::mem::replace(&mut queue.first, slot)
        } else {
            std::mem::replace(&mut self.entries[before].after, slot)
        };
        if after == NOWHERE {
            queue.last = slot;
        } else {
            self.entries[after].before = slot;
        }
        let entry = &mut self.entries[slot];
        (entry.before, entry.after) = (before, after);
    }
}

impl Index<Slot> for Queues {
    type Output = Connection;

    #[inline]
    fn index(&self, slot: Slot) -> &Connection {
        &self.entries[slot].connection
    }
}

impl IndexMut<Slot> for Queues {
    #[inline]
    fn index_mut(&mut self, slot: Slot) -> &mut Connection {
        &mut self.entries[slot].connection
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::record;

    /// What a socket costs is this, four to eleven bytes for each of at most two indexes, and for
    /// a minisocket as much for its removal: 248 bytes in all (`benches/memory.rs`).
    #[test]
    fn a_connection_takes_no_more_than_it_has_to() {
        assert!(size_of::<Connection>() <= 208, "{}", size_of::<Connection>());
        assert!(size_of::<Option<Entry>>() <= 216, "{}", size_of::<Option<Entry>>());
    }

    fn connection(cookie: u64, state: State, since: u64) -> Connection {
        let record = tracer_wire::Record { cookie, ..record(State::Closed, state) };
        Connection::new(&record, state, Some(since))
    }

    fn queue(queues: &mut Queues, state: State) -> Vec<u64> {
        let mut order = Vec::new();
        while let Some(slot) = queues.oldest(state) {
            order.push(queues.get(slot).unwrap().since);
            queues.dequeue(slot);
        }
        order
    }

    #[test]
    fn a_queue_is_in_the_order_of_entry_whatever_the_order_of_insertion() {
        let mut queues = Queues::new(State::ALL.into_iter());
        for (cookie, since) in [5, 3, 9, 1, 7].into_iter().enumerate() {
            queues.insert(connection(cookie as u64 + 1, State::CloseWait, since));
        }
        assert_eq!(queue(&mut queues, State::CloseWait), [1, 3, 5, 7, 9]);
    }

    #[test]
    fn a_socket_far_out_of_order_is_left_out_in_constant_time() {
        let mut queues = Queues::new([State::TimeWait].into_iter());
        for n in 0..1_000 {
            queues.insert(connection(n + 1, State::TimeWait, 1_000 + n));
        }
        let old = queues.insert(connection(5_000, State::TimeWait, 1));
        assert!(queues.is_left_out(old));
        let none = queues.insert(connection(5_001, State::CloseWait, 1));
        assert!(!queues.is_left_out(none));
        assert_eq!(queue(&mut queues, State::TimeWait).len(), 1_000);
    }

    #[test]
    fn those_that_a_look_has_found_get_into_their_queues_wherever_they_belong() {
        let mut queues = Queues::new([State::TimeWait, State::CloseWait].into_iter());
        for n in 0..1_000 {
            queues.insert(connection(n + 1, State::TimeWait, 1_000 + 3 * n));
        }
        let found = [(5_000, 2_000), (5_001, 3), (5_002, 1_001), (5_003, 3), (5_004, 9_000)];
        let found = found.map(|(id, since)| queues.insert(connection(id, State::TimeWait, since)));
        let other = queues.insert(connection(6_000, State::CloseWait, 4));
        // Also one that is in its queue, one that is gone, and one twice.
        queues.remove(found[3]);
        queues.enqueue_all([&found[..], &[other, found[0]]].concat());
        let order = queue(&mut queues, State::TimeWait);
        assert!(order.is_sorted(), "{order:?}");
        assert_eq!(
            (order.len(), &order[..3], order[1_003]),
            (1_004, &[3, 1_000, 1_001][..], 9_000)
        );
        assert_eq!(queue(&mut queues, State::CloseWait), [4]);
    }

    #[test]
    fn leaving_a_state_leaves_its_queue() {
        let mut queues = Queues::new(State::ALL.into_iter());
        let slots: Vec<Slot> =
            (1..=4).map(|n| queues.insert(connection(n, State::CloseWait, n))).collect();
        queues.enter(slots[0], State::LastAck, 10);
        queues.enter(slots[2], State::LastAck, 11);
        queues.remove(slots[3]);
        assert_eq!(queue(&mut queues, State::CloseWait), [2]);
        assert_eq!(queue(&mut queues, State::LastAck), [10, 11]);
        assert_eq!(queues.count(State::LastAck), 2);
        assert_eq!(queues.count(State::CloseWait), 1);
        assert_eq!(queues.len(), 3);
    }
}
