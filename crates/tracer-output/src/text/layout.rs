//! What a line has room for, and what gives way where it has not.
//!
//! The state and the reason always survive. Addresses are shortened in the middle, names of
//! processes at their end.

use std::borrow::Cow;

use anstyle::Style;
use arrayvec::ArrayVec;

use super::columns::{Line, Stories, columns, cut};
use crate::phrases::said;
use tracer_event::update::Role;
use tracer_texts::Texts;

/// How much a line shows, by the width of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layout {
    /// Local port, peer, state with the reason in a word or two, process.
    Slim,
    /// The same with the local address.
    Narrow,
    /// The same with the time in the state before.
    Medium,
    /// Everything.
    Wide,
}

impl Layout {
    /// `width` is that of a terminal, columns; pipes and files have no end.
    pub(super) fn of(width: Option<usize>) -> Self {
        match width {
            Some(..100) => Self::Slim,
            Some(100..120) => Self::Narrow,
            Some(120..150) => Self::Medium,
            _ => Self::Wide,
        }
    }
}

/// The longest address and port of IPv4, columns: to this, an IPv6 address may be shortened.
const IPV4: usize = 21;
/// No address is shortened further than this, columns.
const SHORTEST: usize = 15;
/// `:65535`
const PORT: usize = 6;
/// State and reason of most lines, columns.
const STATE: usize = 20;

/// What gives way where there is not enough room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Never,
    /// An address.
    Middle,
    /// Name and number of a process.
    Name,
}

/// A part of a line.
struct Cell<'a> {
    text: Cow<'a, str>,
    style: Style,
    /// Of its column.
    width: usize,
    right: bool,
    cut: Cut,
}

impl Cell<'_> {
    fn len(&self) -> usize {
        columns(&self.text)
    }

    fn padding(&self) -> usize {
        self.width.saturating_sub(self.len())
    }
}

/// The cells of a line, from left to right.
pub(super) struct Row<'a> {
    cells: ArrayVec<Cell<'a>, CELLS>,
    layout: Layout,
}

/// The most cells of a line.
const CELLS: usize = 16;

impl<'a> Row<'a> {
    fn push(&mut self, style: Style, text: impl Into<Cow<'a, str>>, width: usize, cut: Cut) {
        self.cells.push(Cell { text: text.into(), style, width, right: false, cut });
    }

    /// Text that keeps its length, in a column of `width`.
    pub(super) fn text(&mut self, style: Style, text: impl Into<Cow<'a, str>>, width: usize) {
        self.push(style, text, width, Cut::Never);
    }

    /// The same at the right of its column.
    pub(super) fn right(&mut self, style: Style, text: impl Into<Cow<'a, str>>, width: usize) {
        self.cells.push(Cell { text: text.into(), style, width, right: true, cut: Cut::Never });
    }

    /// The space between two columns.
    pub(super) fn space(&mut self) {
        self.text(Style::new(), "", gap(self.layout));
    }

    /// Writes the cells; where they do not fit, some of them shorter.
    pub(super) fn write(mut self, line: &mut Line<'_>) {
        if line.is_bounded() {
            self.fit(line.room());
        }
        for cell in &self.cells {
            let len = cell.len();
            let padding = cell.width.saturating_sub(len);
            if cell.right {
                line.fill(padding);
            }
            line.push_columns(cell.style, &cell.text, len);
            if !cell.right {
                line.fill(padding);
            }
        }
    }

    fn fit(&mut self, room: usize) {
        let need: usize = self.cells.iter().map(|cell| cell.len().max(cell.width)).sum();
        let mut excess = need.saturating_sub(room);
        if self.layout == Layout::Wide {
            self.drop_padding(&mut excess);
            self.shorten_names(&mut excess, 8);
        } else {
            // Down to this, all addresses have the same place, and the states below each other.
            if excess > 0 {
                self.shorten_addresses(&mut excess, (IPV4, usize::MAX));
            }
            self.shorten_names(&mut excess, 3);
            self.drop_padding(&mut excess);
        }
        let needed = excess;
        self.shorten_addresses(&mut excess, (SHORTEST, needed));
        self.shorten_names(&mut excess, 0);
    }

