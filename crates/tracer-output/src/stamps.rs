//! Times as text, written anew only when the second changes: that is the costly part.

use std::fmt::Write as _;

use arrayvec::ArrayString;
use jiff::{Timestamp, Zoned, tz::TimeZone};

use tracer_event::wall_clock::WallClock;

/// Which times people see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Timestamps {
    /// Time of day where this host is
    #[default]
    Local,
    /// Time of day, UTC
    Utc,
    /// Seconds since the trace began
    Relative,
    /// Seconds of CLOCK_MONOTONIC, as the kernel's log has them
    Monotonic,
}

/// Writes times for people, 15 columns wide: what counts days has hours, minutes, seconds and
/// microseconds, what counts seconds has spaces before it.
#[derive(Debug)]
pub struct Times {
    form: Timestamps,
    stamps: Stamps,
    /// When the trace began, nanoseconds of `CLOCK_MONOTONIC`.
    begun: u64,
    text: String,
}

impl Times {
    /// Of that form; `zone` is the local one.
    pub fn new(form: Timestamps, zone: TimeZone) -> Self {
        let zone = if form == Timestamps::Utc { TimeZone::UTC } else { zone };
        Self { form, stamps: Stamps::of_day(zone), begun: 0, text: String::new() }
    }

    /// The trace begins.
    pub(super) fn begin(&mut self, now: u64) {
        self.begun = now;
    }

    /// Name of the column.
    pub(super) fn title(&self) -> &'static str {
        match self.form {
            Timestamps::Local => "TIME",
            Timestamps::Utc => "TIME (UTC)",
            Timestamps::Relative | Timestamps::Monotonic => "SECONDS",
        }
    }

    /// `time` is in nanoseconds of `CLOCK_MONOTONIC`.
    pub fn write(&mut self, clock: WallClock, time: u64) -> &str {
        let origin = match self.form {
            Timestamps::Local | Timestamps::Utc => return self.stamps.write(clock.wall(time)),
            Timestamps::Relative => self.begun,
            Timestamps::Monotonic => 0,
        };
        let sign = if time < origin { "-" } else { "" };
        let micros = time.abs_diff(origin) / 1_000;
        // As long as the longest number and its sign.
        let mut seconds = ArrayString::<24>::new();
        self.text.clear();
        // Writing to memory cannot fail.
        let _ = write!(seconds, "{sign}{}", micros / 1_000_000);
        let _ = write!(self.text, "{seconds:>8}.{:06}", micros % 1_000_000);
        &self.text
    }
}

/// Writes times of one zone in one form.
#[derive(Debug)]
pub struct Stamps {
    zone: TimeZone,
    /// Up to the second, as strftime takes it.
    form: &'static str,
    /// Of the fraction.
    digits: usize,
    end: &'static str,
    /// When the second began that was written last, nanoseconds since 1970.
    begun: i64,
    /// The time written last, and how much of it stays the same within its second.
    text: String,
    fixed: usize,
}

impl Stamps {
    /// `12:34:56.789012` in a time zone.
    pub fn of_day(zone: TimeZone) -> Self {
        Self::new(zone, "%H:%M:%S.", 6, "")
    }

    /// `2026-01-31T12:34:56.789012345Z`: RFC 3339.
    pub fn utc() -> Self {
        Self::new(TimeZone::UTC, "%Y-%m-%dT%H:%M:%S.", 9, "Z")
    }

    fn new(zone: TimeZone, form: &'static str, digits: usize, end: &'static str) -> Self {
        Self { zone, form, digits, end, begun: i64::MIN, text: String::new(), fixed: 0 }
    }

    /// A time in nanoseconds since 1970, as it is written.
    pub fn write(&mut self, time: i64) -> &str {
        let rest = match u32::try_from(time.wrapping_sub(self.begun)) {
            Ok(rest @ ..SECOND) if time >= self.begun => rest,
            _ => self.begin(time),
        };
        let mut numbers = itoa::Buffer::new();
        self.text.truncate(self.fixed);
        // With the leading zeros.
        self.text.push_str(&numbers.format(SECOND + rest)[1..=self.digits]);
        self.text.push_str(self.end);
        &self.text
    }

    /// Another second; how much of it is over.
    fn begin(&mut self, time: i64) -> u32 {
        let (second, rest) = (i64::from(SECOND), time.rem_euclid(i64::from(SECOND)));
        self.begun = time.saturating_sub(rest);
        // The kernel's times are within what it can hold.
        let at = Timestamp::from_second(time.div_euclid(second)).unwrap_or_default();
        self.text.clear();
        // Writing to memory cannot fail, and the form is one that strftime knows.
        let _ = write!(self.text, "{}", Zoned::new(at, self.zone.clone()).strftime(self.form));
        self.fixed = self.text.len();
        u32::try_from(rest).unwrap_or_default()
    }
}

/// Nanoseconds.
const SECOND: u32 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_have_all_their_digits() {
        let of =
            |text: &str| i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap();
        let time = of("2026-01-31T12:34:56.000012045Z");
        assert_eq!(Stamps::utc().write(time), "2026-01-31T12:34:56.000012045Z");
        let mut of_day = Stamps::of_day(TimeZone::UTC);
        assert_eq!(of_day.write(time), "12:34:56.000012");
        assert_eq!(of_day.write(of("2026-01-31T12:34:57.5Z")), "12:34:57.500000");
        // Whoever sets the clock may set it back.
        assert_eq!(of_day.write(time), "12:34:56.000012");
        assert_eq!(of_day.write(of("1969-12-31T23:59:59.25Z")), "23:59:59.250000");
        assert_eq!(of_day.write(i64::MIN), "00:12:43.145224");
    }

    #[test]
    fn all_forms_for_people_are_of_the_same_width() {
        let clock = WallClock { lead: 1_700_000_000_000_000_000, now: 0 };
        let time = 75_000_012_345_678;
        for (form, text) in [
            (Timestamps::Utc, "19:03:20.012345"),
            (Timestamps::Relative, "       5.012345"),
            (Timestamps::Monotonic, "   75000.012345"),
        ] {
            let mut times = Times::new(form, TimeZone::UTC);
            times.begin(74_995_000_000_000);
            assert_eq!(times.write(clock, time), text);
        }
        let mut times = Times::new(Timestamps::Relative, TimeZone::UTC);
        times.begin(2_000_000_000);
        assert_eq!(times.write(clock, 500_000_000), "      -1.500000");
    }
}
