//! Turns the kernel's monotonic times into the ones on the wall.

use jiff::Timestamp;

const SECOND: i64 = 1_000_000_000;

/// The wall clock's lead over `CLOCK_MONOTONIC` at one moment.
///
/// It is taken anew now and then, so that times stay right when somebody sets the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallClock {
    /// Nanoseconds to add to a monotonic time; enough until the year 2262.
    pub lead: i64,
    /// The present, nanoseconds of `CLOCK_MONOTONIC`.
    pub now: u64,
}

/// A newer lead within this of the one before is the same: the two clocks are read one after the
/// other.
const READING: u64 = 1_000_000;

impl WallClock {
    /// The newer clock, by which times are written as by this one unless the clock was set: what is
    /// drawn again must not move.
    #[must_use]
    pub fn renewed(self, newer: Self) -> Self {
        let same = self.lead.abs_diff(newer.lead) < READING;
        Self { lead: if same { self.lead } else { newer.lead }, ..newer }
    }

    /// The wall-clock time of a monotonic one, nanoseconds since 1970.
    pub fn wall(self, time: u64) -> i64 {
        self.lead.saturating_add_unsigned(time)
    }

    /// The wall-clock time of a monotonic one.
    pub fn at(self, time: u64) -> Timestamp {
        let since_1970 = self.wall(time);
        let (second, rest) = (since_1970.div_euclid(SECOND), since_1970.rem_euclid(SECOND) as i32);
        Timestamp::new(second, rest).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stay_as_they_were_written_until_the_clock_is_set() {
        let first = WallClock { lead: 1_700_000_000_000_000_000, now: 5 };
        let later = WallClock { lead: first.lead - 1_234, now: 9 };
        assert_eq!(first.renewed(later), WallClock { lead: first.lead, now: 9 });
        let set = WallClock { lead: first.lead + 2_000_000, now: 9 };
        assert_eq!(first.renewed(set), set);
    }
}
