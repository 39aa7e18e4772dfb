//! Tests of significance: each gives the probability that a difference of this size or more comes
//! about by chance (p), the same for swapped arguments.
//!
//! * Rates: the exact conditional binomial test of two Poisson rates, and a normal test whose
//!   variance comes from the recordings themselves, as connections come in bursts. The larger p
//!   counts.
//! * Shares: Fisher's exact test; where there is much, the z-test of two proportions.
//! * Distributions: Mann–Whitney's U, with ties. It needs no normal distribution, which times are
//!   not, and no outlier decides it. It hardly sees the tail: for a p99, the shares above the 99th
//!   percentile of both recordings together are compared.
//! * Many comparisons: Holm's correction, which assumes nothing of how they depend on each other.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use statrs::distribution::{
    Binomial, ContinuousCDF as _, Discrete as _, DiscreteCDF as _, Hypergeometric, Normal,
};

/// Fewer values than this are no distribution.
pub const FEWEST: u64 = 8;
/// More successes than this are not enumerated.
const ENUMERATED: u64 = 10_000;
/// As many windows are counted in at most; then two become one.
const WINDOWS: usize = 64;
/// The shortest window, nanoseconds.
const WINDOW: u64 = 1_000_000;
/// Fewer windows say nothing of bursts.
const FEWEST_WINDOWS: usize = 8;

/// Events over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Nanoseconds.
    window: u64,
    counts: Vec<u64>,
}

impl Default for Series {
    fn default() -> Self {
        Self { window: WINDOW, counts: Vec::new() }
    }
}

impl Series {
    /// One event, nanoseconds after the beginning.
    pub fn add(&mut self, time: u64) {
        self.reach(time);
        let index = (time / self.window) as usize;
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn reach(&mut self, time: u64) {
        while time / self.window >= WINDOWS as u64 {
            self.window *= 2;
            self.counts = self.counts.chunks(2).map(|pair| pair.iter().sum()).collect();
        }
    }

    /// How many times the variance is that of independent events, 1 at least: the most over windows
    /// of several lengths, of a recording of this duration. From the differences of neighbours (von
    /// Neumann), so that bursts count and a command that takes its time to begin does not.
    fn dispersion(&self, duration: u64) -> f64 {
        let mut windows = self.clone();
        windows.reach(duration);
        windows.counts.resize(duration.div_ceil(windows.window) as usize, 0);
        let mut counts = windows.counts;
        let mut most = 1.0_f64;
        while counts.len() >= FEWEST_WINDOWS {
            let count = counts.len() as f64;
            let mean = counts.iter().sum::<u64>() as f64 / count;
            let differences = counts.windows(2).map(|pair| pair[0] as f64 - pair[1] as f64);
            let squares = differences.map(|one| one.powi(2)).sum::<f64>();
            if mean > 0.0 {
                most = most.max(squares / 2.0 / (count - 1.0) / mean);
            }
            counts = counts.chunks(2).map(|pair| pair.iter().sum()).collect();
        }
        most
    }
}

/// Twice the upper tail of the normal distribution.
fn two_sided(z: f64) -> f64 {
    if z.is_nan() { 1.0 } else { (2.0 * Normal::standard().sf(z.abs())).min(1.0) }
}

/// Events, over which they are spread.
#[derive(Clone, Copy, Debug)]
pub struct Rate<'a> {
    /// When they happened.
    pub events: &'a Series,
    /// How long was observed, nanoseconds.
    pub duration: u64,
    /// Of what there are so many: time, or bytes.
    pub exposure: u64,
}

impl Rate<'_> {
    /// Events for one of what there is.
    pub fn value(&self) -> f64 {
        self.events.total() as f64 / self.exposure.max(1) as f64
    }

    fn variance(&self) -> f64 {
        let count = self.events.total() as f64;
        self.events.dispersion(self.duration) * count / (self.exposure as f64).powi(2)
    }
}

