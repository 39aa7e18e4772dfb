//! Destinations: one file a format, and the way out of the process.

pub mod escape;
pub mod finding;
pub mod json;
pub mod ladder;
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
use crate::model::update::Update;

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
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub now: u64,
    /// Sockets that are known of.
    pub sockets: usize,
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
    fn pause(&mut self, _: &Moment, _: WallClock, _: &mut Vec<u8>) -> Option<u64> {
        None
    }
    /// The end.
    fn summary(&mut self, summary: &Summary, clock: WallClock, out: &mut Vec<u8>);
}
