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
        let Retransmit { time, ref subject, state, segment, ordinal, sequence: _ } = *retransmit;
        let event = Event {
            time,
            subject,
            from: state,
            arrow: "   ",
            to: &format!("↻ {}", segment.name()),
            style: self.palette.warning,
            after: "",
            words: &format!("{} sent again: retransmission {ordinal}", segment.name()),
        };
        self.event(&event, clock, out);
    }

    pub(super) fn reset(&mut self, reset: &Reset, clock: WallClock, out: &mut Vec<u8>) {
        let Reset { time, ref subject, state, direction } = *reset;
        let words = match direction {
            Direction::Sent => "RST sent",
            Direction::Received => "RST received",
        };
        let event = Event {
            time,
            subject,
            from: state,
            arrow: "   ",
            to: "✗ RST",
            style: self.palette.bad,
            after: "",
            words,
        };
        self.event(&event, clock, out);
    }
}
