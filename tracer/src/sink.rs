//! Destinations: one file a format, and the ways out of the process.
//!
//! A [`Sink`] takes what is told and delivers it. [`lines::Lines`] is the one that writes a
//! [`Format`] to a terminal, a pipe or a file.

pub mod escape;
pub mod features;
pub mod finding;
pub mod json;
pub mod ladder;
pub mod lines;
pub mod listing;
pub mod names;
pub mod output;
pub mod report;
pub mod stack;
pub mod stamps;
mod status;
pub mod step;
pub mod summary;
pub mod surroundings;
pub mod text;
pub mod wall_clock;

use self::{summary::Summary, wall_clock::WallClock};
use crate::model::{
    table::Table,
    update::{LossPlace, Update},
};

/// What a trace begins with.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Hello {
    /// Version of the tool.
    pub version: &'static str,
    /// Release of the running kernel.
    pub kernel: String,
    /// How events are got.
    pub mode: Mode,
    /// What cannot be had here, and why.
    pub degraded: Vec<Degraded>,
    /// The command line in force.
    pub options: Vec<String>,
}

/// How events are got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// BTF-typed programs: all that the kernel knows of a socket.
    Btf,
    /// The classic tracepoint's record: addresses, ports and states only.
    Tracepoint,
}

/// Something that cannot be had, and how to get it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Degraded {
    /// What is missing.
    pub feature: &'static str,
    /// What is lost without it.
    pub lost: &'static str,
    /// Why it is missing.
    pub reason: String,
    /// How to get it.
    pub remedy: &'static str,
}

/// How things stand while nothing happens.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub now: u64,
    /// The sockets that are known of.
    pub table: &'a Table,
}

/// What a sink could not deliver, of what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// Which part could not take it.
    pub place: LossPlace,
    /// How many lines or records.
    pub count: u64,
}

/// Takes what is told and delivers it. Called by the thread that reads the kernel's events: what
/// takes time is handed to a thread of the sink's own, by a queue with a bound.
pub trait Sink: Send {
    /// The beginning.
    fn hello(&mut self, hello: &Hello, clock: WallClock);
    /// One update, by those filters that hold for all sinks.
    fn update(&mut self, update: &Update<'_>, clock: WallClock);
    /// Nothing more is to be told for now. When to call again at the latest, nanoseconds of
    /// `CLOCK_MONOTONIC`; `None` if only after the next update.
    fn pause(&mut self, _: &Moment<'_>, _: WallClock) -> Option<u64> {
        None
    }
    /// Hands over what has been gathered. What could not be delivered since the last call is
    /// returned once, as soon as there is room again: it is told by all sinks, and counted.
    fn flush(&mut self) -> Option<Undelivered>;
    /// Nobody reads any more what this sink delivers; the trace ends when that is so of all.
    fn is_closed(&self) -> bool {
        false
    }
    /// What could not be delivered so far and has not been returned, before the summary is made.
    fn last(&mut self) -> Option<Undelivered> {
        self.flush()
    }
    /// The end: delivers what there is within seconds.
    fn finish(self: Box<Self>, summary: &Summary, clock: WallClock);
}

/// A format: turns what is to be told into bytes.
pub trait Format {
    /// The beginning.
    fn hello(&mut self, hello: &Hello, clock: WallClock, out: &mut Vec<u8>);
    /// One update.
    fn update(&mut self, update: &Update<'_>, clock: WallClock, out: &mut Vec<u8>);
    /// Nothing more is to be told for now: what has been held back can be written, or that all is
    /// quiet. When to call again at the latest, nanoseconds of `CLOCK_MONOTONIC`; `None` if only
    /// after the next update.
    fn pause(&mut self, _: &Moment<'_>, _: WallClock, _: &mut Vec<u8>) -> Option<u64> {
        None
    }
    /// The end.
    fn summary(&mut self, summary: &Summary, clock: WallClock, out: &mut Vec<u8>);
}
