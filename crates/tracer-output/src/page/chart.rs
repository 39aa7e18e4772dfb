//! Small charts, drawn as SVG: an area over time, columns over classes. Each shows one thing only,
//! so that no colours have to be told apart.

use std::fmt::Write as _;

use maud::{Markup, html};

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 24.0;

/// A small chart with a heading and a sentence below it.
pub(super) fn figure(heading: &str, caption: &str, chart: &Markup) -> Markup {
    html! {
        figure {
            h3 { (heading) }
            (chart)
            figcaption { (caption) }
        }
    }
}

/// Values over time, in a tone: `plain`, or `bad` for what went wrong. All slices together are
/// `seconds` long, the last one may be shorter.
pub(super) fn area(label: &str, values: &[f64], slice: f64, seconds: f64, tone: &str) -> Markup {
    let top = round_up(values.iter().copied().fold(0.0, f64::max));
    let seconds = seconds.max(slice / 1000.0);
    let x = |time: f64| LEFT + (WIDTH - LEFT - RIGHT) * (time / seconds).min(1.0);
    let marks = step(seconds);
    let count = (seconds / marks + 1e-9).floor() as u32;
    let ticks: Vec<(f64, String)> =
        (0..=count).map(|mark| marks * f64::from(mark)).map(|at| (x(at), since(at))).collect();
    let (line, area) = outline(values, top, |index| x(slice * index as f64));
    html! {
        (frame(label, top, &ticks, &html! {
            path.area.(tone) d=(area) {}
            path.line.(tone) d=(line) {}
        }))
    }
}

/// A line of steps, and the same closed to an area.
fn outline(values: &[f64], top: f64, x: impl Fn(usize) -> f64) -> (String, String) {
    let mut line = String::new();
    let mut index = 0;
    for run in values.chunk_by(PartialEq::eq) {
        let y = y(run[0], top);
        // Writing to a String cannot fail.
        let _ = match index {
            0 => write!(line, "M{:.1} {y:.1}", x(0)),
            _ => write!(line, "H{:.1}V{y:.1}", x(index)),
        };
        index += run.len();
    }
    let _ = write!(line, "H{:.1}", x(values.len()));
    let floor = y(0.0, top);
    let area = format!("{line}V{floor:.1}H{:.1}Z", x(0));
    (line, area)
}

/// Columns side by side, one between each two of `edges`, with ` to ` between these.
pub(super) fn columns(label: &str, edges: &[String], to: &str, counts: &[u64]) -> Markup {
    let top = round_up(counts.iter().copied().max().unwrap_or(0) as f64);
    let width = (WIDTH - LEFT - RIGHT) / counts.len().max(1) as f64;
    let x = |index: usize| LEFT + width * index as f64;
    // At most six marks, whatever the range.
    let marks = edges.iter().enumerate().step_by(edges.len().div_ceil(6).max(1));
    let ticks: Vec<(f64, String)> = marks.map(|(index, edge)| (x(index), edge.clone())).collect();
    html! {
        (frame(label, top, &ticks, &html! {
            @for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                // Even a little is visible.
                @let height = (y(0.0, top) - y(*count as f64, top)).max(1.5);
                rect.column x=(coordinate(x(index) + 0.5)) y=(coordinate(y(0.0, top) - height))
                    width=(coordinate(width - 1.0)) height=(coordinate(height)) {
                    title { (edges[index]) (to) (edges[index + 1]) ": " (count) }
                }
            }
        }))
    }
}

fn frame(label: &str, top: f64, ticks: &[(f64, String)], content: &Markup) -> Markup {
    let levels = if top > 1.0 { vec![0.0, top / 2.0, top] } else { vec![0.0, top] };
    let floor = coordinate(y(0.0, top));
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) {
            @for level in levels {
                @let at = y(level, top);
                line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(coordinate(at)) y2=(coordinate(at)) {}
                text.y x=(LEFT - 5.0) y=(coordinate(at + 3.5)) { (short(level)) }
            }
            (content)
            line.axis x1=(LEFT) x2=(WIDTH - RIGHT) y1=(floor) y2=(floor) {}
            @for (at, text) in ticks {
                line.axis x1=(coordinate(*at)) x2=(coordinate(*at)) y1=(floor)
                    y2=(coordinate(y(0.0, top) + 4.0)) {}
                text.x x=(coordinate(*at)) y=(HEIGHT - 7.0) { (text) }
            }
        }
    }
}

fn y(value: f64, top: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value / top)
}

fn coordinate(value: f64) -> String {
    format!("{value:.1}")
}

/// The smallest of 1, 2, 4, 6, 8, 10, 20, … that is not less: half of it is a round number too.
fn round_up(value: f64) -> f64 {
    if value <= 1.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let factor = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].into_iter().find(|factor| factor * power >= value);
    factor.unwrap_or(10.0) * power
}

/// Seconds between the marks on an axis of `seconds`, with at most five marks.
fn step(seconds: f64) -> f64 {
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
fn short(value: f64) -> String {
    in_units(value, &[(0.0, 1.0, ""), (1e3, 1e3, "k"), (1e6, 1e6, "M")])
}

/// A time since the beginning, seconds: `0.5 s`, `90 s`, `5 min`, `2 h`.
fn since(seconds: f64) -> String {
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
