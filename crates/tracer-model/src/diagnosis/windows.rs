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
    /// Who does not read each of them, where that is on this host.
    readers: Vec<Vec<u32>>,
    /// Who sends on each of them.
    senders: Vec<Vec<u32>>,
    /// By process those on which it sends and is asked about, and how many it does not read.
    sends: HashMap<u32, Vec<usize>, RandomState>,
    unread: HashMap<u32, usize, RandomState>,
}

impl<'a> Chains<'a> {
    /// No chain of processes is longer.
    const LONGEST: usize = 16;

    fn of(comparison: &'a Comparison<'_>, closed: Vec<&'a Seen<'a>>) -> Self {
        let pids = |seen: &Seen<'_>| {
            let holders = comparison.holders(seen.record).iter();
            let mut pids: Vec<u32> = holders.map(|holder| holder.process.pid).collect();
            pids.sort_unstable();
            pids.dedup();
            pids
        };
        let reader = |seen: &&Seen<'_>| comparison.peer(seen).map_or_else(Vec::new, pids);
        let readers: Vec<Vec<u32>> = closed.iter().map(reader).collect();
        let senders: Vec<Vec<u32>> = closed.iter().map(|seen| pids(seen)).collect();
        let mut sends: HashMap<u32, Vec<usize>, RandomState> = HashMap::default();
        let mut unread: HashMap<u32, usize, RandomState> = HashMap::default();
        for (place, seen) in closed.iter().enumerate() {
            readers[place].iter().for_each(|pid| *unread.entry(*pid).or_default() += 1);
            if comparison.wants_seen(seen) {
                senders[place].iter().for_each(|pid| sends.entry(*pid).or_default().push(place));
            }
        }
        Self { closed, readers, senders, sends, unread }
    }

    /// Whether those who do not read a connection cannot pass on what they would: for about as many
    /// they wait for others, of whom the last is told of, and is not who sends here.
    fn is_held_up(&self, place: usize) -> bool {
        let readers = &self.readers[place];
        let mut path = self.senders[place].clone();
        path.extend(readers);
        !readers.is_empty() && readers.iter().all(|reader| self.passes_on(*reader, &path))
    }

    fn passes_on(&self, reader: u32, path: &[u32]) -> bool {
        let (sends, unread) = (self.sends.get(&reader), self.unread.get(&reader));
        let sends = sends.map_or(&[][..], Vec::as_slice);
        sends.len() * 2 >= unread.copied().unwrap_or(0)
            && sends.iter().any(|next| self.leads_out(*next, path))
    }

    /// Whether somebody does not read that connection who waits for nobody of the path.
    fn leads_out(&self, place: usize, path: &[u32]) -> bool {
        let readers = &self.readers[place];
        let waits = |reader: &u32| {
            let longer = [path, &[*reader]].concat();
            self.sends.contains_key(reader) && !self.passes_on(*reader, &longer)
        };
        path.len() < Self::LONGEST
            && !readers.iter().any(|reader| path.contains(reader))
            && (readers.is_empty() || !readers.iter().all(waits))
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
