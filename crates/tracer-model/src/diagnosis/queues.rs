//! Full queues: connections that wait for accept(), and half-open ones.

use std::{collections::BTreeMap, ptr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::{Record, kind};

use super::comparison::{Comparison, Detector, Seen};
use crate::listeners::{is_listener, listens_for};
use tracer_event::{
    endpoint::{Endpoint, Tuple},
    finding::{AcceptQueue, Finding, Problem, Severity, SynBacklog},
    state::State,
};

pub(super) const DETECTORS: &[Detector] = &[accept, syn];

/// The kernel drops what comes beyond (`sk_acceptq_is_full`).
pub(super) fn is_full(record: &Record) -> bool {
    is_listener(record) && record.accept_queue > record.accept_backlog
}

/// Four fifths of a queue that is worth the name.
fn is_nearly_full(record: &Record) -> bool {
    is_listener(record)
        && record.accept_queue >= 4
        && u64::from(record.accept_queue) * 5 >= u64::from(record.accept_backlog) * 4
}

/// What a listener has dropped, where that proves that its queue was full: the kernel counts what
/// finds a queue full by namespace, and what is dropped by listener, in which there may be other
/// segments (an RST, a scan). So there must be more of the former than the other listeners can
/// have dropped; and it must be no small part of all, as both are not read at one moment.
fn dropped(comparison: &Comparison<'_>, seen: &Seen<'_>) -> Option<u32> {
    const SHARE: u64 = 10;
    let netns = seen.record.netns;
    let overflows = comparison.counted(netns).listen_overflows;
    let of = |seen: &Seen<'_>| seen.record.dropped_since(seen.earlier);
    let own = of(seen);
    if !is_listener(seen.record) || overflows == 0 || own == 0 {
        return None;
    }
    let listeners = comparison.seen_in(State::Listen).filter(|other| other.record.netns == netns);
    let all: u64 = listeners.map(|other| u64::from(of(other))).sum();
    let others = all - u64::from(own);
    (overflows > others && u64::from(own) * SHARE >= all).then_some(own)
}

/// Whether a listener's queue is full, or was while observed.
fn was_full(comparison: &Comparison<'_>, seen: &Seen<'_>) -> bool {
    is_full(seen.record) || dropped(comparison, seen).is_some()
}

/// Listeners whose queue is full or was, or nearly at both snapshots; of a namespace where one was,
/// and it is not proved which, of those that have dropped anything the one with the longest queue.
fn accept(comparison: &Comparison<'_>) -> Vec<Finding> {
    let listeners = || comparison.seen_in(State::Listen);
    let wanted = || listeners().filter(|seen| comparison.wants_seen(seen));
    let mut findings: Vec<Finding> =
        wanted().filter_map(|seen| full(comparison, seen, severity(comparison, seen)?)).collect();
    let full_ones = listeners().filter(|seen| was_full(comparison, seen));
    let explained: Vec<u32> = full_ones.map(|seen| seen.record.netns).collect();
    let mut longest: BTreeMap<u32, &Seen<'_>> = BTreeMap::new();
    for seen in wanted().filter(|seen| seen.record.dropped_since(seen.earlier) > 0) {
        let netns = seen.record.netns;
        if comparison.counted(netns).listen_overflows > 0 && !explained.contains(&netns) {
            let known = longest.entry(netns).or_insert(seen);
            if seen.record.accept_queue > known.record.accept_queue {
                *known = seen;
            }
        }
    }
    let unnamed = longest.into_values().filter(|seen| severity(comparison, seen).is_none());
    findings.extend(unnamed.filter_map(|seen| full(comparison, seen, Severity::Warning)));
    findings
}

/// How bad it is that a listener's queue is full, was full, or is nearly at both snapshots; `None`
/// if it is not.
pub(super) fn severity(comparison: &Comparison<'_>, seen: &Seen<'_>) -> Option<Severity> {
    let overflows = || comparison.counted(seen.record.netns).listen_overflows;
    if is_full(seen.record) {
        let stays = seen.recent.is_some_and(is_full) || overflows() > 0;
        return Some(if stays { Severity::Critical } else { Severity::Warning });
    }
    let stays = is_nearly_full(seen.record) && seen.recent.is_some_and(is_nearly_full);
    match dropped(comparison, seen) {
        Some(_) if stays => Some(Severity::Critical),
        dropped => (stays || dropped.is_some()).then_some(Severity::Warning),
    }
}

/// Whether what one namespace calls an address may be in another: its loopback is not.
pub(super) fn reaches(from: u32, to: u32, peer: Endpoint) -> bool {
    from == to || !peer.address().is_loopback()
}

/// Whether a listener in one namespace takes what is sent to `peer` from another.
pub(super) fn takes(
    comparison: &Comparison<'_>,
    (at, local): (u32, Endpoint),
    from: u32,
    peer: Endpoint,
) -> bool {
    local.port == peer.port
        && listens_for(local.address(), peer.address())
        && reaches(from, at, peer)
        && comparison.is_local(at, peer.address())
}

/// Whether the listener here that `peer` is of drops SYNs.
pub(super) fn is_full_at(comparison: &Comparison<'_>, from: u32, peer: Endpoint) -> bool {
    comparison.seen_in(State::Listen).any(|seen| {
        let Tuple { local, netns, .. } = seen.tuple();
        takes(comparison, (netns, local), from, peer) && was_full(comparison, seen)
    })
}

/// Whether that is found already; one that is nearly full drops nothing.
pub(super) fn is_told_full(comparison: &Comparison<'_>, from: u32, peer: Endpoint) -> bool {
    comparison.found.iter().any(|finding| match &finding.problem {
        Problem::AcceptQueueFull(AcceptQueue { listener, dropped, .. }) => {
            (listener.queue > listener.backlog || dropped.is_some())
                && takes(comparison, (finding.netns, listener.local), from, peer)
        }
        _ => false,
    })
}

fn full(comparison: &Comparison<'_>, seen: &Seen<'_>, severity: Severity) -> Option<Finding> {
    let netns = seen.record.netns;
    let counted = comparison.counted(netns);
    let listener = comparison.listener(&[seen.record])?;
    let first = listener.processes.first().map(|program| program.process.pid);
    let problem = Problem::AcceptQueueFull(AcceptQueue {
        listener,
        descriptors: first.and_then(|pid| comparison.descriptors(pid, 0.0)),
        dropped: dropped(comparison, seen),
        listen_overflows: counted.listen_overflows,
        listen_drops: counted.listen_drops,
        somaxconn: comparison.facts(netns).and_then(|facts| facts.somaxconn),
    });
    Some(comparison.finding(severity, netns, problem))
}

/// Namespaces in which SYNs found no room; not where a full accept queue says why: half-open
/// connections stay because nobody accepts, and both queues have one limit. Which listener the SYNs
/// were for only those show that are half-open still.
fn syn(comparison: &Comparison<'_>) -> Vec<Finding> {
    let namespaces = comparison.input.last.host.namespaces.iter();
    namespaces
        .filter_map(|(&netns, facts)| {
            let counted = comparison.counted(netns);
            let severity = match (counted.syn_drops, counted.syn_cookies) {
                (0, 0) => return None,
                (0, _) => Severity::Warning,
                _ => Severity::Critical,
            };
            let half_open = || {
                comparison.seen.iter().filter(move |seen| {
                    seen.record.kind == kind::REQUEST_SOCKET && seen.record.netns == netns
                })
            };
            let mut by_local: HashMap<Endpoint, u64, RandomState> = HashMap::default();
            for seen in half_open() {
                *by_local.entry(seen.tuple().local).or_default() += 1;
            }
            let most = by_local.into_iter().max_by_key(|(local, count)| (*count, local.port));
            if !is_wanted(comparison, netns)
                || is_unaccepted(comparison, netns, most.map(|(local, _)| local))
            {
                return None;
            }
            let local = most.map(|(local, _)| local);
            let listeners = local.map_or_else(Vec::new, |at| comparison.listeners_of(netns, at));
            let backlog = SynBacklog {
                half_open: half_open().count() as u64,
                local,
                backlog: listeners.iter().map(|one| one.accept_backlog).max(),
                syn_drops: counted.syn_drops,
                syn_cookies: counted.syn_cookies,
                limit: facts.max_syn_backlog,
            };
            Some(comparison.finding(severity, netns, Problem::SynBacklog(backlog)))
        })
        .collect()
}

/// Whether a listener of a namespace is asked about, or a half-open connection.
fn is_wanted(comparison: &Comparison<'_>, netns: u32) -> bool {
    let of_it = comparison.seen.iter().filter(|seen| seen.record.netns == netns);
    let mut these = of_it.filter(|seen| matches!(seen.state, State::Listen | State::SynRecv));
    these.any(|seen| comparison.wants_seen(seen))
}

/// Whether SYNs found no room because nobody accepts: at the address that has most half-open
/// connections, or where there are none anywhere in the namespace.
fn is_unaccepted(comparison: &Comparison<'_>, netns: u32, most: Option<Endpoint>) -> bool {
    let here = |seen: &&Seen<'_>| seen.record.netns == netns && was_full(comparison, seen);
    let mut full_ones = comparison.seen_in(State::Listen).filter(here);
    let Some(local) = most else {
        return comparison.counted(netns).listen_overflows > 0 || full_ones.next().is_some();
    };
    let listeners = comparison.listeners_of(netns, local);
    full_ones.any(|seen| listeners.iter().any(|one| ptr::eq(*one, seen.record)))
}
