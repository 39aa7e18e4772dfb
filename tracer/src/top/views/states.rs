//! The TCP state machine as the textbooks draw it (RFC 9293, figure 5), with the sockets in each
//! state and the transitions on each edge.
//!
//! Where a state's socket goes straight to CLOSED (a reset, a timeout, a refusal) no edge is drawn:
//! the last line counts these.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::{put, put_at, rate};
use crate::{model::state::State, sink::text::grouped, top::app::App};

/// Columns and rows of the boxes, which lie on a grid of three by four.
struct Grid {
    area: Rect,
    /// Width of a box.
    width: u16,
    /// From a column to the next.
    across: u16,
    /// From a row to the next; boxes are three lines high.
    down: u16,
}

/// Where each state is.
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

/// Edges that are drawn.
const DRAWN: [(State, State); 12] = [
    (State::Closed, State::Listen),
    (State::Closed, State::SynSent),
    (State::Listen, State::SynRecv),
    (State::SynSent, State::Established),
    (State::SynRecv, State::Established),
    (State::Established, State::FinWait1),
    (State::Established, State::CloseWait),
    (State::FinWait1, State::Closing),
    (State::FinWait1, State::FinWait2),
    (State::FinWait2, State::TimeWait),
    (State::Closing, State::TimeWait),
    (State::CloseWait, State::LastAck),
];

impl Grid {
    /// The large one where there is room, else the one for 80 columns and 20 lines.
    fn of(area: Rect) -> Self {
        let wide = area.width >= 100;
        let tall = area.height >= 24;
        let (width, across) = if wide { (17, 41) } else { (15, 30) };
        let drawn = 2 * across + width;
        let x = area.x + area.width.saturating_sub(drawn).min(60) / 2;
        let area = Rect { x, width: area.right() - x, ..area };
        Self { area, width, across, down: if tall { 6 } else { 5 } }
    }

    /// Corner of the box in a column and a row of the grid.
    fn corner(&self, column: u16, row: u16) -> (u16, u16) {
        (column * self.across, row * self.down)
    }

    /// Middle of the box.
    fn middle(&self, column: u16) -> u16 {
        column * self.across + self.width / 2
    }
}

/// Something to draw on.
struct Canvas<'a> {
    app: &'a App,
    grid: Grid,
    buffer: &'a mut Buffer,
}

pub(super) fn draw(app: &App, body: Rect, buffer: &mut Buffer) {
    let grid = Grid::of(body);
    let below = 3 * grid.down + 4;
    let mut canvas = Canvas { app, grid, buffer };
    for (state, column, row) in PLACES {
        canvas.state(state, column, row);
    }
    canvas.edges();
    let row = usize::from(below.min(body.height.saturating_sub(1)));
    put(buffer, body, row, &aborts(app));
}

