//! Turns the kernel's monotonic times into the ones on the wall.

use jiff::Timestamp;

const SECOND: i64 = 1_000_000_000;

/// The wall clock's lead over `CLOCK_MONOTONIC` at one moment.
///
/// It is taken anew now and then, so that times stay right when somebody sets the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    /// Nanoseconds to add to a monotonic time; enough until the year 2262.
    pub lead: i64,
    /// The present, nanoseconds of `CLOCK_MONOTONIC`.
    pub now: u64,
}

impl WallClock {
    /// The wall-clock time of a monotonic one.
    pub fn at(self, time: u64) -> Timestamp {
        let since_1970 = self.lead.saturating_add_unsigned(time);
        let (second, rest) = (since_1970.div_euclid(SECOND), since_1970.rem_euclid(SECOND) as i32);
        Timestamp::new(second, rest).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}
