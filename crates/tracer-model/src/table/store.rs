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

/// Connections at most: a slot leaves room for eight more bits in an index.
pub(super) const SLOTS: u32 = 1 << 24;

/// What an index holds of a connection: its slot, and bits of the hash of the key, which is in the
/// connection. The index itself compares seven bits, so that one look in twelve would meet another
/// connection, whose memory is cold.
#[derive(Clone, Copy, Debug)]
struct Place(u32);

impl Place {
    fn new(slot: Slot, hash: u64) -> Self {
        debug_assert!(slot < SLOTS, "the table evicts before it has so many");
        Self(slot | Self::bits(hash))
    }

    /// Of the hash, what the index uses neither for the position nor for its own comparison.
    #[inline]
    fn bits(hash: u64) -> u32 {
        (hash >> 24) as u32 & !(SLOTS - 1)
    }

    #[inline]
    fn slot(self) -> Slot {
        self.0 & (SLOTS - 1)
    }

    #[inline]
    fn may_be(self, hash: u64) -> bool {
        self.0 & !(SLOTS - 1) == Self::bits(hash)
    }
}

/// All connections.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) queues: Queues,
    hasher: RandomState,
    by_id: HashTable<Place>,
    /// Minisockets by their ends: they are replaced, and half of them advance, silently.
    by_ends: HashTable<Place>,
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
        let hash = self.hasher.hash_one(id);
        let is_it = |place: &Place| place.may_be(hash) && self[place.slot()].id == id;
        self.by_id.find(hash, is_it).map(|place| place.slot())
    }

    /// The minisocket with these ends.
    #[inline]
    pub(super) fn find_minisocket(&self, ends: &Tuple) -> Option<Slot> {
        let hash = self.hasher.hash_one(ends);
        let is_it = |place: &Place| place.may_be(hash) && self[place.slot()].tuple == *ends;
        self.by_ends.find(hash, is_it).map(|place| place.slot())
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
        if let Ok(found) = self.by_id.find_entry(hash, |known| known.slot() == slot) {
            found.remove();
        }
    }

    /// Finds a minisocket by its ends from now on, instead of another one that had them.
    pub(super) fn add_minisocket(&mut self, slot: Slot) {
        let Self { queues, hasher, by_ends, .. } = self;
        let ends = queues[slot].tuple;
        let hash = hasher.hash_one(ends);
        let is_it = |known: &Place| known.may_be(hash) && queues[known.slot()].tuple == ends;
        let rehash = |known: &Place| hasher.hash_one(queues[known.slot()].tuple);
        match by_ends.entry(hash, is_it, rehash) {
            hash_table::Entry::Occupied(mut found) => *found.get_mut() = Place::new(slot, hash),
            hash_table::Entry::Vacant(place) => drop(place.insert(Place::new(slot, hash))),
        }
    }

    /// Removes a minisocket from the index by ends.
    fn release_ends(&mut self, slot: Slot) {
        if !self[slot].is_minisocket() {
            return;
        }
        let hash = self.hasher.hash_one(self[slot].tuple);
        if let Ok(found) = self.by_ends.find_entry(hash, |known| known.slot() == slot) {
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
        let rehash = |known: &Place| hasher.hash_one(queues[known.slot()].id);
        let hash = hasher.hash_one(id);
        by_id.insert_unique(hash, Place::new(slot, hash), rehash);
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
