//! From updates to the output: filtered, formatted, counted; what does not fit is counted too.

use std::sync::Arc;

use crate::{
    kernel::time,
    model::{
        diagnosis::Look,
        filter::Filter,
        update::{Linger, Loss, LossPlace, Observer, Subject, Update},
        watch::Watch,
    },
    sink::{
        Format, Hello, Moment, output::Output, summary::Summary, surroundings::Surroundings,
        wall_clock::WallClock,
    },
};

/// Formatted bytes are handed to the output from this size on.
const CHUNK: usize = 64 << 10;

/// The observer of the table.
pub(super) struct Teller {
    filter: Filter,
    surroundings: Arc<dyn Surroundings>,
    format: Box<dyn Format + Send>,
    output: Output,
    clock: WallClock,
    summary: Summary,
    bytes: Vec<u8>,
    lines: u64,
    /// Lines that the output could not take and that have not been told of.
    unshown: u64,
    watch: Watch,
}

impl Teller {
    pub(super) fn new(
        filter: Filter,
        surroundings: Arc<dyn Surroundings>,
        format: Box<dyn Format + Send>,
        output: Output,
        clock: WallClock,
    ) -> Self {
        Self {
            filter,
            surroundings,
            format,
            output,
            clock,
            summary: Summary::default(),
            bytes: Vec::with_capacity(2 * CHUNK),
            lines: 0,
            unshown: 0,
            watch: Watch::new(time::ticks()),
        }
    }

    /// Tells what a look at the host shows to be wrong.
    pub(super) fn look(&mut self, look: &Look) {
        for finding in self.watch.look(look, &self.filter) {
            self.write(&Update::Finding(&finding));
        }
    }

    /// Tells what is over.
    pub(super) fn expire(&mut self, now: u64) {
        for finding in self.watch.expire(now) {
            self.write(&Update::Finding(&finding));
        }
    }

    pub(super) fn set_clock(&mut self, clock: WallClock) {
        self.clock = clock;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.output.is_closed()
    }

    /// Notes how late a record was read, nanoseconds.
    pub(super) fn lag(&mut self, lag: u64) {
        self.summary.reader_lag_ns = self.summary.reader_lag_ns.max(lag);
    }

    pub(super) fn hello(&mut self, hello: &Hello) {
        self.format.hello(hello, self.clock, &mut self.bytes);
        self.flush();
    }

    /// Lets the format write what it has held back; when to call again at the latest.
    pub(super) fn pause(&mut self, moment: &Moment) -> Option<u64> {
        self.format.pause(moment, self.clock, &mut self.bytes)
    }

    /// Hands over what has been formatted.
    pub(super) fn flush(&mut self) {
        self.unshown += self.output.take_failed();
        if self.bytes.is_empty() {
            return;
        }
        let lines = std::mem::take(&mut self.lines);
        if self.output.push(&mut self.bytes, lines) {
            self.tell_unshown();
        } else {
            self.unshown += lines;
        }
    }

    /// Says in place what could not be shown, now that there is room again.
    fn tell_unshown(&mut self) {
        if self.unshown > 0 {
            let count = std::mem::take(&mut self.unshown);
            let loss =
                Loss { time: self.clock.now, place: LossPlace::Output, count, healed: false };
            self.observe(Update::Loss(&loss));
        }
    }

    /// Writes the end.
    pub(super) fn summary(mut self) {
        self.flush();
        self.tell_unshown();
        self.summary.complete = !self.summary.lost.is_final();
        self.clock = time::wall_clock();
        self.format.summary(&self.summary, self.clock, &mut self.bytes);
        self.flush();
        if !self.output.finish() {
            tracing::warn!(
                "the output's reader does not read: the end of the trace is not written"
            );
        }
    }

    /// Whether the container of a socket is asked for.
    fn passes(&self, subject: &Subject) -> bool {
        self.surroundings.passes(&self.filter, subject)
    }

    fn write(&mut self, update: &Update<'_>) {
        self.format.update(update, self.clock, &mut self.bytes);
        self.summary.count(update);
        self.lines += 1;
        if self.bytes.len() >= CHUNK {
            self.flush();
        }
    }
}

impl Observer for Teller {
    fn observe(&mut self, update: Update<'_>) {
        match update {
            Update::Linger(lingers) => {
                let wanted: Vec<Linger> = lingers
                    .iter()
                    .filter(|linger| self.filter.wants_in_state(&linger.subject, linger.state))
                    .filter(|linger| self.passes(&linger.subject))
                    .cloned()
                    .collect();
                if !wanted.is_empty() {
                    self.write(&Update::Linger(&wanted));
                }
            }
            _ => {
                let passes = || update.subject().is_none_or(|subject| self.passes(subject));
                if self.filter.wants(&update) && passes() {
                    self.write(&update);
                }
            }
        }
        if let Update::Transition(transition) = update
            && self.filter.wants_subject(&transition.subject)
            && let Some(finding) = self.watch.transition(transition)
        {
            self.write(&Update::Finding(&finding));
        }
    }
}