impl Canvas<'_> {
    fn put(&mut self, x: u16, y: u16, text: &str, style: Style) {
        put_at(self.buffer, self.grid.area, x, y, &Span::styled(text, style));
    }

    fn state(&mut self, state: State, column: u16, row: u16) {
        let (x, y) = self.grid.corner(column, row);
        let theme = self.app.theme;
        let inside = usize::from(self.grid.width) - 2;
        let count = self.app.picture.counts[state.index()];
        let lingering = self.app.picture.lingering[state.index()];
        let style = if count > 0 { theme.state(state) } else { theme.dim() };
        let name = format!("┌{:─^inside$}┐", state.name());
        let number = if state == State::Closed { String::new() } else { grouped(count) };
        let flags =
            if lingering > 0 { format!("⚑{}", grouped(lingering)) } else { String::new() };
        self.put(x, y, &name, style);
        self.put(x, y + 1, &format!("│{number:^inside$}│"), style);
        self.put(x, y + 2, &format!("└{flags:─^inside$}┘"), style);
    }

    /// What goes along an edge: a word, and how often a second.
    fn words(&self, room: u16, word: &str, from: State, to: State) -> (String, Style) {
        let rate = rate(self.app.picture.rate(from, to));
        let words = match (self.grid.width > 15, rate.as_ref()) {
            (_, "") => word.to_owned(),
            (true, rate) => format!("{word} {rate}/s"),
            (false, rate) => format!("{word} {rate}"),
        };
        // The number is what must be seen.
        let fits = words.chars().count() <= usize::from(room);
        let words = if fits { words } else { rate.to_string() };
        let style = if rate.is_empty() { self.app.theme.dim() } else { self.app.theme.good() };
        (words, style)
    }

    fn label(&mut self, x: u16, y: u16, room: u16, word: &str, from: State, to: State) {
        let (words, style) = self.words(room, word, from, to);
        self.put(x, y, &words, style);
    }

    /// An arrow from a box to the one beside it.
    fn beside(&mut self, columns: (u16, u16), row: u16, word: &str, from: State, to: State) {
        let y = self.grid.corner(0, row).1 + 1;
        let left = columns.0.min(columns.1);
        let x = self.grid.corner(left, row).0 + self.grid.width;
        let room = self.grid.across - self.grid.width;
        let line = "─".repeat(usize::from(room) - 1);
        let arrow = if columns.0 < columns.1 { format!("{line}▶") } else { format!("◀{line}") };
        self.put(x, y, &arrow, Style::new());
        self.label(x + 1, y - 1, room - 2, word, from, to);
    }

    /// An arrow from a box to the one below.
    fn below(&mut self, column: u16, row: u16, word: &str, from: State, to: State) {
        let x = self.grid.middle(column);
        let top = self.grid.corner(column, row).1 + 3;
        let last = self.grid.down - 4;
        for line in 0..=last {
            self.put(x, top + line, if line == last { "▼" } else { "│" }, Style::new());
        }
        if column == 2 {
            // To the right there is no room for a number that grows.
            let room = self.grid.width / 2 + 6;
            let words = self.words(room, word, from, to);
            self.put(x - 1 - words.0.chars().count() as u16, top, &words.0, words.1);
        } else {
            self.label(x + 2, top, self.grid.width - 1, word, from, to);
        }
    }

    fn edges(&mut self) {
        use State::{
            CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv,
            SynSent, TimeWait,
        };
        self.beside((1, 0), 0, "listen()", Closed, Listen);
        self.beside((1, 2), 0, "connect()", Closed, SynSent);
        self.below(0, 0, "recv SYN", Listen, SynRecv);
        self.beside((0, 1), 1, "recv ACK", SynRecv, Established);
        self.client_handshake();
        self.closing();
        self.beside((0, 1), 2, "recv FIN", FinWait1, Closing);
        self.below(0, 2, "recv ACK", FinWait1, FinWait2);
        self.below(1, 2, "recv ACK", Closing, TimeWait);
        self.below(2, 2, "close()", CloseWait, LastAck);
        self.beside((0, 1), 3, "recv FIN", FinWait2, TimeWait);
        self.end(1, TimeWait);
        self.end(2, LastAck);
    }

    /// Down and back to ESTABLISHED.
    fn client_handshake(&mut self) {
        let (x, bottom) = (self.grid.middle(2), 3);
        let y = self.grid.corner(1, 1).1 + 1;
        for line in bottom..y {
            self.put(x, line, "│", Style::new());
        }
        let start = self.grid.corner(1, 1).0 + self.grid.width;
        let line = "─".repeat(usize::from(x - start) - 1);
        self.put(start, y, &format!("◀{line}┘"), Style::new());
        let room = x - start - 2;
        self.label(start + 1, y - 1, room, "recv SYN+ACK", State::SynSent, State::Established);
    }

    /// To both sides: who closes first, and whose peer does.
    fn closing(&mut self) {
        let y = self.grid.corner(1, 1).1 + 3;
        let last = self.grid.corner(0, 2).1 - 1;
        let corner = self.grid.corner(1, 1).0;
        let (left, right) = (corner + 3, corner + self.grid.width - 4);
        let (first, third) = (self.grid.middle(0), self.grid.middle(2));
        let line = |from: u16, to: u16| "─".repeat(usize::from(to - from) - 1);
        self.put(first, y, &format!("┌{}┘", line(first, left)), Style::new());
        self.put(right, y, &format!("└{}┐", line(right, third)), Style::new());
        for row in y + 1..=last {
            let mark = if row == last { "▼" } else { "│" };
            self.put(first, row, mark, Style::new());
            self.put(third, row, mark, Style::new());
        }
        let room = left - first - 2;
        let y = y + 1;
        self.label(first + 2, y, room, "close()", State::Established, State::FinWait1);
        let x = right + 2;
        self.label(x, y, third - x - 1, "recv FIN", State::Established, State::CloseWait);
    }

    /// The end below a box.
    fn end(&mut self, column: u16, from: State) {
        let x = self.grid.middle(column);
        let y = self.grid.corner(column, 3).1 + 3;
        let rate = rate(self.app.picture.rate(from, State::Closed));
        let words = if rate.is_empty() { String::new() } else { format!("{rate}/s ") };
        let words = format!("{words}CLOSED ▼");
        self.put(x + 1 - words.chars().count() as u16, y, &words, self.app.theme.dim());
    }
}

/// Transitions that no edge stands for, a second.
fn aborts(app: &App) -> Line<'static> {
    let picture = &app.picture;
    let mut others = Vec::new();
    for from in State::ALL {
        for to in State::ALL {
            let orderly = to == State::Closed && matches!(from, State::TimeWait | State::LastAck);
            let some = rate(picture.rate(from, to));
            if !some.is_empty() && !orderly && !DRAWN.contains(&(from, to)) {
                others.push(format!("{} → {} {some}/s", from.name(), to.name()));
            }
        }
    }
    if others.is_empty() {
        return Line::styled(" no resets, timeouts or refusals lately", app.theme.dim());
    }
    let words = format!(" RST, timeout, refusal: {}", others.join(", "));
    Line::styled(words, app.theme.warning())
}
