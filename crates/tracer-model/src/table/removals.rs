//! When the kernel's timers are expected to remove minisockets.

use std::{collections::BTreeMap, ops::Range};

use super::arena::Slot;

/// Removals within this power of two of nanoseconds are one: the kernel's timer wheel fires
/// those of seconds at once anyway, and what is reported waits for it longer than that.
const GRAIN: u32 = 23;

/// Minisockets by the time of their removal, four bytes for each.
///
/// It forgets nobody before that time: who takes from it asks whether the time still holds.
#[derive(Debug, Default)]
pub(super) struct Removals(BTreeMap<u64, Vec<Slot>>);

impl Removals {
    pub(super) fn plan(&mut self, time: u64, slot: Slot) {
        self.0.entry(time >> GRAIN).or_default().push(slot);
    }

    /// When [`Self::take_due`] has something to give next.
    pub(super) fn next(&self) -> Option<u64> {
        self.0.first_key_value().map(|(grain, _)| grain << GRAIN)
    }

    /// Takes one of those that are to be removed soonest; with the time.
    pub(super) fn pop(&mut self) -> Option<(Slot, Range<u64>)> {
        let mut first = self.0.first_entry()?;
        let (grain, slots) = (*first.key(), first.get_mut());
        let slot = slots.pop()?;
        if slots.is_empty() {
            first.remove();
        }
        Some((slot, grain << GRAIN..(grain + 1) << GRAIN))
    }

    /// The minisockets that are to be removed at about the same time, which has come by `now`; with
    /// that time.
    pub(super) fn take_due(&mut self, now: u64) -> Option<(Vec<Slot>, Range<u64>)> {
        let first = self.0.first_entry().filter(|first| *first.key() <= now >> GRAIN)?;
        let (grain, slots) = first.remove_entry();
        Some((slots, grain << GRAIN..(grain + 1) << GRAIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_a_time_come_together_and_in_order() {
        let mut removals = Removals::default();
        let second = 1 << 30;
        for (slot, time) in [5 * second + 7, 4 * second, 5 * second].into_iter().enumerate() {
            removals.plan(time, slot as Slot);
        }
        assert_eq!(removals.next(), Some(4 * second));
        assert!(removals.take_due(4 * second - 1).is_none());
        let (slots, due) = removals.take_due(9 * second).unwrap();
        let is_due = [4, 5].map(|seconds| due.contains(&(seconds * second)));
        assert_eq!((slots, is_due), (vec![1], [true, false]));
        assert_eq!(removals.take_due(9 * second).map(|(slots, _)| slots), Some(vec![0, 2]));
        assert!(removals.take_due(9 * second).is_none());
        assert_eq!(removals.next(), None);
    }
}
