//! Where connections lie: in blocks that never move.
//!
//! A growing `Vec` of a million connections would for a moment hold them twice, and stand still
//! while it copies them.

use super::store::{Entry, Slot};

/// Cells of a block: below what the allocator maps and unmaps each time.
const BLOCK: usize = 1 << 9;
/// No cell.
pub(super) const NOWHERE: Slot = Slot::MAX;

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "vacant cells wait to be taken")]
enum Cell {
    Taken(Entry),
    /// With the next vacant one.
    Vacant(Slot),
}

/// All entries, by slot.
#[derive(Debug)]
pub(super) struct Arena {
    /// Each is full but the last.
    blocks: Vec<Vec<Cell>>,
    /// First vacant cell of those that were taken before.
    vacant: Slot,
    len: usize,
}

impl Arena {
    pub(super) const fn new() -> Self {
        Self { blocks: Vec::new(), vacant: NOWHERE, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<&Entry> {
        match self.blocks.get(slot as usize / BLOCK)?.get(slot as usize % BLOCK)? {
            Cell::Taken(entry) => Some(entry),
            Cell::Vacant(_) => None,
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        match self.cell(slot)? {
            Cell::Taken(entry) => Some(entry),
            Cell::Vacant(_) => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        self.blocks.iter().flatten().zip(0..).filter_map(|(cell, slot)| match cell {
            Cell::Taken(entry) => Some((slot, entry)),
            Cell::Vacant(_) => None,
        })
    }

    /// The first taken cell from `slot` on, beginning again at the end.
    pub(super) fn next_taken(&self, slot: Slot) -> Option<Slot> {
        let cells = match self.blocks.last() {
            Some(last) if self.len > 0 => ((self.blocks.len() - 1) * BLOCK + last.len()) as Slot,
            _ => return None,
        };
        (slot..cells).chain(0..slot.min(cells)).find(|&slot| self.get(slot).is_some())
    }

    pub(super) fn insert(&mut self, entry: Entry) -> Slot {
        self.len += 1;
        let slot = self.vacant;
        if let Some(cell) = self.cell(slot) {
            if let Cell::Vacant(next) = std::mem::replace(cell, Cell::Taken(entry)) {
                self.vacant = next;
            }
            return slot;
        }
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let full = (self.blocks.len() - 1) * BLOCK;
        let block = &mut self.blocks[full / BLOCK];
        block.push(Cell::Taken(entry));
        (full + block.len() - 1) as Slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Entry> {
        let next = self.vacant;
        let cell = self.cell(slot).filter(|cell| matches!(cell, Cell::Taken(_)))?;
        let Cell::Taken(entry) = std::mem::replace(cell, Cell::Vacant(next)) else {
            return None;
        };
        self.vacant = slot;
        self.len -= 1;
        Some(entry)
    }

    #[inline]
    fn cell(&mut self, slot: Slot) -> Option<&mut Cell> {
        self.blocks.get_mut(slot as usize / BLOCK)?.get_mut(slot as usize % BLOCK)
    }
}

impl std::ops::Index<Slot> for Arena {
    type Output = Entry;

    fn index(&self, slot: Slot) -> &Entry {
        self.get(slot).expect("the slot is taken")
    }
}

impl std::ops::IndexMut<Slot> for Arena {
    fn index_mut(&mut self, slot: Slot) -> &mut Entry {
        self.get_mut(slot).expect("the slot is taken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{connection::Connection, state::State, table::tests::record};

    /// What a socket costs is this, four to eleven bytes for each of at most two indexes, and for
    /// a minisocket as much for its removal: 250 bytes in all (`benches/memory.rs`).
    #[test]
    fn a_connection_takes_no_more_than_it_has_to() {
        assert!(size_of::<Connection>() <= 208, "{}", size_of::<Connection>());
        assert!(size_of::<Cell>() <= 216, "{}", size_of::<Cell>());
    }

    #[test]
    fn what_was_vacated_is_taken_again_and_nothing_else_moves() {
        let entry = |n: u64| {
            let record = record(State::Closed, State::SynSent);
            Entry::new(Connection::new(&record, State::SynSent, Some(n)))
        };
        let since = |arena: &Arena, slot| arena.get(slot).map(|entry| entry.connection.since);
        let mut arena = Arena::new();
        let slots: Vec<Slot> = (0..6 * BLOCK as u64).map(|n| arena.insert(entry(n))).collect();
        assert_eq!(slots, (0..6 * BLOCK as Slot).collect::<Vec<_>>());
        assert_eq!(arena.remove(5).map(|entry| entry.connection.since), Some(5));
        assert!(arena.remove(5).is_none());
        assert!(arena.remove(NOWHERE).is_none());
        arena.remove(2_000);
        assert_eq!((since(&arena, 5), since(&arena, 6), arena.len()), (None, Some(6), 3_070));
        assert_eq!([9_000, 9_001, 9_002].map(|n| arena.insert(entry(n))), [2_000, 5, 3_072]);
        assert_eq!(since(&arena, 2_000), Some(9_000));
        let there: Vec<Slot> = arena.iter().map(|(slot, _)| slot).collect();
        assert_eq!(there, (0..=3_072).collect::<Vec<Slot>>());
    }
}
