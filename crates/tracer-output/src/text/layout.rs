//! What a line has room for, and how wide its columns are.

use std::borrow::Cow;

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
pub(super) const IPV4: usize = 21;
/// No address is shortened further than this, columns.
pub(super) const SHORTEST: usize = 15;
/// `:65535`
const PORT: usize = 6;
/// State and reason of most lines, columns.
const STATE: usize = 20;
/// The longest process, columns.
pub(super) const NAME: usize = 32;

/// Between two columns.
pub(super) fn gap(layout: Layout) -> usize {
    if layout == Layout::Wide { 2 } else { 1 }
}

/// The width of the column of state and reason.
pub(super) fn state(layout: Layout) -> usize {
    if layout == Layout::Medium { STATE + 8 } else { STATE }
}

/// Widths of the columns that grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Widths {
    pub(super) layout: Layout,
    pub(super) local: usize,
    pub(super) peer: usize,
    pub(super) process: usize,
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
        let time = self.time(time);
        line.cell(line.palette().dim, time, time.len() + self.gap());
    }

    /// How a time of 15 columns is shown.
    pub(super) fn time<'a>(&self, time: &'a str) -> &'a str {
        if self.layout == Layout::Wide { time } else { &time[..12] }
    }

    /// The space between two columns.
    pub(super) fn gap(&self) -> usize {
        gap(self.layout)
    }

    /// Makes room for both ends and a process.
    pub(super) fn grow(&mut self, ends: [&str; 2], process: &str) {
        for (width, text) in [&mut self.local, &mut self.peer].into_iter().zip(ends) {
            *width = (*width).max(columns(text).min(self.longest));
        }
        if self.layout == Layout::Wide {
            self.process = self.process.max(columns(process).min(NAME));
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
        let state = ("STATE", state(self.layout) + gap);
        let rest: &[(&str, usize)] = match (stories, self.layout) {
            (Stories::Only, Layout::Wide) => &[process, ("CONNECTION", 10)],
            (Stories::Only, _) => &[("CONNECTION", state.1), process],
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

/// Between the local end and the peer: it points from the client to the server.
pub const fn arrow(role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Listener) => " · ",
        Some(Role::Client) => " → ",
        Some(Role::Server) => " ← ",
        None => " ↔ ",
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
