//! Times as text, written anew only when the second changes: that is the costly part.

use std::fmt::Write as _;

use jiff::{Timestamp, Zoned, tz::TimeZone};

/// Writes times of one zone in one form.
#[derive(Debug)]
pub(super) struct Stamps {
    zone: TimeZone,
    /// Up to the second, as strftime takes it.
    form: &'static str,
    /// Of the fraction.
    digits: usize,
    end: &'static str,
    second: i64,
    text: String,
}

impl Stamps {
    /// `12:34:56.789012` in a time zone.
    pub(super) fn of_day(zone: TimeZone) -> Self {
        Self { zone, form: "%H:%M:%S", digits: 6, end: "", second: i64::MIN, text: String::new() }
    }

    /// `2026-01-31T12:34:56.789012345Z`: RFC 3339.
    pub(super) fn utc() -> Self {
        let zone = TimeZone::UTC;
        let (form, end) = ("%Y-%m-%dT%H:%M:%S", "Z");
        Self { zone, form, digits: 9, end, second: i64::MIN, text: String::new() }
    }

    pub(super) fn write(&mut self, time: Timestamp) -> String {
        let Self { digits, end, .. } = *self;
        let second = time.as_second();
        if second != self.second {
            self.second = second;
            let zoned = Zoned::new(time, self.zone.clone());
            self.text = zoned.strftime(self.form).to_string();
        }
        // Before 1970 it is negative.
        let nanoseconds = time.subsec_nanosecond().unsigned_abs();
        let fraction = nanoseconds / 10_u32.pow(9 - digits as u32);
        let mut text = String::with_capacity(32);
        // Writing to a String cannot fail.
        let _ = write!(text, "{}.{fraction:0digits$}{end}", self.text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_have_all_their_digits() {
        let time: Timestamp = "2026-01-31T12:34:56.000012045Z".parse().unwrap();
        assert_eq!(Stamps::utc().write(time), "2026-01-31T12:34:56.000012045Z");
        let mut of_day = Stamps::of_day(TimeZone::UTC);
        assert_eq!(of_day.write(time), "12:34:56.000012");
        let later: Timestamp = "2026-01-31T12:34:57.5Z".parse().unwrap();
        assert_eq!(of_day.write(later), "12:34:57.500000");
    }
}
