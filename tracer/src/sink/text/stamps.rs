//! Times of day, written anew only when the second changes: that is the costly part.

use std::fmt::Write as _;

use jiff::{Timestamp, Zoned, tz::TimeZone};

/// Writes times of one zone.
#[derive(Debug)]
pub(super) struct Stamps {
    zone: TimeZone,
    second: i64,
    text: String,
}

impl Stamps {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self { zone, second: i64::MIN, text: String::new() }
    }

    /// `12:34:56.789012`
    pub(super) fn write(&mut self, time: Timestamp) -> String {
        let second = time.as_second();
        if second != self.second {
            self.second = second;
            let zoned = Zoned::new(time, self.zone.clone());
            self.text = zoned.strftime("%H:%M:%S").to_string();
        }
        let mut text = String::with_capacity(16);
        // Writing to a String cannot fail. Before 1970 the fraction is negative.
        let _ = write!(text, "{}.{:06}", self.text, (time.subsec_nanosecond() / 1_000).abs());
        text
    }
}
