//! Round numbers for axes.

/// The smallest of 1, 2, 4, 6, 8, 10, 20, … that is not less: half of it is a round number too.
pub(super) fn round_up(value: f64) -> f64 {
    if value <= 1.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let factor = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].into_iter().find(|factor| factor * power >= value);
    factor.unwrap_or(10.0) * power
}

/// Seconds between the marks on an axis of `seconds`, with at most five marks.
pub(super) fn step(seconds: f64) -> f64 {
    const STEPS: [f64; 19] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0,
        3600.0, 7200.0, 21600.0, 86400.0,
    ];
    let fits = STEPS.into_iter().find(|step| seconds / step <= 4.5);
    fits.unwrap_or_else(|| 86400.0 * round_up(seconds / 86400.0 / 4.5))
}

/// A unit: the value from which on it is used, its size, and its name.
type Unit = (f64, f64, &'static str);

/// A number that fits beside an axis: `950`, `1.5k`, `20M`.
pub(super) fn short(value: f64) -> String {
    in_units(value, &[(0.0, 1.0, ""), (1e3, 1e3, "k"), (1e6, 1e6, "M")])
}

/// A time since the beginning, seconds: `0.5 s`, `90 s`, `5 min`, `2 h`.
pub(super) fn since(seconds: f64) -> String {
    const UNITS: [Unit; 4] = [
        (0.0, 1.0, "\u{a0}s"),
        (120.0, 60.0, "\u{a0}min"),
        (7_200.0, 3_600.0, "\u{a0}h"),
        (172_800.0, 86_400.0, "\u{a0}d"),
    ];
    in_units(seconds, &UNITS)
}

/// A duration, nanoseconds: `20 µs`.
pub(super) fn nanoseconds(value: u64) -> String {
    const UNITS: [Unit; 4] = [
        (0.0, 1.0, "\u{a0}ns"),
        (1e3, 1e3, "\u{a0}µs"),
        (1e6, 1e6, "\u{a0}ms"),
        (1e9, 1e9, "\u{a0}s"),
    ];
    in_units(value as f64, &UNITS)
}

/// With one decimal where it is not 0.
fn in_units(value: f64, units: &[Unit]) -> String {
    let unit = units.iter().rfind(|(from, ..)| value >= *from);
    let &(_, size, name) = unit.unwrap_or(&(0.0, 1.0, ""));
    let text = format!("{:.1}", value / size);
    format!("{}{name}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0.0, 1.0)]
    #[case(1.0, 1.0)]
    #[case(3.0, 4.0)]
    #[case(10.0, 10.0)]
    #[case(11.0, 20.0)]
    #[case(60_001.0, 80_000.0)]
    fn an_axis_ends_at_a_round_number(#[case] value: f64, #[case] end: f64) {
        assert!((round_up(value) - end).abs() < 1e-6, "{}", round_up(value));
    }

    #[rstest]
    #[case(0.5, "0.5")]
    #[case(999.0, "999")]
    #[case(1_500.0, "1.5k")]
    #[case(20_000.0, "20k")]
    #[case(2_000_000.0, "2M")]
    fn numbers_are_short(#[case] value: f64, #[case] text: &str) {
        assert_eq!(short(value), text);
    }

    #[rstest]
    #[case(0.3)]
    #[case(1.0)]
    #[case(60.0)]
    #[case(3_000.0)]
    #[case(1e7)]
    fn there_is_room_for_the_marks(#[case] seconds: f64) {
        let marks = seconds / step(seconds);
        assert!((0.4..=5.0).contains(&marks), "{marks}");
    }
}
