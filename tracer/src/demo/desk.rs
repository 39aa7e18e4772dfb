//! Between who conducts a scenario and who draws it: notes to be written once all that has
//! happened is drawn, and what has happened since the last one.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tracer_event::{
    header::Header,
    summary::Summary,
    update::{Reset, Retransmit, Transition, Update},
    wall_clock::WallClock,
};
use tracer_output::{Format, Tick};

/// Between two looks at whether there is a note, nanoseconds.
const LOOK: u64 = 10_000_000;
/// A note that is not written by then will not be.
const PATIENCE: Duration = Duration::from_secs(10);
/// Events of a step that are kept; no step has as many.
const KEPT: usize = 10_000;

/// Something that happened in a step.
#[derive(Clone, Debug)]
pub enum Happened {
    /// A state was left.
    Transition(Transition),
    /// A segment was sent again.
    Retransmit(Retransmit),
    /// An RST was sent or received.
    Reset(Reset),
}

#[derive(Default)]
struct Desk {
    begun: bool,
    notes: VecDeque<String>,
    happened: Vec<Happened>,
}

/// The desk of one scenario.
#[derive(Clone, Default)]
pub struct Shared(Arc<(Mutex<Desk>, Condvar)>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the trace has begun.
    pub fn wait_for_begin(&self) -> bool {
        self.wait(|desk| desk.begun)
    }

    /// Has a note written, behind what has been drawn and before what happens next; returns when it
    /// is.
    pub fn note(&self, text: String) -> bool {
        self.lock().notes.push_back(text);
        self.wait(|desk| desk.notes.is_empty())
    }

    /// What has happened since this was called last.
    pub fn take_happened(&self) -> Vec<Happened> {
        std::mem::take(&mut self.lock().happened)
    }

    fn wait(&self, holds: impl Fn(&Desk) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut desk = self.lock();
        while !holds(&desk) {
            let Some(rest) = deadline.checked_duration_since(Instant::now()) else { return false };
            let waited = self.0.1.wait_timeout(desk, rest);
            desk = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// A format with notes in between.
pub struct Noted {
    inner: Box<dyn Format + Send>,
    desk: Shared,
    /// Machines read what is written: notes are left out.
    silent: bool,
}

impl Noted {
    /// Adds the notes of a desk to a format; to none that machines read.
    pub fn new(inner: Box<dyn Format + Send>, desk: Shared, silent: bool) -> Self {
        Self { inner, desk, silent }
    }
}

impl Format for Noted {
    fn header(&mut self, header: &Header, clock: WallClock, out: &mut Vec<u8>) {
        self.inner.header(header, clock, out);
        self.desk.lock().begun = true;
        self.desk.0.1.notify_all();
    }

    fn update(&mut self, update: &Update<'_>, clock: WallClock, out: &mut Vec<u8>) {
        let happened = match update {
            Update::Transition(it) => Some(Happened::Transition(**it)),
            Update::Retransmit(it) => Some(Happened::Retransmit(**it)),
            Update::Reset(it) => Some(Happened::Reset(**it)),
            Update::Connection(_) | Update::Linger(_) | Update::Loss(_) | Update::Finding(_) => {
                None
            }
        };
        let mut desk = self.desk.lock();
        if desk.happened.len() < KEPT {
            desk.happened.extend(happened);
        }
        drop(desk);
        self.inner.update(update, clock, out);
    }

    fn pause(&mut self, tick: &Tick, clock: WallClock, out: &mut Vec<u8>) -> Option<u64> {
        let due = self.inner.pause(tick, clock, out);
        if due.is_none() {
            let mut desk = self.desk.lock();
            for note in desk.notes.drain(..).filter(|_| !self.silent) {
                out.extend_from_slice(note.as_bytes());
            }
            drop(desk);
            self.desk.0.1.notify_all();
        }
        let look = tick.now + LOOK;
        Some(due.map_or(look, |due| due.min(look)))
    }

    fn summary(&mut self, summary: &Summary, clock: WallClock, out: &mut Vec<u8>) {
        self.inner.summary(summary, clock, out);
    }
}
