//! Samples of several rounds, and what is said of them: medians, ranges and ratios.

use std::time::{Duration, Instant};

use anyhow::Result;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    PerSecond,
    /// Written as ns, µs, ms or s, as it fits.
    Nanoseconds,
    Bytes,
    PerMillion,
    Percent,
}

impl Unit {
    /// Writes a figure with three digits or more.
    pub(crate) fn write(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", grouped(value)),
            Self::Nanoseconds => scaled(value, 1e3, &["ns", "µs", "ms", "s"]),
            Self::Bytes => scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB"]),
            Self::PerMillion if value.abs() < 10.0 => format!("{} per million", digits(value)),
            Self::PerMillion => format!("{} per million", grouped(value)),
            Self::Percent => format!("{value:.3} %"),
        }
    }
}

fn scaled(value: f64, step: f64, names: &[&str]) -> String {
    let mut value = value;
    let mut names = names.iter();
    let mut name = names.next();
    while value >= 0.9995 * step && names.len() > 0 {
        value /= step;
        name = names.next();
    }
    format!("{} {}", digits(value), name.unwrap_or(&""))
}

/// Three digits, or all of a larger number.
fn digits(value: f64) -> String {
    match value {
        value if value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        value => format!("{value:.2}"),
    }
}

/// A whole number with its thousands apart.
pub(crate) fn grouped(value: f64) -> String {
    let plain = format!("{value:.0}");
    let mut text = String::with_capacity(plain.len() + plain.len() / 3);
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && digit != '-' && (plain.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The middle one, or the mean of the two in the middle; `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// A figure of one variant: a value a round, or why there is none.
pub(crate) type Figures = Result<Vec<f64>, String>;

/// How a variant compares to another: the median of the ratios of each round, so that a machine
/// that gets slower meanwhile changes little.
pub(crate) fn ratio(figures: &Figures, to: &Figures) -> Option<f64> {
    let (Ok(ours), Ok(theirs)) = (figures, to) else {
        return None;
    };
    let ratio = if ours.len() == theirs.len() {
        let ratios: Vec<f64> =
            ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        median(&ratios)
    } else {
        Some(median(ours)? / median(theirs)?)
    };
    ratio.filter(|ratio| ratio.is_finite())
}

/// The samples of one variant.
pub(crate) struct Samples<S> {
    taken: Vec<S>,
    trouble: Option<String>,
}

impl<S> Samples<S> {
    /// One figure of each sample.
    pub(crate) fn figures(&self, figure: impl Fn(&S) -> f64) -> Figures {
        match &self.trouble {
            Some(trouble) => Err(trouble.clone()),
            None => Ok(self.taken.iter().map(figure).collect()),
        }
    }
}

/// Takes one sample of each variant in each round, one after the other; begins no further round
/// when `budget` is spent. A variant that fails is not tried again.
pub(crate) fn alternate<V, S>(
    rounds: usize,
    budget: Duration,
    variants: &[V],
    mut sample: impl FnMut(&V) -> Result<S>,
) -> Vec<Samples<S>> {
    let begun = Instant::now();
    let mut all: Vec<Samples<S>> =
        variants.iter().map(|_| Samples { taken: Vec::new(), trouble: None }).collect();
    for round in 0..rounds {
        if round > 0 && begun.elapsed() > budget {
            break;
        }
        for (variant, samples) in variants.iter().zip(&mut all) {
            if samples.trouble.is_some() {
                continue;
            }
            match sample(variant) {
                Ok(taken) => samples.taken.push(taken),
                Err(error) => samples.trouble = Some(format!("{error:#}")),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn ratios_are_those_of_each_round() {
        let fast_then_slow = Ok(vec![50.0, 5.0, 40.0]);
        let untraced = Ok(vec![100.0, 10.0, 100.0]);
        assert_eq!(ratio(&fast_then_slow, &untraced), Some(0.5));
        assert_eq!(ratio(&Ok(vec![1.0, 3.0]), &Ok(vec![4.0])), Some(0.5));
        assert_eq!(ratio(&Err("no".to_owned()), &untraced), None);
        assert_eq!(ratio(&Ok(vec![1.0]), &Ok(vec![0.0])), None);
    }

    #[test]
    fn figures_are_short() {
        let written = |unit: Unit, values: &[f64]| {
            values.iter().map(|value| unit.write(*value)).collect::<Vec<_>>()
        };
        let times = [0.5, 999.6, 1_000.0, 12_345.0, 123_456.0, 2.5e9, 3e12];
        let expected = ["0.50 ns", "1.00 µs", "1.00 µs", "12.3 µs", "123 µs", "2.50 s", "3000 s"];
        assert_eq!(written(Unit::Nanoseconds, &times), expected);
        assert_eq!(written(Unit::Bytes, &[250.0, 1_048_576.0]), ["250 B", "1.00 MiB"]);
        assert_eq!(
            written(Unit::PerSecond, &[74_512.4, 999.0, 1e6]),
            ["74,512/s", "999/s", "1,000,000/s"]
        );
        assert_eq!(
            written(Unit::PerMillion, &[0.0, 1.25, 41_000.0]),
            ["0 per million", "1.25 per million", "41,000 per million"]
        );
        assert_eq!(written(Unit::Percent, &[0.05]), ["0.050 %"]);
    }

    #[test]
    fn variants_take_turns_and_one_that_fails_is_left_out() {
        let mut turns = String::new();
        let samples = alternate(3, Duration::MAX, &['a', 'b', 'c'], |variant| {
            turns.push(*variant);
            anyhow::ensure!(*variant != 'b', "not installed");
            Ok(turns.len() as f64)
        });
        assert_eq!(turns, "abcacac");
        let figures: Vec<Figures> = samples.iter().map(|s| s.figures(|value| *value)).collect();
        let trouble = Err("not installed".to_owned());
        assert_eq!(figures, [Ok(vec![1.0, 4.0, 6.0]), trouble, Ok(vec![3.0, 5.0, 7.0])]);
    }

    #[test]
    fn the_first_round_is_complete_whatever_the_budget() {
        let samples = alternate(9, Duration::ZERO, &[1.0, 2.0], |value| {
            std::thread::sleep(Duration::from_millis(1));
            Ok(*value)
        });
        assert_eq!(samples[1].figures(|value| *value), Ok(vec![2.0]));
    }
}
