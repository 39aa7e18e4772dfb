//! Handshakes that get no answer.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_wire::kind;

use super::{
    accepting::is_deferred,
    attempts::Ends,
    comparison::{Comparison, Detector, Seen},
    peers::heard,
    queues,
};
use tracer_event::{
    endpoint::Endpoint,
    finding::{Finding, LostSegment, Problem, Service, Severity, StuckHandshake},
    process::Process,
    state::State,
};

pub(super) const DETECTORS: &[Detector] = &[stuck];

/// The second retransmission comes three seconds after the first attempt.
const RETRANSMITS: u8 = 2;
/// The first SYN was sent longer ago, nanoseconds.
const JUST_NOW: u64 = 3_000_000_000;

/// What is one finding.
type Key = (u32, State, Option<[u8; 16]>, Service);

/// Clients whose SYN, and listeners whose SYN+ACK, has been sent again and again.
fn stuck(comparison: &Comparison<'_>) -> Vec<Finding> {
    let mut groups: HashMap<Key, (StuckHandshake, HashSet<Process, RandomState>), RandomState> =
        HashMap::default();
    let ends = std::cell::LazyCell::new(|| Ends::of(comparison));
    let mut full: HashMap<(u32, Endpoint), bool, RandomState> = HashMap::default();
    for seen in &comparison.seen {
        let state = seen.state;
        let Some(service) = stuck_with(seen) else { continue };
        let socket = comparison.socket(seen);
        if !comparison.wants(&socket) {
            continue;
        }
        let process = match service {
            Service::There(_) => socket.holders.first().copied(),
            // That of the listener.
            Service::Here(_) => socket.subject.owner,
        };
        let process = process.map(|holder| holder.process);
        let lost = match service {
            Service::There(peer) if is_full(comparison, &mut full, (seen.record.netns, peer)) => {
                Some(LostSegment::DroppedSyn)
            }
            _ => ends.lost(comparison, seen),
        };
        let new = || (none(state, process, service, lost), HashSet::default());
        let key = (seen.record.netns, state, process.map(|process| process.comm), service);
        let (group, processes) = groups.entry(key).or_insert_with(new);
        processes.extend(process);
        group.others = processes.len().saturating_sub(1) as u64;
        group.sockets += 1;
        group.retransmits = group.retransmits.max(seen.record.retransmits);
        group.lost = group.lost.filter(|one| lost == Some(*one));
    }
    groups.into_iter().filter_map(|(key, (stuck, _))| finding(comparison, &key, stuck)).collect()
}

/// Of no sockets yet.
const fn none(
    state: State,
    process: Option<Process>,
    service: Service,
    lost: Option<LostSegment>,
) -> StuckHandshake {
    let (sockets, retransmits, others, answering) = (0, 0, 0, 0);
    StuckHandshake { state, process, others, service, sockets, retransmits, lost, answering }
}

/// Connections to a service on which the peer has answered just now.
fn answering(comparison: &Comparison<'_>, netns: u32, service: Service) -> u64 {
    let Service::There(peer) = service else { return 0 };
    let answers = |seen: &&Seen<'_>| {
        let tuple = seen.tuple();
        (tuple.netns, tuple.peer) == (netns, peer)
            && heard(comparison, seen).is_some_and(|time| time < JUST_NOW)
    };
    comparison.seen_in(State::Established).filter(answers).count() as u64
}

/// Nothing where the listener's queue is told.
fn finding(
    comparison: &Comparison<'_>,
    &(netns, state, ..): &Key,
    mut stuck: StuckHandshake,
) -> Option<Finding> {
    if let Service::There(peer) = stuck.service
        && queues::is_told_full(comparison, netns, peer)
    {
        return None;
    }
    stuck.answering = answering(comparison, netns, stuck.service);
    // Clients that do not answer are the internet's noise, unless they are here and do.
    let is_noise = state != State::SynSent && stuck.lost != Some(LostSegment::Ack);
    let severity = if is_noise { Severity::Info } else { Severity::Warning };
    Some(comparison.finding(severity, netns, Problem::StuckHandshake(stuck)))
}

/// Whether it is told that the ACK of clients on this host does not reach the listener that they are
/// connected to.
pub(super) fn is_told_unacknowledged(
    comparison: &Comparison<'_>,
    from: u32,
    peer: Endpoint,
) -> bool {
    comparison.found.iter().any(|finding| match &finding.problem {
        Problem::StuckHandshake(stuck) => {
            stuck.lost == Some(LostSegment::Ack)
                && stuck.service == Service::Here(peer)
                && queues::reaches(from, finding.netns, peer)
        }
        _ => false,
    })
}

/// Whether the listener of a destination drops SYNs, found out once for each.
fn is_full(
    comparison: &Comparison<'_>,
    known: &mut HashMap<(u32, Endpoint), bool, RandomState>,
    to: (u32, Endpoint),
) -> bool {
    *known.entry(to).or_insert_with(|| queues::is_full_at(comparison, to.0, to.1))
}

/// With whom a handshake is stuck, if it is.
pub(super) fn stuck_with(seen: &Seen<'_>) -> Option<Service> {
    let Seen { record, state, .. } = *seen;
    let is_silent = record.retransmits >= RETRANSMITS;
    match (state, record.kind) {
        (State::SynSent, _) if is_silent => Some(Service::There(seen.tuple().peer)),
        (State::SynRecv, kind::REQUEST_SOCKET) if is_silent && !is_deferred(record) => {
            Some(Service::Here(seen.tuple().local))
        }
        _ => None,
    }
}
