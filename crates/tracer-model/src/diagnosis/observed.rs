//! What happened between the two snapshots, as far as a diagnosis needs it.

use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    Comparison, Input,
    common::{ConnectKey, no_local_port},
};
use tracer_event::{
    endpoint::Endpoint,
    finding::{Finding, NoLocalPort, Problem, Severity},
    state::State,
    update::{Observer, Role, Subject, Transition, Update},
};

/// Gathers it from the table's updates.
#[derive(Debug, Default)]
pub struct Observed {
    /// Connections begun, by namespace, local address and destination.
    opened: HashMap<(u32, Endpoint, Endpoint), u64, RandomState>,
    /// Calls of connect() that found no port, by namespace, process and destination.
    failed: BTreeMap<ConnectKey, (Subject, NoLocalPort)>,
    /// Events lost for good.
    pub lost: u64,
}

impl Observer for Observed {
    fn observe(&mut self, update: Update<'_>) {
        match update {
            Update::Transition(transition) => self.transition(transition),
            Update::Loss(loss) if !loss.healed => self.lost += loss.count,
            _ => {}
        }
    }
}

impl Observed {
    fn transition(&mut self, transition: &Transition) {
        let Transition { ref subject, from, to, .. } = *transition;
        let tuple = subject.tuple;
        if (from, to) == (State::SynSent, State::Established) && subject.role == Some(Role::Client)
        {
            let key = (tuple.netns, tuple.local.with_port(0), tuple.peer);
            *self.opened.entry(key).or_default() += 1;
        }
        if let Some((key, failure)) = no_local_port(transition) {
            self.failed.entry(key).or_insert((*subject, failure)).1.count += 1;
        }
    }

    /// Connections begun from an address to a destination.
    pub fn opened(&self, netns: u32, local: Endpoint, peer: Endpoint) -> u64 {
        self.opened.get(&(netns, local, peer)).copied().unwrap_or(0)
    }

    /// A finding for each destination and process that found no port.
    pub(super) fn failures(&self, comparison: &Comparison<'_>) -> Vec<Finding> {
        let Input { filter, is_within, .. } = *comparison.input;
        let failed = self.failed.iter();
        let wanted =
            failed.filter(|(_, (subject, _))| filter.wants_subject(subject) && is_within(subject));
        let finding = |(&(netns, ..), &(_, failure)): (&ConnectKey, &(Subject, _))| {
            let size = comparison.facts(netns).and_then(|facts| Some(facts.ports.as_ref()?.size()));
            let problem = Problem::NoLocalPort(NoLocalPort { size, ..failure });
            comparison.finding(Severity::Critical, netns, problem)
        };
        wanted.map(finding).collect()
    }
}
