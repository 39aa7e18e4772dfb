//! What the columns and marks of the live view mean.

use tracer_texts::Texts;

use super::{Layout, Line, Palette};
use crate::phrases::said;

/// Columns and marks, each with its meaning.
pub const LEGEND: [(&str, &str); 18] = [
    ("TIME", "when it happened"),
    ("#", "a tag: all lines of one connection, and of both its ends, have it"),
    ("·", "a listener, which has no peer and no tag"),
    ("LOCAL → PEER", "this end is the client"),
    ("LOCAL ← PEER", "this end is the server"),
    ("LOCAL ↔ PEER", "which end is the client is not known"),
    ("PROCESS", "name[pid] of the owner, @ID of its container; - if unknown"),
    ("name[pid]?", "not accepted yet: the process that has the listener"),
    ("name[1 of 3]?", "the same of a listener that three processes share"),
    ("FROM → TO", "the state before and after; STATE is the one after"),
    ("AFTER", "time spent in the state before; - if unknown"),
    ("↻", "SYN, SYN+ACK or FIN retransmitted; # counts"),
    ("✗", "RST sent or received"),
    ("⚑", "stuck in a state: a socket or a group; again when it has doubled"),
    ("⚠", "a problem of this host, as tracer diagnose reports it"),
    ("!", "something is not available on this host, or events were lost"),
    ("…", "no events, or too many to read: a line a second (terminals only)"),
    ("=", "the summary at the end"),
];

/// The legend, a line each.
pub fn legend(texts: Option<&Texts>) -> String {
    LEGEND.map(|(mark, meaning)| format!("{mark:<14} {}\n", said(texts, meaning))).concat()
}

/// What a terminal shows first, with the marks that are met first.
pub(super) fn introduction(
    palette: Palette,
    layout: Layout,
    texts: Option<&Texts>,
    out: &mut Vec<u8>,
) {
    let marks = said(texts, "# connection  → to a server  ← from a client  · listener");
    let marks = match layout {
        Layout::Medium | Layout::Wide => {
            format!("{marks}  AFTER {}", said(texts, "time in the state before"))
        }
        Layout::Slim | Layout::Narrow => marks.to_owned(),
    };
    for words in [
        "Watching the TCP connections of this host, a line for each change of state.",
        &marks,
        "⚑ stuck  ↻ retransmitted  ✗ reset  ? not accepted yet (more: tracer --legend)",
    ] {
        let words = said(texts, words);
        let mut line = Line::new(None, palette, out);
        line.push(palette.dim, words);
        line.finish();
    }
}

#[cfg(test)]
mod tests {
    use tracer_texts::Language;

    use super::*;
    use crate::width::columns;

    #[test]
    fn legend_and_introduction_fit_80_columns() {
        for language in Language::all() {
            let texts = Texts::of(language);
            let mut out = legend(Some(&texts)).into_bytes();
            introduction(Palette::PLAIN, Layout::Slim, Some(&texts), &mut out);
            let text = String::from_utf8(out).unwrap();
            let wide = text.lines().find(|line| columns(line) > 80);
            assert_eq!(wide, None);
            for mark in ["#", "?", "⚑", "·", "→", "←"] {
                assert!(text.lines().rev().take(3).any(|line| line.contains(mark)), "{mark}");
            }
        }
    }
}
