//! Where the table keeps its connections: by identity, and in each state in the order of entry.
//!
//! The queues make looking for lingering sockets cheap: thresholds are the same for all sockets
//! of a state, so the one that lingers first is at the front. They run through the entries
//! themselves, since most sockets leave a state long before its threshold. Only states with a
//! threshold have one, and a socket that a snapshot shows to be much older than the others is left
//! out of it: finding its place would take too long.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table};

use super::arena::{Arena, NOWHERE};
use crate::model::{
    connection::{Connection, SocketId},
    endpoint::Tuple,
    state::State,
};

/// Position of a connection in the store; valid until it is removed.
pub(super) type Slot = u32;

/// What `before` is while the entry is in no queue.
const UNQUEUED: Slot = Slot::MAX - 1;
/// How far out of order a socket may be: events of different CPUs arrive interleaved.
const DISORDER: usize = 64;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) connection: Connection,
    /// Neighbours in the queue of its state.
    before: Slot,
    after: Slot,
}

impl Entry {
    pub(super) const fn new(connection: Connection) -> Self {
        Self { connection, before: UNQUEUED, after: NOWHERE }
    }

    const fn is_queued(&self) -> bool {
        self.before != UNQUEUED
    }
}

#[derive(Clone, Copy, Debug)]
struct Queue {
    first: Slot,
    last: Slot,
}

/// All connections.
///
/// The indexes hold slots only: the keys are in the connections.
#[derive(Debug)]
pub(super) struct Store {
    entries: Arena,
    hasher: RandomState,
    by_id: HashTable<Slot>,
    /// Minisockets by their ends: they are replaced, and half of them advance, silently.
    by_ends: HashTable<Slot>,
    /// `None` for states without a threshold.
    queues: [Option<Queue>; State::COUNT],
    counts: [u64; State::COUNT],
}

