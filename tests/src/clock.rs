//! Wall-clock times of records, compared with the test's own.

use std::{
    ops::{Add, Sub},
    time::{Duration, SystemTime},
};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// A time of day, UTC. Differences are right up to half a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(i64);

impl Moment {
    /// The present.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        Self(i64::try_from(since.as_nanos() % DAY as u128).expect("less than a day"))
    }

    /// Of a time since 1970.
    pub fn of_unix(seconds: u32, nanoseconds: u32) -> Self {
        Self(i64::from(seconds) * SECOND % DAY + i64::from(nanoseconds))
    }

    /// Of a record's `time`: `2026-01-02T03:04:05.123456789Z`.
    pub fn parse(time: &str) -> Self {
        let field = |from, to| time.get(from..to).and_then(|digits| digits.parse().ok());
        let numbers = [field(11, 13), field(14, 16), field(17, 19), field(20, 29)];
        let [Some(hour), Some(minute), Some(second), Some(nanosecond)] = numbers else {
            panic!("not RFC 3339 with nanoseconds: {time}")
        };
        let (hour, minute): (i64, i64) = (hour, minute);
        Self(((hour * 60 + minute) * 60 + second) * SECOND + nanosecond)
    }

    /// Nanoseconds from `earlier` to this; negative where it is later.
    pub fn since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0 + 3 * DAY / 2) % DAY - DAY / 2
    }

    /// Whether it lies between two others.
    pub fn is_within(self, from: Self, to: Self) -> bool {
        self.since(from) >= 0 && to.since(self) >= 0
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self((self.0 + nanoseconds(time)) % DAY)
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        Self((self.0 - nanoseconds(time) + DAY) % DAY)
    }
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).expect("less than a day")
}
