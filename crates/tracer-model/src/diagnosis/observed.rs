//! What happened between the two snapshots, as far as a diagnosis needs it.

use std::borrow::Cow;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    churn::Short,
    common::{has_room, of_one_name},
    comparison::{Comparison, Detector},
    ended::Ended,
    history::History,
    losses::Over,
    refused_here::Refused,
};
use tracer_event::{
    close::Reason,
    endpoint::Endpoint,
    finding::{Finding, NoLocalPort, Problem, Severity},
    state::State,
    update::{Observer, Role, Subject, Transition, Update},
};

pub(super) const DETECTORS: &[Detector] = &[failures];

/// Calls of connect() are counted by namespace, process and destination.
type ConnectKey = (u32, u32, Endpoint);

/// Gathers it from the table's updates.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Since when, nanoseconds of `CLOCK_MONOTONIC`.
    pub since: u64,
    /// Connections begun, by namespace, local address and destination.
    opened: HashMap<(u32, Endpoint, Endpoint), u64, RandomState>,
    /// Calls of connect() that found no port.
    failed: HashMap<ConnectKey, (Subject, NoLocalPort), RandomState>,
    /// Short connections.
    pub(super) short: Short,
    /// How connections ended, and processes.
    pub(super) ended: Ended,
    /// Beginnings and ends of connections.
    pub(super) history: History,
    /// Attempts to connect to this host that it has refused.
    pub(super) refused: Refused,
    /// What connections have sent that are over.
    pub(super) over: Over,
    /// Events lost for good.
    pub lost: u64,
}

impl Observer for Observed {
    fn observe(&mut self, update: Update<'_>) {
        match update {
            Update::Transition(transition) => self.transition(transition),
            Update::Connection(connection) => {
                self.short.note(connection);
                self.ended.connection(connection);
                self.history.connection(connection);
            }
            Update::Reset(reset) => self.refused.note(reset),
            Update::Retransmit(event) => self.history.retransmit(event),
            Update::Loss(loss) if !loss.healed => self.lost += loss.count,
            _ => {}
        }
    }
}

impl Observed {
    /// Nothing yet, from `since` on.
    pub fn since(since: u64) -> Self {
        Self { since, ..Self::default() }
    }

    fn transition(&mut self, transition: &Transition) {
        self.ended.transition(transition);
        self.over.note(transition, self.since);
        let Transition { ref subject, from, to, close, .. } = *transition;
        let tuple = subject.tuple;
        self.history.transition(transition);
        if (from, to) == (State::SynSent, State::Established) && subject.role == Some(Role::Client)
        {
            self.open((tuple.netns, tuple.local.with_port(0), tuple.peer), 1);
        }
        if close.is_some_and(|close| close.reason == Reason::NoLocalPort) {
            let process = subject.owner.map(|owner| owner.process);
            let pid = process.map_or(0, |process| process.pid);
            let none = NoLocalPort { process, others: 0, peer: tuple.peer, count: 0, size: None };
            self.fail((tuple.netns, pid, tuple.peer), (*subject, none), 1);
        }
    }

    fn open(&mut self, key: (u32, Endpoint, Endpoint), count: u64) {
        if has_room(&self.opened, &key) {
            *self.opened.entry(key).or_default() += count;
        }
    }

    fn fail(&mut self, key: ConnectKey, (subject, none): (Subject, NoLocalPort), count: u64) {
        if has_room(&self.failed, &key) {
            let none = NoLocalPort { count: 0, ..none };
            self.failed.entry(key).or_insert((subject, none)).1.count += count;
        }
    }

    /// Adds what was observed next.
    pub fn add(&mut self, later: &Self) {
        for (key, count) in &later.opened {
            self.open(*key, *count);
        }
        for (key, failed) in &later.failed {
            self.fail(*key, *failed, failed.1.count);
        }
        self.short.add(&later.short);
        self.ended.add(&later.ended);
        self.history.add(&later.history);
        self.refused.add(&later.refused);
        self.over.add(&later.over);
        self.lost += later.lost;
    }

    /// Connections begun from an address to a destination.
    pub fn opened(&self, netns: u32, local: Endpoint, peer: Endpoint) -> u64 {
        self.opened.get(&(netns, local, peer)).copied().unwrap_or(0)
    }
}

/// A finding for each destination, and process that found no port.
fn failures(comparison: &Comparison<'_>) -> Vec<Finding> {
    let failed = comparison.input.observed.failed.iter();
    let wanted = failed.filter(|(_, (subject, _))| comparison.wants_subject(subject));
    let all = wanted
        .map(|((netns, _, peer), (_, none))| ((*netns, *peer), none.process, none.count, none));
    let merged = of_one_name(all, |first, none| {
        first.others += 1;
        first.count += none.count;
    });
    let finding = |((netns, _), none): ((u32, Endpoint), Cow<'_, NoLocalPort>)| {
        let size = comparison.facts(netns).and_then(|facts| Some(facts.ports.as_ref()?.size()));
        let problem = Problem::NoLocalPort(NoLocalPort { size, ..*none });
        comparison.finding(Severity::Critical, netns, problem)
    };
    merged.into_iter().map(finding).collect()
}
