//! The sink that writes lines: a format, and the output that takes its bytes.

use super::{
    Format, Hello, Moment, Sink, Undelivered,
    output::{Beginnings, Output, lines_in},
    summary::Summary,
    wall_clock::WallClock,
};
use crate::model::update::{LossPlace, Update};

/// Formatted bytes are handed to the output from this size on.
const CHUNK: usize = 64 << 10;

/// Lines of one format to one output.
pub struct Lines {
    format: Box<dyn Format + Send>,
    output: Output,
    bytes: Vec<u8>,
    /// Lines that the output could not take and that have not been told of.
    unshown: u64,
    /// What is told was recorded, and comes out as it was.
    recorded: bool,
}

impl Lines {
    /// In this format to this output.
    pub fn new(format: Box<dyn Format + Send>, output: Output) -> Self {
        let bytes = Vec::with_capacity(2 * CHUNK);
        Self { format, output, bytes, unshown: 0, recorded: false }
    }

    /// Of a recording, whose first line comes out as it was.
    #[must_use]
    pub fn of_recording(self) -> Self {
        Self { recorded: true, ..self }
    }

    /// Hands over what has been formatted; whether there was room for it.
    fn push(&mut self) -> bool {
        self.unshown += self.output.take_failed();
        if self.bytes.is_empty() {
            return false;
        }
        let room = self.output.push(&mut self.bytes);
        if !room {
            self.unshown += lines_in(&self.bytes);
            self.bytes.clear();
        }
        room
    }

    fn unshown(&mut self) -> Option<Undelivered> {
        let count = std::mem::take(&mut self.unshown);
        (count > 0).then_some(Undelivered { place: LossPlace::Output, count })
    }
}

impl Sink for Lines {
    fn hello(&mut self, hello: &Hello, clock: WallClock) {
        let opening = self.format.opening(hello, clock);
        let first = self.recorded.then_some(hello.file);
        self.output.begin(Beginnings { opening, first });
    }

    fn update(&mut self, update: &Update<'_>, clock: WallClock) {
        self.format.update(update, clock, &mut self.bytes);
        if self.bytes.len() >= CHUNK {
            self.push();
        }
    }

    fn pause(&mut self, moment: &Moment<'_>, clock: WallClock) -> Option<u64> {
        self.format.pause(moment, clock, &mut self.bytes)
    }

    fn flush(&mut self) -> Option<Undelivered> {
        // To say it while nothing can be written would only be the next thing lost.
        if self.push() && !self.output.is_failing() { self.unshown() } else { None }
    }

    fn is_closed(&self) -> bool {
        self.output.is_closed()
    }

    fn backlog(&self) -> f64 {
        self.output.backlog()
    }

    fn last(&mut self) -> Option<Undelivered> {
        self.push();
        if self.output.is_failing() {
            self.output.settle();
        }
        self.unshown += self.output.take_failed();
        self.unshown()
    }

    fn finish(self: Box<Self>, summary: &Summary, clock: WallClock) {
        let mut this = *self;
        this.format.summary(summary, clock, &mut this.bytes);
        this.output.finish(this.bytes);
    }
}
