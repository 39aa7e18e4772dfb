//! The sink that writes lines: a format, and the thread that writes its bytes.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    time::Duration,
};

use super::{
    Format, Sink, Tick, Undelivered,
    output::{Destination, Item, Writer},
    queue::{Limit, Outlet, Size},
};
use tracer_event::update::{LossPlace, Update};
use tracer_event::{enricher::Context, header::Header, summary::Summary, wall_clock::WallClock};

/// Formatted bytes are handed to the writing thread from this size on.
const CHUNK: usize = 64 << 10;
/// Bytes that may wait to be written: a quarter of a second of the busiest host.
const LIMIT: usize = 64 << 20;
/// The same for a terminal: its reader wants to see what happens now.
const TERMINAL_LIMIT: usize = 1 << 20;
/// Written buffers that are kept for use.
const SPARE: usize = 16;
/// How long the end of the trace waits for a reader that does not read.
const PATIENCE: Duration = Duration::from_secs(3);

/// Lines of one format to one destination.
pub struct Lines {
    format: Box<dyn Format + Send>,
    outlet: Outlet<Item>,
    bytes: Vec<u8>,
    /// Buffers that have been written, to be filled again: fresh ones cost page faults.
    written: Receiver<Vec<u8>>,
    /// Nobody reads any more.
    closed: Arc<AtomicBool>,
    /// The first line is of a recording, and is written as it was.
    recorded: bool,
}

impl Lines {
    /// Starts the writing thread; it calls `on_close` when nobody reads any more.
    ///
    /// # Errors
    ///
    /// Where no thread can be had.
    pub fn start(
        format: Box<dyn Format + Send>,
        destination: Destination,
        on_close: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let limit = if destination.is_terminal() { TERMINAL_LIMIT } else { LIMIT };
        let (empty, written) = mpsc::sync_channel(SPARE);
        let closed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&closed);
        let on_close = move || {
            flag.store(true, Ordering::Relaxed);
            on_close();
        };
        let writer = Writer::new(destination, empty, on_close);
        let outlet = Outlet::start("tracer-output", Limit::Bytes(limit), writer)?;
        let bytes = Vec::with_capacity(2 * CHUNK);
        Ok(Self { format, outlet, bytes, written, closed, recorded: false })
    }

    /// Of a recording, whose first line is written as it was.
    #[must_use]
    pub fn of_recording(self) -> Self {
        Self { recorded: true, ..self }
    }

    /// The queue and its thread.
    pub fn outlet(&self) -> &Outlet<Item> {
        &self.outlet
    }

    /// Says afterwards why the end of the trace is not where it should be, if it is not. A reader
    /// that has closed the output does not want it.
    pub fn ending(&self) -> impl Fn() -> Option<String> + Send + use<> {
        let closed = Arc::clone(&self.closed);
        let missing = self.outlet.ending("its reader does not read");
        move || if closed.load(Ordering::Relaxed) { None } else { missing() }
    }

    /// Hands over what has been formatted.
    fn push(&mut self) {
        if !self.bytes.is_empty() {
            let len = self.bytes.len();
            let spare = self.written.try_recv().unwrap_or_else(|_| Vec::with_capacity(len));
            let lines = Item::Lines(std::mem::replace(&mut self.bytes, spare));
            if let Err(lines) = self.outlet.push(vec![(lines, bytes(len))]) {
                for (lines, _) in lines {
                    self.outlet.lose(lines.count());
                }
            }
        }
    }
}

/// Lines are counted only when they are lost.
fn bytes(bytes: usize) -> Size {
    Size { bytes, records: 0 }
}

impl Sink for Lines {
    fn header(&mut self, header: &Header, clock: WallClock) {
        let opening = self.format.opening(header, clock);
        let first = self.recorded.then_some(header.file);
        // Without the thread, nothing is written.
        let _ = self.outlet.push(vec![(Item::Begin(opening, first), bytes(0))]);
    }

    fn update(&mut self, update: &Update<'_>, context: Context<'_>) {
        self.format.update(update, context, &mut self.bytes);
        if self.bytes.len() >= CHUNK {
            self.push();
        }
    }

    fn pause(&mut self, moment: &Tick, context: Context<'_>) -> Option<u64> {
        self.format.pause(moment, context, &mut self.bytes)
    }

    fn flush(&mut self) -> Option<Undelivered> {
        self.push();
        Undelivered::new(LossPlace::Output, self.outlet.take_lost())
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn backlog(&self) -> f64 {
        self.outlet.fill()
    }

    fn last(&mut self) -> Option<Undelivered> {
        self.push();
        Undelivered::new(LossPlace::Output, self.outlet.take_all_lost(PATIENCE))
    }

    fn finish(self: Box<Self>, summary: &Summary, context: Context<'_>) {
        let mut this = *self;
        this.format.summary(summary, context, &mut this.bytes);
        let size = bytes(this.bytes.len());
        let last = Some((Item::Lines(this.bytes), size)).filter(|_| size.bytes > 0);
        this.outlet.finish(last.into_iter().collect(), PATIENCE, None);
    }
}
