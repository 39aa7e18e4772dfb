//! Peers that do not read what they are sent.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    common::each_once,
    comparison::{Comparison, Detector, Seen},
    peers::{Key, connections, key, payload, severity, silence},
};
use crate::{
    cause::halt,
    timeouts::{self, WINDOW_PROBE},
};
use tracer_event::{
    finding::{Finding, PeerNotReading, Problem, Severity},
    state::State,
};

pub(super) const DETECTORS: &[Detector] = &[not_reading];

const SECOND: u64 = 1_000_000_000;
/// A reader that is busy comes back within this time.
const PAUSE: u64 = 3 * SECOND;
/// One of few that pauses for longer is stuck.
const LONG: u64 = 10 * SECOND;
/// So many do not pause together.
const SEVERAL: u64 = 3;
/// From here on the peer is silent altogether.
const UNANSWERED: u8 = 3;

/// Connections with data that waits for a window.
fn not_reading(comparison: &Comparison<'_>) -> Vec<Finding> {
    let closed = comparison.seen.iter().filter(|seen| is_closed(comparison, seen));
    let closed: Vec<&Seen<'_>> = closed.collect();
    let held_up = held_up(comparison, &closed);
    let is_cause = |seen: &&Seen<'_>| {
        !reads(comparison, seen) && !held_up(seen) && comparison.wants_seen(seen)
    };
    let found = closed.iter().copied().filter(is_cause);
    let mut groups: HashMap<Key<()>, Vec<&Seen<'_>>, RandomState> = HashMap::default();
    for seen in found {
        groups.entry(key(comparison, seen, ())).or_default().push(seen);
    }
    let groups = groups.into_iter();
    groups.map(|(key, members)| finding(comparison, key, &members)).collect()
}

/// Whether the other end is on this host and has read something: slowly, as the window opens again only
/// when a sixteenth of its buffer is free (`__tcp_select_window`).
fn reads(comparison: &Comparison<'_>, seen: &Seen<'_>) -> bool {
    let moved = |peer: &Seen<'_>| Some(peer.recent?.copied_seq != peer.record.copied_seq);
    comparison.peer(seen).and_then(moved) == Some(true)
}

/// Whether those who do not read a connection cannot pass on what they would: their own peers do not
/// read, and are others than who sends here.
fn held_up<'a>(
    comparison: &'a Comparison<'_>,
    closed: &[&Seen<'_>],
) -> impl Fn(&Seen<'_>) -> bool + 'a {
    let pids = |seen: &Seen<'_>| -> Vec<u32> {
        comparison.holders(seen.record).iter().map(|holder| holder.process.pid).collect()
    };
    let readers = move |seen: &Seen<'_>| comparison.peer(seen).map_or_else(Vec::new, pids);
    let mut waits_for: HashMap<u32, Vec<u32>, RandomState> = HashMap::default();
    for seen in closed {
        for sender in pids(seen) {
            waits_for.entry(sender).or_default().extend(readers(seen));
        }
    }
    move |seen| {
        let (senders, readers) = (pids(seen), readers(seen));
        let passes_on = |reader: &u32| {
            let next = waits_for.get(reader);
            next.is_some_and(|next| !next.iter().any(|pid| senders.contains(pid)))
        };
        !readers.is_empty() && readers.iter().all(passes_on)
    }
}

/// Whether the peer of a socket does not read.
pub(super) fn is_closed(comparison: &Comparison<'_>, seen: &Seen<'_>) -> bool {
    seen.record.timer == WINDOW_PROBE && closed(comparison, seen).is_some_and(|time| time >= PAUSE)
}

/// Nanoseconds for which nothing could be sent; a probe without data does not count.
fn closed(comparison: &Comparison<'_>, seen: &Seen<'_>) -> Option<u64> {
    let timers = silence(comparison, seen)?.timers;
    let waits = payload(seen, seen.record.snd_nxt) > 0 && timers.probes_out < UNANSWERED;
    let sent = || timeouts::since(seen.record, seen.record.last_sent, comparison.input.ticks);
    waits.then(sent).flatten()
}

fn finding(
    comparison: &Comparison<'_>,
    Key { netns, service, .. }: Key<()>,
    members: &[&Seen<'_>],
) -> Finding {
    let connections = connections(comparison, members, service);
    let peers: Vec<&Seen<'_>> = members.iter().filter_map(|seen| comparison.peer(seen)).collect();
    let readers = peers.iter().flat_map(|seen| comparison.holders(seen.record));
    let readers = each_once(readers.map(|holder| holder.process));
    let pids: Vec<u32> = readers.iter().map(|reader| reader.pid).collect();
    let waits =
        |seen: &&&Seen<'_>| matches!(seen.state, State::FinWait1 | State::Closing | State::LastAck);
    let gives_up = members.iter().filter_map(|seen| silence(comparison, seen)?.gives_up());
    let stuck = PeerNotReading {
        unsent: members.iter().map(|seen| payload(seen, seen.record.snd_nxt)).sum(),
        fins_waiting: members.iter().filter(waits).count() as u64,
        closed: members.iter().filter_map(|seen| closed(comparison, seen)).max().unwrap_or(0),
        readers: readers.into_iter().map(|process| comparison.program(process)).collect(),
        halted: halt(&pids, &comparison.input.last.host),
        unread: peers.iter().map(|seen| u64::from(seen.record.unread_bytes())).sum(),
        gives_up: gives_up.map(|(left, _)| left).min(),
        connections,
    };
    let sockets = stuck.connections.sockets;
    let severity = if stuck.closed >= LONG || sockets >= SEVERAL {
        severity(comparison, netns, service, sockets)
    } else {
        Severity::Info
    };
    comparison.finding(severity, netns, Problem::PeerNotReading(Box::new(stuck)))
}
