//! What a transition means in TCP's terms.

use crate::model::{
    close::Reason,
    state::State,
    update::{Source, Transition},
};

/// What was sent or received, or what else happened, in a few words.
pub fn meaning(transition: &Transition) -> &'static str {
    let Transition { from, to, orphaned, source, close, .. } = *transition;
    match (from, to) {
        (State::Closed, State::Listen) => "listening",
        (State::Listen, State::Closed) => "stopped listening",
        (State::Closed, State::SynSent) => "SYN sent",
        (State::Listen, State::SynRecv) => "SYN received, SYN+ACK sent",
        (State::SynSent, State::SynRecv) => "SYN received, SYN+ACK sent (simultaneous open)",
        (State::SynSent, State::Established) => "SYN+ACK received, ACK sent",
        (State::SynRecv, State::Established) => "ACK received",
        (State::Established | State::SynRecv, State::FinWait1)
        | (State::CloseWait, State::LastAck) => "FIN sent",
        (State::Established | State::SynRecv, State::CloseWait)
        | (State::FinWait1 | State::FinWait2, State::TimeWait) => "FIN received, ACK sent",
        (State::FinWait1, State::FinWait2) | (State::Closing, State::TimeWait) => {
            "ACK of FIN received"
        }
        (State::FinWait1, State::Closing) => "FIN received, ACK sent (simultaneous close)",
        (State::FinWait2, State::FinWait2) if orphaned => "closed by the application: kernel waits",
        (State::TimeWait, State::Closed) => match source {
            Source::Timer => "waited long enough",
            _ => "gone before its time",
        },
        (_, State::Closed) => close.map_or("gone", |close| ending(from, close.reason)),
        _ => "unusual transition",
    }
}

/// How a connection that was in `from` came to its end.
pub fn ending(from: State, reason: Reason) -> &'static str {
    match reason {
        Reason::Graceful => "ACK of FIN received",
        Reason::ResetReceived => "RST received",
        Reason::ResetSentUnreadData => "RST sent: closed with unread data",
        Reason::ResetSentLingerZero => "RST sent: closed with SO_LINGER 0",
        Reason::ResetSentDataAfterClose => "RST sent: data came after close",
        Reason::ResetSentUnaccepted => "RST sent: listener closed, never accepted",
        Reason::Refused => "RST received: connection refused",
        Reason::Unreachable => "ICMP received: unreachable",
        Reason::ConnectTimeout => "no answer to the SYN: timed out",
        Reason::RetransmitTimeout => "no answer: retransmission timed out",
        Reason::KeepaliveTimeout => "no answer: keepalive timed out",
        Reason::ZeroWindowTimeout => "no answer: zero-window probes timed out",
        Reason::AbortedLocally if from == State::FinWait2 => "peer sent no FIN in time",
        Reason::AbortedLocally => "given up by the application",
        Reason::Killed => "killed by SOCK_DESTROY",
        Reason::NoLocalPort => "no free local port",
        Reason::Disconnected => "disconnected by connect(AF_UNSPEC)",
        Reason::Unknown => "gone, for an unknown reason",
    }
}
