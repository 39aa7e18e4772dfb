//! What can go wrong with a connection of a command, and where it did.

use std::fmt;

use tracer_event::{
    stack::{self, Stack},
    subject::Subject,
};
use tracer_output::text::process;

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
    pub what: String,
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, what } = self;
        let Subject { tuple, owner, .. } = *subject;
        write!(f, "{} → {} {}", tuple.local, tuple.peer, process(owner))?;
        if let Some(fd) = owner.and_then(|owner| owner.fd) {
            write!(f, " fd {fd}")?;
        }
        write!(f, ": {what}")
    }
}

/// The calls that created a socket, the last one first.
pub(super) fn created_at(stack: &Stack) -> String {
    let calls: Vec<String> = stack::lines(stack).into_iter().take(FRAMES).collect();
    if calls.is_empty() { String::new() } else { format!("; created at {}", calls.join(", ")) }
}
