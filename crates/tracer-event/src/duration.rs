//! Durations and counts as people read them.

use std::fmt::{self, Write};

/// Three significant digits and a unit: `950ns`, `1.23ms`, `4.5s`, `2m05s`, `3h12m`.
pub fn duration(ns: u64) -> String {
    let mut text = String::with_capacity(12);
    // Writing to memory cannot fail.
    let _ = write_duration(ns, &mut text);
    text
}

/// [`duration`] at the end of a text.
///
/// # Errors
///
/// Where the text has no room for it.
pub fn write_duration(ns: u64, text: &mut impl Write) -> fmt::Result {
    match ns {
        0..1_000 => {
            text.write_str(itoa::Buffer::new().format(ns))?;
            text.write_str("ns")
        }
        1_000..999_500 => write_scaled(ns, 1_000, "µs", text),
        999_500..999_500_000 => write_scaled(ns, 1_000_000, "ms", text),
        999_500_000..60_000_000_000 => write_scaled(ns, 1_000_000_000, "s", text),
        _ => {
            let seconds = ns / 1_000_000_000;
            match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
                (0, minutes, seconds) => write!(text, "{minutes}m{seconds:02}s"),
                (hours, minutes, _) => write!(text, "{hours}h{minutes:02}m"),
            }
        }
    }
}

/// In whole numbers, of less than a minute: floats take ten times as long to write.
fn write_scaled(ns: u64, unit: u64, name: &str, text: &mut impl Write) -> fmt::Result {
    let (decimals, scale) = match ns / unit {
        0..10 => (2, 100),
        10..100 => (1, 10),
        _ => (0, 1),
    };
    let mut numbers = itoa::Buffer::new();
    // Three digits or four.
    let digits = numbers.format(((ns * scale + unit / 2) / unit) as u16);
    let (whole, rest) = digits.split_at(digits.len() - decimals);
    text.write_str(whole)?;
    if decimals > 0 {
        text.write_char('.')?;
        text.write_str(rest)?;
    }
    text.write_str(name)
}

/// `1,234,567`
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `42 s`, `2m05s`
pub fn whole_seconds(ns: u64) -> String {
    match ns / 1_000_000_000 {
        seconds @ 0..60 => format!("{seconds} s"),
        _ => duration(ns),
    }
}

/// `1 connection`, `412 connections`.
pub fn count(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}
