//! Times as text, written anew only when the second changes: that is the costly part.

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
    /// The time written last, and how much of it stays the same within its second.
    text: String,
    fixed: usize,
}

impl Stamps {
    /// `12:34:56.789012` in a time zone.
    pub(super) fn of_day(zone: TimeZone) -> Self {
        Self::new(zone, "%H:%M:%S.", 6, "")
    }

    /// `2026-01-31T12:34:56.789012345Z`: RFC 3339.
    pub(super) fn utc() -> Self {
        Self::new(TimeZone::UTC, "%Y-%m-%dT%H:%M:%S.", 9, "Z")
    }

    fn new(zone: TimeZone, form: &'static str, digits: usize, end: &'static str) -> Self {
        Self { zone, form, digits, end, second: i64::MIN, text: String::new(), fixed: 0 }
    }

    pub(super) fn write(&mut self, time: Timestamp) -> &str {
        let second = time.as_second();
        if second != self.second {
            self.second = second;
            let zoned = Zoned::new(time, self.zone.clone());
            self.text = zoned.strftime(self.form).to_string();
            self.fixed = self.text.len();
        }
        let mut digits = [b'0'; 9];
        // Before 1970 it is negative.
        let mut rest = time.subsec_nanosecond().unsigned_abs();
        for digit in digits.iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        self.text.truncate(self.fixed);
        self.text.push_str(str::from_utf8(&digits[..self.digits]).unwrap_or_default());
        self.text.push_str(self.end);
        &self.text
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
