//! What states and reasons mean, in a sentence for whoever sees them for the first time.

use crate::model::{close::Reason, state::State};

/// What a socket in this state waits for.
pub(super) fn of_state(state: State) -> &'static str {
    match state {
        State::Closed => "No connection.",
        State::Listen => "Waits for connections.",
        State::SynSent => "connect() was called, the far end has not answered yet.",
        State::SynRecv => "A SYN was answered, the last ACK of the handshake has not come yet.",
        State::Established => "Open: data can flow.",
        State::FinWait1 => "Closed here, the far end has not acknowledged it yet.",
        State::FinWait2 => "Closed here, the far end has not closed yet.",
        State::CloseWait => "The far end has closed, the program here has not: many are a leak.",
        State::LastAck => "Closed by both, the far end has not acknowledged it yet.",
        State::Closing => "Closed by both at once, not acknowledged yet.",
        State::TimeWait => "Over; who closed first keeps the ports for 60 s. This is normal.",
    }
}

/// How bad a reason is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it should be.
    InOrder,
    /// Broken off by an RST, or by somebody's wish.
    Broken,
    /// It did not come about, or nobody answered.
    Failed,
}

impl Kind {
    /// Class of its colour, and its name.
    pub(super) const LEGEND: [(&'static str, &'static str); 3] =
        [("good", "in order"), ("broken", "broken off"), ("bad", "failed")];

    /// Class of its colour.
    pub(super) fn class(self) -> &'static str {
        Self::LEGEND[self as usize].0
    }
}

/// A reason: how bad, and what happened.
pub(super) fn of_reason(reason: Reason) -> (Kind, &'static str) {
    use Kind::{Broken, Failed, InOrder};
    match reason {
        Reason::Graceful => (InOrder, "Both ends sent a FIN and acknowledged the other's."),
        Reason::ResetReceived => (Broken, "The far end sent an RST."),
        Reason::ResetSentUnreadData => {
            (Broken, "The program closed without reading all that had come: an RST was sent.")
        }
        Reason::ResetSentLingerZero => {
            (Broken, "The program asked for an RST instead of a FIN (SO_LINGER with 0).")
        }
        Reason::ResetSentDataAfterClose => {
            (Broken, "Data came after the program had closed: an RST was sent.")
        }
        Reason::ResetSentUnaccepted => {
            (Broken, "The listener was closed before accept(): an RST was sent.")
        }
        Reason::Refused => (Failed, "Nothing listens there: the SYN was answered with an RST."),
        Reason::Unreachable => (Failed, "The network answered the SYN with an error (ICMP)."),
        Reason::ConnectTimeout => (Failed, "No answer to the SYNs."),
        Reason::RetransmitTimeout => (Failed, "No answer to data that was sent again and again."),
        Reason::KeepaliveTimeout => (Failed, "No answer to keepalive probes."),
        Reason::ZeroWindowTimeout => (Failed, "The far end took no data for too long."),
        Reason::FinWait2Timeout => {
            (Broken, "The program had closed, the far end never did: the kernel gave up waiting.")
        }
        Reason::AbortedLocally => (Broken, "Given up here before the connection was made."),
        Reason::Killed => (Broken, "Ended by an administrator, as by ss -K."),
        Reason::NoLocalPort => (Failed, "connect() found no free local port."),
        Reason::Disconnected => (Broken, "The program dissolved it (connect() with AF_UNSPEC)."),
        Reason::Unknown => (Broken, "Not enough was seen to say why."),
    }
}
