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
};
use tracer_event::{
    endpoint::{Endpoint, Tuple},
    finding::{Finding, ListensElsewhere, Problem, Severity},
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

    /// Whether this host is known to have refused no attempt of a client, wherever it was sent on to.
    pub(super) fn has_none_of(&self, client: IpAddr) -> bool {
        !is_public(client) && self.0.keys().all(|(_, _, to)| to.address() != client)
    }

    fn count(&mut self, key: (u32, Endpoint, Endpoint), times: u64) {
        if has_room(&self.0, &key) {
            *self.0.entry(key).or_default() += times;
        }
    }
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
