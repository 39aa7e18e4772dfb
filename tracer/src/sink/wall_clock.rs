//! Turns the kernel's monotonic times into the ones on the wall.

use jiff::Timestamp;

/// The wall clock's lead over `CLOCK_MONOTONIC` at one moment.
///
/// It is taken anew now and then, so that times stay right when somebody sets the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    /// Nanoseconds to add to a monotonic time.
    pub lead: i128,
    /// The present, nanoseconds of `CLOCK_MONOTONIC`.
    pub now: u64,
}

impl WallClock {
    /// The wall-clock time of a monotonic one.
    pub fn at(self, time: u64) -> Timestamp {
        Timestamp::from_nanosecond(self.lead + i128::from(time)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}
