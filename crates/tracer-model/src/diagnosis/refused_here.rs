//! Attempts to connect to this host that it has refused, though somebody listens on their port.
//!
//! Anybody may try the ports of a host that is reached from the Internet, and a server that listens on
//! no address of it is as it should be: what comes from public addresses does not count.

use std::{cmp::Reverse, net::IpAddr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    common::{each_once, has_room},
    comparison::{Comparison, Detector},
    endings,
    observed::Observed,
    queues,
};
use tracer_event::{
    endpoint::{Endpoint, Tuple},
    finding::{Finding, Listener, ListensElsewhere, Problem, Severity},
    state::State,
    update::{Answered, Reset},
};

pub(super) const DETECTORS: &[Detector] = &[elsewhere];

/// A client that has tried less often may have made a mistake of its own.
const SEVERAL: u64 = 3;

/// Attempts by namespace, address and client, whose port is none of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Refused(HashMap<(u32, Endpoint, Endpoint), u64, RandomState>);

impl Refused {
    /// Takes in an RST.
    pub(super) fn note(&mut self, reset: &Reset) {
        let tuple = reset.subject.tuple;
        if reset.segment.answers == Some(Answered::Syn) && !is_public(tuple.peer.address()) {
            self.count((tuple.netns, tuple.local, tuple.peer.with_port(0)), 1);
        }
    }

    /// Adds what was observed next.
    pub(super) fn add(&mut self, later: &Self) {
        later.0.iter().for_each(|(key, times)| self.count(*key, *times));
    }

    fn count(&mut self, key: (u32, Endpoint, Endpoint), times: u64) {
        if has_room(&self.0, &key) {
            *self.0.entry(key).or_default() += times;
        }
    }
}

/// Who has listened all the time for what was refused: this kernel has not refused it, as no RST of its
/// own to that client shows, whether it may have been sent on to another port or not.
pub(super) fn though_listening(comparison: &Comparison<'_>, tuple: &Tuple) -> Option<Listener> {
    let Tuple { local, peer, netns } = *tuple;
    let client = local.address();
    let Observed { refused, lost, .. } = comparison.input.observed;
    let is_ours = || refused.0.keys().any(|(_, _, to)| to.address() == client);
    if *lost > 0 || is_public(client) || is_ours() || queues::is_full_at(comparison, netns, peer) {
        return None;
    }
    let mut listeners = comparison.seen_in(State::Listen).filter(|seen| {
        let Tuple { local, netns: there, .. } = seen.tuple();
        let is_bound = seen.record.interface != 0;
        // It may be IPV6_V6ONLY.
        let is_version = local.is_ipv4() == peer.is_ipv4();
        seen.earlier.is_some()
            && !is_bound
            && is_version
            && queues::takes(comparison, (there, local), netns, peer)
    });
    comparison.listener(&[listeners.next()?.record])
}

/// Whether an address is one of the Internet: none of those for private use (RFC 1918, 4193, 6598).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let is_shared = a == 100 && b & 0xc0 == 64;
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_shared)
        }
        IpAddr::V6(v6) => !(v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local()),
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
    addresses.filter_map(|(at, clients)| finding(comparison, at, clients)).collect()
}

fn finding(
    comparison: &Comparison<'_>,
    (netns, address): (u32, Endpoint),
    mut peers: Vec<(Endpoint, u64)>,
) -> Option<Finding> {
    // By now it may listen there as well.
    if !comparison.listeners_of(netns, address).is_empty() {
        return None;
    }
    let listeners = comparison.listeners_on(netns, address.port);
    // A scan tries many ports on which nobody listens.
    if listeners.is_empty() {
        return None;
    }
    let holders = listeners.iter().flat_map(|record| comparison.holders(record));
    let processes = each_once(holders.map(|holder| holder.process)).into_iter();
    let mut listening: Vec<Endpoint> =
        listeners.iter().map(|record| Tuple::of(record).local).collect();
    listening.sort_unstable_by_key(Endpoint::address);
    listening.dedup();
    peers.sort_unstable_by_key(|(peer, times)| (Reverse(*times), peer.address()));
    let most = peers.first().map_or(0, |(_, times)| *times);
    let problem = ListensElsewhere {
        processes: processes.map(|process| comparison.program(process)).collect(),
        listening,
        address,
        attempts: peers.iter().map(|(_, times)| times).sum(),
        peers,
        clients: endings::refused_at(comparison, netns, address),
    };
    let is_rare = most < SEVERAL || endings::are_served_elsewhere(comparison, netns, address);
    let severity = if is_rare { Severity::Info } else { Severity::Warning };
    let problem = Problem::ListensElsewhere(Box::new(problem));
    Some(comparison.finding(severity, netns, problem))
}
