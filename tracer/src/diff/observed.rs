//! What one recording amounts to: counts and distributions of bounded size.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use hdrhistogram::Histogram;

use super::statistics::Series;
use crate::exec::tally::{Account, Identity, Place, identity};
use tracer_event::{
    connection::ConnectionSummary,
    enricher::Context,
    finding::{Finding, Status},
    header::Header,
    state::State,
    summary::Summary,
    update::Update,
    wall_clock::WallClock,
};
use tracer_output::Sink;

/// More places, or connections that are open at one time, are not told apart.
const REMEMBERED: usize = 1 << 16;
/// Longest lifetime that is told apart from longer ones: a day, in nanoseconds.
const LONGEST: u64 = 86_400_000_000_000;

/// One recording.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Places, outcomes, handshakes and what went wrong.
    pub account: Account,
    /// When connections were opened or accepted, nanoseconds since the beginning.
    pub opened: Series,
    /// The same by place.
    pub by_place: HashMap<Place, Series, RandomState>,
    /// When connections entered TIME_WAIT here.
    pub time_waits: Series,
    /// Lifetimes of the connections that ended, nanoseconds.
    pub lifetimes: Histogram<u64>,
    /// Codes of the findings that were raised, each with the first one.
    pub findings: BTreeMap<&'static str, Finding>,
    /// How long was observed, nanoseconds; `None` where the recording has no beginning.
    pub duration: Option<u64>,
    /// When it ended, nanoseconds since 1970.
    pub ended: i64,
    /// Nothing was lost.
    pub is_complete: bool,
    /// Connections that were open when they were last reported.
    open: HashSet<Identity, RandomState>,
    begun: Option<u64>,
}

impl Default for Observed {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "the bounds are constants that fit")]
        let lifetimes = Histogram::new_with_bounds(1, LONGEST, 2).expect("1 < LONGEST");
        Self {
            account: Account::default(),
            opened: Series::default(),
            by_place: HashMap::default(),
            time_waits: Series::default(),
            lifetimes,
            findings: BTreeMap::new(),
            duration: None,
            ended: 0,
            is_complete: false,
            open: HashSet::default(),
            begun: None,
        }
    }
}

impl Observed {
    /// Begins, at this time.
    pub fn begin(&mut self, now: u64) {
        self.begun.get_or_insert(now);
    }

    /// Takes in one event.
    pub fn observe(&mut self, update: &Update<'_>, context: Context<'_>) {
        self.account.observe(update, context);
        match update {
            Update::Connection(connection) => self.connection(connection),
            Update::Finding(finding) => self.finding(finding),
            _ => {}
        }
    }

    /// Ends, at this time.
    pub fn end(&mut self, now: u64, is_complete: bool) {
        self.duration = self.begun.map(|begun| now.saturating_sub(begun));
        self.is_complete = is_complete;
    }

    fn finding(&mut self, finding: &Finding) {
        if finding.status != Status::Cleared {
            self.findings.entry(finding.problem.code()).or_insert_with(|| finding.clone());
        }
    }

    /// One that is open may be reported several times; one that was there before has not been
    /// opened.
    fn connection(&mut self, connection: &ConnectionSummary) {
        let ConnectionSummary { subject, state, began, ended, duration, close, .. } = *connection;
        let identity = identity(&subject);
        let is_known = if close.is_some() {
            self.open.remove(&identity)
        } else {
            self.open.len() >= REMEMBERED || !self.open.insert(identity)
        };
        let since = |time: u64| time.saturating_sub(self.begun.unwrap_or_default());
        if let Some(began) = began.filter(|_| !is_known) {
            let began = since(began);
            self.opened.add(began);
            let place = Place::of(&subject);
            if self.by_place.len() < REMEMBERED || self.by_place.contains_key(&place) {
                self.by_place.entry(place).or_default().add(began);
            }
        }
        if close.is_some() {
            self.lifetimes.saturating_record(duration);
            if state == State::TimeWait {
                self.time_waits.add(since(ended.unwrap_or(connection.time)));
            }
        }
    }

    /// How many connections ended, and how many there were.
    pub fn connections(&self) -> (u64, u64) {
        let places = self.account.places();
        let all = places.iter().map(|(_, one)| one.connections).sum::<u64>();
        (all - places.iter().map(|(_, one)| one.open).sum::<u64>(), all)
    }
}

/// A recording while it is read; all clones share it.
#[derive(Clone, Debug, Default)]
pub struct Reading(Arc<Mutex<Observed>>);

impl Reading {
    /// What was read.
    pub fn take(&self) -> Observed {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The sink that reads.
    pub fn sink(&self) -> Box<dyn Sink> {
        Box::new(Reader(self.clone()))
    }
}

struct Reader(Reading);

impl Reader {
    fn with(&self, change: impl FnOnce(&mut Observed)) {
        change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Sink for Reader {
    fn header(&mut self, _: &Header, clock: WallClock) {
        self.with(|observed| observed.begin(clock.now));
    }

    fn update(&mut self, update: &Update<'_>, context: Context<'_>) {
        self.with(|observed| observed.observe(update, context));
    }

    fn finish(self: Box<Self>, summary: &Summary, context: Context<'_>) {
        let clock = context.clock;
        self.with(|observed| {
            observed.ended = clock.wall(clock.now);
            observed.end(clock.now, summary.complete);
        });
    }
}
