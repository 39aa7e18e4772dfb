//! What the columns of a line about a socket hold.

use std::fmt::Write as _;

use anstyle::Style;
use arrayvec::ArrayString;

use super::{
    Palette,
    columns::columns,
    layout::Layout,
    words::{of_reset, write_brief, write_meaning, write_retransmit},
};
use crate::phrases::said;
use tracer_event::{
    duration::write_duration,
    state::State,
    update::{Answered, Direction, Subject, Transition, Update},
};
use tracer_texts::Texts;

/// The longest duration, and the longest state or segment, bytes.
const CELL: usize = 16;
/// Widths of the columns of states and of durations, and between any two, where there is room.
pub(super) const STATE: usize = 11;
pub(super) const AFTER: usize = 8;
const GAP: usize = 2;

/// A state change, or a segment.
pub(super) struct Event<'a> {
    pub(super) time: u64,
    pub(super) subject: &'a Subject,
    pub(super) from: State,
    /// The state entered, or a segment.
    pub(super) to: ArrayString<CELL>,
    pub(super) style: Style,
    /// The time in the state that was left.
    pub(super) after: Option<ArrayString<CELL>>,
    /// What happened; where there is no room for that, state and reason in a word or two.
    pub(super) words: &'a str,
}

fn after(elapsed: Option<u64>) -> ArrayString<CELL> {
    let mut text = ArrayString::new();
    // It has room for the longest.
    let _ = match elapsed {
        Some(elapsed) => write_duration(elapsed, &mut text),
        None => text.write_char('-'),
    };
    text
}

fn cell(sign: &str, name: &str) -> ArrayString<CELL> {
    let mut text = ArrayString::new();
    // It has room for the longest.
    let _ = text.try_push_str(sign).and_then(|()| text.try_push_str(name));
    text
}

impl<'a> Event<'a> {
    /// Of a state change; `text` takes its words, in a language and for a layout.
    pub(super) fn of(
        transition: &'a Transition,
        (layout, texts): (Layout, Option<&Texts>),
        palette: Palette,
        text: &'a mut String,
    ) -> Self {
        let Transition { time, ref subject, from, to, elapsed, .. } = *transition;
        text.clear();
        match layout {
            Layout::Wide => write_meaning(transition, texts, text),
            _ => write_brief(transition, texts, text),
        }
        Self {
            time,
            subject,
            from,
            to: cell("", to.name()),
            style: palette.of(transition),
            after: Some(after(elapsed)),
            words: text,
        }
    }

    /// Of a single segment, if the update is about one; `text` takes its words.
    pub(super) fn of_segment(
        update: &Update<'a>,
        (layout, texts): (Layout, Option<&Texts>),
        palette: Palette,
        text: &'a mut String,
    ) -> Option<Self> {
        text.clear();
        let (time, subject, from, to, style) = match *update {
            Update::Retransmit(one) => {
                let name = one.segment.r#type.name();
                match layout {
                    Layout::Wide => write_retransmit(one, texts, text),
                    // Writing to memory cannot fail.
                    _ => drop(write!(text, "{} ↻ {name} #{}", one.state, one.segment.ordinal)),
                }
                (one.time, &one.subject, one.state, cell("↻ ", name), palette.warning)
            }
            Update::Reset(one) => {
                let (sign, words) = match (layout, one.segment.answers, one.segment.direction) {
                    (Layout::Wide, ..) => ("", of_reset(one)),
                    (_, Some(Answered::Syn), _) => ("✗ ", "RST: no listener"),
                    (_, Some(_), _) => ("✗ ", "RST: unknown here"),
                    (_, None, Direction::Sent) => ("✗ ", "RST sent"),
                    (_, None, Direction::Received) => ("✗ ", "RST received"),
                };
                text.push_str(sign);
                text.push_str(said(texts, words));
                (one.time, &one.subject, one.state, cell("✗ RST", ""), palette.bad)
            }
            _ => return None,
        };
        Some(Self { time, subject, from, to, style, after: None, words: text })
    }

    /// What stands between the state that was left and what is in the next column.
    pub(super) fn arrow(&self) -> &'static str {
        if self.after.is_some() { " → " } else { "   " }
    }

    /// Its columns in a line that has neither an end nor a colour: most have not, and cell by cell
    /// they take three times as long.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let after = self.after.as_deref().unwrap_or_default();
        let mut part = |before: usize, words: &str, behind: usize| {
            const SPACES: [u8; 16] = [b' '; 16];
            out.extend_from_slice(&SPACES[..before.min(SPACES.len())]);
            out.extend_from_slice(words.as_bytes());
            out.extend_from_slice(&SPACES[..behind.min(SPACES.len())]);
        };
        let rest = |width: usize, words: &str| width.saturating_sub(columns(words));
        part(0, self.from.name(), rest(STATE, self.from.name()));
        part(0, self.arrow(), 0);
        part(0, &self.to, rest(STATE, &self.to) + GAP);
        part(rest(AFTER, after), after, GAP);
        part(0, self.words, 0);
    }
}
