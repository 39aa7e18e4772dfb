//! What states and close reasons mean, in a sentence for those who see them for the first time.

use tracer_event::{close::Reason, state::State};

/// What a socket in this state waits for.
pub(super) fn of_state(state: State) -> &'static str {
    match state {
        State::Closed => "No connection.",
        State::Listen => "Waits for connections.",
        State::SynSent => "connect() was called; the peer has not answered yet.",
        State::SynRecv => "A SYN was answered; the last ACK of the handshake has not arrived yet.",
        State::Established => "Open: data can flow.",
        State::FinWait1 => "Closed here; the peer has not acknowledged it yet.",
        State::FinWait2 => "Closed here; the peer has not closed yet.",
        State::CloseWait => "The peer has closed, the application here has not: many are a leak.",
        State::LastAck => "Closed by both; the peer has not acknowledged it yet.",
        State::Closing => "Closed by both at once; not acknowledged yet.",
        State::TimeWait => "Closed; the end that closed first keeps the ports for 60 s: normal.",
    }
}

/// The outcomes of a connection: class of the colour, and name.
pub(super) const OUTCOMES: [(&str, &str); 3] =
    [("good", "closed normally"), ("broken", "aborted"), ("bad", "failed")];

/// A close reason: class of its colour, and what happened.
pub(super) fn of_reason(reason: Reason) -> (&'static str, &'static str) {
    let [(normal, _), (aborted, _), (failed, _)] = OUTCOMES;
    match reason {
        Reason::Graceful => (normal, "Both ends sent a FIN and acknowledged the other's."),
        Reason::ResetReceived => (aborted, "The peer sent an RST."),
        Reason::ResetSentUnreadData => (aborted, "Closed with unread data: an RST was sent."),
        Reason::ResetSentLingerZero => (aborted, "Closed by an RST, as SO_LINGER with 0 asks for."),
        Reason::ResetSentDataAfterClose => {
            (aborted, "Data arrived after close(): an RST was sent.")
        }
        Reason::ResetSentUnaccepted => (aborted, "The listener closed before accept(): RST sent."),
        Reason::Refused => (failed, "Nothing listens there: the SYN was answered with an RST."),
        Reason::Unreachable => (failed, "The network answered the SYN with an error (ICMP)."),
        Reason::ConnectTimeout => (failed, "No answer to the SYNs."),
        Reason::RetransmitTimeout => (failed, "No answer to data that was retransmitted."),
        Reason::KeepaliveTimeout => (failed, "No answer to keepalive probes."),
        Reason::ZeroWindowTimeout => (failed, "The peer accepted no data for too long."),
        Reason::FinWait2Timeout => (aborted, "The peer never closed: the kernel stopped waiting."),
        Reason::AbortedLocally => (aborted, "The application closed before it was connected."),
        Reason::Killed => (aborted, "Destroyed by an administrator, as by ss -K."),
        Reason::NoLocalPort => (failed, "connect() found no free local port."),
        Reason::Disconnected => (aborted, "The application called connect() with AF_UNSPEC."),
        Reason::Unknown => (aborted, "Not enough was observed to say why."),
    }
}
