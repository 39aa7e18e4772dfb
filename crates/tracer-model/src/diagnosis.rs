//! What is wrong on this host: two snapshots and what happened between them in, findings out.
//!
//! Two snapshots, because one cannot tell what stands still from what moves, nor how fast it grows.
//! Findings are of sockets that the filter wants; the figures of what these share with others
//! (ports, queues, descriptors) are of all.
//!
//! `tracer diagnose` asks once, [`Watch`](super::watch::Watch) at each snapshot of a live trace: one
//! judgement for the trace, the full screen, reports, JSON and metrics.
//!
//! To add a finding, write its file in `tracer_event::finding` (data, sentence, evidence, remedies,
//! and in `Explain::key` what makes two of them the same at different times), a line in the list
//! there, and a detector, a function that takes the `Comparison` and returns findings: here, in the
//! file of what it looks at and in the `DETECTORS` of that file. Only what no file looks at yet
//! needs one of its own, and a line in `SNAPSHOTS` or `EVENTS`.
//!
//! * `comparison.seen` (or `seen_in(state)`) are the sockets of the last snapshot: `record` as the
//!   kernel reports it, `state`, `earlier` of the first snapshot, `tuple()`. Everything else is made
//!   on demand: `socket(seen)`, `holders(record)`, `service(tuple)`, `program(process)`. Of a
//!   million sockets look at `record` and `state` first.
//! * Only what `wants_seen(seen)` or `wants_subject(subject)` lets pass is reported.
//! * `comparison.input.observed` is what the events have shown; gather what is missing there.
//! * `comparison.found` is what the detectors before it in the list have found: findings with one
//!   cause are one, so a detector keeps silent about what is explained already.
//! * `comparison.finding(severity, netns, problem)` makes the finding.

mod accepting;
mod attempts;
mod baseline;
mod causes;
mod churn;
mod close_wait;
mod common;
mod comparison;
mod dead_peers;
mod doing;
mod ended;
mod endings;
mod ends;
mod handshakes;
mod held;
mod history;
mod idle;
mod limits;
mod losses;
mod observed;
mod peers;
mod queues;
mod refused_here;
mod rejected;
mod resets;
mod self_connects;
mod stuck;
#[cfg(test)]
mod tests;
mod twins;
mod unread;
mod windows;
mod workers;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use self::comparison::{Comparison, Detector};
pub use self::{baseline::Baseline, causes::explain, observed::Observed};
use super::{
    filter::Filter,
    ports,
    table::{Snapshot, Table},
    time_wait::Ticks,
};
use tracer_event::{enricher::Enricher, finding::Finding, host::Host, stack::Stacks};

use tracer_event::diagnosis::Diagnosis;

/// The sockets and the host at one time.
#[derive(Clone, Debug, Default)]
pub struct HostSnapshot {
    /// Sockets and who holds them.
    pub snapshot: Snapshot,
    /// All else.
    pub host: Host,
}

/// All that a diagnosis rests on.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// What is asked about.
    pub filter: &'a Filter,
    /// Knows the containers and control groups that may be asked about, which no record tells.
    pub enricher: &'a dyn Enricher,
    /// The kernel's tick.
    pub ticks: Ticks,
    /// The snapshot at the beginning.
    pub first: &'a Baseline,
    /// A younger one, if there is one: shows sooner what stands still, but not how fast something grows.
    pub recent: &'a Baseline,
    /// The snapshot at the end.
    pub last: &'a HostSnapshot,
    /// What happened between them.
    pub observed: &'a Observed,
    /// All sockets, with the last snapshot merged in.
    pub table: &'a Table,
    /// The stacks in which sockets were made, if they are asked for.
    pub stacks: Option<&'a dyn Stacks>,
}

/// What two snapshots show.
const SNAPSHOTS: &[&[Detector]] = &[
    accepting::DETECTORS,
    held::DETECTORS,
    self_connects::DETECTORS,
    close_wait::DETECTORS,
    queues::DETECTORS,
    limits::DETECTORS,
    handshakes::DETECTORS,
    losses::DETECTORS,
    dead_peers::DETECTORS,
    windows::DETECTORS,
    unread::DETECTORS,
    stuck::DETECTORS,
    idle::DETECTORS,
    churn::DETECTORS,
    refused_here::DETECTORS,
];

/// What events show by themselves, without a snapshot.
const EVENTS: &[&[Detector]] =
    &[observed::DETECTORS, endings::DETECTORS, resets::DETECTORS, ended::DETECTORS];

impl Comparison<'_> {
    fn run(&mut self, detectors: &[&[Detector]]) {
        for detect in detectors.iter().copied().flatten() {
            let found = detect(self);
            self.found.extend(found);
        }
    }
}

/// Finds what is wrong.
pub fn diagnose(input: &Input<'_>) -> Diagnosis {
    let mut comparison = Comparison::new(input);
    comparison.run(SNAPSHOTS);
    comparison.run(EVENTS);
    Diagnosis {
        states: comparison.states(),
        namespaces: comparison.namespaces(),
        observed: comparison.elapsed(),
        sending: close_wait::sending(&comparison),
        lost: input.observed.lost,
        refused: 0,
        ports: ports::busiest(comparison.ports(), |one| ports::wants(input.filter, one)),
        findings: unique(sorted(comparison.found)),
    }
}

/// What events alone have shown to be wrong, beside what snapshots have: `last` need have no
/// sockets.
pub fn of_events(input: &Input<'_>, known: Vec<Finding>) -> Vec<Finding> {
    let mut comparison = Comparison::new(input);
    let others = known.len();
    comparison.found = known;
    comparison.run(EVENTS);
    unique(comparison.found.split_off(others))
}

/// Of several that are the same at different times, such as those of the listeners of one process at one
/// address, the first.
fn unique(mut findings: Vec<Finding>) -> Vec<Finding> {
    let mut known: HashSet<String, RandomState> = HashSet::default();
    findings.retain(|finding| known.insert(finding.key()));
    findings
}

/// Worst first; of those that are equally bad the one that is about most.
fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    let key = |finding: &Finding| {
        let Finding { severity, ref problem, netns, .. } = *finding;
        (std::cmp::Reverse((severity, problem.count())), problem.code(), netns)
    };
    findings.sort_by_key(key);
    findings
}
