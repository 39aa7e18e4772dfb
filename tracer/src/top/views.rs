//! What is where on the screens: functions that draw the state into an area, without effects.

mod command;
mod details;
mod diagnosis;
mod frame;
mod handshakes;
mod help;
mod overview;
mod paint;
mod sockets;
mod spark;
mod states;
#[cfg(test)]
pub(super) mod tests;

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
    text::Line,
};

use self::paint::put;
use super::app::{App, Pane, Tab};

/// On a smaller screen nothing useful fits.
const LEAST: (u16, u16) = (40, 10);

pub(super) fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    buffer.set_style(area, Style::reset());
    if area.width < LEAST.0 || area.height < LEAST.1 {
        put(buffer, area, 0, &Line::from(app.said("too small: needs 80×24")));
    } else {
        let body = frame::draw(app, area, buffer);
        match (app.pane, app.tab) {
            (None, Tab::Sockets) => sockets::draw(app, body, buffer),
            (None, Tab::States) => states::scrolled(app, body, buffer),
            _ => {
                for (row, line) in lines(app, body).into_iter().skip(app.scroll).enumerate() {
                    put(buffer, body, row, &line);
                }
            }
        }
    }
    app.theme.make_plain(area, buffer);
}

/// The lines of a screen that can be scrolled.
fn lines(app: &App, body: Rect) -> Vec<Line<'static>> {
    let width = usize::from(body.width);
    match (app.pane, app.tab) {
        (Some(Pane::Help), _) => help::lines(app, width),
        (Some(Pane::Details), _) => details::lines(app, width),
        (Some(Pane::Command), _) => command::lines(app, width),
        (None, Tab::Overview) => overview::lines(app, width, usize::from(body.height)),
        (None, Tab::Diagnosis) => diagnosis::lines(app, width).0,
        (None, Tab::Handshakes) => handshakes::lines(app, width),
        (None, Tab::Sockets | Tab::States) => Vec::new(),
    }
}

/// By how many lines a screen can be scrolled, plus one.
pub(super) fn length(app: &App, area: Rect) -> usize {
    let body = frame::body(app, area);
    match (app.pane, app.tab) {
        (None, Tab::Overview | Tab::Sockets) => 1,
        (None, Tab::States) => usize::from(states::height(body).saturating_sub(body.height)) + 1,
        // Each finding can be brought to the top.
        (None, Tab::Diagnosis) => {
            diagnosis::lines(app, usize::from(body.width)).1.last().map_or(1, |last| last + 1)
        }
        _ => lines(app, body).len().saturating_sub(usize::from(body.height)) + 1,
    }
}

/// Index of the finding at the top of the diagnosis when it is scrolled by `scroll` lines.
pub(super) fn finding_at(app: &App, area: Rect, scroll: usize) -> usize {
    let body = frame::body(app, area);
    diagnosis::at(&diagnosis::lines(app, usize::from(body.width)).1, scroll)
}

/// The tab whose title is at a position.
pub(super) fn tab_at(app: &App, area: Rect, at: Position) -> Option<Tab> {
    frame::tab_at(app, area, at)
}

/// Where the lines of the list are.
pub(super) fn list_area(app: &App, area: Rect) -> Rect {
    sockets::list_area(frame::body(app, area))
}
