//! A line about a socket, and what of it gives way where there is not enough room.
//!
//! The state and the reason always survive. Addresses are shortened in the middle, names of
//! processes at their end.

use std::borrow::Cow;

use anstyle::Style;

use super::{
    columns::{Line, columns},
    layout::{IPV4, Layout, NAME, SHORTEST, Widths, arrow, gap, shortened, without_middle},
    palette::Palette,
    subjects::Words,
    tag::Tag,
};
use tracer_event::update::Role;

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

/// The cells of a line, from left to right. They are written at once where the line has no end;
/// else they wait for each other, as some may have to be shorter.
pub(super) struct Row<'a, 'l> {
    line: Line<'l>,
    cells: Vec<Cell<'a>>,
    pub(super) layout: Layout,
}

impl<'a, 'l> Row<'a, 'l> {
    /// A line that is about a socket, begun with its tag, both ends and, where there is room for
    /// all of it, its process; returned too for where it follows later. Lines that have no end
    /// begin as the one before about the same socket, as long as no column has grown.
    pub(super) fn about(
        line: Line<'l>,
        role: Option<Role>,
        words: &'a mut Words,
        widths: &mut Widths,
        (tag, find): (&'a mut Tag, impl FnOnce() -> Tag),
    ) -> (Self, &'a str) {
        let Words { local, peer, process, beginning } = words;
        let before = line.written().len();
        let mut row = Self { line, cells: Vec::new(), layout: widths.layout };
        if let Some(bytes) = beginning.of(widths).filter(|_| !row.line.is_bounded()) {
            row.line.copy(bytes);
            return (row, process);
        }
        let ends = [&**local, peer];
        widths.grow(ends, process);
        *tag = find();
        row.ends(tag, role, ends, widths);
        row.space();
        if widths.layout == Layout::Wide {
            row.process(row.line.palette().plain, process, widths.process);
            row.space();
        }
        beginning.keep(&row.line.written()[before..], *widths);
        (row, process)
    }

    fn push(&mut self, style: Style, text: Cow<'a, str>, width: usize, cut: Cut) {
        if self.line.is_bounded() {
            self.cells.push(Cell { text, style, width, right: false, cut });
        } else {
            self.line.cell(style, &text, width);
        }
    }

    /// The line so far, if it has neither an end nor a colour.
    pub(super) fn bare(&mut self) -> Option<&mut Vec<u8>> {
        self.line.bare()
    }

    /// Text that keeps its length, in a column of `width`.
    pub(super) fn text(&mut self, style: Style, text: &'a str, width: usize) {
        self.push(style, Cow::Borrowed(text), width, Cut::Never);
    }

    /// The same at the right of its column.
    pub(super) fn right(&mut self, style: Style, text: &'a str, width: usize) {
        if self.line.is_bounded() {
            let text = Cow::Borrowed(text);
            self.cells.push(Cell { text, style, width, right: true, cut: Cut::Never });
        } else {
            self.line.right(style, text, width);
        }
    }

    /// The space between two columns.
    pub(super) fn space(&mut self) {
        self.text(Style::new(), "", gap(self.layout));
    }

    /// Tag and ends.
    fn ends(
        &mut self,
        tag: &'a str,
        role: Option<Role>,
        [local, peer]: [&'a str; 2],
        widths: &Widths,
    ) {
        let Palette { plain, dim, .. } = self.line.palette();
        self.text(plain, tag, 0);
        self.space();
        self.push(plain, Cow::Borrowed(local), widths.local, Cut::Middle);
        self.text(dim, arrow(role), 0);
        self.push(plain, Cow::Borrowed(peer), widths.peer, Cut::Middle);
    }

    /// The process; where there is room for all, in a column of `width`.
    pub(super) fn process(&mut self, style: Style, process: &'a str, width: usize) {
        let text = match self.layout {
            Layout::Wide => shortened(process, columns(process).saturating_sub(NAME), 1),
            _ => process.into(),
        };
        self.push(style, text, width, Cut::Name);
    }

    /// Writes the cells; where they do not fit, some of them shorter.
    pub(super) fn write(mut self) -> Line<'l> {
        if self.line.is_bounded() {
            self.fit(self.line.room());
        }
        for Cell { text, style, width, right, .. } in &self.cells {
            match right {
                true => self.line.right(*style, text, *width),
                false => self.line.cell(*style, text, *width),
            }
        }
        self.line
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

    /// Columns become as narrow as what they hold, those of the addresses first; the space between
    /// them stays.
    fn drop_padding(&mut self, excess: &mut usize) {
        let gap = gap(self.layout);
        let is_column = |cell: &&mut Cell<'_>| !cell.text.is_empty() || cell.width > gap;
        for cell in self.cells.iter_mut().filter(is_column) {
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