/// Of two rates.
pub fn rates(one: Rate<'_>, other: Rate<'_>) -> f64 {
    let (n, m) = (one.events.total(), other.events.total());
    if n + m == 0 || one.exposure == 0 || other.exposure == 0 {
        return 1.0;
    }
    let share = one.exposure as f64 / (one.exposure as f64 + other.exposure as f64);
    let exact = Binomial::new(share, n + m).map_or(1.0, |chance| {
        let upper = if n == 0 { 1.0 } else { chance.sf(n - 1) };
        (2.0 * chance.cdf(n).min(upper)).min(1.0)
    });
    let spread = (one.variance() + other.variance()).sqrt();
    exact.max(two_sided((one.value() - other.value()) / spread))
}

/// Of two shares: so many of so many.
pub fn shares((k, n): (u64, u64), (l, m): (u64, u64)) -> f64 {
    debug_assert!(k <= n && l <= m, "{k} of {n}, {l} of {m}");
    let successes = k + l;
    if n == 0 || m == 0 || successes == 0 || successes == n + m {
        return 1.0;
    }
    if successes.min(n + m - successes) > ENUMERATED {
        let (n, m) = (n as f64, m as f64);
        let pooled = successes as f64 / (n + m);
        let spread = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
        return two_sided((k as f64 / n - l as f64 / m) / spread);
    }
    // The rarer of the two is enumerated.
    let (successes, k) =
        if successes > ENUMERATED { (n + m - successes, n - k) } else { (successes, k) };
    let Ok(chance) = Hypergeometric::new(n + m, successes, n) else { return 1.0 };
    let possible = successes.saturating_sub(m)..=successes.min(n);
    // Equally probable ones differ by rounding.
    let most = chance.pmf(k) * (1.0 + 1e-7);
    possible.map(|count| chance.pmf(count)).filter(|p| *p <= most).sum::<f64>().min(1.0)
}

/// Values of both, in order, with how often each occurs in the one and in the other.
fn merged(one: &Histogram<u64>, other: &Histogram<u64>) -> BTreeMap<u64, [u64; 2]> {
    let mut counts = BTreeMap::<u64, [u64; 2]>::new();
    for (index, histogram) in [one, other].into_iter().enumerate() {
        for step in histogram.iter_recorded() {
            counts.entry(step.value_iterated_to()).or_default()[index] += step.count_at_value();
        }
    }
    counts
}

/// Whether the values of one tend to be larger.
pub fn shift(one: &Histogram<u64>, other: &Histogram<u64>) -> f64 {
    if one.len().min(other.len()) < FEWEST {
        return 1.0;
    }
    let (n, m) = (one.len() as f64, other.len() as f64);
    let total = n + m;
    let (mut below, mut ranks, mut ties) = (0.0, 0.0, 0.0);
    for [a, b] in merged(one, other).into_values() {
        let tied = (a + b) as f64;
        ranks += a as f64 * (below + (tied + 1.0) / 2.0);
        ties += tied.powi(3) - tied;
        below += tied;
    }
    let difference = (ranks - n * (n + 1.0) / 2.0 - n * m / 2.0).abs();
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    two_sided((difference - 0.5).max(0.0) / variance.sqrt())
}

/// Whether one has more values above the 99th percentile of both together.
pub fn tail(one: &Histogram<u64>, other: &Histogram<u64>) -> f64 {
    let (n, m) = (one.len(), other.len());
    if n.min(m) < FEWEST {
        return 1.0;
    }
    // Of these, from above, one in a hundred is in the tail.
    let most = (n + m).div_ceil(100);
    let mut above = [0_u64; 2];
    for [a, b] in merged(one, other).into_values().rev() {
        if above[0] + above[1] + a + b > most && above != [0, 0] {
            break;
        }
        above = [above[0] + a, above[1] + b];
    }
    shares((above[0], n), (above[1], m))
}

