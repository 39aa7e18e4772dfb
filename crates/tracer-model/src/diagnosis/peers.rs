//! Groups of connections with peers that are silent or do not read.

use std::collections::BTreeMap;

use super::{
    common::{each_once, most_first},
    comparison::{Comparison, Kin, Seen},
};
use crate::{
    connection::Connection,
    socket::is_orphaned,
    timeouts::{self, Silence},
};
use tracer_event::{
    endpoint::Endpoint,
    finding::{Connections, Program, Service, Severity},
    process::{Owner, Process},
    state::State,
};
use tracer_wire::Record;

/// Clients come and go without a word: up to this part of a service's connections it is noise.
const SHARE: u64 = 10;

/// What is one finding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key<T> {
    pub(super) netns: u32,
    who: Vec<Kin>,
    pub(super) service: Service,
    pub(super) what: T,
}

/// Those who hold it who have not got it from another of them by fork, and those who have.
pub(super) fn heirs(comparison: &Comparison<'_>, holders: &[Owner]) -> [Vec<Process>; 2] {
    let facts = &comparison.input.last.host.processes;
    let is_heir = |process: &Process| {
        let parent = facts.get(&process.pid).map(|facts| facts.parent);
        holders.iter().any(|one| Some(one.process.pid) == parent)
    };
    let all = each_once(holders.iter().map(|holder| holder.process)).into_iter();
    let (heirs, holders) = all.partition(is_heir);
    [holders, heirs]
}

/// Who holds a socket, or has closed what no process holds any more, as far as that was seen.
fn processes(comparison: &Comparison<'_>, seen: &Seen<'_>) -> Vec<Process> {
    let holders = comparison.holders(seen.record);
    if holders.is_empty() {
        let owner = comparison.closed(seen.record).and_then(Connection::owner);
        return owner.map(|owner| owner.process).into_iter().collect();
    }
    each_once(holders.iter().map(|holder| holder.process))
}

/// Which finding a socket is of.
pub(super) fn key<T>(comparison: &Comparison<'_>, seen: &Seen<'_>, what: T) -> Key<T> {
    let tuple = seen.tuple();
    let who = comparison.kin(processes(comparison, seen).into_iter());
    Key { netns: tuple.netns, who, service: comparison.service(&tuple), what }
}

/// What sockets of one key have in common.
pub(super) fn connections(
    comparison: &Comparison<'_>,
    members: &[&Seen<'_>],
    service: Service,
) -> Connections {
    let first = members.first();
    let processes = members.iter().flat_map(|seen| processes(comparison, seen));
    let holders = most_first(processes, |process| process.pid).into_iter();
    let holders: Vec<Program> = holders.map(|(process, _)| comparison.program(process)).collect();
    let listener = (holders.is_empty())
        .then(|| {
            let tuple = first?.tuple();
            comparison.listener(&comparison.listeners_of(tuple.netns, tuple.local))
        })
        .flatten();
    let mut states: BTreeMap<State, u64> = BTreeMap::new();
    for seen in members {
        *states.entry(seen.state).or_default() += 1;
    }
    Connections {
        holders,
        listener,
        sockets: members.len() as u64,
        orphans: members.iter().filter(|seen| is_orphaned(seen.record)).count() as u64,
        service,
        peers: peers(members.iter().copied(), service),
        states,
    }
}

/// Clients of one address differ in their ports.
pub(super) fn peers<'a>(
    members: impl Iterator<Item = &'a Seen<'a>>,
    service: Service,
) -> Vec<(Endpoint, u64)> {
    let here = matches!(service, Service::Here(_));
    let peers = members.map(|seen| seen.tuple().peer);
    let peers = peers.map(|peer| if here { peer.with_port(0) } else { peer });
    most_first(peers, |peer| (peer.address(), peer.port))
}

/// The timers of a socket, with the settings of its namespace.
pub(super) fn silence<'a>(comparison: &Comparison<'_>, seen: &Seen<'a>) -> Option<Silence<'a>> {
    let settings = comparison.facts(seen.record.netns).map(|facts| facts.timeouts);
    Silence::of(seen.record, settings.unwrap_or_default(), comparison.input.ticks)
}

/// Nanoseconds since anything came from the peer.
pub(super) fn heard(comparison: &Comparison<'_>, seen: &Seen<'_>) -> Option<u64> {
    let Record { last_ack, last_received, .. } = *seen.record;
    let since = |jiffy| timeouts::since(seen.record, jiffy, comparison.input.ticks);
    [since(last_ack), since(last_received)].into_iter().flatten().min()
}

/// Bytes from one sequence number to another, without the FIN that ends what this end writes.
pub(super) fn payload(seen: &Seen<'_>, from: u32) -> u64 {
    let fin = matches!(seen.state, State::FinWait1 | State::Closing | State::LastAck);
    u64::from(seen.record.write_seq.wrapping_sub(from)).saturating_sub(fin.into())
}

/// A tenth of a service's connections is worth a warning, one of many clients is not.
pub(super) fn severity(
    comparison: &Comparison<'_>,
    netns: u32,
    service: Service,
    sockets: u64,
) -> Severity {
    let Service::Here(local) = service else { return Severity::Warning };
    let is_connection = |seen: &&Seen<'_>| {
        (seen.record.netns, seen.record.local_port) == (netns, local.port)
            && !matches!(seen.state, State::Listen | State::TimeWait | State::SynRecv)
    };
    let all = comparison.seen.iter().filter(is_connection).count() as u64;
    if sockets * SHARE >= all { Severity::Warning } else { Severity::Info }
}
