//! Which segments a change of state stands for.

use super::row::{Kind, Side};
use tracer_event::{close::Reason, state::State, update::Transition};

/// A segment that the end whose state changes has sent or received.
#[derive(Clone, Copy)]
pub(super) enum Act {
    Sent(Kind),
    Received(Kind),
}

impl Act {
    /// The segment and its sender.
    pub(super) fn of(self, side: Side) -> (Kind, Side) {
        match self {
            Self::Sent(kind) => (kind, side),
            Self::Received(kind) => (kind, !side),
        }
    }
}

/// What was sent and received with the change of state; `opened` where this end has sent a SYN.
pub(super) fn acts(transition: &Transition, opened: bool) -> &'static [Act] {
    use Act::{Received, Sent};
    use State::{
        CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv,
        SynSent, TimeWait,
    };
    match (transition.from, transition.to) {
        _ if transition.sent == Some(false) => &[],
        (Closed, SynSent) => &[Sent(Kind::Syn)],
        (Listen | SynSent, SynRecv) => &[Received(Kind::Syn), Sent(Kind::SynAck)],
        (SynSent, Established) => &[Received(Kind::SynAck), Sent(Kind::Ack)],
        (SynRecv, Established) if opened => &[Received(Kind::SynAck)],
        (SynRecv, Established) => &[Received(Kind::Ack)],
        (Established | SynRecv, FinWait1) | (CloseWait, LastAck) => &[Sent(Kind::Fin)],
        (Established | SynRecv, CloseWait) => &[Received(Kind::Fin)],
        (FinWait1, FinWait2) | (Closing, TimeWait) => &[Received(Kind::AckOfFin)],
        (FinWait1, Closing) | (FinWait2, TimeWait) => &[Received(Kind::Fin), Sent(Kind::AckOfFin)],
        (FinWait1, TimeWait) => {
            &[Received(Kind::AckOfFin), Received(Kind::Fin), Sent(Kind::AckOfFin)]
        }
        (from, Closed) => match transition.close.map(|close| close.reason) {
            Some(Reason::Graceful) if from == LastAck => &[Received(Kind::AckOfFin)],
            Some(Reason::ResetReceived | Reason::Refused) => &[Received(Kind::Rst)],
            Some(
                Reason::ResetSentUnreadData
                | Reason::ResetSentLingerZero
                | Reason::ResetSentDataAfterClose
                | Reason::ResetSentUnaccepted,
            ) => &[Sent(Kind::Rst)],
            _ => &[],
        },
        _ => &[],
    }
}
