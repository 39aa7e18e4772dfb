//! Single segments: resets and retransmissions.

use anstyle::Style;

use super::{Stories, Text, WallClock};
use crate::model::{
    state::State,
    update::{Direction, Reset, Retransmit, Subject},
};

impl Text {
    pub(super) fn retransmit(
        &mut self,
        retransmit: &Retransmit,
        clock: WallClock,
        out: &mut Vec<u8>,
    ) {
        let Retransmit { time, ref subject, state, segment, ordinal, sequence: _ } = *retransmit;
        let words = format!("{} sent again: retransmission {ordinal}", segment.name());
        let mark = format!("↻ {}", segment.name());
        self.segment(time, subject, state, (self.palette.warning, &mark), &words, clock, out);
    }

    pub(super) fn reset(&mut self, reset: &Reset, clock: WallClock, out: &mut Vec<u8>) {
        let Reset { time, ref subject, state, direction } = *reset;
        let words = match direction {
            Direction::Sent => "RST sent",
            Direction::Received => "RST received",
        };
        self.segment(time, subject, state, (self.palette.bad, "✗ RST"), words, clock, out);
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of one line")]
    fn segment(
        &mut self,
        time: u64,
        subject: &Subject,
        state: State,
        (style, mark): (Style, &str),
        words: &str,
        clock: WallClock,
        out: &mut Vec<u8>,
    ) {
        if self.stories == Stories::Only {
            return;
        }
        let mut line = self.begin(time, subject, clock);
        line.left(self.palette.dim, state.name(), 14);
        line.left(style, mark, 11);
        line.space();
        line.right(self.palette.plain, "", 8);
        line.space();
        line.push(self.palette.plain, words);
        line.finish(out);
    }
}
