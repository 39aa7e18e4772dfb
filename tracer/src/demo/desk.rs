//! Between who conducts a scenario and who draws it: notes to be written once all that has
//! happened is drawn, and what has happened since the last one.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tracer_event::{
    enricher::Context,
    header::Header,
    summary::Summary,
    update::{Reset, Retransmit, Transition, Update},
    wall_clock::WallClock,
};
use tracer_kernel::time;
use tracer_output::{Format, Tick};

/// Between two looks at whether there is a note, nanoseconds.
const LOOK: u64 = 10_000_000;
/// A note that is not written by then will not be: all else is busy for long.
const PATIENCE: Duration = Duration::from_secs(60);
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
    /// With the time at which each was asked for.
    notes: VecDeque<(u64, String)>,
    happened: Vec<Happened>,
    /// What is written even where the page is full.
    prompts: Vec<String>,
    page: Page,
}

/// What fits a screen, so that nothing leaves it before somebody has read it.
#[derive(Default)]
struct Page {
    /// Lines of a page; without a limit where nobody sits at a terminal.
    lines: Option<usize>,
    /// How many have been written.
    written: usize,
    /// What waits for the next page.
    held: Vec<u8>,
}

impl Page {
    /// Lines that still fit.
    fn room(&self) -> usize {
        self.lines.map_or(usize::MAX, |lines| lines.saturating_sub(self.written))
    }

    fn is_full(&self) -> bool {
        self.room() == 0 && !self.held.is_empty()
    }

    /// Writes as many lines as fit.
    fn turn_out(&mut self, out: &mut Vec<u8>) {
        let ends = self.held.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let ends: Vec<usize> = ends.take(self.room()).map(|(at, _)| at + 1).collect();
        let end =
            if self.lines.is_none() { self.held.len() } else { ends.last().map_or(0, |end| *end) };
        self.written += ends.len();
        out.extend(self.held.drain(..end));
    }
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

    /// Shows so many lines, and then no more before [`Self::turn_page`].
    pub fn limit_page(&self, lines: usize) {
        self.lock().page.lines = Some(lines);
    }

    /// Has a note written, behind what has been drawn and before what happens next; returns when it
    /// is, or is to be on the next page.
    pub fn note(&self, text: String) -> bool {
        self.lock().notes.push_back((time::monotonic(), text));
        self.wait(|desk| {
            desk.notes.is_empty() && (desk.page.held.is_empty() || desk.page.is_full())
        })
    }

    /// Whether something waits for the next page, or would not fit any more.
    pub fn is_full(&self, lines: usize) -> bool {
        let desk = self.lock();
        desk.page.is_full() || desk.page.written > 0 && desk.page.room() < lines
    }

    /// Has something written at once, whether the page is full or not.
    pub fn say(&self, text: String) -> bool {
        self.lock().prompts.push(text);
        self.wait(|desk| desk.prompts.is_empty())
    }

    /// Begins a page; returns when it is full, or all is on it.
    pub fn turn_page(&self) -> bool {
        self.lock().page.written = 0;
        self.wait(|desk| desk.page.held.is_empty() || desk.page.is_full())
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
    /// The header, findings and closing summary: whether they are left out.
    leaves_out: [bool; 2],
}

impl Noted {
    /// Adds the notes of a desk to a format; to none that machines read.
    pub fn new(inner: Box<dyn Format + Send>, desk: Shared, silent: bool) -> Self {
        Self { inner, desk, silent, leaves_out: [false; 2] }
    }

    /// Without a header that has been read, or without findings and a closing summary, by which a
    /// course would be interrupted; unless that has to say that something was lost.
    #[must_use]
    pub fn without(self, header: bool, summary: bool) -> Self {
        Self { leaves_out: [header, summary], ..self }
    }

    /// What has been drawn, as much as fits.
    fn show(&self, drawn: &mut Vec<u8>, out: &mut Vec<u8>) {
        let mut desk = self.desk.lock();
        desk.page.held.append(drawn);
        desk.page.turn_out(out);
        desk.prompts.drain(..).for_each(|prompt| out.extend_from_slice(prompt.as_bytes()));
        drop(desk);
        self.desk.0.1.notify_all();
    }
}

impl Format for Noted {
    fn header(&mut self, header: &Header, clock: WallClock, out: &mut Vec<u8>) {
        let mut drawn = Vec::new();
        self.inner.header(header, clock, &mut drawn);
        if self.leaves_out[0] {
            drawn.clear();
        }
        self.desk.lock().begun = true;
        self.show(&mut drawn, out);
    }

    fn update(&mut self, update: &Update<'_>, context: Context<'_>, out: &mut Vec<u8>) {
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
        // What a host would have to be told of is what a lesson is about.
        if self.leaves_out[1] && matches!(update, Update::Finding(_)) {
            return;
        }
        let mut drawn = Vec::new();
        self.inner.update(update, context, &mut drawn);
        self.show(&mut drawn, out);
    }

    fn pause(&mut self, tick: &Tick, context: Context<'_>, out: &mut Vec<u8>) -> Option<u64> {
        let mut drawn = Vec::new();
        let due = self.inner.pause(tick, context, &mut drawn);
        if due.is_none() {
            let mut desk = self.desk.lock();
            // What the kernel did before may wait to be read: where processors are slow, for long.
            while desk.notes.front().is_some_and(|(asked, _)| *asked <= tick.read_until) {
                let note = desk.notes.pop_front().filter(|_| !self.silent);
                drawn.extend(note.into_iter().flat_map(|(_, text)| text.into_bytes()));
            }
        }
        self.show(&mut drawn, out);
        let look = tick.now + LOOK;
        Some(due.map_or(look, |due| due.min(look)))
    }

    fn summary(&mut self, summary: &Summary, context: Context<'_>, out: &mut Vec<u8>) {
        // Nobody turns a page any more.
        out.append(&mut self.desk.lock().page.held);
        let mut drawn = Vec::new();
        self.inner.summary(summary, context, &mut drawn);
        if !(self.leaves_out[1] && summary.complete) {
            out.append(&mut drawn);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use jiff::tz::TimeZone;
    use tracer_output::{
        stamps::{Times, Timestamps},
        text::{Palette, Stories, Text},
    };

    use super::*;

    #[test]
    fn a_note_waits_for_what_happened_before_it() {
        let times = Times::new(Timestamps::Utc, TimeZone::UTC);
        let text = Text::new(Palette::PLAIN, None, times, Stories::Steps);
        let desk = Shared::default();
        let mut noted = Noted::new(Box::new(text), desk.clone(), false);
        let asked = thread::spawn(move || desk.note("a note\n".into()));
        while noted.desk.lock().notes.is_empty() {
            thread::yield_now();
        }
        let mut written_when = |read_until| {
            let (clock, mut out) = (WallClock::default(), Vec::new());
            let tick = Tick { now: time::monotonic(), read_until, sockets: None };
            noted.pause(&tick, clock.into(), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written_when(0), "");
        assert_eq!(written_when(time::monotonic()), "a note\n");
        assert!(asked.join().unwrap());
    }
}
