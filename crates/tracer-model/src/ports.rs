//! Ephemeral ports: who uses how many of them, and how many there are.
//!
//! connect() needs a local port that is free towards its destination: one local address has the
//! whole range for each destination. bind(0) before connect() needs one that is free altogether:
//! one range for all destinations. TIME_WAIT holds a port as well, except where connect() may take
//! it over (`tcp_tw_reuse`).

use std::{collections::BTreeMap, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_wire::{Record, kind};

use super::{
    filter::{Facts, Filter},
    socket,
    time_wait::Ticks,
};
use tracer_event::{
    endpoint::{Endpoint, Tuple},
    finding::Severity,
    host::{Host, PortRange},
    state::State,
    update::Subject,
};

use tracer_event::finding::{PortUse, Scope};

/// A TIME_WAIT's port can be taken over after this time.
const REUSE_AFTER: u64 = 1_000_000_000;
/// From this part of the range on the use of ports is worth a metric.
const NOTABLE: f64 = 0.1;
/// As many of them at most: anybody may connect to anywhere.
const BUSIEST: usize = 20;

/// Bad at half of the range, very bad at 90 %.
fn severity(ports: &PortUse) -> Option<Severity> {
    let (busy, size) = (u64::from(ports.busy()), u64::from(ports.size));
    if busy == 0 {
        None
    } else if busy * 10 >= size * 9 {
        Some(Severity::Critical)
    } else if busy * 2 >= size {
        Some(Severity::Warning)
    } else {
        None
    }
}

/// One local address.
#[derive(Default)]
struct Pool {
    ports: HashMap<u16, u32, RandomState>,
    destinations: HashMap<Endpoint, u32, RandomState>,
    states: BTreeMap<State, u64>,
}

/// If fewer than one in this many hosts would show it by chance, bind() has chosen the ports.
const CHANCE: f64 = 1.0 / 20.0;

impl Pool {
    fn add(&mut self, port: u16, peer: Endpoint, state: State) {
        *self.ports.entry(port).or_default() += 1;
        *self.destinations.entry(peer).or_default() += 1;
        *self.states.entry(state).or_default() += 1;
    }

    /// The pool as a whole, where the ports look as if bind() had chosen them: no port serves two
    /// destinations, although some should if connect() had chosen for each of them by itself.
    fn bound_first(self, netns: u32, local: Endpoint, size: u32) -> Option<PortUse> {
        let mut taken = 0;
        let mut chance = 1.0;
        for &ports in self.destinations.values() {
            for chosen in 0..ports {
                let left = f64::from(size.saturating_sub(taken + chosen));
                chance *= left / f64::from(size.saturating_sub(chosen).max(1));
            }
            taken += ports;
        }
        let distinct = self.ports.values().all(|&sockets| sockets == 1);
        (distinct && chance < CHANCE).then(|| PortUse {
            used: self.ports.len() as u32,
            destinations: self.destinations.len(),
            states: self.states,
            ..empty(netns, Scope::Address(local), size)
        })
    }
}

/// Counts the ports in the range of each namespace whose settings are known.
///
/// Ports of listeners, and of the connections they took, were not chosen for a destination.
pub fn usage(records: &[Record], host: &Host, ticks: Ticks) -> Vec<PortUse> {
    let listening: HashSet<(u32, u16), RandomState> = records
        .iter()
        .filter(|record| State::from_kernel(record.new_state) == Some(State::Listen))
        .map(|record| (record.netns, record.local_port))
        .collect();
    let mut destinations: HashMap<(u32, Endpoint, Endpoint), PortUse, RandomState> =
        HashMap::default();
    let mut pools: HashMap<(u32, Endpoint), Pool, RandomState> = HashMap::default();
    for record in records {
        let Some(range) = range(host, record.netns) else { continue };
        let Some(state) = State::from_kernel(record.new_state) else { continue };
        let served = listening.contains(&(record.netns, record.local_port));
        if record.kind == kind::REQUEST_SOCKET || served || !range.contains(record.local_port) {
            continue;
        }
        let Tuple { local, peer, netns } = Tuple::of(record);
        let local = local.with_port(0);
        let of_one = destinations
            .entry((netns, local, peer))
            .or_insert_with(|| empty(netns, Scope::Destination { local, peer }, range.size()));
        of_one.used += 1;
        of_one.reusable += u32::from(is_reusable(record, host, ticks));
        *of_one.states.entry(state).or_default() += 1;
        pools.entry((netns, local)).or_default().add(record.local_port, peer, state);
    }
    let pools = pools.into_iter().filter_map(|((netns, local), pool)| {
        pool.bound_first(netns, local, range(host, netns)?.size())
    });
    pools.chain(destinations.into_values()).collect()
}

/// Those of which little is left, and how bad that is. Where bind() takes ports from one pool for
/// all destinations, that is to blame and not the destinations.
pub fn scarce(usage: Vec<PortUse>) -> Vec<(Severity, PortUse)> {
    let bad = |one: PortUse| Some((severity(&one)?, one));
    let mut scarce: Vec<(Severity, PortUse)> = usage.into_iter().filter_map(bad).collect();
    let pools: Vec<(u32, Scope)> = scarce.iter().map(|(_, one)| (one.netns, one.scope)).collect();
    scarce.retain(|(severity, one)| match one.scope {
        Scope::Destination { local, .. } => {
            *severity == Severity::Critical || !pools.contains(&(one.netns, Scope::Address(local)))
        }
        Scope::Address(_) => true,
    });
    scarce
}

/// Those of which a notable share is in use, the busiest first, not more than a few.
pub fn busiest(usage: &[PortUse], wants: impl Fn(&PortUse) -> bool) -> Arc<[PortUse]> {
    let notable = |one: &&PortUse| one.ratio() >= NOTABLE && wants(one);
    let mut busiest: Vec<PortUse> = usage.iter().filter(notable).cloned().collect();
    busiest.sort_by_key(|one| std::cmp::Reverse(one.busy()));
    busiest.truncate(BUSIEST);
    busiest.into()
}

/// Whether the ports of connections between these are wanted.
pub fn wants(filter: &Filter, ports: &PortUse) -> bool {
    let (local, peer) = match ports.scope {
        Scope::Destination { local, peer } => (local, peer),
        Scope::Address(local) => (local, local),
    };
    let subject = Subject::of_addresses(Tuple { local, peer, netns: ports.netns });
    filter.may_want_anywhere(&Facts::of(&subject))
}

fn range(host: &Host, netns: u32) -> Option<&PortRange> {
    host.namespaces.get(&netns)?.ports.as_ref()
}

fn empty(netns: u32, scope: Scope, size: u32) -> PortUse {
    PortUse {
        netns,
        scope,
        size,
        used: 0,
        reusable: 0,
        states: BTreeMap::new(),
        destinations: 1,
        processes: Vec::new(),
        growth: 0.0,
        rate: 0.0,
        minutes_left: None,
    }
}

fn is_reusable(record: &Record, host: &Host, ticks: Ticks) -> bool {
    let Some(facts) = host.namespaces.get(&record.netns) else { return false };
    let Tuple { local, peer, .. } = Tuple::of(record);
    record.kind == kind::TIME_WAIT_SOCKET
        && facts.reuse.applies(local.address(), peer.address())
        && socket::age(record, ticks).is_some_and(|age| age >= REUSE_AFTER)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use tracer_event::host::{NetFacts, TimeWaitReuse};

    const TICKS: Ticks = Ticks { hz: 250 };

    fn host(reuse: TimeWaitReuse) -> Host {
        let ports = Some(PortRange { low: 40_000, high: 40_009, reserved: Vec::new() });
        let facts = NetFacts { ports, reuse, ..NetFacts::default() };
        Host { namespaces: [(7, facts)].into(), ..Host::default() }
    }

    fn wire(address: &str) -> [u8; 16] {
        match address.parse::<IpAddr>().unwrap() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        }
    }

    fn socket(port: u16, peer: &str, state: State) -> Record {
        Record {
            kind: kind::SOCKET,
            netns: 7,
            local_address: wire("10.0.0.1"),
            peer_address: wire(peer),
            local_port: port,
            peer_port: if state == State::Listen { 0 } else { 443 },
            new_state: state as u8,
            ..Record::EMPTY
        }
    }

    fn time_wait(port: u16, peer: &str, seconds: u64) -> Record {
        let timer_expires = 1_000_000 + (60 - seconds) * 250;
        Record {
            kind: kind::TIME_WAIT_SOCKET,
            jiffies: 1_000_000,
            timer_expires,
            ..socket(port, peer, State::TimeWait)
        }
    }

    fn open(ports: std::ops::Range<u16>, peer: &str) -> Vec<Record> {
        ports.map(|port| socket(port, peer, State::Established)).collect()
    }

    /// Those that are bad, worst first: destinations by their last byte, 0 for the address.
    fn bad(records: &[Record], reuse: TimeWaitReuse) -> Vec<(String, Severity)> {
        let mut bad: Vec<_> = scarce(usage(records, &host(reuse), TICKS))
            .into_iter()
            .map(|(severity, ports)| {
                let whom = match ports.scope {
                    Scope::Destination { peer, .. } => peer.to_string(),
                    Scope::Address(local) => format!("{} first", local.address()),
                };
                (whom, severity)
            })
            .collect();
        bad.sort();
        bad
    }

    #[rstest]
    #[case(4, None)]
    #[case(5, Some(Severity::Warning))]
    #[case(8, Some(Severity::Warning))]
    #[case(9, Some(Severity::Critical))]
    #[case(10, Some(Severity::Critical))]
    fn half_the_range_is_bad_and_nine_tenths_are_worse(
        #[case] count: u16,
        #[case] severity: Option<Severity>,
    ) {
        let records = open(40_000..40_000 + count, "10.0.0.2");
        let found: Vec<Severity> =
            bad(&records, TimeWaitReuse::Off).into_iter().map(|(_, severity)| severity).collect();
        assert_eq!(found, severity.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn another_destination_is_not_accused() {
        // connect() reuses the ports of the first for the second.
        let records = [open(40_000..40_010, "10.0.0.2"), open(40_000..40_004, "10.0.0.3")].concat();
        let expected = [("10.0.0.2:443".to_owned(), Severity::Critical)];
        assert_eq!(bad(&records, TimeWaitReuse::Off), expected);
    }

    #[test]
    fn ports_that_bind_has_chosen_are_one_pool() {
        let records = [open(40_000..40_004, "10.0.0.2"), open(40_004..40_009, "10.0.0.3")].concat();
        // Neither destination is to blame, although one has half of the range.
        let expected = [("10.0.0.1 first".to_owned(), Severity::Critical)];
        assert_eq!(bad(&records, TimeWaitReuse::Off), expected);
    }

    #[rstest]
    #[case(TimeWaitReuse::Off, 30, 10)]
    #[case(TimeWaitReuse::On, 30, 0)]
    #[case(TimeWaitReuse::On, 0, 10)]
    #[case(TimeWaitReuse::Loopback, 30, 10)]
    fn a_time_wait_that_can_be_taken_over_holds_no_port(
        #[case] reuse: TimeWaitReuse,
        #[case] seconds: u64,
        #[case] busy: u32,
    ) {
        let records: Vec<Record> =
            (40_000..40_010).map(|port| time_wait(port, "10.0.0.2", seconds)).collect();
        let usage = usage(&records, &host(reuse), TICKS);
        assert_eq!((usage[0].used, usage[0].busy()), (10, busy));
    }

    #[test]
    fn a_server_on_a_port_of_the_range_uses_one_and_its_clients_none() {
        let mut records = open(40_001..40_002, "10.0.0.2");
        records.extend((0..50).map(|n| Record {
            peer_port: 1000 + n,
            ..socket(40_005, "10.0.0.9", State::Established)
        }));
        records.push(socket(40_005, "::", State::Listen));
        let usage = usage(&records, &host(TimeWaitReuse::Off), TICKS);
        assert_eq!(usage.len(), 1, "{usage:?}");
        assert_eq!(usage[0].used, 1);
    }

    proptest! {
        #[test]
        fn never_more_ports_are_in_use_than_there_are(
            sockets in prop::collection::hash_set((39_998u16..40_012, 2u8..5), 0..60),
        ) {
            let records: Vec<Record> = sockets
                .iter()
                .map(|(port, peer)| socket(*port, &format!("10.0.0.{peer}"), State::Established))
                .collect();
            for ports in usage(&records, &host(TimeWaitReuse::Off), TICKS) {
                prop_assert!(ports.used <= ports.size, "{ports:?}");
                prop_assert!(ports.reusable <= ports.used);
            }
        }
    }
}
