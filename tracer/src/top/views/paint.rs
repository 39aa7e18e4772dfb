//! Lines, columns and indented blocks: what all screens are drawn with.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use crate::top::app::App;
use tracer_output::{
    text::{grouped, shortened, without_middle},
    width::{self, columns},
    wrap::broken,
};

/// Writes a line into a row of an area, cut at its width.
pub(super) fn put(buffer: &mut Buffer, area: Rect, row: usize, line: &Line<'_>) {
    if let Some(row) = area.rows().nth(row) {
        // Only words are underlined.
        buffer.set_style(row, line.style.not_underlined());
        buffer.set_line(row.x, row.y, line, row.width);
    }
}

/// How a text stands in its column.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    /// An endpoint, which loses its middle, never its port.
    Endpoint,
    /// A process, whose name is cut, never its number.
    Process,
    /// It is never cut.
    Right,
}

/// A column of a table; one of width 0 is left out.
#[derive(Clone, Copy)]
pub(super) struct Column(pub(super) &'static str, pub(super) usize, pub(super) Align);

/// A row of a table: a mark of one column, then the cells, with a blank between them.
pub(super) fn row(
    mark: Span<'static>,
    row: &[Column],
    cells: impl IntoIterator<Item = (String, Style)>,
) -> Line<'static> {
    let mut spans = vec![mark];
    for (&Column(_, width, align), (text, style)) in row.iter().zip(cells) {
        if width == 0 {
            continue;
        }
        if spans.len() > 1 {
            spans.push(Span::raw(" "));
        }
        let text = match align {
            Align::Left => cut(text, width),
            Align::Endpoint => without_middle(&text, width),
            Align::Process => {
                let excess = columns(&text).saturating_sub(width);
                cut(shortened(&text, excess, 3).into_owned(), width)
            }
            Align::Right => text,
        };
        // The padding has no style: it would be underlined.
        let padding = Span::raw(" ".repeat(width.saturating_sub(columns(&text))));
        let text = Span::styled(text, style);
        let right = align == Align::Right;
        spans.extend(if right { [padding, text] } else { [text, padding] });
    }
    Line::from(spans)
}

/// The names of the columns.
pub(super) fn header(app: &App, columns: &[Column]) -> Line<'static> {
    let names = columns.iter().map(|Column(name, ..)| {
        let words = name.trim_start();
        let indent = name.len() - words.len();
        (format!("{:indent$}{}", "", app.said(words)), Style::new())
    });
    row(Span::raw(" "), columns, names).style(app.theme.dim())
}

/// Cut to a width, with a mark where cut.
pub(super) fn cut(text: String, width: usize) -> String {
    if columns(&text) <= width {
        return text;
    }
    format!("{}…", width::cut(&text, width.saturating_sub(1)))
}

/// A number; nothing for 0.
pub(super) fn some(number: u64) -> String {
    if number == 0 { String::new() } else { grouped(number) }
}

/// A rate per second with as many digits as it deserves; nothing for 0.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        ..0.05 => String::new(),
        0.05..9.95 => format!("{rate:.1}"),
        _ => grouped(rate.round() as u64),
    }
}

/// A label, and a text beside it that continues below itself.
pub(super) fn block(
    (label, style_of_label): (&str, Style),
    indent: usize,
    text: &str,
    style: Style,
    width: usize,
) -> Vec<Line<'static>> {
    let room = width.saturating_sub(indent).max(20);
    let mut label = label.to_owned();
    let parts = broken(text, Some(room)).into_iter();
    let line = |part: String| {
        let padding = " ".repeat(indent.saturating_sub(columns(&label)));
        let label = Span::styled(std::mem::take(&mut label), style_of_label);
        Line::from(vec![label, Span::raw(padding), Span::styled(part, style)])
    };
    parts.map(line).collect()
}

/// Between what stands side by side.
pub(super) const GAP: usize = 2;

/// Lines of `width` columns at most, and others to the right of them.
pub(super) fn beside(
    left: Vec<Line<'static>>,
    right: Vec<Line<'static>>,
    width: usize,
) -> Vec<Line<'static>> {
    let rows = left.len().max(right.len());
    let (mut left, mut right) = (left.into_iter(), right.into_iter());
    let row = |_| {
        let mut line = cut_line(left.next().unwrap_or_default(), width);
        line.spans.push(Span::raw(" ".repeat(width.saturating_sub(line.width()) + GAP)));
        let other = right.next().unwrap_or_default();
        line.spans.extend(other.spans.into_iter().map(|span| span.patch_style(other.style)));
        line
    };
    (0..rows).map(row).collect()
}

/// Cut to a width, with a mark where cut; its style is that of its spans.
fn cut_line(line: Line<'static>, width: usize) -> Line<'static> {
    let mut room = width;
    let mut spans = Vec::new();
    for span in line.spans {
        if room == 0 {
            break;
        }
        let text = cut(span.content.into_owned(), room);
        room -= columns(&text);
        spans.push(Span::styled(text, line.style.patch(span.style)));
    }
    Line::from(spans)
}
