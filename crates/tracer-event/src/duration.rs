//! Durations and counts as people read them.

/// Three significant digits and a unit: `950ns`, `1.23ms`, `4.5s`, `2m05s`, `3h12m`.
pub fn duration(ns: u64) -> String {
    // In whole numbers: floats take ten times as long to write.
    let scaled = |unit: u64, name: &str| {
        let decimals = match ns / unit {
            0..10 => 2,
            10..100 => 1,
            _ => 0,
        };
        let scale = 10_u64.pow(decimals);
        let value = (u128::from(ns) * u128::from(scale) + u128::from(unit / 2)) as u64 / unit;
        let mut text = String::with_capacity(12);
        let mut numbers = itoa::Buffer::new();
        text.push_str(numbers.format(value / scale));
        if decimals > 0 {
            // With the leading zeros.
            text.push('.');
            text.push_str(&numbers.format(scale + value % scale)[1..]);
        }
        text.push_str(name);
        text
    };
    match ns {
        0..1_000 => format!("{ns}ns"),
        1_000..999_500 => scaled(1_000, "µs"),
        999_500..999_500_000 => scaled(1_000_000, "ms"),
        999_500_000..60_000_000_000 => scaled(1_000_000_000, "s"),
        _ => {
            let seconds = ns / 1_000_000_000;
            match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
                (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
                (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
            }
        }
    }
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