    /// Columns become as narrow as what they hold, those of the addresses first.
    fn drop_padding(&mut self, excess: &mut usize) {
        for cell in self.cells.iter_mut().filter(|cell| !cell.text.is_empty()) {
            let less = cell.padding().min(*excess);
            cell.width -= less;
            *excess -= less;
        }
    }

    /// Each loses its middle, the longest one first, until it has `least` columns or all together
    /// have lost `most`.
    fn shorten_addresses(&mut self, excess: &mut usize, (least, most): (usize, usize)) {
        let addresses = |cell: &&mut Cell<'_>| cell.cut == Cut::Middle && cell.len() > least;
        for _ in 0..most {
            let longest = self.cells.iter_mut().filter(addresses).max_by_key(|cell| cell.len());
            let Some(longest) = longest else { return };
            longest.text = without_middle(&longest.text, longest.len() - 1).into();
            longest.width = longest.width.min(longest.len());
            *excess = excess.saturating_sub(1);
        }
    }

    /// Names of processes keep `least` characters.
    fn shorten_names(&mut self, excess: &mut usize, least: usize) {
        for cell in self.cells.iter_mut().filter(|cell| cell.cut == Cut::Name) {
            let before = cell.len().max(cell.width);
            let less = cell.len().saturating_sub(before.saturating_sub(*excess));
            if let Cow::Owned(short) = shortened(&cell.text, less, least) {
                cell.text = short.into();
            }
            cell.width = cell.width.min(cell.len().max(before.saturating_sub(*excess)));
            *excess -= (before - cell.len().max(cell.width)).min(*excess);
        }
    }
}

/// Between two columns.
fn gap(layout: Layout) -> usize {
    if layout == Layout::Wide { 2 } else { 1 }
}

/// Widths of the columns that grow.
#[derive(Debug)]
pub(super) struct Widths {
    pub(super) layout: Layout,
    local: usize,
    peer: usize,
    process: usize,
    /// Addresses that are longer do not make their columns wider.
    longest: usize,
}

impl Widths {
    /// For a terminal of `width` columns, or for a pipe.
    pub(super) fn new(width: Option<usize>) -> Self {
        let layout = Layout::of(width);
        let local = if layout == Layout::Slim { PORT } else { SHORTEST };
        let process = if layout == Layout::Wide { 18 } else { 0 };
        // On a wide terminal, half of what all other columns leave.
        let longest = match (layout, width) {
            (Layout::Wide, None) => usize::MAX,
            (Layout::Wide, Some(width)) => (width.saturating_sub(118) / 2).max(IPV4),
            _ => IPV4,
        };
        Self { layout, local, peer: SHORTEST, process, longest }
    }

    /// Begins a line with its time.
    pub(super) fn begin(&self, line: &mut Line<'_>, time: &str) {
        line.push(line.palette().dim, self.time(time));
        line.fill(self.gap());
    }

