//! What several detectors need.

use std::{borrow::Cow, cmp::Reverse, hash::Hash};

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use tracer_event::process::Process;

/// Destinations, and processes, of which it is counted what happened: anybody may connect to anywhere.
/// What comes beyond is not judged.
const MOST: usize = 4_096;

/// Whether there is room for one more, or it is known.
pub(super) fn has_room<K: Eq + Hash, V>(known: &HashMap<K, V, RandomState>, key: &K) -> bool {
    known.len() < MOST || known.contains_key(key)
}

/// How many there are of each, most first; of equally many in the order of `tie`.
pub(super) fn most_first<T: Hash + Eq, O: Ord>(
    all: impl Iterator<Item = T>,
    tie: impl Fn(&T) -> O,
) -> Vec<(T, u64)> {
    let mut counts: HashMap<T, u64, RandomState> = HashMap::default();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    let mut counts: Vec<(T, u64)> = counts.into_iter().collect();
    counts.sort_by_cached_key(|(one, count)| (Reverse(*count), tie(one)));
    counts
}

/// What processes of one name have in common, such as the workers of a server or programs that run for
/// one connection each: added to what the one has that has most, which is named.
pub(super) fn of_one_name<'a, K: Hash + Eq + Clone, T: Clone>(
    all: impl Iterator<Item = (K, Option<Process>, u64, &'a T)>,
    add: impl Fn(&mut T, &T),
) -> Vec<(K, Cow<'a, T>)> {
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(_, process, count, _)| (Reverse(*count), process.map(|one| one.pid)));
    let mut known: HashMap<_, usize, RandomState> = HashMap::default();
    let mut merged: Vec<(K, Cow<'a, T>)> = Vec::new();
    for (key, process, _, one) in all {
        let place = known.entry((key.clone(), process.map(|process| process.comm)));
        let place = *place.or_insert(merged.len());
        match merged.get_mut(place) {
            Some((_, first)) => add(first.to_mut(), one),
            None => merged.push((key, Cow::Borrowed(one))),
        }
    }
    merged
}

/// Each process once, in the same order.
pub(super) fn each_once(all: impl Iterator<Item = Process>) -> Vec<Process> {
    let mut known: HashSet<Process, RandomState> = HashSet::default();
    all.filter(|process| known.insert(*process)).collect()
}
