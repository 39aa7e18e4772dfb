//! Where the table keeps its connections: by identity, and in each state in the order of entry.
//!
//! The queues make looking for lingering sockets cheap: thresholds are the same for all sockets
//! of a state, so the one that lingers first is at the front. They run through the entries
//! themselves, since most sockets leave a state long before its threshold. Only states with a
//! threshold have one, and a socket that a snapshot shows to be much older than the others is left
//! out of it: finding its place would take too long.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use slab::Slab;

use crate::model::{
    connection::{Connection, SocketId},
    state::State,
};

/// Position of a connection in the store; valid until it is removed.
pub(super) type Slot = u32;

const END: Slot = Slot::MAX;
/// How far out of order a socket may be: events of different CPUs arrive interleaved.
const DISORDER: usize = 64;

#[derive(Debug)]
struct Entry {
    connection: Connection,
    /// Neighbours in the queue of its state; `queued` is false while it is in none.
    before: Slot,
    after: Slot,
    queued: bool,
}

#[derive(Clone, Copy, Debug)]
struct Queue {
    first: Slot,
    last: Slot,
}

/// All connections.
#[derive(Debug)]
pub(super) struct Store {
    entries: Slab<Entry>,
    by_id: HashMap<SocketId, Slot, RandomState>,
    /// `None` for states without a threshold.
    queues: [Option<Queue>; State::COUNT],
    counts: [u64; State::COUNT],
}

impl Store {
    /// With queues for the states `queued`.
    pub(super) fn new(queued: impl Iterator<Item = State>) -> Self {
        let mut queues = [None; State::COUNT];
        for state in queued {
            queues[state.index()] = Some(Queue { first: END, last: END });
        }
        Self { entries: Slab::new(), by_id: HashMap::default(), queues, counts: [0; State::COUNT] }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Sockets in each state, by [`State::index`].
    pub(super) fn counts(&self) -> &[u64; State::COUNT] {
        &self.counts
    }

    pub(super) fn find(&self, id: SocketId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Connection> {
        self.entries.get(slot as usize).map(|entry| &entry.connection)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Connection)> {
        self.entries.iter().map(|(slot, entry)| (slot as Slot, &entry.connection))
    }

    /// For everything but the state, which is changed by [`Self::enter`].
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Connection> {
        self.entries.get_mut(slot as usize).map(|entry| &mut entry.connection)
    }

    /// Adds a connection whose identity is not in the store.
    pub(super) fn insert(&mut self, connection: Connection) -> Slot {
        let id = connection.id;
        let state = connection.state;
        let entry = Entry { connection, before: END, after: END, queued: false };
        let slot = self.entries.insert(entry) as Slot;
        let replaced = self.by_id.insert(id, slot);
        debug_assert!(replaced.is_none(), "{id:?} is in the store already");
        self.counts[state.index()] += 1;
        self.enqueue(slot);
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Connection {
        self.dequeue(slot);
        let Entry { connection, .. } = self.entries.remove(slot as usize);
        if self.by_id.get(&connection.id) == Some(&slot) {
            self.by_id.remove(&connection.id);
        }
        self.counts[connection.state.index()] -= 1;
        connection
    }

    /// Gives up the identity of a minisocket: it is found by its ends from now on.
    pub(super) fn release(&mut self, slot: Slot) {
        let Some(entry) = self.entries.get(slot as usize) else { return };
        let id = entry.connection.id;
        if self.by_id.get(&id) == Some(&slot) {
            self.by_id.remove(&id);
        }
    }

    /// A socket has got a cookie.
    pub(super) fn identify(&mut self, slot: Slot, id: SocketId) {
        let Some(entry) = self.entries.get_mut(slot as usize) else { return };
        self.by_id.remove(&std::mem::replace(&mut entry.connection.id, id));
        self.by_id.insert(id, slot);
    }

    /// Moves a connection to another state.
    pub(super) fn enter(&mut self, slot: Slot, state: State, time: u64) {
        let connection = &mut self.entries[slot as usize].connection;
        if connection.state == state {
            // FIN_WAIT2 goes on as a minisocket: the same stay, which may be flagged already.
            return;
        }
        self.dequeue(slot);
        let connection = &mut self.entries[slot as usize].connection;
        self.counts[connection.state.index()] -= 1;
        self.counts[state.index()] += 1;
        connection.enter(state, time);
        self.enqueue(slot);
    }

    /// The connection that is longest in `state`, of those still in its queue.
    pub(super) fn oldest(&self, state: State) -> Option<Slot> {
        self.queues[state.index()].map(|queue| queue.first).filter(|&slot| slot != END)
    }

    /// Whether the connection is of a state with a queue but too far out of order to be in it.
    pub(super) fn is_left_out(&self, slot: Slot) -> bool {
        self.entries.get(slot as usize).is_some_and(|entry| {
            !entry.queued && self.queues[entry.connection.state.index()].is_some()
        })
    }

    /// Takes a connection out of the queue of its state, where it waits no more.
    pub(super) fn dequeue(&mut self, slot: Slot) {
        let entry = &mut self.entries[slot as usize];
        if !entry.queued {
            return;
        }
        entry.queued = false;
        let (before, after) = (entry.before, entry.after);
        let Some(queue) = &mut self.queues[entry.connection.state.index()] else {
            return;
        };
        if before == END {
            queue.first = after;
        } else {
            self.entries[before as usize].after = after;
        }
        if after == END {
            queue.last = before;
        } else {
            self.entries[after as usize].before = before;
        }
    }

    /// Puts a connection into the queue of its state, by the time of entry: at or near the end.
    fn enqueue(&mut self, slot: Slot) {
        let Entry { connection, .. } = &self.entries[slot as usize];
        let (state, since) = (connection.state.index(), connection.since);
        let Some(queue) = self.queues[state].as_mut() else {
            return;
        };
        let mut before = queue.last;
        let mut steps = 0;
        while before != END && self.entries[before as usize].connection.since > since {
            if steps == DISORDER {
                return;
            }
            steps += 1;
            before = self.entries[before as usize].before;
        }
        let after = if before == END {
            std::mem::replace(&mut queue.first, slot)
        } else {
            std::mem::replace(&mut self.entries[before as usize].after, slot)
        };
        if after == END {
            queue.last = slot;
        } else {
            self.entries[after as usize].before = slot;
        }
        let entry = &mut self.entries[slot as usize];
        (entry.before, entry.after, entry.queued) = (before, after, true);
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
