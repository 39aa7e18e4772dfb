//! Why a socket lingers, in words.

use super::{CloseWaitCause, Linger, LingerCause};
use crate::{
    duration::count,
    finding::{Cause, Listener, halted, process, whose},
    segment::Segment,
};

impl Linger {
    /// What the state waits for, and on whom that depends.
    pub fn explanation(&self) -> Option<String> {
        let words = match self.why.as_ref()? {
        LingerCause::NotClosed(close_wait_cause, unread) => not_closed(self, close_wait_cause, *unread),
        LingerCause::NotLookedAt => {
            "the peer has closed, the process has not; without a look at descriptors the cause is \
             not known"
                .into()
        }
        LingerCause::ClosedFirst => "closed here first, the kernel keeps it for 60 s".into(),
        LingerCause::PeerNotClosed => "the peer has not closed its side".into(),
        LingerCause::NoAnswer(Segment::Syn) => "no answer to the SYN".into(),
        LingerCause::NoAnswer(Segment::SynAck) => "no answer to the SYN+ACK".into(),
        LingerCause::NoAnswer(_) => "the FIN is not acknowledged".into(),
        LingerCause::NotSent(Segment::Syn) => "no SYN sent: Fast Open waits for the first data".into(),
        LingerCause::NotSent(_) => "FIN not sent: the peer does not take the data before it".into(),
        LingerCause::NoData => "waiting for the client's first data (TCP_DEFER_ACCEPT)".into(),
        LingerCause::NoRoom => "the client has answered, the accept queue has had no room".into(),
    };
        Some(words)
    }
}

fn not_closed(linger: &Linger, close_wait_cause: &CloseWaitCause, unread: u32) -> String {
    let holder = || {
        let first = linger.holders.first().map(|holder| holder.process);
        first.as_ref().map_or_else(|| "the holder".to_owned(), process)
    };
    match close_wait_cause.cause {
        Cause::NeverAccepted => never_accepted(close_wait_cause.listener.as_ref()),
        Cause::Halted(halt) => format!("{} {}", holder(), halted(halt)),
        Cause::Inherited => {
            let parent =
                close_wait_cause.parent.as_ref().map_or_else(|| "its parent".to_owned(), process);
            format!("held by {}, a child of {parent}, which has closed its copy", holder())
        }
        Cause::Unread => format!("{} unread; the application has not closed it", bytes(unread)),
        Cause::Held => "the peer has closed, the application has not".into(),
        Cause::PassedOn => {
            format!("{} has passed the end on; the other side's peer has not closed", holder())
        }
        Cause::NotPassedOn => {
            format!("{} forwards it; the other side is still open", holder())
        }
        Cause::Orphaned => "closed, but the kernel has yet to send what is left".into(),
        Cause::Unseen => "held, but by no descriptor that can be seen".into(),
    }
}

fn never_accepted(from: Option<&Listener>) -> String {
    let Some(from) = from else { return "never accepted, the listener is gone".into() };
    let halt = from.halted.map_or_else(String::new, |halt| format!(", which {}", halted(halt)));
    format!(
        "never accepted, listener {}{halt}, backlog {} of {}",
        whose(from, " "),
        from.queue,
        from.backlog
    )
}

/// `1 byte`, `1.2 KiB`.
fn bytes(bytes: u32) -> String {
    match bytes {
        ..1024 => count(bytes.into(), "byte"),
        _ => bytesize::ByteSize(bytes.into()).display().iec().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;
    use crate::{
        endpoint::{Endpoint, Tuple},
        finding::Program,
        linger::LingerStatus,
        process::{Evidence, Halt, Owner, Process},
        state::State,
        subject::Subject,
    };

    fn python(pid: u32) -> Process {
        Process { pid, comm: *b"python3\0\0\0\0\0\0\0\0\0", start_ns: 0 }
    }

    fn linger(why: LingerCause) -> Linger {
        let owner =
            Owner { process: python(34), evidence: Evidence::TaskFile, fd: Some(5), others: 0 };
        let end = Endpoint::new([127, 0, 0, 1].into(), 1);
        Linger {
            time: 0,
            subject: Subject {
                cookie: None,
                ordinal: 1,
                tuple: Tuple { local: end, peer: end, netns: 1 },
                uid: None,
                inode: None,
                cgroup: 0,
                owner: Some(owner),
                role: None,
            },
            state: State::CloseWait,
            age: 0,
            idle: None,
            at_least: false,
            threshold: 0,
            status: LingerStatus::Raised,
            orphaned: false,
            holders: vec![owner],
            why: Some(why),
            creator: None,
        }
    }

    fn listening() -> Listener {
        let processes = vec![Program {
            process: python(12),
            executable: None,
            container: None,
            pod: None,
            unit: None,
        }];
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
        assert_eq!(told.explanation().as_deref(), Some(words));
    }

    #[test]
    fn a_cause_that_is_not_known_is_not_guessed() {
        let words = linger(LingerCause::NotLookedAt).explanation().unwrap();
        assert!(words.contains("the cause is not known"), "{words}");
    }
}
