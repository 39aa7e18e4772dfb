//! What is where on the screens. Functions of the state and an area, which they draw into; nothing
//! here has effects.

mod details;
mod diagnosis;
mod frame;
mod handshakes;
mod help;
mod overview;
mod sockets;
mod spark;
mod states;
#[cfg(test)]
pub(in crate::top) mod tests;

use std::borrow::Cow;

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
};

use super::app::{App, Pane, Tab};

/// Smaller, and nothing sensible can be shown.
const LEAST: (u16, u16) = (40, 10);

/// Draws the screen.
pub fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    buffer.set_style(area, Style::reset());
    if area.width < LEAST.0 || area.height < LEAST.1 {
        put(buffer, area, 0, &Line::from("too small: needs 80×24"));
    } else {
        let body = frame::draw(app, area, buffer);
        match (app.pane, app.tab) {
            (None, Tab::Sockets) => sockets::draw(app, body, buffer),
            (None, Tab::States) => states::draw(app, body, buffer),
            _ => {
                let lines = lines(app, body);
                for (row, line) in lines.into_iter().skip(app.scroll).enumerate() {
                    put(buffer, body, row, &line);
                }
            }
        }
    }
    app.theme.make_plain(area, buffer);
}

/// What can be scrolled.
fn lines(app: &App, body: Rect) -> Vec<Line<'static>> {
    let width = usize::from(body.width);
    match (app.pane, app.tab) {
        (Some(Pane::Help), _) => help::lines(app, width),
        (Some(Pane::Details), _) => details::lines(app, width),
        (None, Tab::Overview) => overview::lines(app, width, usize::from(body.height)),
        (None, Tab::Diagnosis) => diagnosis::lines(app, width).0,
        (None, Tab::Handshakes) => handshakes::lines(app, width),
        (None, Tab::Sockets | Tab::States) => Vec::new(),
    }
}

/// How many lines there are to scroll through.
pub fn length(app: &App, area: Rect) -> usize {
    let body = frame::body(app, area);
    match (app.pane, app.tab) {
        (None, Tab::Overview | Tab::Sockets | Tab::States) => 1,
        // Each finding can be brought to the top.
        (None, Tab::Diagnosis) => {
            diagnosis::lines(app, usize::from(body.width)).1.last().map_or(1, |last| last + 1)
        }
        _ => {
            let hidden = lines(app, body).len().saturating_sub(usize::from(body.height));
            hidden + 1
        }
    }
}

/// Index of the finding at the top of the diagnosis, scrolled by so many lines.
pub fn finding_at(app: &App, area: Rect, scroll: usize) -> usize {
    let body = frame::body(app, area);
    let starts = diagnosis::lines(app, usize::from(body.width)).1;
    diagnosis::at(&starts, scroll)
}

/// The tab whose name is there.
pub fn tab_at(app: &App, area: Rect, at: Position) -> Option<Tab> {
    frame::tab_at(app, area, at)
}

/// Where the lines of the list are.
pub fn list_area(app: &App, area: Rect) -> Rect {
    sockets::list_area(frame::body(app, area))
}

/// Writes a line into a row of an area, cut at its width.
fn put(buffer: &mut Buffer, area: Rect, row: usize, line: &Line<'_>) {
    let Ok(row) = u16::try_from(row) else { return };
    if row < area.height {
        let style = line.style;
        let y = area.y + row;
        buffer.set_style(Rect::new(area.x, y, area.width, 1), style);
        buffer.set_line(area.x, y, line, area.width);
    }
}

/// The same from a column on.
fn put_at(buffer: &mut Buffer, area: Rect, x: u16, y: u16, span: &Span<'_>) {
    if x < area.width && y < area.height {
        let width = area.width - x;
        buffer.set_span(area.x + x, area.y + y, span, width);
    }
}

/// Cut or filled to a width, with a mark where cut.
fn left(text: &str, width: usize) -> String {
    let len = text.chars().count();
    if len <= width {
        return format!("{text}{}", " ".repeat(width - len));
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// The same from the other end: of an address the port is what tells.
fn left_by_end(text: &str, width: usize) -> String {
    let len = text.chars().count();
    if len <= width {
        return left(text, width);
    }
    let end: String = text.chars().skip(len - width.saturating_sub(1)).collect();
    format!("…{end}")
}

/// Filled from the left.
fn right(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}

/// A rate a second with as many digits as it deserves; nothing for none.
fn rate(rate: f64) -> Cow<'static, str> {
    match rate {
        ..0.05 => "".into(),
        0.05..9.95 => format!("{rate:.1}").into(),
        _ => crate::sink::text::grouped(rate.round() as u64).into(),
    }
}

/// A text in the colours of an indented block: a label, then lines that go on below.
fn block(
    (label, style_of_label): (&str, Style),
    indent: usize,
    text: &str,
    style: Style,
    width: usize,
) -> Vec<Line<'static>> {
    let room = width.saturating_sub(indent).max(20);
    let parts = crate::sink::report::broken(text, Some(room));
    let line = |(index, part): (usize, String)| {
        let label = if index == 0 { label } else { "" };
        let padding = " ".repeat(indent.saturating_sub(label.chars().count()));
        Line::from(vec![
            Span::styled(label.to_owned(), style_of_label),
            Span::raw(padding),
            Span::styled(part, style),
        ])
    };
    parts.into_iter().enumerate().map(line).collect()
}
