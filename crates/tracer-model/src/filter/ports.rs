//! Sets of ports, as a few ranges.

use std::{fmt, ops::RangeInclusive};

/// A set of ports: ranges in order that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortSet(Vec<RangeInclusive<u16>>);

impl PortSet {
    /// The ports of any ranges.
    pub fn new(ranges: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        ranges.sort_unstable_by_key(|range| *range.start());
        let mut set: Vec<RangeInclusive<u16>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match set.last_mut() {
                Some(last) if *range.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => set.push(range),
            }
        }
        Self(set)
    }

    /// Its ranges, in order.
    pub fn ranges(&self) -> &[RangeInclusive<u16>] {
        &self.0
    }

    /// The only port in it, where there is one only.
    pub fn single(&self) -> Option<u16> {
        match self.0.as_slice() {
            [range] if range.start() == range.end() => Some(*range.start()),
            _ => None,
        }
    }

    /// Whether a port is in it.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|range| range.contains(&port))
    }

    /// The ports that are in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::new(self.0.iter().chain(&other.0).cloned())
    }

    /// The ports that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let both = |one: &RangeInclusive<u16>, two: &RangeInclusive<u16>| {
            *one.start().max(two.start())..=*one.end().min(two.end())
        };
        Self::new(self.0.iter().flat_map(|one| other.0.iter().map(move |two| both(one, two))))
    }

    /// The ports that are not in it.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut next = Some(0);
        for range in &self.0 {
            if let Some(from) = next
                && let Some(to) = range.start().checked_sub(1)
            {
                gaps.push(from..=to);
            }
            next = range.end().checked_add(1);
        }
        gaps.extend(next.map(|from| from..=u16::MAX));
        Self::new(gaps)
    }
}

impl From<u16> for PortSet {
    fn from(port: u16) -> Self {
        Self::new([port..=port])
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (start, end) if start == end => write!(f, "{comma}{start}")?,
                (start, end) => write!(f, "{comma}{start}-{end}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn set(ranges: &[RangeInclusive<u16>]) -> PortSet {
        PortSet::new(ranges.iter().cloned())
    }

    #[rstest]
    #[case(&[80..=80, 443..=443], "80,443", "0-79,81-442,444-65535")]
    #[case(&[443..=443, 80..=80, 81..=90], "80-90,443", "0-79,91-442,444-65535")]
    #[case(&[0..=1023, 1000..=65535], "0-65535", "")]
    #[case(&[0..=0, 65535..=65535], "0,65535", "1-65534")]
    #[case(&[10..=20, 12..=13], "10-20", "0-9,21-65535")]
    fn ranges_are_ordered_and_joined(
        #[case] ranges: &[RangeInclusive<u16>],
        #[case] shown: &str,
        #[case] complement: &str,
    ) {
        assert_eq!(set(ranges).to_string(), shown);
        assert_eq!(set(ranges).complement().to_string(), complement);
        assert_eq!(set(ranges).complement().complement(), set(ranges));
    }

    #[test]
    fn sets_meet_and_join() {
        let (one, two) = (set(&[1..=10, 20..=30]), set(&[5..=25]));
        assert_eq!(one.intersection(&two).to_string(), "5-10,20-25");
        assert_eq!(one.union(&two).to_string(), "1-30");
        assert_eq!(one.union(&one.complement()), set(&[0..=u16::MAX]));
    }
}
