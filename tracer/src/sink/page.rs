//! `tracer report`: gathers what happened and writes it as one page of HTML that needs nothing
//! else, to be read, sent and printed.
//!
//! Memory is bounded, however long it takes and however many connections there are: time is cut
//! into slices that get longer, what is told by process or far end is counted for so many of them
//! and together for the rest. The page is written at the end, on the thread that reads: nothing is
//! told any more then.

mod headroom;
mod stays;
#[cfg(test)]
mod tests;
mod timeline;
mod troubles;
mod view;

use std::{
    io::{self, Write},
    sync::{Arc, mpsc::Sender},
};

use jiff::tz::TimeZone;

use self::{headroom::Headroom, stays::Guests, timeline::Timeline, troubles::Troubles};
use super::{
    Hello, Live, LiveSink, Sink, summary::Summary, surroundings::Surroundings,
    wall_clock::WallClock,
};
use crate::model::{
    diagnosis::Look,
    filter::Filter,
    state::State,
    table::Table,
    time_wait::Ticks,
    update::{Subject, Update},
    watch::wants_ports,
};

/// A look at the table is taken this often at most, nanoseconds.
const LOOK: u64 = 250_000_000;
/// The larger the table, the rarer: a hundred times what a socket costs, nanoseconds.
const LOOK_FOR_EACH: u64 = 10_000;

/// What the page is about and where it goes.
pub struct Options {
    /// What was observed: the host's name, or the recording's.
    pub title: String,
    /// Whose times the page shows.
    pub zone: TimeZone,
    /// The kernel's tick.
    pub ticks: Ticks,
    /// Which sockets of the table are wanted: updates have passed it already.
    pub filter: Filter,
    /// What is known of containers.
    pub surroundings: Arc<dyn Surroundings>,
    /// The page.
    pub file: Box<dyn Write + Send>,
    /// Where to say how writing it went, once.
    pub written: Sender<io::Result<Written>>,
}

/// A page that has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Length, bytes.
    pub bytes: usize,
    /// Findings on it.
    pub findings: usize,
}

/// What has been told, as the page shows it.
struct Gathered {
    hello: Hello,
    /// When it began, nanoseconds of `CLOCK_MONOTONIC`.
    begun: u64,
    /// The sockets have been looked at: also those to which nothing happened are counted.
    looked: bool,
    timeline: Timeline,
    guests: Guests,
    headroom: Headroom,
    troubles: Troubles,
}

/// The sink.
pub struct Page {
    options: Options,
    /// From the beginning on.
    gathered: Option<Gathered>,
    /// When to look at the table next.
    look: u64,
}

impl Page {
    /// Nothing gathered yet.
    pub fn new(options: Options) -> Self {
        Self { options, gathered: None, look: 0 }
    }
}

impl Gathered {
    fn new(hello: Hello, begun: u64) -> Self {
        Self {
            hello,
            begun,
            looked: false,
            timeline: Timeline::new(begun),
            guests: Guests::default(),
            headroom: Headroom::default(),
            troubles: Troubles::default(),
        }
    }

    fn update(&mut self, update: &Update<'_>) {
        self.timeline.update(update);
        self.guests.update(update);
        self.headroom.update(update);
        self.troubles.update(update);
    }

    /// Finds sockets that were there before.
    fn look(&mut self, table: &Table, wanted: impl Fn(&Subject) -> bool) {
        let guests = &mut self.guests;
        let sockets = timeline::census(table, |life| {
            let subject = life.subject();
            let wanted = wanted(&subject);
            if wanted {
                guests.found(&subject, life.state, life.since);
            }
            wanted
        });
        self.timeline.agree(&sockets);
        self.looked = true;
    }
}

impl Sink for Page {
    fn hello(&mut self, hello: &Hello, clock: WallClock) {
        self.gathered = Some(Gathered::new(hello.clone(), clock.now));
    }

    fn update(&mut self, update: &Update<'_>, _: WallClock) {
        if let Some(gathered) = &mut self.gathered {
            gathered.update(update);
        }
    }

    fn live(&mut self) -> Option<&mut dyn LiveSink> {
        Some(self)
    }

    fn finish(self: Box<Self>, summary: &Summary, clock: WallClock) {
        let Self { options, gathered, .. } = *self;
        let Options { title, zone, mut file, written, .. } = options;
        let Some(mut gathered) = gathered else { return };
        gathered.timeline.advance(clock.now);
        let html = view::page(&gathered, summary, &view::Frame { title, zone, clock });
        let findings = gathered.troubles.findings().len();
        let result = file.write_all(html.as_bytes()).and_then(|()| file.flush());
        // Nobody may wait for it.
        let _ = written.send(result.map(|()| Written { bytes: html.len(), findings }));
    }
}

impl LiveSink for Page {
    fn wants_diagnosis(&self) -> bool {
        true
    }

    fn look(&mut self, look: &Look) {
        // It is merged into the table next.
        self.look = 0;
        let Self { options: Options { filter, ticks, .. }, gathered, .. } = self;
        if let Some(gathered) = gathered {
            gathered.headroom.look(look, *ticks, |used| wants_ports(filter, used));
        }
    }

    fn observe(&mut self, live: &Live<'_>, _: WallClock) -> Option<u64> {
        let Live { now, table, .. } = *live;
        if now >= self.look {
            self.look = now + LOOK + LOOK_FOR_EACH * table.len() as u64;
            let Options { filter, surroundings, .. } = &self.options;
            let all = *filter == Filter::default();
            let wanted = |subject: &Subject| {
                all || filter.wants_subject(subject) && surroundings.passes(filter, subject)
            };
            if let Some(gathered) = &mut self.gathered {
                gathered.timeline.advance(now);
                gathered.look(table, wanted);
            }
        }
        Some(self.look)
    }
}

/// States in which sockets are shown over time: who listens does so all the time.
fn shown() -> impl Iterator<Item = State> {
    State::ALL.into_iter().filter(|state| !matches!(state, State::Closed | State::Listen))
}
