//! The TCP state machine as the textbooks draw it (RFC 9293, figure 5), with the sockets in each
//! state and the transitions on each edge.
//!
//! Where a state's socket goes straight to CLOSED (a reset, a timeout, a refusal) no edge is drawn:
//! the last line counts these.

use std::cmp::Ordering;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::paint::{put, rate, some};
use crate::top::app::App;
use tracer_event::state::State;
use tracer_output::{text::grouped, width::columns};

/// The column and the row of each state's box.
const PLACES: [(State, u16, u16); 11] = [
    (State::Listen, 0, 0),
    (State::Closed, 1, 0),
    (State::SynSent, 2, 0),
    (State::SynRecv, 0, 1),
    (State::Established, 1, 1),
    (State::FinWait1, 0, 2),
    (State::Closing, 1, 2),
    (State::CloseWait, 2, 2),
    (State::FinWait2, 0, 3),
    (State::TimeWait, 1, 3),
    (State::LastAck, 2, 3),
];

/// The edges that are drawn, and what leads along them.
const EDGES: [(State, State, &str); 12] = [
    (State::Closed, State::Listen, "listen()"),
    (State::Closed, State::SynSent, "connect()"),
    (State::Listen, State::SynRecv, "recv SYN"),
    (State::SynRecv, State::Established, "recv ACK"),
    (State::SynSent, State::Established, "recv SYN+ACK"),
    (State::Established, State::FinWait1, "close()"),
    (State::Established, State::CloseWait, "recv FIN"),
    (State::FinWait1, State::Closing, "recv FIN"),
    (State::FinWait1, State::FinWait2, "recv ACK"),
    (State::Closing, State::TimeWait, "recv ACK"),
    (State::CloseWait, State::LastAck, "close()"),
    (State::FinWait2, State::TimeWait, "recv FIN"),
];

/// States that are left for CLOSED in order: an arrow below the box says so.
const LAST: [State; 2] = [State::TimeWait, State::LastAck];

type Point = (u16, u16);

/// What is drawn on: a grid of three by four boxes, each three lines high.
struct Canvas<'a> {
    app: &'a App,
    buffer: &'a mut Buffer,
    area: Rect,
    /// Width of a box.
    width: u16,
    /// From a column to the next.
    across: u16,
    /// From a row to the next.
    down: u16,
}

/// From a row of boxes to the next.
fn down(body: Rect) -> u16 {
    if body.height >= 24 { 6 } else { 5 }
}

/// How many lines it takes.
pub(super) fn height(body: Rect) -> u16 {
    3 * down(body) + 5
}

/// Draws what a lower screen shows of it.
pub(super) fn scrolled(app: &App, body: Rect, buffer: &mut Buffer) {
    let whole = Rect::new(0, 0, body.width, height(body).max(body.height));
    let mut all = Buffer::empty(whole);
    draw(app, whole, &mut all);
    let first = app.scroll.min(usize::from(whole.height - body.height)) as u16;
    for (x, y) in (0..body.height).flat_map(|y| (0..body.width).map(move |x| (x, y))) {
        buffer[(body.x + x, body.y + y)] = all[(x, first + y)].clone();
    }
}

fn draw(app: &App, body: Rect, buffer: &mut Buffer) {
    let (width, across) = match body.width {
        ..100 => (15, 30),
        100..150 => (17, 41),
        _ => (21, 62),
    };
    let down = down(body);
    let x = body.x + body.width.saturating_sub(2 * across + width).min(60) / 2;
    let area = Rect { x, width: body.right() - x, ..body };
    let mut canvas = Canvas { app, buffer, area, width, across, down };
    for (state, ..) in PLACES {
        canvas.state(state);
    }
    for (from, to, word) in EDGES {
        canvas.edge(from, to, word);
    }
    for state in LAST {
        canvas.end(state);
    }
    put(buffer, body, usize::from(3 * down + 4), &aborts(app));
}

/// Column and row of a state in the grid.
fn place(state: State) -> Point {
    let place = PLACES.iter().find(|(one, ..)| *one == state);
    place.map_or((0, 0), |(_, column, row)| (*column, *row))
}

