//! Distributions of times, in buckets that fit TCP.

/// Handshakes, seconds: a host, a data centre, an ocean, and the retransmissions of a SYN after
/// 1, 3 and 7 seconds.
pub(super) const HANDSHAKE: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];
/// Times in a state, seconds: from a round trip to keepalive's two hours; TIME_WAIT's 60 lie
/// within a bucket of their own.
pub(super) const STATE: &[f64] =
    &[0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 55.0, 65.0, 120.0, 300.0, 900.0, 3600.0];

/// Waits for accept(), seconds: a process that is ready, one that is busy, one that is stuck.
pub(super) const ACCEPT: &[f64] =
    &[0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0];

const SECOND: f64 = 1e9;

/// A distribution of times.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Upper bounds of all buckets but the last, which has none; seconds.
    pub bounds: &'static [f64],
    /// How many lie in each bucket, not those below.
    pub counts: Vec<u64>,
    /// Their sum, seconds.
    pub sum: f64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Takes a time, nanoseconds.
    pub(super) fn observe(&mut self, ns: u64) {
        let seconds = ns as f64 / SECOND;
        self.counts[self.bounds.partition_point(|&bound| bound < seconds)] += 1;
        self.sum += seconds;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Upper bounds belong to their buckets (OpenMetrics: `le`).
    #[rstest]
    #[case(0, 0)]
    #[case(100_000, 0)]
    #[case(100_001, 1)]
    #[case(10_000_000_000, 15)]
    #[case(10_000_000_001, 16)]
    fn a_time_lies_in_the_first_bucket_whose_bound_it_does_not_exceed(
        #[case] ns: u64,
        #[case] bucket: usize,
    ) {
        let mut histogram = Histogram::new(HANDSHAKE);
        histogram.observe(ns);
        assert_eq!(histogram.counts.iter().position(|&count| count == 1), Some(bucket));
        assert_eq!(histogram.count(), 1);
        assert!((histogram.sum - ns as f64 / SECOND).abs() < 1e-12);
    }

    #[test]
    fn bounds_rise() {
        for bounds in [HANDSHAKE, STATE, ACCEPT] {
            assert!(bounds.is_sorted_by(|a, b| a < b));
        }
    }
}
