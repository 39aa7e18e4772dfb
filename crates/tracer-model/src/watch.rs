//! Findings of a live trace: reported when they begin, when they get worse and when they are over.
//!
//! What is wrong [`diagnose`] says, at each snapshot by comparison with an earlier one; what events
//! show by themselves is judged every second. Here is only what has changed since.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use super::{
    diagnosis::{Baseline, HostSnapshot, Input, Observed, diagnose, of_events},
    filter::Filter,
    table::Table,
    time_wait::Ticks,
};
use tracer_event::{
    diagnosis::Diagnosis,
    endpoint::Tuple,
    enricher::Enricher,
    finding::{Finding, PortUse, Problem, Status},
    update::{Observer, Update},
};

const SECOND: u64 = 1_000_000_000;
/// Snapshots are compared with one that is at least this old, as soon as there is one; events are
/// forgotten after this time, or twice.
const BASELINE: u64 = 15 * SECOND;
/// A finding is reported again at each tenfold of its number.
const WORSE: u64 = 10;

/// What is asked about, and what is known of the sockets.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// What is asked about.
    pub filter: &'a Filter,
    /// Knows the containers and control groups that may be asked about.
    pub enricher: &'a dyn Enricher,
    /// All sockets.
    pub table: &'a Table,
}

/// Remembers earlier snapshots, and what has been reported.
#[derive(Debug, Default)]
pub struct Watch {
    ticks: Ticks,
    /// The one to compare with, and the one to be compared with next.
    earlier: Vec<Baseline>,
    /// What has happened lately; and before that, as long ago.
    observed: Observed,
    before: Option<Observed>,
    /// Facts of the last snapshot, without its sockets.
    facts: HostSnapshot,
    /// The same, as what to compare with.
    same: Baseline,
    known: BTreeMap<String, Known>,
    used: Arc<[PortUse]>,
}

#[derive(Debug)]
struct Known {
    /// As it was found last, with its worst severity.
    finding: Finding,
    /// Reported again at this number.
    next: u64,
    /// Events alone have shown it.
    of_events: bool,
}

impl Observer for Watch {
    fn observe(&mut self, update: Update<'_>) {
        self.observed.observe(update);
    }
}

impl Watch {
    /// Nothing reported yet.
    pub fn new(ticks: Ticks) -> Self {
        Self { ticks, ..Self::default() }
    }

    /// How many ephemeral ports are in use towards the busiest destinations, as of the last
    /// snapshot.
    pub fn ports(&self) -> &Arc<[PortUse]> {
        &self.used
    }

    /// What events alone have shown to be wrong since the last call, to be called every second.
    pub fn tick(&mut self, now: u64, scope: Scope<'_>) -> Vec<Finding> {
        self.facts.snapshot.begun = now;
        self.same.look.snapshot.begun = now;
        if self.observed.since == 0 {
            self.observed.since = now;
        }
        let observed = self.recent();
        let known = self.known.values().filter(|known| !known.of_events);
        let known = known.map(|known| known.finding.clone()).collect();
        let found = of_events(&self.input(scope, [&self.same; 2], &self.facts, &observed), known);
        if self.observed.since + BASELINE <= now {
            self.before = Some(std::mem::replace(&mut self.observed, Observed::since(now)));
        }
        self.changes(now, found, true)
    }

    /// What is wrong, now that the table has taken in a complete snapshot, and what of it has
    /// changed; `None` for the first snapshot, which nothing can be compared with.
    pub fn look(
        &mut self,
        look: &HostSnapshot,
        scope: Scope<'_>,
    ) -> Option<(Diagnosis, Vec<Finding>)> {
        let now = look.snapshot.begun;
        self.facts.host.clone_from(&look.host);
        self.same.look.host.clone_from(&look.host);
        let is_first = self.earlier.is_empty();
        if is_first {
            self.earlier.push(Baseline::of(look, self.ticks));
        }
        let baselines = [&self.earlier[0], &self.earlier[self.earlier.len() - 1]];
        let diagnosis = diagnose(&self.input(scope, baselines, look, &self.recent()));
        self.used = Arc::clone(&diagnosis.ports);
        self.facts.host.local = addresses(look, &diagnosis.findings);
        if is_first {
            return None;
        }
        self.keep(look);
        let changes = self.changes(now, diagnosis.findings.clone(), false);
        Some((diagnosis, changes))
    }

    fn input<'a>(
        &'a self,
        scope: Scope<'a>,
        [first, recent]: [&'a Baseline; 2],
        last: &'a HostSnapshot,
        observed: &'a Observed,
    ) -> Input<'a> {
        let Scope { filter, enricher, table } = scope;
        let ticks = self.ticks;
        Input { filter, enricher, ticks, first, recent, last, observed, table, stacks: None }
    }

    fn recent(&self) -> Observed {
        let Some(mut all) = self.before.clone() else { return self.observed.clone() };
        all.add(&self.observed);
        all
    }

    /// Keeps a snapshot to compare later ones with, and drops the one that is not needed again.
    fn keep(&mut self, look: &HostSnapshot) {
        let is_old = |one: &Baseline| one.begun() + BASELINE <= look.snapshot.begun;
        if self.earlier.len() == 2 && is_old(&self.earlier[1]) {
            self.earlier.remove(0);
        }
        if self.earlier.len() < 2 {
            self.earlier.push(Baseline::of(look, self.ticks));
        }
    }

    /// What is new, worse or over, of all findings or of those that events alone show.
    fn changes(&mut self, now: u64, found: Vec<Finding>, of_events: bool) -> Vec<Finding> {
        let mut changes = Vec::new();
        let mut before = std::mem::take(&mut self.known);
        for mut finding in found {
            let (key, count) = (finding.key(), finding.problem.count());
            let known = before.remove(&key);
            let (mut next, of_events) = known
                .as_ref()
                .map_or((0, of_events), |known| (known.next, known.of_events || of_events));
            let before = known.as_ref().map(|known| &known.finding.problem);
            let is_explained = before.is_some_and(|before| finding.problem.carry(before));
            let worst = known.map(|known| known.finding.severity);
            let status = if worst.is_none() { Status::Raised } else { Status::Continues };
            let is_worse = worst.is_none_or(|worst| finding.severity > worst);
            if is_worse || is_explained || count >= next {
                next = count.max(1).saturating_mul(WORSE);
                changes.push(Finding { status, ..finding.clone() });
            }
            finding.severity = worst.map_or(finding.severity, |worst| worst.max(finding.severity));
            self.known.insert(key, Known { finding, next, of_events });
        }
        for (key, known) in before {
            if of_events && !known.of_events {
                self.known.insert(key, known);
            } else if !known.finding.problem.happens_once() {
                changes.push(Finding { time: now, status: Status::Cleared, ..known.finding });
            }
        }
        changes
    }
}

/// The addresses that may be those of full listeners, for judgements without sockets.
fn addresses(look: &HostSnapshot, findings: &[Finding]) -> BTreeSet<(u32, IpAddr)> {
    let full = findings.iter().filter(|one| matches!(one.problem, Problem::AcceptQueueFull(_)));
    let full: BTreeSet<u32> = full.map(|finding| finding.netns).collect();
    let records = look.snapshot.records.iter().filter(|record| full.contains(&record.netns));
    records.map(|record| (record.netns, Tuple::of(record).local.address())).collect()
}
