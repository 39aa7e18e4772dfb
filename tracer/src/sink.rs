//! Destinations: one file a format, and the ways out of the process.
//!
//! A [`Sink`] takes what is told and delivers it. [`lines::Lines`] is the one that writes a
//! [`Format`] to a terminal, a pipe or a file.

pub mod delivery;
pub mod escape;
pub mod features;
pub mod file;
pub mod finding;
pub mod flat;
pub mod journald;
pub mod json;
pub mod ladder;
pub mod lines;
pub mod listing;
pub mod message;
pub mod metrics;
pub mod names;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod output;
pub mod page;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod prometheus;
pub mod report;
pub mod service;
pub mod stack;
pub mod stamps;
mod status;
pub mod step;
pub mod summary;
pub mod surroundings;
pub mod syslog;
pub mod text;
pub mod trouble;
pub mod wall_clock;

use std::{borrow::Cow, sync::Arc};

use self::{
    output::{Beginning, Opening},
    summary::Summary,
    wall_clock::WallClock,
};
use crate::model::{
    diagnosis::Look,
    ports::PortUse,
    table::Table,
    update::{LossPlace, Update},
};

/// What a trace begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Version of the tool.
    pub version: Cow<'static, str>,
    /// Release of the running kernel.
    pub kernel: String,
    /// How events are got.
    pub mode: Mode,
    /// What cannot be had here, and why.
    pub degraded: Vec<Degraded>,
    /// The command line in force.
    pub options: Vec<String>,
    /// Where it was traced.
    pub host: Option<Host>,
    /// The file that it begins, where it is one.
    pub file: Option<OfFile>,
}

impl Hello {
    /// As the beginning of that file.
    #[must_use]
    pub fn of(&self, file: Option<OfFile>) -> Self {
        Self { file, ..self.clone() }
    }
}

/// A host, so that lines of many can be told apart.
#[derive(
    Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Host {
    /// Its name (`uname -n`).
    pub name: String,
    /// Another one after each boot (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: Option<String>,
}

/// One file of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfFile {
    /// Which one, from 1.
    pub sequence: u64,
    /// When it was begun.
    pub opened: jiff::Timestamp,
}

impl OfFile {
    /// The first line of a file for people.
    fn line(&self, host: Option<&Host>) -> String {
        let Self { sequence, opened } = self;
        let place = host.map_or_else(String::new, |Host { name, boot_id }| {
            let boot = boot_id.as_ref().map_or_else(String::new, |id| format!(", boot {id}"));
            format!(" on {name}{boot}")
        });
        format!("= file {sequence} of this trace, begun {opened:.9}{place}\n")
    }
}

/// How events are got.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// BTF-typed programs: all that the kernel knows of a socket.
    Btf,
    /// The classic tracepoint's record: addresses, ports and states only.
    Tracepoint,
}

/// Something that cannot be had, and how to get it.
#[derive(
    Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Degraded {
    /// What is missing.
    pub feature: Cow<'static, str>,
    /// What is lost without it.
    pub lost: Cow<'static, str>,
    /// Why it is missing.
    pub reason: String,
    /// How to get it.
    pub remedy: Cow<'static, str>,
}

/// How things stand while nothing happens.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub now: u64,
    /// The sockets that are known of; `None` in a replay, since what is recorded is what happened,
    /// not what is there.
    pub table: Option<&'a Table>,
    /// Destinations and addresses whose ephemeral ports are in use, as of the last look; none in a
    /// replay.
    pub ports: &'a Arc<[PortUse]>,
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
    /// Whether to be told at the end, as findings, what is wrong then.
    fn wants_diagnosis(&self) -> bool {
        false
    }
    /// What a live trace has seen of the host beside its events, before it is merged.
    fn look(&mut self, _: &Look) {}
    /// Nothing more is to be told for now. When to call again at the latest, nanoseconds of
    /// `CLOCK_MONOTONIC`; `None` if only after the next update.
    fn pause(&mut self, _: &Moment<'_>, _: WallClock) -> Option<u64> {
        None
    }
    /// Whether looks at the host are to show all that a diagnosis rests on, for
    /// [`Self::diagnose`].
    fn diagnoses(&self) -> bool {
        false
    }
    /// Such a look, as soon as the table has taken it in.
    fn diagnose(&mut self, _: &Arc<Look>, _: &Table) {}
    /// Hands over what has been gathered. What could not be delivered since the last call is
    /// returned once, as soon as there is room again: it is told by all sinks, and counted.
    fn flush(&mut self) -> Option<Undelivered>;
    /// Nobody reads any more what this sink delivers; the trace ends when that is so of all.
    fn is_closed(&self) -> bool {
        false
    }
    /// How full the queue of what is still to be delivered is, from 0.0 (all is delivered) to 1.0.
    /// A live trace does not wait, a replay does.
    fn backlog(&self) -> f64 {
        0.0
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
    /// The beginning, without the file that it begins; makes what each file begins with.
    fn opening(&mut self, hello: &Hello, clock: WallClock) -> Opening {
        let mut words = Vec::new();
        self.hello(hello, clock, &mut words);
        let host = hello.host.clone();
        Box::new(move |file| {
            let line = file.map_or_else(String::new, |file| file.line(host.as_ref()));
            let hello = [line.as_bytes(), &words].concat();
            Beginning { header: Vec::new(), hello }
        })
    }
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
