//! `tracer report`: gathers what happens and writes it as one HTML file that needs nothing else, to
//! be read, sent and printed.
//!
//! Memory is bounded, however long it takes and however many connections there are: time is cut
//! into slices that get longer, the largest groups of processes and peers are counted one by one
//! and the rest together. The file is written at the end, on the thread that reads: no more events
//! come then.

mod chart;
mod closes;
mod facts;
mod groups;
mod handshakes;
mod headroom;
mod html;
mod peer;
mod report;
mod stays;
#[cfg(test)]
mod tests;
mod timeline;
mod troubles;
mod words;

use std::{
    io::{self, Write},
    sync::mpsc::Sender,
};

use jiff::tz::TimeZone;

use self::{html::Frame, report::Report};
use super::{Live, LiveSink, Sink};
use tracer_event::{
    diagnosis::Diagnosis, enricher::Context, header::Header, summary::Summary, update::Update,
    wall_clock::WallClock,
};
use tracer_model::{
    diagnosis::HostSnapshot,
    filter::{Facts, Filter},
    ports,
    time_wait::Ticks,
};
use tracer_texts::Texts;

/// The shortest time between two readings of the table of sockets, nanoseconds.
const INTERVAL: u64 = 250_000_000;
/// What each socket adds to it: a hundred times what reading one costs, nanoseconds.
const INTERVAL_PER_SOCKET: u64 = 10_000;

/// What the report is about and where it goes.
pub struct Options {
    /// What was observed: the host's name, or the recording's.
    pub title: String,
    /// The time zone of the times shown.
    pub zone: TimeZone,
    /// The kernel's tick.
    pub ticks: Ticks,
    /// Which sockets of the table are wanted: events have passed it already.
    pub filter: Filter,
    /// The language; English without.
    pub texts: Option<Texts>,
    /// The file.
    pub file: Box<dyn Write + Send>,
    /// Takes the result of writing it, once.
    pub written: Sender<io::Result<Written>>,
}

/// A report that has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Length, bytes.
    pub bytes: usize,
    /// Number of findings in it.
    pub findings: usize,
}

/// The sink.
pub struct Page {
    options: Options,
    /// `None` before the header.
    report: Option<Report>,
    /// When to read the table next.
    next: u64,
}

impl Page {
    /// Nothing gathered yet.
    pub fn new(options: Options) -> Self {
        Self { options, report: None, next: 0 }
    }
}

impl Sink for Page {
    fn header(&mut self, header: &Header, clock: WallClock) {
        self.report = Some(Report::new(header.clone(), clock.now));
    }

    fn update(&mut self, update: &Update<'_>, _: Context<'_>) {
        if let Some(report) = &mut self.report {
            report.update(update);
        }
    }

    fn live(&mut self) -> Option<&mut dyn LiveSink> {
        Some(self)
    }

    fn finish(self: Box<Self>, summary: &Summary, context: Context<'_>) {
        let Self { options, report, .. } = *self;
        let Options { title, zone, texts, mut file, written, .. } = options;
        let Some(mut report) = report else { return };
        let clock = context.clock;
        report.timeline.advance(clock.now);
        let html = report.html(summary, &Frame { title, zone, clock, texts });
        let findings = report.troubles.findings().len();
        let result = file.write_all(html.as_bytes()).and_then(|()| file.flush());
        // Nobody may wait for it.
        let _ = written.send(result.map(|()| Written { bytes: html.len(), findings }));
    }
}

impl LiveSink for Page {
    fn wants_diagnosis(&self) -> bool {
        true
    }

    fn look(&mut self, look: &HostSnapshot) {
        // The table has taken it in.
        self.next = 0;
        let Self { options: Options { filter, ticks, .. }, report, .. } = self;
        if let Some(report) = report {
            report.headroom.read(look, *ticks, |used| ports::wants(filter, used));
        }
    }

    fn diagnose(&mut self, diagnosis: &Diagnosis) {
        if let Some(report) = &mut self.report {
            report.troubles.go_on(&diagnosis.findings);
        }
    }

    fn observe(&mut self, live: &Live<'_>, context: Context<'_>) -> Option<u64> {
        let Live { now, table, .. } = *live;
        if now >= self.next {
            self.next = now + INTERVAL + INTERVAL_PER_SOCKET * table.len() as u64;
            let filter = &self.options.filter;
            if let Some(report) = &mut self.report {
                report.timeline.advance(now);
                report.read(table, |subject| {
                    filter.is_all() || filter.may_want(&Facts::of(subject), context.enricher)
                });
            }
        }
        Some(self.next)
    }
}