impl Store {
    /// With queues for the states `queued`.
    pub(super) fn new(queued: impl Iterator<Item = State>) -> Self {
        let mut queues = [None; State::COUNT];
        for state in queued {
            queues[state.index()] = Some(Queue { first: NOWHERE, last: NOWHERE });
        }
        Self {
            entries: Arena::new(),
            hasher: RandomState::default(),
            by_id: HashTable::new(),
            by_ends: HashTable::new(),
            queues,
            counts: [0; State::COUNT],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Sockets in each state, by [`State::index`].
    pub(super) fn counts(&self) -> &[u64; State::COUNT] {
        &self.counts
    }

    #[inline]
    pub(super) fn find(&self, id: SocketId) -> Option<Slot> {
        let is_it = |slot: &Slot| self.get(*slot).is_some_and(|known| known.id == id);
        self.by_id.find(self.hasher.hash_one(id), is_it).copied()
    }

    /// The minisocket with these ends.
    #[inline]
    pub(super) fn find_minisocket(&self, ends: &Tuple) -> Option<Slot> {
        let is_it = |slot: &Slot| self.get(*slot).is_some_and(|known| known.tuple == *ends);
        self.by_ends.find(self.hasher.hash_one(ends), is_it).copied()
    }

    /// Whether the connection is found as a minisocket.
    pub(super) fn is_minisocket(&self, slot: Slot) -> bool {
        self.get(slot).is_some_and(|known| self.find_minisocket(&known.tuple) == Some(slot))
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

    /// For everything but the state, which is changed by [`Self::enter`], the identity, which is
    /// changed by [`Self::identify`], and the ends of a minisocket, which stay.
    #[inline]
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Connection> {
        self.entries.get_mut(slot).map(|entry| &mut entry.connection)
    }

    /// Adds a connection whose identity is not in the store.
    pub(super) fn insert(&mut self, connection: Connection) -> Slot {
        let id = connection.id;
        debug_assert!(self.find(id).is_none(), "{id:?} is in the store already");
        let slot = self.insert_nameless(connection);
        self.index_id(id, slot);
        slot
    }

    /// Adds a minisocket whose identity another connection has: it is found by its ends only.
    pub(super) fn insert_nameless(&mut self, connection: Connection) -> Slot {
        let state = connection.state;
        let slot = self.entries.insert(Entry::new(connection));
        self.counts[state.index()] += 1;
        self.enqueue(slot);
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Connection> {
        self.get(slot)?;
        self.dequeue(slot);
        self.release(slot);
        self.release_ends(slot);
        let Entry { connection, .. } = self.entries.remove(slot)?;
        self.counts[connection.state.index()] -= 1;
        Some(connection)
    }

    /// Gives up the identity of a minisocket: it is found by its ends from now on.
    pub(super) fn release(&mut self, slot: Slot) {
        let Some(connection) = self.entries.get(slot).map(|entry| &entry.connection) else {
            return;
        };
        let hash = self.hasher.hash_one(connection.id);
        if let Ok(found) = self.by_id.find_entry(hash, |known| *known == slot) {
            found.remove();
        }
    }

    /// Finds a minisocket by its ends from now on, instead of another one that had them.
    pub(super) fn add_minisocket(&mut self, slot: Slot) {
        let Self { entries, hasher, by_ends, .. } = self;
        let Some(ends) = entries.get(slot).map(|entry| entry.connection.tuple) else { return };
        let has_ends =
            |known: &Slot| entries.get(*known).is_some_and(|entry| entry.connection.tuple == ends);
        let rehash = |known: &Slot| {
            entries.get(*known).map_or(0, |entry| hasher.hash_one(entry.connection.tuple))
        };
        match by_ends.entry(hasher.hash_one(ends), has_ends, rehash) {
            hash_table::Entry::Occupied(mut found) => *found.get_mut() = slot,
            hash_table::Entry::Vacant(place) => drop(place.insert(slot)),
        }
    }

    /// Finds it no more by its ends.
    fn release_ends(&mut self, slot: Slot) {
        let Some(connection) = self.entries.get(slot).map(|entry| &entry.connection) else {
            return;
        };
        if !connection.is_minisocket() {
            return;
        }
        let hash = self.hasher.hash_one(connection.tuple);
        if let Ok(found) = self.by_ends.find_entry(hash, |known| *known == slot) {
            found.remove();
        }
    }

    /// A socket has got a cookie.
    pub(super) fn identify(&mut self, slot: Slot, id: SocketId) {
        self.release(slot);
        let Some(connection) = self.get_mut(slot) else { return };
        connection.id = id;
        self.index_id(id, slot);
    }

    fn index_id(&mut self, id: SocketId, slot: Slot) {
        let Self { entries, hasher, by_id, .. } = self;
        let rehash = |known: &Slot| {
            entries.get(*known).map_or(0, |entry| hasher.hash_one(entry.connection.id))
        };
        by_id.insert_unique(hasher.hash_one(id), slot, rehash);
    }

    /// Moves a connection to another state.
    pub(super) fn enter(&mut self, slot: Slot, state: State, time: u64) {
        let connection = &self.entries[slot].connection;
        if connection.state == state {
            // FIN_WAIT2 goes on as a minisocket: the same stay, which may be flagged already.
            return;
        }
        self.dequeue(slot);
        if !matches!(state, State::FinWait2 | State::TimeWait) {
            // No minisocket, whatever it was.
            self.release_ends(slot);
        }
        let connection = &mut self.entries[slot].connection;
        self.counts[connection.state.index()] -= 1;
        self.counts[state.index()] += 1;
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
        while before != NOWHERE && self.entries[before].connection.since > since {
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
            let connection = &self.entries[*slot].connection;
            (connection.since, *slot)
        });
        slots.dedup();
        let mut reached = self.queues.map(|queue| queue.map_or(NOWHERE, |queue| queue.last));
        for slot in slots.into_iter().rev() {
            let Connection { state, since, .. } = self.entries[slot].connection;
            let before = &mut reached[state.index()];
            while *before != NOWHERE && self.entries[*before].connection.since > since {
                *before = self.entries[*before].before;
            }
            let before = *before;
            self.link(slot, before);
        }
    }

    /// Puts a connection into the queue of its state, behind another one or at the front.
    fn link(&mut self, slot: Slot, before: Slot) {
        let state = self.entries[slot].connection.state.index();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::tests::record;

    fn connection(cookie: u64, state: State, since: u64) -> Connection {
        let record = tracer_ebpf::Record { cookie, ..record(State::Closed, state) };
        Connection::new(&record, state, Some(since))
    }

    fn queue(store: &mut Store, state: State) -> Vec<u64> {
        let mut order = Vec::new();
        while let Some(slot) = store.oldest(state) {
            order.push(store.get(slot).unwrap().since);
            store.dequeue(slot);
        }
        order
    }

    #[test]
    fn a_queue_is_in_the_order_of_entry_whatever_the_order_of_insertion() {
        let mut store = Store::new(State::ALL.into_iter());
        for (cookie, since) in [5, 3, 9, 1, 7].into_iter().enumerate() {
            store.insert(connection(cookie as u64 + 1, State::CloseWait, since));
        }
        assert_eq!(queue(&mut store, State::CloseWait), [1, 3, 5, 7, 9]);
    }

    #[test]
    fn a_socket_far_out_of_order_is_left_out_in_constant_time() {
        let mut store = Store::new([State::TimeWait].into_iter());
        for n in 0..1_000 {
            store.insert(connection(n + 1, State::TimeWait, 1_000 + n));
        }
        let old = store.insert(connection(5_000, State::TimeWait, 1));
        assert!(store.is_left_out(old));
        let none = store.insert(connection(5_001, State::CloseWait, 1));
        assert!(!store.is_left_out(none));
        assert_eq!(queue(&mut store, State::TimeWait).len(), 1_000);
    }

    #[test]
    fn those_that_a_look_has_found_get_into_their_queues_wherever_they_belong() {
        let mut store = Store::new([State::TimeWait, State::CloseWait].into_iter());
        for n in 0..1_000 {
            store.insert(connection(n + 1, State::TimeWait, 1_000 + 3 * n));
        }
        let found = [(5_000, 2_000), (5_001, 3), (5_002, 1_001), (5_003, 3), (5_004, 9_000)];
        let found = found.map(|(id, since)| store.insert(connection(id, State::TimeWait, since)));
        let other = store.insert(connection(6_000, State::CloseWait, 4));
        // Also one that is in its queue, one that is gone, and one twice.
        store.remove(found[3]);
        store.enqueue_all([&found[..], &[other, found[0]]].concat());
        let order = queue(&mut store, State::TimeWait);
        assert!(order.is_sorted(), "{order:?}");
        assert_eq!(
            (order.len(), &order[..3], order[1_003]),
            (1_004, &[3, 1_000, 1_001][..], 9_000)
        );
        assert_eq!(queue(&mut store, State::CloseWait), [4]);
    }

    #[test]
    fn leaving_a_state_leaves_its_queue() {
        let mut store = Store::new(State::ALL.into_iter());
        let slots: Vec<Slot> =
            (1..=4).map(|n| store.insert(connection(n, State::CloseWait, n))).collect();
        store.enter(slots[0], State::LastAck, 10);
        store.enter(slots[2], State::LastAck, 11);
        store.remove(slots[3]);
        assert_eq!(queue(&mut store, State::CloseWait), [2]);
        assert_eq!(queue(&mut store, State::LastAck), [10, 11]);
        assert_eq!(store.counts()[State::LastAck.index()], 2);
        assert_eq!(store.counts()[State::CloseWait.index()], 1);
        assert_eq!(store.len(), 3);
    }
}
