//! A map that remembers so much and no more: starting over costs little.

use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// At most `MOST` entries; the next one finds it empty.
#[derive(Debug)]
pub(super) struct Bounded<K, V, const MOST: usize>(HashMap<K, V, RandomState>);

impl<K, V, const MOST: usize> Default for Bounded<K, V, MOST> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<K: Hash + Eq, V, const MOST: usize> Bounded<K, V, MOST> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.0.remove(key);
    }

    /// What is remembered under a key, or what is made for it now.
    pub(super) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            self.0.clear();
        }
        self.0.entry(key).or_insert_with(make)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let mut bounded = Bounded::<u32, u32, 3>::default();
        for key in 0..=3 {
            bounded.insert(key, key);
        }
        assert_eq!((bounded.get(&3), bounded.0.len()), (Some(&3), 1));
    }
}
