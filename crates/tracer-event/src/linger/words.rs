//! Why a socket lingers, in words.

use super::{CloseWaitCause, Linger, LingerCause, LingerStatus};
use crate::{
    duration::{count, duration, grouped},
    finding::{Cause, Listener, halted, process, whose},
    phrase::{Phrase, Wording, wording},
    process::Process,
    segment::Segment,
};

impl Linger {
    /// How long it has been in its state: the flag on it.
    pub fn flag(&self) -> Wording {
        let sign = if self.at_least { "≥" } else { "" };
        let (state, age) = (self.state.name(), format!("{sign}{}", duration(self.age)));
        let idle = self
            .idle
            .map(|idle| wording!("linger-idle", " ({idle} without data)", idle = duration(idle)));
        match self.status {
            LingerStatus::Raised => {
                wording!("linger-raised", "⚑ stuck in {state} for {age}{idle}", [state, age, idle])
            }
            LingerStatus::Continues => wording!(
                "linger-continues",
                "⚑ still stuck in {state} for {age}{idle}",
                [state, age, idle]
            ),
            LingerStatus::Cleared => {
                wording!("linger-cleared", "⚑ left {state} after {age}{idle}", [state, age, idle])
            }
        }
    }

    /// What the state waits for, and on whom that depends.
    pub fn reason(&self) -> Option<Wording> {
        Some(match self.why.as_ref()? {
            LingerCause::NotClosed(cause, unread) => self.not_closed(cause, *unread),
            LingerCause::NotLookedAt => wording!(
                "linger-not-looked-at",
                "the peer has closed, the process has not; without a snapshot of descriptors the \
                 cause is not known"
            ),
            LingerCause::ClosedFirst => {
                wording!("linger-closed-first", "closed here first, the kernel keeps it for 60 s")
            }
            LingerCause::PeerNotClosed => {
                wording!("linger-peer-not-closed", "the peer has not closed its side")
            }
            LingerCause::NoAnswer(Segment::Fin) => {
                wording!("linger-no-ack", "the FIN is not acknowledged")
            }
            LingerCause::NoAnswer(segment) => {
                wording!("linger-no-answer", "no answer to the {segment}", segment = segment.name())
            }
            LingerCause::NotSent(Segment::Syn) => {
                wording!("linger-syn-not-sent", "no SYN sent: Fast Open waits for the first data")
            }
            LingerCause::NotSent(_) => wording!(
                "linger-fin-not-sent",
                "FIN not sent: the peer does not take the data before it"
            ),
            LingerCause::NoData => {
                wording!("linger-no-data", "waiting for the client's first data (TCP_DEFER_ACCEPT)")
            }
            LingerCause::NoRoom => wording!(
                "linger-no-room",
                "the client has answered, the accept queue has had no room"
            ),
        })
    }

    fn not_closed(&self, why: &CloseWaitCause, unread: u32) -> Wording {
        let first = self.holders.first().map(|holder| holder.process);
        let who = named(first.as_ref(), "the holder");
        match why.cause {
            Cause::NeverAccepted => never_accepted(why.listener.as_ref()),
            Cause::Halted(halt) => {
                wording!("linger-halted", "{who} {halt}", [who], halt = halted(halt))
            }
            Cause::Inherited => wording!(
                "linger-inherited",
                "held by {who}, a child of {parent}, which has closed its copy",
                [who],
                parent = named(why.parent.as_ref(), "its parent")
            ),
            Cause::Unread => wording!(
                "linger-unread",
                "{unread} unread; the application has not closed it",
                unread = bytes(unread)
            ),
            Cause::Held => {
                wording!("linger-held", "the peer has closed, the application has not")
            }
            Cause::PassedOn | Cause::NotPassedOn | Cause::AwaitsAnswer => {
                by_other_side(why.cause, who)
            }
            Cause::Orphaned => {
                wording!("linger-orphaned", "closed, but the kernel has yet to send what is left")
            }
            Cause::Unseen => {
                wording!("linger-unseen", "held, but by no descriptor that can be seen")
            }
        }
    }
}

