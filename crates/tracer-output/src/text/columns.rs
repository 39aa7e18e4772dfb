//! Lines: padding and cutting.

use std::io::Write as _;

use anstyle::Style;

use super::palette::Palette;
pub(super) use crate::width::cut;
use crate::{width, wrap::broken};

/// Whether connections are shown step by step or as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stories {
    /// A line for each transition.
    Steps,
    /// A line for each connection, when it is over.
    Only,
}

/// A line that is being written at the end of the output, cut where the terminal ends.
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
    begun: usize,
    used: usize,
    width: usize,
    palette: Palette,
    /// It has neither an end nor a colour, as most: nothing that follows depends on where it is.
    is_bare: bool,
}

impl<'a> Line<'a> {
    /// `width` is that of the terminal, if it is one.
    pub fn new(width: Option<usize>, palette: Palette, out: &'a mut Vec<u8>) -> Self {
        let is_bare = width.is_none() && palette.is_plain();
        let width = width.unwrap_or(usize::MAX);
        Self { begun: out.len(), out, used: 0, width, palette, is_bare }
    }

    /// The space between two columns.
    pub fn space(&mut self) {
        self.fill(2);
    }

    /// Whether it is a terminal's.
    pub(super) fn is_bounded(&self) -> bool {
        self.width != usize::MAX
    }

    /// Columns that are left.
    pub(super) fn room(&self) -> usize {
        self.width - self.used
    }

    /// The colours of the line.
    pub(super) fn palette(&self) -> Palette {
        self.palette
    }

    /// As much of `words` as fits.
    pub fn push(&mut self, style: Style, words: &str) {
        self.push_columns(style, words, columns(words));
    }

    /// The same of words that are known to take so many columns.
    pub(super) fn push_columns(&mut self, style: Style, words: &str, len: usize) {
        let room = self.width - self.used;
        if room == 0 || words.is_empty() {
            return;
        }
        let fits = len <= room;
        let shown: &str = if fits { words } else { cut(words, room - 1) };
        if style.is_plain() {
            self.out.extend_from_slice(shown.as_bytes());
        } else {
            // Writing to memory cannot fail.
            let _ = write!(self.out, "{style}{shown}{style:#}");
        }
        if !fits {
            self.out.extend_from_slice("…".as_bytes());
        }
        self.used += len.min(room);
    }

    /// Spaces.
    pub fn fill(&mut self, columns: usize) {
        let columns = columns.min(self.width - self.used);
        if columns > 0 {
            self.out.resize(self.out.len() + columns, b' ');
            self.used += columns;
        }
    }

    /// `words` at the left of a column of `width`.
    pub fn left(&mut self, style: Style, words: &str, width: usize) {
        let len = columns(words);
        if len > width {
            self.push(style, &format!("{}…", cut(words, width.saturating_sub(1))));
        } else {
            self.push(style, words);
            self.fill(width - len);
        }
    }

    /// `words` at the right of a column of `width`.
    pub fn right(&mut self, style: Style, words: &str, width: usize) {
        let len = columns(words);
        self.fill(width.saturating_sub(len));
        self.push_columns(style, words, len);
    }

    /// `words` at the left of a column of `width`, or of more where they take more.
    #[inline]
    pub(super) fn cell(&mut self, style: Style, words: &str, width: usize) {
        if !self.is_bare {
            let len = columns(words);
            self.push_columns(style, words, len);
            return self.fill(width.saturating_sub(len));
        }
        // What is in no column need not be measured.
        self.out.extend_from_slice(words.as_bytes());
        if width > 0 {
            self.fill(width.saturating_sub(columns(words)));
        }
    }

    /// The line so far, if nothing depends on how wide that is.
    pub(super) fn bare(&mut self) -> Option<&mut Vec<u8>> {
        self.is_bare.then_some(&mut *self.out)
    }

    /// Bytes that another line of the same palette has had.
    pub(super) fn copy(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// What is in the line so far.
    pub(super) fn written(&self) -> &[u8] {
        &self.out[self.begun..]
    }

    /// Ends the line, without spaces at its end.
    pub fn finish(self) {
        let Self { out, begun, .. } = self;
        while out.len() > begun && out.last() == Some(&b' ') {
            out.pop();
        }
        out.push(b'\n');
    }
}

/// Words that belong to no column: never cut; on a terminal of `width` columns they are broken
/// between words and go on below themselves.
pub(crate) fn folded(
    style: Style,
    words: &str,
    (palette, width): (Palette, Option<usize>),
    out: &mut Vec<u8>,
) {
    let room = width.map(|width| width.saturating_sub(2));
    for (index, part) in broken(words, room).iter().enumerate() {
        let mut line = Line::new(None, palette, out);
        line.fill(if index == 0 { 0 } else { 2 });
        line.push(style, part);
        line.finish();
    }
}

/// What most durations end with: its letters are as wide as others.
const MICROSECONDS: &str = "µs";

/// How many columns words take.
pub(super) fn columns(words: &str) -> usize {
    match words.strip_suffix(MICROSECONDS) {
        _ if words.is_ascii() => words.len(),
        Some(number) if number.is_ascii() => number.len() + MICROSECONDS.chars().count(),
        _ => width::columns(words),
    }
}
