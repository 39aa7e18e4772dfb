//! What the columns of a line about a socket hold.

use std::borrow::Cow;

use anstyle::Style;

use super::{
    Palette, duration,
    words::{brief, meaning, of_reset, of_retransmit},
};
use tracer_event::{
    state::State,
    update::{Answered, Direction, Subject, Transition, Update},
};

/// A state change, or a segment.
pub(super) struct Event<'a> {
    pub(super) time: u64,
    pub(super) subject: &'a Subject,
    pub(super) from: State,
    /// The state entered, or a segment.
    pub(super) to: Cow<'static, str>,
    pub(super) style: Style,
    /// The time in the state that was left.
    pub(super) after: Option<String>,
    pub(super) words: Cow<'static, str>,
    /// State and reason in a word or two.
    pub(super) brief: Cow<'static, str>,
}

impl<'a> Event<'a> {
    /// Of a state change.
    pub(super) fn of(transition: &'a Transition, palette: Palette) -> Self {
        let Transition { time, ref subject, from, to, elapsed, .. } = *transition;
        Self {
            time,
            subject,
            from,
            to: to.name().into(),
            style: palette.of(transition),
            after: Some(elapsed.map_or_else(|| "-".to_owned(), duration)),
            words: meaning(transition),
            brief: brief(transition),
        }
    }

    /// Of a single segment, if the update is about one.
    pub(super) fn of_segment(update: &Update<'a>, palette: Palette) -> Option<Self> {
        let (time, subject, from, to, style, words, brief) = match *update {
            Update::Retransmit(one) => {
                let name = one.segment.r#type.name();
                let brief = format!("{} ↻ {name} #{}", one.state, one.segment.ordinal);
                let (to, words) = (format!("↻ {name}"), of_retransmit(one));
                (one.time, &one.subject, one.state, to, palette.warning, words.into(), brief)
            }
            Update::Reset(one) => {
                let brief = match (one.segment.answers, one.segment.direction) {
                    (Some(Answered::Syn), _) => "✗ RST: no listener",
                    (Some(_), _) => "✗ RST: unknown here",
                    (None, Direction::Sent) => "✗ RST sent",
                    (None, Direction::Received) => "✗ RST received",
                };
                let (to, words) = ("✗ RST".to_owned(), of_reset(one).into());
                (one.time, &one.subject, one.state, to, palette.bad, words, brief.to_owned())
            }
            _ => return None,
        };
        let (to, brief) = (to.into(), brief.into());
        Some(Self { time, subject, from, to, style, after: None, words, brief })
    }
}
