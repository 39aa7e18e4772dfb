//! Destinations: one file a format, and the ways out of the process.
//!
//! A [`Sink`] takes events and delivers them. [`lines::Lines`] writes a [`Format`] to a terminal, a
//! pipe or a file.
//!
//! ```
//! use tracer_output::text::{duration, grouped};
//!
//! assert_eq!(grouped(1_234_567), "1,234,567");
//! assert_eq!(duration(1_500_000), "1.50ms");
//! ```

pub mod delivery;
pub mod file;
pub mod flat;
pub mod flatten;
pub mod json;
pub mod ladder;
pub mod lines;
pub mod message;
pub mod names;
pub mod output;
pub mod packed;
pub mod page;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod phrases;
pub mod problems;
pub mod queue;
pub mod recording;
mod rendered;
pub mod report;
pub mod stamps;
mod status;
pub mod step;
pub mod text;
pub mod trouble;
pub mod visit;
pub mod width;
pub mod wrap;

use std::sync::Arc;

use tracer_event::header::{Header, OfFile};
use tracer_event::{
    diagnosis::Diagnosis,
    enricher::Context,
    finding::PortUse,
    update::{LossPlace, Update},
};
use tracer_event::{summary::Summary, wall_clock::WallClock};
use tracer_model::{diagnosis::HostSnapshot, table::Table};

/// The time, while there is nothing to report.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub now: u64,
    /// What happened before this time has been reported; the same clock.
    pub read_until: u64,
    /// How many sockets are tracked; `None` in a replay, which knows what happened, not what is
    /// there.
    pub sockets: Option<usize>,
}

/// What there is on the traced host, beside what happens.
#[derive(Clone, Copy)]
pub struct Live<'a> {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub now: u64,
    /// The sockets that are tracked.
    pub table: &'a Table,
    /// Destinations and addresses whose ephemeral ports are in use, as of the last snapshot.
    pub ports: &'a Arc<[PortUse]>,
}

/// Asks a terminal for its columns; `None` where it does not know.
pub type Resized = Box<dyn Fn() -> Option<usize> + Send>;

/// Records that a sink was given and could not deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// Which part could not take it.
    pub place: LossPlace,
    /// How many lines or records.
    pub count: u64,
}

impl Undelivered {
    /// Unless it is nothing.
    pub fn new(place: LossPlace, count: u64) -> Option<Self> {
        (count > 0).then_some(Self { place, count })
    }
}

/// Delivers events. Called by the thread that reads the kernel's events: whatever takes time is
/// handed to a thread of the sink, by a bounded [`queue`].
pub trait Sink: Send {
    /// The beginning.
    fn header(&mut self, header: &Header, clock: WallClock);
    /// One event that has passed the filters.
    fn update(&mut self, update: &Update<'_>, context: Context<'_>);
    /// Whether it gets what is not to be written as well: it counts, or keeps all for later.
    fn counts(&self) -> bool {
        false
    }
    /// There is nothing to report for now. When to call again at the latest, nanoseconds of
    /// `CLOCK_MONOTONIC`; `None` if only after the next update.
    fn pause(&mut self, _: &Tick, _: Context<'_>) -> Option<u64> {
        None
    }
    /// The sink itself, if it also observes the live host.
    fn live(&mut self) -> Option<&mut dyn LiveSink> {
        None
    }
    /// Hands over what has been gathered. What could not be delivered since the last call is
    /// returned once, as soon as there is room again: all sinks report it, and it is counted.
    fn flush(&mut self) -> Option<Undelivered> {
        None
    }
    /// Nobody reads this sink's output any more; the trace ends when nobody reads any sink's.
    fn is_closed(&self) -> bool {
        false
    }
    /// How full its queue is, from 0.0 (everything has been delivered) to 1.0. A replay waits for
    /// it, a live trace does not.
    fn backlog(&self) -> f64 {
        0.0
    }
    /// What could not be delivered so far and has not been returned, before the summary is made.
    fn last(&mut self) -> Option<Undelivered> {
        self.flush()
    }
    /// The end: delivers what there is within seconds.
    fn finish(self: Box<Self>, summary: &Summary, context: Context<'_>);
}

/// A sink that also observes the live host: the full screen, the report, the metrics' gauges.
pub trait LiveSink {
    /// What is there, after each batch of events. When to call again at the latest, nanoseconds of
    /// `CLOCK_MONOTONIC`; `None` if only after the next update.
    fn observe(&mut self, live: &Live<'_>, context: Context<'_>) -> Option<u64>;
    /// A snapshot of the host, as soon as the table has taken it in.
    fn look(&mut self, _: &HostSnapshot) {}
    /// Whether it wants findings about the state at the end of the trace.
    fn wants_diagnosis(&self) -> bool {
        false
    }
    /// Whether what is wrong is to be judged also while nothing happens, for [`Self::diagnose`].
    fn diagnoses(&self) -> bool {
        false
    }
    /// What is wrong, at each snapshot but the first.
    fn diagnose(&mut self, _: &Diagnosis) {}
}

/// What a file begins with.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    /// Only the first line of a file may be so: the names of columns.
    pub columns: Vec<u8>,
    /// What a trace begins with; again in each of its files, so that each can be read alone.
    pub header: Vec<u8>,
}

/// Makes what each file begins with: each another one, since many who read files know them by
/// their first bytes.
pub type Opening = Box<dyn FnMut(Option<OfFile>) -> Beginning + Send>;

/// A format: turns events into bytes.
pub trait Format {
    /// The beginning, without the file that it begins; makes what each file begins with.
    fn opening(&mut self, header: &Header, clock: WallClock) -> Opening {
        let mut words = Vec::new();
        self.header(header, clock, &mut words);
        let host = header.host.clone();
        Box::new(move |file| {
            let line = file.map_or_else(String::new, |file| file.line(host.as_ref()));
            let header = [line.as_bytes(), &words].concat();
            Beginning { columns: Vec::new(), header }
        })
    }
    /// The beginning.
    fn header(&mut self, header: &Header, clock: WallClock, out: &mut Vec<u8>);
    /// One update.
    fn update(&mut self, update: &Update<'_>, context: Context<'_>, out: &mut Vec<u8>);
    /// There is nothing to report for now: what has been held back can be written, or that all is
    /// quiet. When to call again at the latest, nanoseconds of `CLOCK_MONOTONIC`; `None` if only
    /// after the next update.
    fn pause(&mut self, _: &Tick, _: Context<'_>, _: &mut Vec<u8>) -> Option<u64> {
        None
    }
    /// The end.
    fn summary(&mut self, summary: &Summary, context: Context<'_>, out: &mut Vec<u8>);
}
