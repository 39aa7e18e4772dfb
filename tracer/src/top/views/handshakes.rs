//! How long handshakes take: a histogram of each side.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::{
    paint::{Align, Column, row, some},
    spark::bar,
};
use crate::top::{
    app::App,
    ui_snapshot::{CLASSES, Durations, Handshakes},
};
use tracer_output::{
    phrase,
    text::{duration, grouped},
};

/// From this width on there is a gap between the two sides.
const BESIDE: usize = 110;

pub(super) fn lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let (theme, handshakes) = (&app.theme, &app.ui_snapshot.handshakes);
    let Handshakes { connected, accepted, retried, failed } = handshakes;
    let half = if width >= BESIDE { width / 2 - 1 } else { width / 2 };
    let halves = [Column("", half.saturating_sub(1), Align::Left), Column("", half, Align::Left)];
    let side = |bar| {
        [Column("", 8, Align::Right), Column("", 8, Align::Right), Column("", bar, Align::Left)]
    };
    let columns = [side(half.saturating_sub(19)), side(half.saturating_sub(21))].concat();
    let blank = || Span::raw(" ");
    let titles = ["connect() to ESTABLISHED", "SYN+ACK to its ACK"];
    let titles = titles.map(|title| (app.said(title).to_owned(), theme.title()));
    let quantiles = [connected, accepted].map(|side| (quantiles(app, side), theme.dim()));
    let [again, lost] = [retried, failed].map(|count| grouped(*count));
    let failures = phrase!(
        app.texts(),
        "top-handshakes",
        [again, lost],
        "since the start: {again} with a retransmitted SYN, {lost} failed"
    );
    let mut lines = vec![
        Line::styled(
            format!(" {failures}"),
            if retried + failed > 0 { theme.warning() } else { theme.dim() },
        ),
        row(blank(), &halves, titles),
        row(blank(), &halves, quantiles),
    ];
    let filled = |class: &usize| connected.classes[*class] + accepted.classes[*class] > 0;
    // All classes that have handshakes, and those in the middle.
    let first = (0..CLASSES.len()).find(filled).unwrap_or(0).min(4);
    let last = (0..CLASSES.len()).rfind(filled).unwrap_or(0).max(13);
    for class in first..=last {
        let cells = [connected, accepted].map(|side| {
            let count = side.classes[class];
            let most = side.classes.iter().copied().max().unwrap_or(0);
            let bar = bar(count, most, half.saturating_sub(21));
            [(label(class), theme.dim()), (some(count), Style::new()), (bar, theme.bar())]
        });
        lines.push(row(blank(), &columns, cells.concat()));
    }
    lines
}

fn quantiles(app: &App, durations: &Durations) -> String {
    let [median, most, longest] = durations.quantiles.map(duration);
    match durations.total() {
        0 => app.said("none so far").to_owned(),
        total => format!("{}: p50 {median} p99 {most} max {longest}", grouped(total)),
    }
}

/// The upper end of a class, in whole units.
fn label(class: usize) -> String {
    match CLASSES[class] {
        u64::MAX => ">= 10s".to_owned(),
        ns @ 0..1_000_000 => format!("< {}µs", ns / 1_000),
        ns @ 1_000_000..1_000_000_000 => format!("< {}ms", ns / 1_000_000),
        ns => format!("< {}s", ns / 1_000_000_000),
    }
}
