//! What can go wrong with a connection of a command, and where it did.

use tracer_event::{
    close::Reason,
    duration::{count, duration},
    stack::{self, Stack},
    state::State,
    subject::Subject,
};
use tracer_output::{
    phrase,
    phrases::said,
    text::{process, reason},
};
use tracer_texts::Texts;

/// Calls of a stack that are shown.
const FRAMES: usize = 8;

/// What can go wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// An RST ended it, sent or received.
    Reset,
    /// The peer refused it.
    Refused,
    /// Segments were retransmitted.
    Retransmit,
    /// It stayed in CLOSE_WAIT for longer than its threshold (`--linger`).
    CloseWait,
    /// It was open when the trace ended.
    Open,
    /// The application has not closed it: it was open when its process ended, stayed in CLOSE_WAIT
    /// for longer than its threshold, or was never accepted.
    Leak,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Reset, Self::Refused, Self::Retransmit, Self::CloseWait, Self::Open, Self::Leak];

    /// The assertion that there is none.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Reset => "no-resets",
            Self::Refused => "no-refused",
            Self::Retransmit => "no-retransmits",
            Self::CloseWait => "no-close-wait",
            Self::Open => "no-open",
            Self::Leak => "no-leaks",
        }
    }
}

/// Something that went wrong with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Which one, and whose.
    pub subject: Subject,
    /// What happened.
    pub what: What,
    /// Which code made it.
    pub site: Site,
}

/// What happened to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It ended so.
    Ended(Reason),
    /// So many segments were retransmitted.
    Retransmitted(u64),
    /// It stayed in CLOSE_WAIT for so long, nanoseconds, and why.
    CloseWait(u64, Option<&'static str>),
    /// It was in this state when the trace ended.
    Open(State),
    /// It was in this state when its process ended.
    AtExit(State),
    /// Its listener was closed before accept() took it.
    NeverAccepted,
}

/// Which code made a connection, as far as that is known: calls, the last one first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// That has created the socket.
    pub created: String,
    /// That has connected it.
    pub connected: String,
    /// Which test that was.
    pub test: String,
}

impl Incident {
    /// In words; without texts in English.
    pub fn say(&self, texts: Option<&Texts>) -> String {
        let Self { subject, what, site } = self;
        let Subject { tuple, owner, .. } = *subject;
        let fd = owner.and_then(|owner| owner.fd);
        let fd = fd.map_or_else(String::new, |fd| format!(" fd {fd}"));
        let (what, site) = (what.say(texts), site.say(texts));
        format!("{} → {} {}{fd}: {what}{site}", tuple.local, tuple.peer, process(owner))
    }
}

impl What {
    /// In words; without texts in English.
    pub fn say(&self, texts: Option<&Texts>) -> String {
        match *self {
            Self::Ended(ended) => said(texts, reason(ended)).to_owned(),
            Self::Retransmitted(number) => {
                let segments = count(number, "segment");
                phrase!(texts, "exec-retransmitted", [number], "{segments} retransmitted")
            }
            Self::CloseWait(age, why) => {
                let why = why.map_or_else(String::new, |why| format!(" ({why})"));
                let age = duration(age);
                phrase!(texts, "exec-close-wait", [age, why], "in CLOSE_WAIT for {age}{why}")
            }
            Self::Open(state) => {
                phrase!(texts, "exec-open", [state], "still open, in {state}")
            }
            Self::AtExit(state) => {
                phrase!(texts, "exec-at-exit", [state], "open, in {state}, when its process ended")
            }
            Self::NeverAccepted => said(texts, "never accepted").to_owned(),
        }
    }
}

impl Site {
    /// The code that has created a socket.
    pub(super) fn creator(stack: &Stack) -> Self {
        let calls: Vec<String> = stack::lines(stack).into_iter().take(FRAMES).collect();
        Self { created: calls.join(", "), ..Self::default() }
    }

    /// In words, that go on behind others; without texts in English.
    pub fn say(&self, texts: Option<&Texts>) -> String {
        let Self { created, connected, test } = self;
        let parts = [("created at", created), ("connected at", connected), ("test", test)];
        let parts = parts.into_iter().filter(|(_, code)| !code.is_empty());
        parts.map(|(words, code)| format!("; {} {code}", said(texts, words))).collect()
    }
}
