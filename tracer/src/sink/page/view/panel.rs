//! Small charts, drawn as SVG: an area over time, columns over classes. Each shows one thing only,
//! so that no colours have to be told apart.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::axis::{round_up, short, since, step};

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

/// Columns side by side; `marks` are written below the left edge of the column of that index.
pub(super) fn columns(label: &str, values: &[(String, u64)], marks: &[(usize, String)]) -> Markup {
    let most = values.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let top = round_up(most as f64);
    let width = (WIDTH - LEFT - RIGHT) / values.len().max(1) as f64;
    let x = |index: usize| LEFT + width * index as f64;
    let ticks: Vec<(f64, String)> =
        marks.iter().map(|(index, text)| (x(*index), text.clone())).collect();
    html! {
        (frame(label, top, &ticks, &html! {
            @for (index, (name, count)) in values.iter().enumerate().filter(|(_, v)| v.1 > 0) {
                // Even a little is visible.
                @let height = (y(0.0, top) - y(*count as f64, top)).max(1.5);
                rect.column x=(coordinate(x(index) + 0.5)) y=(coordinate(y(0.0, top) - height))
                    width=(coordinate(width - 1.0)) height=(coordinate(height)) {
                    title { (name) ": " (count) }
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
