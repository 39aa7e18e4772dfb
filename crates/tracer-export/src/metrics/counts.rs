//! Counters by labels of which all values are known: each is there from the beginning, at zero.
//! A series that appears with the value 1 has not increased, so that the first finding would
//! raise no alert.

use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::family::{Family, Labels, Points, Unit};

/// Counts by key.
#[derive(Clone, Debug)]
pub(super) struct Counts<K>(HashMap<K, u64, RandomState>);

impl<K: Copy + Eq + Hash> Counts<K> {
    /// All of these at zero; others appear when they are counted.
    pub(super) fn from_zero(keys: impl IntoIterator<Item = K>) -> Self {
        Self(keys.into_iter().map(|key| (key, 0)).collect())
    }

    pub(super) fn add(&mut self, key: K, count: u64) {
        *self.0.entry(key).or_default() += count;
    }

    /// A metric with this name and unit: its points are sorted by their labels.
    pub(super) fn family(
        &self,
        (name, unit): (&'static str, Unit),
        help: &'static str,
        labels: impl Fn(K) -> Labels,
    ) -> Family {
        let mut points: Vec<_> = self.0.iter().map(|(&key, &count)| (labels(key), count)).collect();
        points.sort_unstable();
        Family { name, unit, help, points: Points::Counter(points) }
    }
}

/// All values of an enumeration that is a word in JSON: its schema has them, so that none is
/// forgotten here.
pub(super) fn every<T: JsonSchema + DeserializeOwned>() -> impl Iterator<Item = T> {
    let schema = schema_for!(T);
    let list = |key| schema.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let of_variant = |variant: Value| {
        let words = variant.get("enum").and_then(Value::as_array).cloned().unwrap_or_default();
        words.into_iter().chain(variant.get("const").cloned())
    };
    let words: Vec<Value> =
        list("enum").into_iter().chain(list("oneOf").into_iter().flat_map(of_variant)).collect();
    words.into_iter().filter_map(|word| serde_json::from_value(word).ok())
}
