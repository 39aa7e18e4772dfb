//! How many ephemeral ports each destination takes, of how many.

use std::collections::BTreeMap;

use super::groups::{Groups, Tally};
use crate::model::{
    diagnosis::Look,
    endpoint::Tuple,
    finding::Problem,
    ports::{self, PortUse, Scope},
    state::State,
    time_wait::Ticks,
    update::{Role, Subject, Update},
};

/// Destinations listed.
const DESTINATIONS: usize = 2048;

/// Connections from one address to one destination, or to anywhere with ports chosen by bind().
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Destination {
    pub(super) netns: u32,
    pub(super) scope: Scope,
}

/// Ports taken towards one destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    now: u32,
    /// The most at one time.
    pub(super) most: u32,
    /// When that was, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) at: u64,
}

impl Taken {
    fn reach(&mut self, used: u32, time: u64) {
        if used > self.most {
            (self.most, self.at) = (used, time);
        }
    }
}

impl Tally for Taken {
    fn rank(&self) -> (u64, u64) {
        (self.most.into(), 0)
    }

    fn merge(&mut self, other: &Self) {
        self.most = self.most.saturating_add(other.most);
    }
}

/// Ports of all destinations.
#[derive(Clone, Debug, Default)]
pub(super) struct Headroom {
    pub(super) taken: Groups<Destination, Taken, DESTINATIONS>,
    /// Size of the range of ephemeral ports, by network namespace, where known.
    pub(super) sizes: BTreeMap<u32, u32>,
}

impl Headroom {
    pub(super) fn update(&mut self, update: &Update<'_>) {
        match update {
            Update::Transition(step) if step.subject.tuple.local.port != 0 => {
                let key = destination(&step.subject);
                if step.to == State::SynSent {
                    let taken = self.taken.entry(key);
                    taken.now += 1;
                    taken.reach(taken.now, step.time);
                }
                // TIME_WAIT keeps the port.
                if (step.to, step.subject.role) == (State::Closed, Some(Role::Client))
                    && let Some(taken) = self.taken.get_mut(&key)
                {
                    taken.now = taken.now.saturating_sub(1);
                }
            }
            Update::Finding(finding) => match &finding.problem {
                Problem::EphemeralPorts(used) => self.used(used, finding.time),
                Problem::NoLocalPort(failures) => {
                    self.sizes.extend(failures.size.map(|size| (finding.netns, size)));
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// Takes connections that were there before, and the number of ports, from a snapshot of the
    /// host.
    pub(super) fn look(&mut self, look: &Look, ticks: Ticks, wanted: impl Fn(&PortUse) -> bool) {
        let namespaces = look.host.namespaces.iter();
        let known = namespaces.filter_map(|(netns, facts)| Some((*netns, facts.ports.as_ref()?)));
        self.sizes.extend(known.map(|(netns, range)| (netns, range.size())));
        let usage = ports::usage(&look.snapshot.records, &look.host, ticks);
        for one in usage.iter().filter(|one| wanted(one)) {
            self.used(one, look.snapshot.begun);
        }
    }

    fn used(&mut self, ports: &PortUse, time: u64) {
        let PortUse { netns, scope, size, used, .. } = *ports;
        self.sizes.insert(netns, size);
        self.taken.entry(Destination { netns, scope }).reach(used, time);
    }
}

fn destination(subject: &Subject) -> Destination {
    let Tuple { local, peer, netns } = subject.tuple;
    Destination { netns, scope: Scope::Destination { local: local.with_port(0), peer } }
}
