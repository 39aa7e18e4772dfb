//! Attempts to connect to this host that it has refused, though somebody listens on their port.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    common::{each_once, most_first},
    comparison::{Comparison, Detector},
};
use tracer_event::{
    endpoint::Endpoint,
    finding::{Finding, ListensElsewhere, Problem, Severity},
    state::State,
    update::{Answered, Reset},
};

pub(super) const DETECTORS: &[Detector] = &[elsewhere];

/// Somebody who tries all ports is none of the clients that are meant.
const MOST: usize = 1_024;
/// Fewer attempts may have been a mistake of their own.
const SEVERAL: u64 = 3;

/// Attempts by namespace, address and client, whose port is none of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Refused(HashMap<(u32, Endpoint, Endpoint), u64, RandomState>);

impl Refused {
    /// Takes in an RST.
    pub(super) fn note(&mut self, reset: &Reset) {
        if reset.segment.answers == Some(Answered::Syn) {
            let tuple = reset.subject.tuple;
            self.count((tuple.netns, tuple.local, tuple.peer.with_port(0)), 1);
        }
    }

    /// Adds what was observed next.
    pub(super) fn add(&mut self, later: &Self) {
        later.0.iter().for_each(|(key, times)| self.count(*key, *times));
    }

    fn count(&mut self, key: (u32, Endpoint, Endpoint), times: u64) {
        if self.0.len() < MOST || self.0.contains_key(&key) {
            *self.0.entry(key).or_default() += times;
        }
    }
}

/// A finding for each address.
fn elsewhere(comparison: &Comparison<'_>) -> Vec<Finding> {
    let mut addresses: HashMap<(u32, Endpoint), Vec<(Endpoint, u64)>, RandomState> =
        HashMap::default();
    for (&(netns, address, peer), &times) in &comparison.input.observed.refused.0 {
        addresses.entry((netns, address)).or_default().push((peer, times));
    }
    let addresses = addresses.into_iter();
    addresses.filter_map(|(at, clients)| finding(comparison, at, &clients)).collect()
}

fn finding(
    comparison: &Comparison<'_>,
    (netns, address): (u32, Endpoint),
    clients: &[(Endpoint, u64)],
) -> Option<Finding> {
    // By now it may listen there as well.
    if !comparison.listeners_of(netns, address).is_empty() {
        return None;
    }
    let listeners: Vec<_> = comparison
        .seen_in(State::Listen)
        .filter(|seen| (seen.record.netns, seen.record.local_port) == (netns, address.port))
        .filter(|seen| comparison.wants_seen(seen))
        .collect();
    let holders = listeners.iter().flat_map(|seen| comparison.holders(seen.record));
    let processes = each_once(holders.map(|holder| holder.process)).into_iter();
    let mut listening: Vec<Endpoint> = listeners.iter().map(|seen| seen.tuple().local).collect();
    listening.sort_unstable_by_key(Endpoint::address);
    listening.dedup();
    let attempts = clients.iter().map(|(_, times)| times).sum();
    let each = clients.iter().flat_map(|&(peer, times)| (0..times).map(move |_| peer));
    let problem = ListensElsewhere {
        processes: processes.map(|process| comparison.program(process)).collect(),
        listening,
        address,
        attempts,
        peers: most_first(each, |peer| (peer.address(), peer.port)),
    };
    let severity = if attempts < SEVERAL { Severity::Info } else { Severity::Warning };
    let problem = Problem::ListensElsewhere(Box::new(problem));
    (!listeners.is_empty()).then(|| comparison.finding(severity, netns, problem))
}
