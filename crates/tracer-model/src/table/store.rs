//! Where the table keeps its connections: by identity, minisockets also by their ends, and in each
//! state in the order of entry.

use std::{
    hash::BuildHasher as _,
    ops::{Index, IndexMut},
};

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table};

use super::{arena::Slot, queues::Queues};
use crate::{
    connection::{Connection, SocketId},
    linger::Thresholds,
};
use tracer_event::{endpoint::Tuple, state::State};

/// All connections.
///
/// The indexes hold slots only: the keys are in the connections.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) queues: Queues,
    hasher: RandomState,
    by_id: HashTable<Slot>,
    /// Minisockets by their ends: they are replaced, and half of them advance, silently.
    by_ends: HashTable<Slot>,
}

impl Store {
    /// With queues for the states `queued`.
    pub(super) fn new(queued: impl Iterator<Item = State>) -> Self {
        Self {
            queues: Queues::new(queued),
            hasher: RandomState::default(),
            by_id: HashTable::new(),
            by_ends: HashTable::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }

    #[inline]
    pub(super) fn find(&self, id: SocketId) -> Option<Slot> {
        self.by_id.find(self.hasher.hash_one(id), |slot| self[*slot].id == id).copied()
    }

    /// The minisocket with these ends.
    #[inline]
    pub(super) fn find_minisocket(&self, ends: &Tuple) -> Option<Slot> {
        self.by_ends.find(self.hasher.hash_one(ends), |slot| self[*slot].tuple == *ends).copied()
    }

    /// Whether the connection is found as a minisocket.
    pub(super) fn is_minisocket(&self, slot: Slot) -> bool {
        self.find_minisocket(&self[slot].tuple) == Some(slot)
    }

    /// The connection with this identity.
    #[inline]
    pub(super) fn known(&self, id: SocketId) -> Option<&Connection> {
        self.find(id).map(|slot| &self[slot])
    }

    /// For everything but the state, which is changed by [`Self::enter`], the identity, which is
    /// changed by [`Self::identify`], and the ends of a minisocket, which stay.
    #[inline]
    pub(super) fn known_mut(&mut self, id: SocketId) -> Option<&mut Connection> {
        self.find(id).map(|slot| &mut self[slot])
    }

    /// A connection that may have been removed since its slot was noted.
    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<&Connection> {
        self.queues.get(slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Connection)> {
        self.queues.iter()
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
        self.queues.insert(connection)
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Connection> {
        self.queues.get(slot)?;
        self.release(slot);
        self.release_ends(slot);
        self.queues.remove(slot)
    }

    /// Gives up the identity of a minisocket: it is found by its ends from now on.
    pub(super) fn release(&mut self, slot: Slot) {
        let hash = self.hasher.hash_one(self[slot].id);
        if let Ok(found) = self.by_id.find_entry(hash, |known| *known == slot) {
            found.remove();
        }
    }

    /// Finds a minisocket by its ends from now on, instead of another one that had them.
    pub(super) fn add_minisocket(&mut self, slot: Slot) {
        let Self { queues, hasher, by_ends, .. } = self;
        let ends = queues[slot].tuple;
        let rehash = |known: &Slot| hasher.hash_one(queues[*known].tuple);
        match by_ends.entry(hasher.hash_one(ends), |known| queues[*known].tuple == ends, rehash) {
            hash_table::Entry::Occupied(mut found) => *found.get_mut() = slot,
            hash_table::Entry::Vacant(place) => drop(place.insert(slot)),
        }
    }

    /// Removes a minisocket from the index by ends.
    fn release_ends(&mut self, slot: Slot) {
        if !self[slot].is_minisocket() {
            return;
        }
        let hash = self.hasher.hash_one(self[slot].tuple);
        if let Ok(found) = self.by_ends.find_entry(hash, |known| *known == slot) {
            found.remove();
        }
    }

    /// A socket has got a cookie.
    pub(super) fn identify(&mut self, slot: Slot, id: SocketId) {
        self.release(slot);
        self[slot].id = id;
        self.index_id(id, slot);
    }

    fn index_id(&mut self, id: SocketId, slot: Slot) {
        let Self { queues, hasher, by_id, .. } = self;
        let rehash = |known: &Slot| hasher.hash_one(queues[*known].id);
        by_id.insert_unique(hasher.hash_one(id), slot, rehash);
    }

    /// Moves a connection to another state.
    pub(super) fn enter(&mut self, slot: Slot, state: State, time: u64) {
        let known = &self[slot];
        if known.state == state {
            // FIN_WAIT2 goes on as a minisocket: the same stay, which may be flagged already.
            return;
        }
        if known.is_minisocket() && !matches!(state, State::FinWait2 | State::TimeWait) {
            // No minisocket, whatever it was.
            self.release_ends(slot);
        }
        self.queues.enter(slot, state, time);
    }
}

impl Default for Store {
    /// With queues for the states that have a threshold by default.
    fn default() -> Self {
        Self::new(Thresholds::default().states())
    }
}

impl Index<Slot> for Store {
    type Output = Connection;

    #[inline]
    fn index(&self, slot: Slot) -> &Connection {
        &self.queues[slot]
    }
}

impl IndexMut<Slot> for Store {
    #[inline]
    fn index_mut(&mut self, slot: Slot) -> &mut Connection {
        &mut self.queues[slot]
    }
}
