//! Columns and lines: padding, growth, cutting.

use std::io::Write as _;

use anstyle::Style;

use super::palette::Palette;
use crate::names::Names;
use tracer_event::{
    endpoint::Endpoint,
    update::{Role, Subject},
};

/// On a narrower terminal a line shows the essentials only.
const NARROW: usize = 120;

/// Whether connections are shown step by step or as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stories {
    /// A line for each transition.
    Steps,
    /// A line for each connection, when it is over.
    Only,
}

/// Widths of the columns that grow.
#[derive(Debug)]
pub(super) struct Widths {
    local: usize,
    peer: usize,
    process: usize,
    /// There is room for the essentials only.
    pub(super) narrow: bool,
}

impl Widths {
    pub(super) fn new(width: Option<usize>) -> Self {
        let narrow = width.is_some_and(|width| width < NARROW);
        Self { local: 15, peer: 15, process: if narrow { 14 } else { 18 }, narrow }
    }

    /// Local end, direction, peer: the arrow points from the client to the server.
    pub(super) fn endpoints(
        &mut self,
        line: &mut Line<'_>,
        subject: &Subject,
        names: Option<&Names>,
    ) {
        let text = |end: Endpoint| names.map_or_else(|| end.to_string(), |names| names.named(end));
        let local = text(subject.tuple.local);
        let (arrow, peer) = match subject.role {
            Some(Role::Listener) => (" · ", "*".to_owned()),
            Some(Role::Client) => (" → ", text(subject.tuple.peer)),
            Some(Role::Server) => (" ← ", text(subject.tuple.peer)),
            None => (" ↔ ", text(subject.tuple.peer)),
        };
        self.local = self.local.max(local.chars().count());
        self.peer = self.peer.max(peer.chars().count());
        line.left(line.palette.plain, &local, self.local);
        line.push(line.palette.dim, arrow);
        line.left(line.palette.plain, &peer, self.peer);
    }

    pub(super) fn process(&mut self, line: &mut Line<'_>, process: &str) {
        let len = columns(process);
        if !self.narrow {
            self.process = self.process.max(len.min(32));
        }
        let short = (len > self.process).then(|| shortened(process, len - self.process));
        line.left(line.palette.plain, short.as_deref().unwrap_or(process), self.process);
    }

    /// Names of the columns.
    pub(super) fn header(&self, mut line: Line<'_>, time: &str, stories: Stories) {
        let ends = [
            (time, if self.narrow { 14 } else { 17 }),
            ("#", 4),
            ("LOCAL", self.local + 3),
            ("PEER", self.peer + 2),
        ];
        let process = ("PROCESS", self.process + 2);
        let rest: &[(&str, usize)] = match (stories, self.narrow) {
            (Stories::Steps, true) => &[("STATE", 13), process],
            (Stories::Steps, false) => {
                &[process, ("FROM", 14), ("TO", 13), ("   AFTER", 10), ("WHAT HAPPENED", 13)]
            }
            (Stories::Only, _) => &[process, ("CONNECTION", 10)],
        };
        for (name, width) in ends.iter().chain(rest) {
            line.left(line.palette.dim, name, *width);
        }
        line.finish();
    }
}

/// A process whose name is cut by `excess` columns; its number stays whole.
fn shortened(process: &str, excess: usize) -> String {
    let Some((name, rest)) = process.rsplit_once('[') else { return process.to_owned() };
    let keep = name.chars().count().saturating_sub(excess + 1);
    format!("{}…[{rest}", cut(name, keep))
}

/// A line that is being written at the end of the output, cut where the terminal ends.
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
    begun: usize,
    used: usize,
    width: usize,
    palette: Palette,
}

impl<'a> Line<'a> {
    /// `width` is that of the terminal, if it is one.
    pub fn new(width: Option<usize>, palette: Palette, out: &'a mut Vec<u8>) -> Self {
        Self { begun: out.len(), out, used: 0, width: width.unwrap_or(usize::MAX), palette }
    }

    /// The space between two columns.
    pub fn space(&mut self) {
        self.fill(2);
    }

    /// As much of `words` as fits.
    pub fn push(&mut self, style: Style, words: &str) {
        let room = self.width - self.used;
        let len = columns(words);
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
        self.out.resize(self.out.len() + columns, b' ');
        self.used += columns;
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
        self.push(style, words);
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

fn cut(words: &str, len: usize) -> &str {
    words.char_indices().nth(len).map_or(words, |(at, _)| &words[..at])
}

/// How many columns words take.
fn columns(words: &str) -> usize {
    if words.is_ascii() { words.len() } else { words.chars().count() }
}
