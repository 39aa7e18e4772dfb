//! A sentence and a severity for each event, for logs.

use std::{collections::HashMap, ptr};

use super::text::{
    Groups, arrow, closing, duration, holder, life, loss, meaning, not_available, of_reset,
    of_retransmit, sentence, who,
};
use tracer_event::{
    close::Reason,
    finding::{self, Status},
    state::State,
    update::{Linger, LingerStatus, Role, Subject, Transition, Update},
};
use tracer_event::{
    enricher::Context,
    header::{Header, Mode},
    summary::Summary,
};

/// Severities of syslog (RFC 5424 section 6.2.1), as far as they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Severity {
    /// It fails now.
    Critical = 2,
    /// It will fail, or something was lost.
    Warning = 4,
    /// Not as it should be, but nothing to do.
    Notice = 5,
    /// All that happens.
    Info = 6,
}

/// What to say, and how bad it is.
#[derive(Clone, Debug)]
pub struct Message {
    /// One line, as the text view has it.
    pub text: String,
    /// How bad it is.
    pub severity: Severity,
}

/// Makes messages.
#[derive(Default)]
pub struct Messages {
    /// Where stuck sockets of a kind share a message.
    groups: Option<Groups>,
}

impl Messages {
    /// With one message for a group of stuck sockets, again when it has doubled: for logs that
    /// people read.
    #[must_use]
    pub fn grouped() -> Self {
        Self { groups: Some(Groups::default()) }
    }

    /// Of the beginning.
    pub(super) fn header(&self, header: &Header) -> Message {
        let mode = match header.mode {
            Mode::Btf => "BTF",
            Mode::Tracepoint => "the classic tracepoint",
        };
        let begun = format!("tracer {} on Linux {} by {mode}", header.version, header.kernel);
        let degraded = header.missing().map(|degraded| not_available(degraded, None));
        let is_whole = header.missing().next().is_none();
        let severity = if is_whole { Severity::Info } else { Severity::Warning };
        let text = [begun].into_iter().chain(degraded).collect::<Vec<_>>().join("; ");
        Message { text, severity }
    }

    /// Of the end.
    pub(super) fn summary(&self, summary: &Summary) -> Message {
        let mut words: Vec<String> = Vec::new();
        closing(summary, None, |line| words.push(line.trim_start_matches("= ").to_owned()));
        let severity = if summary.complete { Severity::Info } else { Severity::Warning };
        Message { text: words.join("; "), severity }
    }

    /// Of an update: one for each of its JSON lines, in the same order; `None` for those of which
    /// the message of another one speaks.
    pub fn of(&mut self, update: &Update<'_>, context: Context<'_>) -> Vec<Option<Message>> {
        let (text, severity) = match update {
            Update::Linger(lingers) => {
                return self.lingers(lingers, context);
            }
            Update::Transition(event) => {
                (about(&event.subject, &step(event), context), Severity::Info)
            }
            Update::Retransmit(event) => {
                let words = format!("{}: {}", event.state, of_retransmit(event, None));
                (about(&event.subject, &words, context), Severity::Warning)
            }
            Update::Reset(event) => {
                let words = format!("{}: {}", event.state, of_reset(event));
                (about(&event.subject, &words, context), Severity::Notice)
            }
            Update::Connection(event) => {
                let orderly = event.close.is_none_or(|close| close.reason == Reason::Graceful);
                let severity = if orderly { Severity::Info } else { Severity::Notice };
                (about(&event.subject, &life(event, None), context), severity)
            }
            Update::Loss(event) if event.healed => (loss(event, None), Severity::Notice),
            Update::Loss(event) => (loss(event, None), Severity::Warning),
            Update::Finding(event) => {
                let severity = match (event.status, event.severity) {
                    (Status::Cleared, _) | (_, finding::Severity::Info) => Severity::Info,
                    (_, finding::Severity::Warning) => Severity::Warning,
                    (_, finding::Severity::Critical) => Severity::Critical,
                };
                (format!("⚠ {}", event.sentence()), severity)
            }
        };
        vec![Some(Message { text, severity })]
    }

    fn lingers(&mut self, lingers: &[Linger], context: Context<'_>) -> Vec<Option<Message>> {
        let who = |linger: &Linger| who(&linger.subject, context);
        let Some(groups) = &mut self.groups else {
            let alone = |linger| {
                flagged(linger, sentence(linger, &holder(linger, who(linger), None), None))
            };
            return lingers.iter().map(|linger| Some(alone(linger))).collect();
        };
        let flags = groups.update(lingers, None, who);
        let flags: HashMap<_, _> =
            flags.iter().map(|flag| (ptr::from_ref(flag.linger), flag)).collect();
        let of = |linger: &Linger| {
            let flag = flags.get(&ptr::from_ref(linger))?;
            Some(flagged(linger, flag.words(None, None)))
        };
        lingers.iter().map(of).collect()
    }
}

/// `curl[7991] 127.0.0.1:56604 → 127.0.0.1:8080 …`
fn about(subject: &Subject, words: &str, context: Context<'_>) -> String {
    let who = who(subject, context);
    let local = subject.tuple.local;
    let peer = subject.tuple.peer;
    match subject.role {
        Some(Role::Listener) => format!("{who} {local} {words}"),
        role => format!("{who} {local}{}{peer} {words}", arrow(role)),
    }
}

fn flagged(linger: &Linger, text: String) -> Message {
    let severity = match linger.status {
        LingerStatus::Cleared => Severity::Info,
        LingerStatus::Raised | LingerStatus::Continues => Severity::Warning,
    };
    Message { text, severity }
}

fn step(event: &Transition) -> String {
    let after = event.elapsed.filter(|_| event.from != State::Closed);
    let after = after.map_or_else(String::new, |ns| format!(" after {}", duration(ns)));
    format!("{} → {}{after}: {}", event.from, event.to, meaning(event, None))
}

#[cfg(test)]
mod tests {
    use tracer_event::{fixtures::linger, wall_clock::WallClock};

    use super::*;

    /// As in the live text: not a message for each of them.
    #[test]
    fn a_group_of_stuck_sockets_is_a_message_for_each_doubling() {
        let count = |mut messages: Messages| {
            let one = |cookie| {
                let lingers = [linger(cookie, State::CloseWait)];
                let context = WallClock { lead: 0, now: 0 }.into();
                messages.of(&Update::Linger(&lingers), context).into_iter().flatten().count()
            };
            (1..=64).map(one).sum::<usize>()
        };
        assert_eq!((count(Messages::default()), count(Messages::grouped())), (64, 7));
    }
}
