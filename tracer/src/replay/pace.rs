//! How fast a recording is told.

use std::{
    str::FromStr,
    time::{Duration, Instant},
};

/// A speed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Speed {
    /// As fast as it goes.
    #[default]
    Max,
    /// So many times as fast as it was.
    Times(f64),
}

impl FromStr for Speed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let times = |text: &str| {
            let number = text.strip_suffix(['x', '×'])?.parse::<f64>().ok()?;
            (0.001..=1e9).contains(&number).then_some(Self::Times(number))
        };
        match text {
            "max" => Ok(Self::Max),
            "original" => Ok(Self::Times(1.0)),
            _ => times(text).ok_or("expected original, max, or a factor such as 10x or 0.5x"),
        }
    }
}

/// Keeps a speed.
#[derive(Debug)]
pub(super) struct Pace {
    speed: Speed,
    /// A time of the recording and when it was told.
    origin: Option<(u64, Instant)>,
}

impl Pace {
    pub(super) fn new(speed: Speed) -> Self {
        Self { speed, origin: None }
    }

    /// A trace begins at that time of its recording.
    pub(super) fn begin(&mut self, time: u64) {
        self.origin = Some((time, Instant::now()));
    }

    /// What is left until a time of the recording.
    pub(super) fn wait(&mut self, time: u64) -> Option<Duration> {
        let Speed::Times(factor) = self.speed else { return None };
        let (began, then) = *self.origin.get_or_insert_with(|| (time, Instant::now()));
        let recorded = Duration::from_nanos(time.saturating_sub(began));
        // A century is long enough.
        let due = Duration::try_from_secs_f64(recorded.as_secs_f64() / factor).ok();
        let due = due.unwrap_or(Duration::MAX).min(Duration::from_secs(100 * 365 * 86_400));
        due.checked_sub(then.elapsed()).filter(|rest| !rest.is_zero())
    }

    /// The present of the recording.
    pub(super) fn now(&self) -> u64 {
        let (Speed::Times(factor), Some((began, then))) = (self.speed, self.origin) else {
            return 0;
        };
        began.saturating_add((then.elapsed().as_secs_f64() * factor * 1e9) as u64)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("max", Ok(Speed::Max))]
    #[case("original", Ok(Speed::Times(1.0)))]
    #[case("10x", Ok(Speed::Times(10.0)))]
    #[case("0.5×", Ok(Speed::Times(0.5)))]
    fn speeds_are_words_or_factors(#[case] text: &str, #[case] speed: Result<Speed, &str>) {
        assert_eq!(text.parse(), speed);
    }

    #[rstest]
    fn other_speeds_are_refused(
        #[values("", "x", "10", "0x", "-1x", "nanx", "infx", "1e99x", "fast")] text: &str,
    ) {
        assert!(text.parse::<Speed>().is_err());
    }

    #[test]
    fn a_tenth_of_the_time_passes_at_ten_times_the_speed() {
        const SECOND: u64 = 1_000_000_000;
        let mut pace = Pace::new(Speed::Times(10.0));
        pace.begin(5 * SECOND);
        let rest = pace.wait(1_005 * SECOND).unwrap();
        assert!(rest <= Duration::from_secs(100) && rest > Duration::from_secs(50), "{rest:?}");
        assert_eq!(pace.wait(4 * SECOND), None);
        assert_eq!(Pace::new(Speed::Max).wait(u64::MAX), None);
        assert!(pace.wait(u64::MAX).is_some());
    }
}