impl Canvas<'_> {
    fn put(&mut self, x: u16, y: u16, text: &str, style: Style) {
        if x < self.area.width && y < self.area.height {
            let span = Span::styled(text, style);
            let at = (self.area.x + x, self.area.y + y);
            self.buffer.set_span(at.0, at.1, &span, self.area.width - x);
        }
    }

    /// Left upper corner of a state's box.
    fn corner(&self, state: State) -> Point {
        let (column, row) = place(state);
        (column * self.across, row * self.down)
    }

    fn state(&mut self, state: State) {
        let (x, y) = self.corner(state);
        let theme = self.app.theme;
        let inside = usize::from(self.width) - 2;
        let count = self.app.ui_snapshot.counts[state.index()];
        let style = if count > 0 { theme.frame(state) } else { theme.dim() };
        let number = if state == State::Closed { String::new() } else { grouped(count) };
        let flags = match some(self.app.ui_snapshot.lingering[state.index()]) {
            none if none.is_empty() => none,
            some => format!("⚑{some}"),
        };
        self.put(x, y, &format!("┌{:─^inside$}┐", state.name()), style);
        self.put(x, y + 1, &format!("│{number:^inside$}│"), style);
        self.put(x, y + 2, &format!("└{flags:─^inside$}┘"), style);
    }

    fn edge(&mut self, from: State, to: State, word: &str) {
        let (width, half) = (self.width, self.width / 2);
        let ((x, y), (to_x, to_y)) = (self.corner(from), self.corner(to));
        let to_right = to_x > x;
        if y == to_y {
            let (start, end) = if to_right { (x + width - 1, to_x - 1) } else { (x, to_x + width) };
            self.path(&[(start, y + 1), (end, y + 1)]);
            let room = self.across - width - 2;
            self.label((x.min(to_x) + width + 1, y), room, word, from, to);
        } else if x == to_x {
            self.path(&[(x + half, y + 2), (x + half, to_y - 1)]);
            if place(from).0 < 2 {
                self.label((x + half + 2, y + 3), width - 1, word, from, to);
            } else {
                // To the right there is no room for a number that grows.
                let (words, style) = self.words(half + 8, word, from, to);
                self.put(x + half - 1 - columns(&words) as u16, y + 3, &words, style);
            }
        } else if from == State::SynSent {
            // Down and back to ESTABLISHED.
            let (middle, end) = (x + half, to_x + width);
            self.path(&[(middle, y + 2), (middle, to_y + 1), (end, to_y + 1)]);
            self.label((end + 1, to_y), middle - end - 2, word, from, to);
        } else {
            // From ESTABLISHED to both sides: who closes first, and whose peer does.
            let (start, end) = (x + if to_right { width - 4 } else { 3 }, to_x + half);
            self.path(&[(start, y + 2), (start, y + 3), (end, y + 3), (end, to_y - 1)]);
            let left = start.min(end) + 2;
            self.label((left, y + 4), start.max(end) - left - u16::from(to_right), word, from, to);
        }
    }

    /// A line from the border of a box, which is not drawn on, with corners and an arrow at its end.
    fn path(&mut self, points: &[Point]) {
        let mut cells = vec![points[0]];
        for &(end_x, end_y) in &points[1..] {
            while let Some(&(x, y)) = cells.last().filter(|cell| **cell != (end_x, end_y)) {
                let step = |at: u16, end: u16| at + u16::from(at < end) - u16::from(at > end);
                cells.push((step(x, end_x), step(y, end_y)));
            }
        }
        for (index, &(x, y)) in cells.iter().enumerate().skip(1) {
            let direction = |from: Point, to: Point| (from.0.cmp(&to.0), from.1.cmp(&to.1));
            let enters = direction(cells[index - 1], (x, y));
            let leaves = cells.get(index + 1).map(|next| direction((x, y), *next));
            self.put(x, y, glyph(enters, leaves), Style::new());
        }
    }

    /// What stands beside an edge: a word, and how often a second.
    fn words(&self, room: u16, word: &str, from: State, to: State) -> (String, Style) {
        let theme = &self.app.theme;
        let fits = |words: &String| columns(words) <= usize::from(room);
        let rate = rate(self.app.ui_snapshot.rate(from, to));
        if rate.is_empty() {
            let words = Some(self.app.said(word).to_owned()).filter(fits);
            return (words.unwrap_or_default(), theme.dim());
        }
        // The number is what must be seen.
        let brief = word.strip_prefix("recv ").unwrap_or(word);
        let [word, brief] = [word, brief].map(|word| self.app.said(word));
        let words =
            [format!("{word} {rate}/s"), format!("{brief} {rate}/s"), format!("{word} {rate}")];
        (words.into_iter().find(fits).unwrap_or_else(|| format!("{rate}/s")), theme.good())
    }

    fn label(&mut self, (x, y): Point, room: u16, word: &str, from: State, to: State) {
        let (words, style) = self.words(room, word, from, to);
        self.put(x, y, &words, style);
    }

    /// The end below a box.
    fn end(&mut self, from: State) {
        let (x, y) = self.corner(from);
        let words = match rate(self.app.ui_snapshot.rate(from, State::Closed)) {
            none if none.is_empty() => "CLOSED ▼".to_owned(),
            rate => format!("{rate}/s CLOSED ▼"),
        };
        let start = x + self.width / 2 + 1 - words.chars().count() as u16;
        self.put(start, y + 3, &words, self.app.theme.dim());
    }
}

/// The character where a line enters and leaves; at its end it does not leave.
fn glyph(enters: (Ordering, Ordering), leaves: Option<(Ordering, Ordering)>) -> &'static str {
    const RIGHT: (Ordering, Ordering) = (Ordering::Less, Ordering::Equal);
    const LEFT: (Ordering, Ordering) = (Ordering::Greater, Ordering::Equal);
    match (enters, leaves) {
        (RIGHT, None) => "▶",
        (LEFT, None) => "◀",
        (_, None) => "▼",
        (RIGHT | LEFT, Some(RIGHT | LEFT)) => "─",
        (RIGHT, Some(_)) => "┐",
        (LEFT, Some(_)) => "┌",
        (_, Some(RIGHT)) => "└",
        (_, Some(LEFT)) => "┘",
        (_, Some(_)) => "│",
    }
}

/// Transitions per second that no edge stands for.
fn aborts(app: &App) -> Line<'static> {
    let mut others = Vec::new();
    for from in State::ALL {
        for to in State::ALL {
            let some = rate(app.ui_snapshot.rate(from, to));
            let is_drawn = EDGES.iter().any(|edge| (edge.0, edge.1) == (from, to))
                || to == State::Closed && LAST.contains(&from);
            if !some.is_empty() && !is_drawn {
                others.push(format!("{} → {} {some}/s", from.name(), to.name()));
            }
        }
    }
    if others.is_empty() {
        let none = app.said("no resets, timeouts or refusals lately");
        return Line::styled(format!(" {none}"), app.theme.dim());
    }
    let words = format!(" {}: {}", app.said("RST, timeout, refusal"), others.join(", "));
    Line::styled(words, app.theme.warning())
}
