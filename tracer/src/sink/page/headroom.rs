//! How many ephemeral ports each destination takes, of how many.

use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::model::{
    diagnosis::Look,
    endpoint::{Endpoint, Tuple},
    finding::Problem,
    ports::{self, PortUse, Scope},
    state::State,
    time_wait::Ticks,
    update::{Role, Subject, Update},
};

/// Destinations told apart at most.
const DESTINATIONS: usize = 4096;

/// Connections from one address to one destination, or with ports by bind() to anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Whereto {
    pub(super) netns: u32,
    pub(super) scope: Scope,
}

/// Ports of one destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    now: u32,
    /// The most at one time.
    pub(super) most: u32,
    /// When that was, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) at: u64,
}

/// Ports of all destinations.
#[derive(Clone, Debug, Default)]
pub(super) struct Headroom {
    taken: HashMap<Whereto, Taken, RandomState>,
    /// Ports that there are to choose from, by network namespace, where known.
    pub(super) sizes: BTreeMap<u32, u32>,
    /// Connections to destinations that found no room.
    pub(super) unlisted: u64,
    /// Room is looked for again after so many have found none: it takes a pass through all.
    patience: usize,
}

impl Headroom {
    /// Takes note of an update.
    pub(super) fn update(&mut self, update: &Update<'_>) {
        match update {
            Update::Transition(told) if told.to == State::SynSent => {
                self.begin(&told.subject, told.time);
            }
            // TIME_WAIT keeps the port.
            Update::Transition(told) if told.to == State::Closed => self.end(&told.subject),
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

    /// Takes note of a look at the host: of connections that were there before, and of how many
    /// ports there are.
    pub(super) fn look(&mut self, look: &Look, ticks: Ticks, wanted: impl Fn(&PortUse) -> bool) {
        let namespaces = look.host.namespaces.iter();
        let known = namespaces.filter_map(|(netns, facts)| Some((*netns, facts.ports.as_ref()?)));
        self.sizes.extend(known.map(|(netns, range)| (netns, range.size())));
        let usage = ports::usage(&look.snapshot.records, &look.host, ticks);
        for one in usage.iter().filter(|one| wanted(one)) {
            self.used(one, look.snapshot.begun);
        }
    }

    fn used(&mut self, used: &PortUse, time: u64) {
        self.sizes.insert(used.netns, used.size);
        let key = Whereto { netns: used.netns, scope: used.scope };
        if let Some(taken) = self.entry(key)
            && used.used > taken.most
        {
            (taken.most, taken.at) = (used.used, time);
        }
    }

    fn begin(&mut self, subject: &Subject, time: u64) {
        if subject.tuple.local.port == 0 {
            return;
        }
        let Some(taken) = self.entry(key(subject)) else {
            self.unlisted += 1;
            return;
        };
        taken.now += 1;
        if taken.now > taken.most {
            (taken.most, taken.at) = (taken.now, time);
        }
    }

    fn end(&mut self, subject: &Subject) {
        if subject.role == Some(Role::Client)
            && subject.tuple.local.port != 0
            && let Some(taken) = self.taken.get_mut(&key(subject))
        {
            taken.now = taken.now.saturating_sub(1);
        }
    }

    fn entry(&mut self, key: Whereto) -> Option<&mut Taken> {
        if self.taken.len() >= DESTINATIONS && !self.taken.contains_key(&key) {
            if self.patience > 0 {
                self.patience -= 1;
                return None;
            }
            self.make_room();
            if self.taken.len() >= DESTINATIONS {
                return None;
            }
        }
        Some(self.taken.entry(key).or_default())
    }

    /// Forgets destinations to which there is no connection and were few.
    fn make_room(&mut self) {
        let mut most: Vec<u32> = self.taken.values().map(|taken| taken.most).collect();
        let middle = most.len() / 2;
        let median = *most.select_nth_unstable(middle).1;
        self.taken.retain(|_, taken| taken.now > 0 || taken.most > median);
        self.patience = DESTINATIONS;
    }

    /// Those with most ports first.
    pub(super) fn sorted(&self) -> Vec<(&Whereto, &Taken)> {
        let mut taken: Vec<_> = self.taken.iter().filter(|(_, taken)| taken.most > 0).collect();
        taken.sort_by_key(|(key, taken)| (std::cmp::Reverse(taken.most), format!("{key:?}")));
        taken
    }
}

fn key(subject: &Subject) -> Whereto {
    let Tuple { local, peer, netns } = subject.tuple;
    let local: Endpoint = local.with_port(0);
    Whereto { netns, scope: Scope::Destination { local, peer } }
}
