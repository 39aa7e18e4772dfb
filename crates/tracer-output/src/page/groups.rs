//! Counts by a key that strangers may choose, such as a name or an address, in bounded memory.

use std::{cmp::Reverse, fmt::Debug, hash::Hash};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// What is counted for one key.
pub(super) trait Tally: Default {
    /// What is greater is listed first and kept longer.
    fn rank(&self) -> (u64, u64);
    /// Adds what was counted for another key.
    fn merge(&mut self, other: &Self);
}

/// The largest groups; all others are counted together.
///
/// A new key always gets a place, so that whoever comes first cannot fill all of them: once there
/// are twice as many groups as `KEPT`, the smaller half is merged into [`Self::others`].
#[derive(Clone, Debug)]
pub(super) struct Groups<K, T, const KEPT: usize> {
    groups: HashMap<K, T, RandomState>,
    pub(super) others: T,
}

impl<K, T: Default, const KEPT: usize> Default for Groups<K, T, KEPT> {
    fn default() -> Self {
        Self { groups: HashMap::default(), others: T::default() }
    }
}

impl<K: Clone + Debug + Eq + Hash, T: Tally, const KEPT: usize> Groups<K, T, KEPT> {
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut T> {
        self.groups.get_mut(key)
    }

    pub(super) fn entry(&mut self, key: K) -> &mut T {
        if self.groups.len() >= 2 * KEPT && !self.groups.contains_key(&key) {
            let least: Vec<K> =
                self.sorted().into_iter().skip(KEPT).map(|(key, _)| key.clone()).collect();
            for tally in least.iter().filter_map(|key| self.groups.remove(key)) {
                self.others.merge(&tally);
            }
        }
        self.groups.entry(key).or_default()
    }

    /// All groups, the greatest first.
    pub(super) fn sorted(&self) -> Vec<(&K, &T)> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_cached_key(|(key, tally)| (Reverse(tally.rank()), format!("{key:?}")));
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: usize = 1024;

    impl Tally for u64 {
        fn rank(&self) -> (u64, u64) {
            (*self, 0)
        }

        fn merge(&mut self, other: &Self) {
            *self += other;
        }
    }

    #[test]
    fn made_up_keys_do_not_take_the_places_of_large_groups() {
        let mut groups = Groups::<u32, u64, KEPT>::default();
        let mut all = 0;
        let mut add = |key| {
            *groups.entry(key) += 1;
            all += 1;
        };
        (0..3 * KEPT as u32).for_each(&mut add);
        (0..5).for_each(|_| add(u32::MAX));
        (0..3 * KEPT as u32).for_each(|key| add(1 << 20 | key));
        let sorted = groups.sorted();
        assert_eq!((*sorted[0].0, *sorted[0].1), (u32::MAX, 5));
        assert!(sorted.len() <= 2 * KEPT, "{}", sorted.len());
        let listed: u64 = sorted.iter().map(|(_, count)| *count).sum();
        assert_eq!(listed + groups.others, all);
    }
}
