//! How often something has happened, of each kind.

/// How often, and when for the first time.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::diagnosis) struct Times {
    pub count: u64,
    pub first: u64,
}

impl Times {
    pub(super) fn note(&mut self, time: u64) {
        self.add(Self { count: 1, first: time });
    }

    pub(super) fn add(&mut self, later: Self) {
        self.first = if self.count == 0 { later.first } else { self.first };
        self.count += later.count;
    }
}

/// The entry of a short list.
pub(super) fn of<K: PartialEq>(list: &mut Vec<(K, Times)>, key: K) -> &mut Times {
    let index = list.iter().position(|(known, _)| *known == key).unwrap_or(list.len());
    if index == list.len() {
        list.push((key, Times::default()));
    }
    &mut list[index].1
}
