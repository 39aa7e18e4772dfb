//! How long handshakes take: a histogram of each side.

use ratatui::text::{Line, Span};

use super::{paint::some, spark::bar};
use crate::{
    sink::text::{duration, grouped},
    top::{
        app::App,
        picture::{CLASSES, Durations, Handshakes},
    },
};

/// From this width on there is a gap between the two sides.
const BESIDE: usize = 110;

pub(super) fn lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let Handshakes { connected, accepted, retried, failed } = app.picture.handshakes;
    let half = if width >= BESIDE { width / 2 - 1 } else { width / 2 };
    let mut lines = vec![
        Line::styled(
            format!(" {} retried, {} failed since the start", grouped(retried), grouped(failed)),
            if retried + failed > 0 { app.theme.warning() } else { app.theme.dim() },
        ),
        beside(
            vec![Span::styled(" connect() to ESTABLISHED", app.theme.title())],
            vec![Span::styled(" SYN+ACK to its ACK", app.theme.title())],
            half,
        ),
        beside(quantiles(app, &connected), quantiles(app, &accepted), half),
    ];
    let (first, last) = used(&connected, &accepted);
    for class in first..=last {
        let one = row(app, &connected, class, half);
        let other = row(app, &accepted, class, half);
        lines.push(beside(one, other, half));
    }
    lines
}

/// Two halves of a line.
fn beside(mut one: Vec<Span<'static>>, other: Vec<Span<'static>>, half: usize) -> Line<'static> {
    let len: usize = one.iter().map(Span::width).sum();
    one.push(Span::raw(" ".repeat(half.saturating_sub(len))));
    one.extend(other);
    Line::from(one)
}

fn quantiles(app: &App, durations: &Durations) -> Vec<Span<'static>> {
    let [median, most, longest] = durations.quantiles.map(duration);
    let words = match durations.total() {
        0 => " none so far".to_owned(),
        total => {
            format!(" {}: p50 {median} p99 {most} max {longest}", grouped(total))
        }
    };
    vec![Span::styled(words, app.theme.dim())]
}

/// The first and the last class that is shown: all that have handshakes, and those in the middle.
fn used(one: &Durations, other: &Durations) -> (usize, usize) {
    let filled = |class: &usize| one.classes[*class] + other.classes[*class] > 0;
    let first = (0..CLASSES.len()).find(filled).unwrap_or(0);
    let last = (0..CLASSES.len()).rfind(filled).unwrap_or(0);
    (first.min(4), last.max(13).min(CLASSES.len() - 1))
}

fn row(app: &App, durations: &Durations, class: usize, half: usize) -> Vec<Span<'static>> {
    let most = durations.classes.iter().copied().max().unwrap_or(0);
    let count = durations.classes[class];
    let label = match CLASSES[class] {
        u64::MAX => ">= 10s".to_owned(),
        end => format!("< {}", short(end)),
    };
    let number = some(count);
    let room = half.saturating_sub(9 + 9 + 3);
    vec![
        Span::styled(format!("{label:>9}"), app.theme.dim()),
        Span::raw(format!("{number:>9} ")),
        Span::styled(bar(count, most, room), app.theme.bar()),
    ]
}

/// A duration in whole units, as the ends of classes are.
fn short(ns: u64) -> String {
    match ns {
        0..1_000_000 => format!("{}µs", ns / 1_000),
        1_000_000..1_000_000_000 => format!("{}ms", ns / 1_000_000),
        _ => format!("{}s", ns / 1_000_000_000),
    }
}