/// Holm's correction: the probabilities, in the same order, as if there were one comparison only.
pub fn corrected(chances: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|one, other| chances[*one].total_cmp(&chances[*other]));
    let mut corrected = vec![1.0; chances.len()];
    let mut least = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        let factor = (chances.len() - rank) as f64;
        least = least.max((chances[index] * factor).min(1.0));
        corrected[index] = least;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 2e-3, "{found} is not {expected}");
    }

    fn histogram(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 1 << 40, 2).unwrap();
        values.iter().for_each(|value| histogram.record(*value).unwrap());
        histogram
    }

    /// Over so many nanoseconds.
    fn rate(events: &Series, duration: u64) -> Rate<'_> {
        Rate { events, duration, exposure: duration }
    }

    fn series(times: &[u64]) -> Series {
        let mut series = Series::default();
        times.iter().for_each(|time| series.add(*time));
        series
    }

    /// As fisher.test, wilcox.test(exact = FALSE) and p.adjust(method = "holm") of R have them.
    #[test]
    fn probabilities_are_those_of_r() {
        near(shares((3, 10), (9, 10)), 0.0198);
        near(shares((0, 50), (1, 50)), 1.0);
        near(shares((1, 10), (11, 14)), 0.0028);
        let (one, other) = ([1, 2, 3, 4, 5, 6, 7, 8, 9], [4, 5, 6, 7, 8, 9, 10, 11, 12]);
        near(shift(&histogram(&one), &histogram(&other)), 0.0513);
        let found = corrected(&[0.01, 0.04, 0.03, 0.005]);
        for (one, expected) in found.into_iter().zip([0.03, 0.06, 0.06, 0.02]) {
            near(one, expected);
        }
    }

    #[test]
    fn a_burst_is_no_change_of_a_rate_and_a_steady_stream_is() {
        const SECOND: u64 = 1_000_000_000;
        let duration = 64 * SECOND;
        let steady = |count: u64| {
            series(&(0..count).map(|index| index * duration / count).collect::<Vec<_>>())
        };
        assert!(rates(rate(&steady(200), duration), rate(&steady(320), duration)) < 1e-4);
        assert!(rates(rate(&steady(200), duration), rate(&steady(210), duration)) > 0.5);
        let mut bursts: Vec<u64> = (0..200).map(|index| index * duration / 200).collect();
        bursts.extend((0..120).map(|index| 20 * SECOND + index));
        assert!(rates(rate(&steady(200), duration), rate(&series(&bursts), duration)) > 0.01);
        assert!(rates(rate(&steady(0), duration), rate(&steady(3), duration)) > 0.05);
    }

    proptest! {
        #[test]
        fn swapped_arguments_change_no_probability_and_equal_ones_are_no_difference(
            one in proptest::collection::vec(1_u64..1_000_000_000, 0..60),
            other in proptest::collection::vec(1_u64..1_000_000_000, 0..60),
        ) {
            let same = |a: f64, b: f64| (a - b).abs() < 1e-9;
            let (a, b) = (histogram(&one), histogram(&other));
            prop_assert!(same(shift(&a, &b), shift(&b, &a)));
            prop_assert!(same(tail(&a, &b), tail(&b, &a)));
            prop_assert!(shift(&a, &a) > 0.9 && tail(&a, &a) > 0.9);
            let time = 1_000_000_000;
            let (first, second) = (series(&one), series(&other));
            let forth = rates(rate(&first, time), rate(&second, time));
            prop_assert!(same(forth, rates(rate(&second, time), rate(&first, time))));
            prop_assert!(rates(rate(&first, time), rate(&first, time)) > 0.9);
            let (k, n, l, m) = (one.len() as u64, 70, other.len() as u64, 90);
            prop_assert!(same(shares((k, n), (l, m)), shares((l, m), (k, n))));
            prop_assert!(shares((k, n), (k, n)) > 0.9);
        }
    }
}
