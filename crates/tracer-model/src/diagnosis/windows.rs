//! Peers that do not read what they are sent.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

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
    let chains = Chains::of(comparison, closed.collect());
    let is_cause = |&(place, seen): &(usize, &Seen<'_>)| {
        !reads(comparison, seen) && !chains.is_held_up(place) && comparison.wants_seen(seen)
    };
    let found = chains.closed.iter().copied().enumerate().filter(is_cause).map(|(_, seen)| seen);
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

/// Who waits for whom, by connections whose windows are closed.
struct Chains<'a> {
    closed: Vec<&'a Seen<'a>>,
    /// Who sends on each of them, and who does not read it, where that is on this host.
    ends: Vec<[Vec<u32>; 2]>,
    waits: HashMap<u32, Waits, RandomState>,
}

/// What a process waits for.
#[derive(Default)]
struct Waits {
    /// Connections on which it sends and that are asked about, and those that it does not read.
    sends: usize,
    unread: usize,
    /// Who does not read what it sends; none where that is elsewhere.
    to: HashSet<Option<u32>, RandomState>,
}

impl<'a> Chains<'a> {
    fn of(comparison: &'a Comparison<'_>, closed: Vec<&'a Seen<'a>>) -> Self {
        let pids = |seen: &Seen<'_>| {
            let holders = comparison.holders(seen.record).iter();
            each_once(holders.map(|holder| holder.process)).iter().map(|one| one.pid).collect()
        };
        let ends =
            |seen: &&Seen<'_>| [pids(seen), comparison.peer(seen).map_or_else(Vec::new, pids)];
        let ends: Vec<[Vec<u32>; 2]> = closed.iter().map(ends).collect();
        let mut waits: HashMap<u32, Waits, RandomState> = HashMap::default();
        for (seen, [senders, readers]) in closed.iter().zip(&ends) {
            for reader in readers {
                waits.entry(*reader).or_default().unread += 1;
            }
            for sender in senders.iter().filter(|_| comparison.wants_seen(seen)) {
                let sender = waits.entry(*sender).or_default();
                sender.sends += 1;
                sender.to.extend(readers.iter().copied().map(Some));
                if readers.is_empty() {
                    sender.to.insert(None);
                }
            }
        }
        Self { closed, ends, waits }
    }

    /// Whether those who do not read a connection cannot pass on what they would, but wait for others,
    /// of whom the last does not wait for who sends here.
    fn is_held_up(&self, place: usize) -> bool {
        let [senders, readers] = &self.ends[place];
        let is_held = |reader: &u32| self.waits(*reader) && self.leads_out(*reader, senders);
        !readers.is_empty() && readers.iter().all(is_held)
    }

    /// Whether a process waits to send on about as many connections as it does not read.
    fn waits(&self, pid: u32) -> bool {
        self.waits.get(&pid).is_some_and(|it| it.sends > 0 && it.sends * 2 >= it.unread)
    }

    /// Whether one of those that a process waits for, directly or not, waits for nobody.
    fn leads_out(&self, reader: u32, senders: &[u32]) -> bool {
        let mut known: HashSet<u32, RandomState> = senders.iter().copied().collect();
        known.insert(reader);
        let mut open = vec![reader];
        while let Some(next) = open.pop().and_then(|pid| self.waits.get(&pid)) {
            for to in &next.to {
                match *to {
                    Some(pid) if !known.insert(pid) => {}
                    Some(pid) if self.waits(pid) => open.push(pid),
                    _ => return true,
                }
            }
        }
        false
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