/// Of a process that waits on another connection of its own.
fn by_other_side(cause: Cause, who: Wording) -> Wording {
    match cause {
        Cause::PassedOn => wording!(
            "linger-passed-on",
            "{who} has passed the end on; the other side's peer has not closed",
            [who]
        ),
        Cause::AwaitsAnswer => {
            wording!("linger-awaits-answer", "{who} waits for another server to answer it", [who])
        }
        _ => wording!(
            "linger-not-passed-on",
            "{who} forwards it; the other side is still open",
            [who]
        ),
    }
}

fn named(known: Option<&Process>, unknown: &'static str) -> Wording {
    let a_process = || Wording::new(unknown, Phrase::new("a-process"));
    known.map_or_else(a_process, |known| process(known).into())
}

fn never_accepted(from: Option<&Listener>) -> Wording {
    let Some(from) = from else {
        return wording!("linger-listener-gone", "never accepted, the listener is gone");
    };
    let halt =
        from.halted.map(|halt| wording!("which-halted", ", which {halt}", halt = halted(halt)));
    wording!(
        "linger-never-accepted",
        "never accepted, listener {listener}{halt}, backlog {queue} of {backlog}",
        [halt],
        listener = whose(from, " "),
        queue = from.queue.to_string(),
        backlog = from.backlog.to_string()
    )
}

/// `1 byte`, `1.2 KiB`.
fn bytes(bytes: u32) -> Wording {
    let english = match bytes {
        ..1024 => count(bytes.into(), "byte"),
        _ => bytesize::ByteSize(bytes.into()).display().iec().to_string(),
    };
    Wording::new(english, grouped(bytes.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;
    use crate::{
        endpoint::Endpoint,
        fixtures,
        process::{Evidence, Halt, Owner, Process},
        state::State,
    };

    fn python(pid: u32) -> Process {
        Process { pid, comm: *b"python3\0\0\0\0\0\0\0\0\0", start_ns: 0 }
    }

    fn linger(why: LingerCause) -> Linger {
        let owner =
            Owner { process: python(34), evidence: Evidence::TaskFile, fd: Some(5), others: 0 };
        let holders = vec![owner];
        Linger { holders, why: Some(why), ..fixtures::linger(1, State::CloseWait) }
    }

    fn listening() -> Listener {
        let processes = vec![fixtures::program(python(12))];
        let local = Endpoint::new([0, 0, 0, 0].into(), 8080);
        Listener {
            local,
            processes,
            halted: None,
            doing: None,
            queue: 200,
            backlog: 256,
            candidates: 1,
        }
    }

    #[rstest]
    #[case(Cause::Held, 0, "the peer has closed, the application has not")]
    #[case(Cause::Unread, 1229, "1.2 KiB unread; the application has not closed it")]
    #[case(Cause::Unread, 1, "1 byte unread; the application has not closed it")]
    #[case(Cause::Halted(Halt::Stopped), 0, "python3[34] is stopped (SIGSTOP)")]
    #[case(Cause::Halted(Halt::Frozen), 0, "python3[34] is frozen (cgroup freezer)")]
    #[case(
        Cause::Inherited,
        0,
        "held by python3[34], a child of python3[12], which has closed its copy"
    )]
    #[case(
        Cause::NeverAccepted,
        0,
        "never accepted, listener :8080 python3[12], backlog 200 of 256"
    )]
    fn a_close_wait_says_who_has_to_do_what(
        #[case] cause: Cause,
        #[case] unread: u32,
        #[case] words: &str,
    ) {
        let close_wait_cause =
            CloseWaitCause { cause, parent: Some(python(12)), listener: Some(listening()) };
        let told = linger(LingerCause::NotClosed(Arc::new(close_wait_cause), unread));
        assert_eq!(told.reason().as_ref().map(Wording::english), Some(words));
    }

    #[test]
    fn a_cause_that_is_not_known_is_not_guessed() {
        let words = linger(LingerCause::NotLookedAt).reason().unwrap();
        assert!(words.english().contains("the cause is not known"), "{words}");
    }
}
