//! Columns and lines: padding, growth, cutting.

use std::io::Write as _;

use anstyle::Style;

use super::palette::Palette;
use crate::{
    model::{
        endpoint::Endpoint,
        update::{Role, Subject},
    },
    sink::names::Names,
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
    narrow: bool,
}

impl Widths {
    pub(super) fn new(width: Option<usize>) -> Self {
        let narrow = width.is_some_and(|width| width < NARROW);
        Self { local: 15, peer: 15, process: if narrow { 14 } else { 18 }, narrow }
    }

    pub(super) fn is_narrow(&self) -> bool {
        self.narrow
    }

    /// Local end, direction, peer: the arrow points from the client to the server.
    pub(super) fn endpoints(
        &mut self,
        line: &mut Line<'_>,
        subject: &Subject,
        names: Option<&Names>,
    ) {
        let text = |end: Endpoint| match names {
            None => end.to_string(),
            Some(names) => names.named(end),
        };
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
        if len > self.process {
            let short = shortened(process, len - self.process);
            return line.left(line.palette.plain, &short, self.process);
        }
        line.left(line.palette.plain, process, self.process);
    }

    /// Names of the columns.
    pub(super) fn header(&self, mut line: Line<'_>, time: &str, stories: Stories) {
        let dim = line.palette.dim;
        line.left(dim, time, if self.narrow { 12 } else { 15 });
        line.space();
        line.left(dim, "#", 2);
        line.space();
        line.left(dim, "LOCAL", self.local + 3);
        line.left(dim, "PEER", self.peer);
        line.space();
        if stories == Stories::Steps && self.narrow {
            line.left(dim, "STATE", 11);
            line.space();
            line.push(dim, "PROCESS");
            return line.finish();
        }
        line.left(dim, "PROCESS", self.process);
        line.space();
        match stories {
            Stories::Steps => {
                line.left(dim, "FROM", 14);
                line.left(dim, "TO", 11);
                line.space();
                line.right(dim, "AFTER", 8);
                line.space();
                line.push(dim, "WHAT HAPPENED");
            }
            Stories::Only => line.push(dim, "CONNECTION"),
        }
        line.finish();
    }
}

/// A process whose name is cut so that `excess` columns less are taken: its number stays whole.
fn shortened(process: &str, excess: usize) -> String {
    let Some((name, rest)) = process.rsplit_once('[') else { return process.to_owned() };
    let keep = name.chars().count().saturating_sub(excess + 1);
    format!("{}…[{rest}", cut(name, keep))
}

/// A line under construction at the end of the output, cut where the terminal ends.
pub(in crate::sink) struct Line<'a> {
    out: &'a mut Vec<u8>,
    begun: usize,
    used: usize,
    width: usize,
    palette: Palette,
}

impl<'a> Line<'a> {
    pub(in crate::sink) fn new(
        width: Option<usize>,
        palette: Palette,
        out: &'a mut Vec<u8>,
    ) -> Self {
        let begun = out.len();
        Self { out, begun, used: 0, width: width.unwrap_or(usize::MAX), palette }
    }

    pub(in crate::sink) fn space(&mut self) {
        self.fill(2);
    }

    /// As much of `words` as fits.
    pub(in crate::sink) fn push(&mut self, style: Style, words: &str) {
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
    pub(in crate::sink) fn fill(&mut self, columns: usize) {
        let columns = columns.min(self.width - self.used);
        self.out.resize(self.out.len() + columns, b' ');
        self.used += columns;
    }

    /// `words` at the left of a column of `width`.
    pub(in crate::sink) fn left(&mut self, style: Style, words: &str, width: usize) {
        let len = columns(words);
        if len > width {
            let short = format!("{}…", cut(words, width.saturating_sub(1)));
            return self.push(style, &short);
        }
        self.push(style, words);
        self.fill(width - len);
    }

    /// `words` at the right of a column of `width`.
    pub(in crate::sink) fn right(&mut self, style: Style, words: &str, width: usize) {
        let len = columns(words);
        self.fill(width.saturating_sub(len));
        self.push(style, words);
    }

    /// Without spaces at its end.
    pub(in crate::sink) fn finish(self) {
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

/// How many columns it takes.
fn columns(words: &str) -> usize {
    if words.is_ascii() { words.len() } else { words.chars().count() }
}
