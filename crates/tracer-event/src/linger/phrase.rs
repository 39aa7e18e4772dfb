//! Why a socket lingers, for languages other than English (`sentences.ftl`).

use super::{CloseWaitCause, Linger, LingerCause, LingerStatus};
use crate::{
    duration::{duration, grouped},
    finding::{Cause, halted, process},
    phrase::{Phrase, Value},
    segment::Segment,
};

impl Linger {
    /// How long it has been in its state.
    pub fn stay(&self) -> Phrase {
        let sign = if self.at_least { "≥ " } else { "" };
        let idle = |idle| Phrase::new("linger-idle").with("idle", duration(idle));
        Phrase::new(match self.status {
            LingerStatus::Raised => "linger-raised",
            LingerStatus::Continues => "linger-continues",
            LingerStatus::Cleared => "linger-cleared",
        })
        .with("state", self.state.name().to_owned())
        .with("age", format!("{sign}{}", duration(self.age)))
        .with("idle", self.idle.map(idle))
    }

    /// What the state waits for, as [`Self::explanation`] says it in English.
    pub fn reason(&self) -> Option<Phrase> {
        Some(match self.why.as_ref()? {
            LingerCause::NotClosed(cause, unread) => self.not_closed(cause, *unread),
            LingerCause::NotLookedAt => Phrase::new("linger-not-looked-at"),
            LingerCause::ClosedFirst => Phrase::new("linger-closed-first"),
            LingerCause::PeerNotClosed => Phrase::new("linger-peer-not-closed"),
            LingerCause::NoAnswer(segment) => {
                Phrase::new("linger-no-answer").with("segment", segment.name().to_owned())
            }
            LingerCause::NotSent(Segment::Syn) => Phrase::new("linger-syn-not-sent"),
            LingerCause::NotSent(_) => Phrase::new("linger-fin-not-sent"),
            LingerCause::NoData => Phrase::new("linger-no-data"),
            LingerCause::NoRoom => Phrase::new("linger-no-room"),
        })
    }

    fn not_closed(&self, cause: &CloseWaitCause, unread: u32) -> Phrase {
        let holder = || -> Value {
            let first = self.holders.first().map(|holder| holder.process);
            first.as_ref().map_or_else(|| Phrase::new("a-process").into(), |it| process(it).into())
        };
        match cause.cause {
            Cause::NeverAccepted => Phrase::new("linger-never-accepted"),
            Cause::Halted(halt) => {
                Phrase::new("linger-halted").with("who", holder()).with("halt", halted(halt))
            }
            Cause::Inherited => Phrase::new("linger-inherited").with("who", holder()),
            Cause::Unread => Phrase::new("linger-unread").with("unread", grouped(unread.into())),
            Cause::Held => Phrase::new("linger-held"),
            Cause::PassedOn => Phrase::new("linger-passed-on").with("who", holder()),
            Cause::NotPassedOn => Phrase::new("linger-not-passed-on").with("who", holder()),
            Cause::Orphaned => Phrase::new("linger-orphaned"),
            Cause::Unseen => Phrase::new("linger-unseen"),
        }
    }
}
