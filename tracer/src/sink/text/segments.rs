//! Single segments: resets and retransmissions.

use super::{Event, Text, WallClock};
use crate::model::update::{Answered, Direction, Reset, Retransmit};

impl Text {
    pub(super) fn retransmit(
        &mut self,
        retransmit: &Retransmit,
        clock: WallClock,
        out: &mut Vec<u8>,
    ) {
        let Retransmit { time, ref subject, state, segment, ordinal: _, sequence: _ } = *retransmit;
        let event = Event {
            time,
            subject,
            from: state,
            arrow: "   ",
            to: &format!("↻ {}", segment.name()),
            style: self.palette.warning,
            after: "",
            words: &sent_again(retransmit),
        };
        self.event(&event, clock, out);
    }

    pub(super) fn reset(&mut self, reset: &Reset, clock: WallClock, out: &mut Vec<u8>) {
        let Reset { time, ref subject, state, .. } = *reset;
        let event = Event {
            time,
            subject,
            from: state,
            arrow: "   ",
            to: "✗ RST",
            style: self.palette.bad,
            after: "",
            words: broken_off(reset),
        };
        self.event(&event, clock, out);
    }
}

/// What a retransmission means.
pub(crate) fn sent_again(retransmit: &Retransmit) -> String {
    let Retransmit { segment, ordinal, .. } = *retransmit;
    format!("{} retransmitted (#{ordinal})", segment.name())
}

/// What a reset means.
pub(crate) fn broken_off(reset: &Reset) -> &'static str {
    match (reset.answers, reset.direction) {
        (Some(Answered::Syn), _) => REFUSED_HERE,
        (Some(Answered::SynAck | Answered::Fin | Answered::Ack), _) => {
            "RST sent: no such connection"
        }
        (None, Direction::Sent) => "RST sent",
        (None, Direction::Received) => "RST received",
    }
}

/// Of a SYN to a port that nobody listens on.
pub(in crate::sink) const REFUSED_HERE: &str = "RST sent: nobody listens on this port";