    /// How a time of 15 columns is shown.
    pub(super) fn time<'a>(&self, time: &'a str) -> &'a str {
        if self.layout == Layout::Wide { time } else { &time[..12] }
    }

    /// The space between two columns.
    pub(super) fn gap(&self) -> usize {
        gap(self.layout)
    }

    /// The width of the column of state and reason.
    pub(super) fn state(&self) -> usize {
        if self.layout == Layout::Medium { STATE + 8 } else { STATE }
    }

    /// Tag and ends: what every line about a socket begins with, after its time. The arrow points
    /// from the client to the server.
    pub(super) fn row<'a>(
        &mut self,
        tag: &'a str,
        role: Option<Role>,
        (local, peer): (&'a str, &'a str),
        (plain, dim): (Style, Style),
    ) -> Row<'a> {
        let arrow = match role {
            Some(Role::Listener) => " · ",
            Some(Role::Client) => " → ",
            Some(Role::Server) => " ← ",
            None => " ↔ ",
        };
        for (width, text) in [(&mut self.local, local), (&mut self.peer, peer)] {
            *width = (*width).max(columns(text).min(self.longest));
        }
        let mut row = Row { cells: ArrayVec::new(), layout: self.layout };
        row.text(plain, tag, 0);
        row.space();
        row.push(plain, local, self.local, Cut::Middle);
        row.text(dim, arrow, 0);
        row.push(plain, peer, self.peer, Cut::Middle);
        row
    }

    /// Adds the process.
    pub(super) fn process<'a>(&mut self, row: &mut Row<'a>, style: Style, process: &'a str) {
        if self.layout == Layout::Wide {
            self.process = self.process.max(columns(process).min(32));
            let process = shortened(process, columns(process).saturating_sub(32), 1);
            row.push(style, process, self.process, Cut::Name);
        } else {
            row.push(style, process, 0, Cut::Name);
        }
    }

    /// Names of the columns.
    pub(super) fn header(
        &self,
        mut line: Line<'_>,
        time: &str,
        stories: Stories,
        texts: Option<&Texts>,
    ) {
        let gap = self.gap();
        let process = ("PROCESS", self.process.max(7) + gap);
        let state = ("STATE", self.state() + gap);
        let rest: &[(&str, usize)] = match (stories, self.layout) {
            (Stories::Only, Layout::Wide) => &[process, ("CONNECTION", 10)],
            (Stories::Only, _) => &[("CONNECTION", 10)],
            (Stories::Steps, Layout::Wide) => {
                &[process, ("FROM", 14), ("TO", 13), ("   AFTER", 10), ("WHAT HAPPENED", 13)]
            }
            (Stories::Steps, Layout::Medium) => &[state, ("   AFTER", 8 + gap), process],
            (Stories::Steps, _) => &[state, process],
        };
        let of_time = if self.layout == Layout::Wide { 15 } else { 12 };
        let ends = [
            (time, of_time + gap),
            ("#", 2 + gap),
            ("LOCAL", self.local + 3),
            ("PEER", self.peer + gap),
        ];
        for (name, width) in ends.iter().chain(rest) {
            let words = name.trim_start();
            let indent = name.len() - words.len();
            line.fill(indent);
            line.left(line.palette().dim, said(texts, words), width - indent);
        }
        line.finish();
    }
}

/// An address, or a name, of at most `len` characters, without those in its middle; its port stays.
pub fn without_middle(text: &str, len: usize) -> String {
    let whole = columns(text);
    if whole <= len {
        return text.to_owned();
    }
    let (end, port) = text.rsplit_once(':').map_or((text, ""), |(end, port)| (end, port));
    let port = if port.is_empty() { String::new() } else { format!(":{port}") };
    let letters: Vec<char> = end.chars().filter(|&letter| letter != '…').collect();
    let keep = len.saturating_sub(columns(&port) + 1);
    let head = keep.div_ceil(2).min(letters.len());
    let tail = letters.len() - (keep - keep.div_ceil(2)).min(letters.len() - head);
    let (head, tail): (String, String) =
        (letters[..head].iter().collect(), letters[tail..].iter().collect());
    format!("{head}…{tail}{port}")
}

/// A process whose name is cut by `excess` columns, but to no less than `least`; its number stays
/// whole.
pub fn shortened(process: &str, excess: usize, least: usize) -> Cow<'_, str> {
    let Some((name, rest)) = process.rsplit_once('[').filter(|_| excess > 0) else {
        return process.into();
    };
    let name = name.trim_end_matches('…');
    let len = columns(name);
    let keep = len.saturating_sub(excess + 1).max(least);
    if keep >= len { process.into() } else { format!("{}…[{rest}", cut(name, keep)).into() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("127.0.0.1:8080", 15, "127.0.0.1:8080")]
    #[case("[2001:db8:85a3:1111:2222:8a2e:370:7334]:443", 21, "[2001:db…70:7334]:443")]
    #[case("[2001:db8:85a3:1111:2222:8a2e:370:7334]:65535", 15, "[200…334]:65535")]
    #[case("db-1.cluster.example.com:5432", 20, "db-1.cl…ple.com:5432")]
    fn an_address_loses_its_middle_and_never_its_port(
        #[case] text: &str,
        #[case] len: usize,
        #[case] short: &str,
    ) {
        let shown = without_middle(text, len);
        assert!(columns(&shown) <= len.max(columns(text).min(len)), "{shown}");
        assert_eq!(shown, short);
        // Letter by letter, it comes to the same.
        let steps = (len..columns(text))
            .rev()
            .fold(text.to_owned(), |text, len| without_middle(&text, len));
        assert_eq!(columns(&steps), columns(&shown));
    }
}
