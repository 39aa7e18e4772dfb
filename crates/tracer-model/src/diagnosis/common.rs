//! What several detectors need.

use std::{cmp::Reverse, hash::Hash};

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use tracer_event::process::Process;

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
    counts.sort_by_key(|(one, count)| (Reverse(*count), tie(one)));
    counts
}

/// Each process once, in the same order.
pub(super) fn each_once(all: impl Iterator<Item = Process>) -> Vec<Process> {
    let mut known: HashSet<Process, RandomState> = HashSet::default();
    all.filter(|process| known.insert(*process)).collect()
}
