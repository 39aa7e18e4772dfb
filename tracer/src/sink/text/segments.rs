//! Single segments: resets and retransmissions.

use super::{Event, Text, WallClock};
use crate::model::update::{Direction, Reset, Retransmit};

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
        let Reset { time, ref subject, state, direction } = *reset;
        let event = Event {
            time,
            subject,
            from: state,
            arrow: "   ",
            to: "✗ RST",
            style: self.palette.bad,
            after: "",
            words: broken_off(direction),
        };
        self.event(&event, clock, out);
    }
}

/// What a retransmission means.
pub(in crate::sink) fn sent_again(retransmit: &Retransmit) -> String {
    let Retransmit { segment, ordinal, .. } = *retransmit;
    format!("{} sent again: retransmission {ordinal}", segment.name())
}

/// What a reset means.
pub(in crate::sink) fn broken_off(direction: Direction) -> &'static str {
    match direction {
        Direction::Sent => "RST sent",
        Direction::Received => "RST received",
    }
}
