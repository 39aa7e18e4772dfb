//! Entries in blocks that never move.
//!
//! A growing `Vec` of a million connections would for a moment hold them twice, and stand still
//! while it copies them.

/// Position of an entry; valid until it is removed.
pub(super) type Slot = u32;

/// No entry.
pub(super) const NOWHERE: Slot = Slot::MAX;
/// Cells of a block: below what the allocator maps and unmaps each time.
const BLOCK: usize = 1 << 9;

#[derive(Debug)]
enum Cell<T> {
    Taken(T),
    /// With the next vacant one.
    Vacant(Slot),
}

/// All entries, by slot.
#[derive(Debug)]
pub(super) struct Arena<T> {
    /// All are full but the last one.
    blocks: Vec<Vec<Cell<T>>>,
    /// The first vacant cell of those that were taken before.
    vacant: Slot,
    len: usize,
}

impl<T> Arena<T> {
    pub(super) const fn new() -> Self {
        Self { blocks: Vec::new(), vacant: NOWHERE, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        match self.blocks.get(slot as usize / BLOCK)?.get(slot as usize % BLOCK)? {
            Cell::Taken(entry) => Some(entry),
            Cell::Vacant(_) => None,
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        match self.cell(slot)? {
            Cell::Taken(entry) => Some(entry),
            Cell::Vacant(_) => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
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

    pub(super) fn insert(&mut self, entry: T) -> Slot {
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

    pub(super) fn remove(&mut self, slot: Slot) -> Option<T> {
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
    fn cell(&mut self, slot: Slot) -> Option<&mut Cell<T>> {
        self.blocks.get_mut(slot as usize / BLOCK)?.get_mut(slot as usize % BLOCK)
    }
}

impl<T> std::ops::Index<Slot> for Arena<T> {
    type Output = T;

    fn index(&self, slot: Slot) -> &T {
        self.get(slot).expect("the slot is taken")
    }
}

impl<T> std::ops::IndexMut<Slot> for Arena<T> {
    fn index_mut(&mut self, slot: Slot) -> &mut T {
        self.get_mut(slot).expect("the slot is taken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_vacated_is_taken_again_and_nothing_else_moves() {
        let mut arena = Arena::new();
        let slots: Vec<Slot> = (0..6 * BLOCK as u64).map(|n| arena.insert(n)).collect();
        assert_eq!(slots, (0..6 * BLOCK as Slot).collect::<Vec<_>>());
        assert_eq!(arena.remove(5), Some(5));
        assert!(arena.remove(5).is_none());
        assert!(arena.remove(NOWHERE).is_none());
        arena.remove(2_000);
        assert_eq!((arena.get(5), arena.get(6), arena.len()), (None, Some(&6), 3_070));
        assert_eq!([9_000, 9_001, 9_002].map(|n| arena.insert(n)), [2_000, 5, 3_072]);
        assert_eq!(arena[2_000], 9_000);
        let there: Vec<Slot> = arena.iter().map(|(slot, _)| slot).collect();
        assert_eq!(there, (0..=3_072).collect::<Vec<Slot>>());
    }
}
