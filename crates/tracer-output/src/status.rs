//! The line at the bottom of a terminal that says that all is well while nothing happens.
//!
//! It is rewritten in place and taken away before anything else is written; pipes and files never
//! get it.

use super::Tick;
use crate::{phrases::worded, width::cut};
use tracer_event::duration::{count, whole_seconds};
use tracer_texts::Texts;

/// Time between two writings, nanoseconds.
const SECOND: u64 = 1_000_000_000;
/// Back to the first column, and everything behind it away.
const ERASE: &str = "\r\x1b[K";

/// A status line.
#[derive(Debug)]
pub(super) struct StatusLine {
    /// Columns of the terminal; `None` where there is none.
    width: Option<usize>,
    /// Quiet time after which it is written, nanoseconds.
    patience: u64,
    shown: bool,
    quiet_since: Option<u64>,
    next: u64,
}

impl StatusLine {
    pub(super) fn new(width: Option<usize>, patience: u64) -> Self {
        Self { width, patience, shown: false, quiet_since: None, next: 0 }
    }

    /// The terminal has `width` columns now.
    pub(super) fn resize(&mut self, width: usize) {
        self.width = self.width.map(|_| width);
    }

    /// To be called before anything else is written.
    pub(super) fn erase(&mut self, out: &mut Vec<u8>) {
        self.quiet_since = None;
        if self.shown {
            self.shown = false;
            out.extend_from_slice(ERASE.as_bytes());
        }
    }

    /// Writes what `words` say, given the quiet time in nanoseconds, if it is time; when it is
    /// next.
    pub(super) fn pause(
        &mut self,
        now: u64,
        words: impl FnOnce(u64) -> Option<String>,
        out: &mut Vec<u8>,
    ) -> Option<u64> {
        let width = self.width?;
        let since = *self.quiet_since.get_or_insert_with(|| {
            self.next = now + self.patience;
            now
        });
        if now < self.next {
            return Some(self.next);
        }
        let quiet = now.saturating_sub(since);
        self.next = since + (quiet / SECOND + 1) * SECOND;
        let Some(words) = words(quiet) else { return Some(self.next) };
        self.shown = true;
        out.extend_from_slice(ERASE.as_bytes());
        // Not up to the last column, where some terminals would wrap.
        out.extend_from_slice(cut(&words, width.saturating_sub(1)).as_bytes());
        Some(self.next)
    }
}

/// That nothing has happened for so many nanoseconds, and to how many sockets, where that is known.
pub(super) fn nothing(moment: &Tick, quiet: u64, texts: Option<&Texts>) -> String {
    let quiet = whole_seconds(quiet);
    let english = format_args!("no events for {quiet}");
    let quiet = worded(texts, "view-quiet", &[("quiet", &quiet)], english);
    let Some(sockets) = moment.sockets else { return format!("… {quiet}") };
    let english = format_args!("{} tracked", count(sockets as u64, "socket"));
    let sockets = worded(texts, "view-tracked", &[("count", &sockets)], english);
    format!("… {sockets}, {quiet}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(line: &mut StatusLine, now: u64) -> (Option<u64>, String) {
        let mut out = Vec::new();
        let next =
            line.pause(now, |quiet| Some(format!("quiet for {} s", quiet / SECOND)), &mut out);
        (next, String::from_utf8(out).unwrap())
    }

    #[test]
    fn one_socket_is_no_plural() {
        let words = nothing(&Tick { now: 0, read_until: 0, sockets: Some(1) }, SECOND, None);
        assert_eq!(words, "… 1 socket tracked, no events for 1 s");
    }

    #[test]
    fn it_comes_after_a_while_counts_up_and_gives_way() {
        let mut line = StatusLine::new(Some(80), 5 * SECOND);
        assert_eq!(write(&mut line, 100), (Some(100 + 5 * SECOND), String::new()));
        let (next, text) = write(&mut line, 100 + 5 * SECOND);
        assert_eq!((next, &*text), (Some(100 + 6 * SECOND), "\r\x1b[Kquiet for 5 s"));
        assert_eq!(write(&mut line, 101 + 5 * SECOND).1, "");
        assert_eq!(write(&mut line, 100 + 6 * SECOND).1, "\r\x1b[Kquiet for 6 s");
        let mut out = Vec::new();
        line.erase(&mut out);
        assert_eq!(out, ERASE.as_bytes());
        assert_eq!(write(&mut line, 200 * SECOND), (Some(205 * SECOND), String::new()));
    }

    #[test]
    fn it_fits_the_terminal_and_never_gets_into_a_pipe() {
        let mut line = StatusLine::new(Some(6), 0);
        assert_eq!(write(&mut line, 0).1, "\r\x1b[Kquiet");
        let mut pipe = StatusLine::new(None, 0);
        assert_eq!(write(&mut pipe, 100 * SECOND), (None, String::new()));
    }
}
