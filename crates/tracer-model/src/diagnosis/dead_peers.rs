//! Peers that do not answer any more.

use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::{Record, flag};

use super::{
    comparison::{Comparison, Detector, Seen},
    handshakes, losses,
    peers::{Key, connections, heard, key, payload, severity, silence},
    queues,
};
use crate::timeouts::{GivesUp, RETRANSMIT, Silence, WINDOW_PROBE};
use tracer_event::{
    endpoint::Tuple,
    finding::{DeadPeer, Finding, Idle, Problem, Service, Severity, Unanswered},
    state::State,
};

pub(super) const DETECTORS: &[Detector] = &[dead_peers];

/// The third retransmission comes seven time-outs after the segment.
const RETRANSMISSIONS: u8 = 3;
/// Where the peer sends all the same: this takes some ten seconds.
const ONE_WAY: u8 = 6;
/// Probes of a closed window in a row.
const WINDOW_PROBES: u8 = 3;
/// The last one may be on its way.
const KEEPALIVE_PROBES: u8 = 2;
/// What was heard within this time of the first retransmission may have come before it: the
/// kernel's tick is 10 ms at most.
const TICK: u64 = 20_000_000;
/// What is lost from this time after the peer was heard on was sent to a peer that answered.
const FRESH: u64 = 3_000_000_000;
/// Payload that fills a segment of the least MTU of IPv6 (RFC 8200, 5), bytes.
const FULL: u32 = 1_220;

/// What is one finding, beside holders and service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    unanswered: Unanswered,
    /// The client answers on other connections.
    is_there: bool,
}

struct Member<'a> {
    seen: &'a Seen<'a>,
    /// For how long nothing has been answered.
    since: u64,
    heard: Option<u64>,
    tries: u8,
    gives_up: Option<GivesUp>,
}

impl Member<'_> {
    /// Whether what is under way fills a segment, and was sent while the peer still answered.
    fn is_full(&self) -> bool {
        let record = self.seen.record;
        let under_way = record.snd_nxt.wrapping_sub(record.snd_una);
        under_way >= FULL && self.heard.is_some_and(|heard| heard < self.since + FRESH)
    }

    /// Whether nothing was answered but this end's SYN.
    fn is_unanswered(&self) -> bool {
        let Record { bytes_acked, bytes_received, .. } = *self.seen.record;
        (bytes_acked, bytes_received) == (1, 0)
    }
}

/// How long ago something has come on open connections, ascending: of a service, by the address of the
/// peer.
struct Answering(HashMap<(u32, Service, IpAddr), Vec<u64>, RandomState>);

impl Answering {
    fn of(comparison: &Comparison<'_>) -> Self {
        let mut answering: HashMap<_, Vec<u64>, _> = HashMap::default();
        let is_open = |seen: &&Seen<'_>| {
            matches!(seen.state, State::Established | State::CloseWait)
                && seen.record.has(flag::HAS_SOCKET)
        };
        for seen in comparison.seen.iter().filter(is_open) {
            if let Some(heard) = heard(comparison, seen) {
                answering.entry(Self::key(comparison, seen)).or_default().push(heard);
            }
        }
        answering.values_mut().for_each(|heard| heard.sort_unstable());
        Self(answering)
    }

    fn key(comparison: &Comparison<'_>, seen: &Seen<'_>) -> (u32, Service, IpAddr) {
        let tuple = seen.tuple();
        (tuple.netns, comparison.service(&tuple), tuple.peer.address())
    }

    /// On how many of them the peers of `members` have answered since all of these wait.
    fn count(&self, comparison: &Comparison<'_>, members: &[Member<'_>]) -> u64 {
        let mut waiting: HashMap<_, u64, RandomState> = HashMap::default();
        for member in members {
            let since = waiting.entry(Self::key(comparison, member.seen)).or_insert(member.since);
            *since = member.since.min(*since);
        }
        let counted = waiting.into_iter().filter_map(|(key, since)| {
            let heard = self.0.get(&key)?;
            Some(heard.partition_point(|heard| heard + TICK < since) as u64)
        });
        counted.sum()
    }
}

/// Connections on which neither data nor a FIN nor probes are answered.
fn dead_peers(comparison: &Comparison<'_>) -> Vec<Finding> {
    let silent = comparison.seen.iter().filter(|seen| may_be_silent(seen));
    let found: Vec<(Unanswered, Member<'_>)> = silent
        .filter_map(|seen| member(comparison, seen))
        .filter(|(_, member)| comparison.wants_seen(member.seen) && !is_queued(comparison, member))
        .filter(|(_, member)| !losses::explain(comparison, member.seen, member.tries))
        .collect();
    if found.is_empty() {
        return Vec::new();
    }
    let answering = Answering::of(comparison);
    let mut groups: HashMap<Key<Kind>, Vec<Member<'_>>, RandomState> = HashMap::default();
    for (unanswered, member) in found {
        let mut key = key(comparison, member.seen, Kind { unanswered, is_there: false });
        if let Service::Here(_) = key.service {
            key.what.is_there = answering.count(comparison, std::slice::from_ref(&member)) > 0;
        }
        groups.entry(key).or_default().push(member);
    }
    let groups = groups.into_iter();
    groups.map(|(key, members)| finding(comparison, &answering, key, &members)).collect()
}

/// Whether a connection is none yet to its server on this host, and that is told: its accept queue is
/// full, or the client's ACK does not arrive.
fn is_queued(comparison: &Comparison<'_>, member: &Member<'_>) -> bool {
    let Tuple { peer, netns, .. } = member.seen.tuple();
    member.is_unanswered()
        && (queues::is_told_full(comparison, netns, peer)
            || handshakes::is_told_unacknowledged(comparison, netns, peer))
}

/// Whether the peer of a socket is dead.
pub(super) fn is_dead(comparison: &Comparison<'_>, seen: &Seen<'_>) -> bool {
    may_be_silent(seen) && member(comparison, seen).is_some()
}

/// Of a million sockets most are not.
fn may_be_silent(seen: &Seen<'_>) -> bool {
    let Record { timer, retransmits, .. } = *seen.record;
    match timer {
        RETRANSMIT => retransmits >= RETRANSMISSIONS,
        WINDOW_PROBE => true,
        _ => timer == 0 && seen.record.has(flag::SK_TIMER),
    }
}

fn member<'a>(comparison: &Comparison<'_>, seen: &'a Seen<'a>) -> Option<(Unanswered, Member<'a>)> {
    if matches!(seen.state, State::SynSent | State::SynRecv | State::Closed) {
        return None;
    }
    let silence = silence(comparison, seen)?;
    let heard = heard(comparison, seen);
    let (unanswered, tries, since) = match seen.record.timer {
        RETRANSMIT => retransmitting(seen, &silence)?,
        WINDOW_PROBE if silence.timers.probes_out >= WINDOW_PROBES => {
            (Unanswered::WindowProbes, silence.timers.probes_out, heard?)
        }
        0 if silence.timers.keepalive == 1 && silence.timers.probes_out >= KEEPALIVE_PROBES => {
            (Unanswered::KeepaliveProbes, silence.timers.probes_out, probing(&silence)?)
        }
        _ => return None,
    };
    // The peer has answered something meanwhile: it is there.
    let unanswered = match heard.is_some_and(|heard| heard + TICK < since) {
        false => unanswered,
        true if is_one_way(unanswered, tries, heard, since) => Unanswered::OneWay,
        true => return None,
    };
    Some((unanswered, Member { seen, since, heard, tries, gives_up: silence.gives_up() }))
}

/// Whether the peer was still heard long after what it does not acknowledge was sent again.
fn is_one_way(unanswered: Unanswered, tries: u8, heard: Option<u64>, since: u64) -> bool {
    unanswered == Unanswered::Data
        && tries >= ONE_WAY
        && heard.is_some_and(|heard| heard + FRESH < since)
}

fn retransmitting(seen: &Seen<'_>, silence: &Silence<'_>) -> Option<(Unanswered, u8, u64)> {
    let record = seen.record;
    let since = silence.retransmitting()?;
    let data = payload(seen, record.snd_una) > 0;
    let unanswered = if data { Unanswered::Data } else { Unanswered::Fin };
    Some((unanswered, record.retransmits, since))
}

/// Since the first keepalive probe; the timer runs for the next one.
fn probing(silence: &Silence<'_>) -> Option<u64> {
    let interval = silence.probing()?.interval?;
    let since_last = interval.saturating_sub(silence.fires_in()? * 1_000_000);
    let before = u64::from(silence.timers.probes_out.saturating_sub(1));
    Some(before * interval + since_last)
}

fn finding(
    comparison: &Comparison<'_>,
    answering: &Answering,
    Key { netns, service, what: Kind { unanswered, .. }, .. }: Key<Kind>,
    members: &[Member<'_>],
) -> Finding {
    let seen: Vec<&Seen<'_>> = members.iter().map(|member| member.seen).collect();
    let connections = connections(comparison, &seen, service);
    let first = members.iter().filter_map(|member| member.gives_up).min();
    let others = answering.count(comparison, members);
    let dead = DeadPeer {
        unanswered,
        unacknowledged: seen.iter().map(|seen| payload(seen, seen.record.snd_una)).sum(),
        since: members.iter().map(|member| member.since).max().unwrap_or(0),
        silent: members.iter().filter_map(|member| member.heard).min(),
        tries: members.iter().map(|member| member.tries).max().unwrap_or(0),
        gives_up: first.map(|(left, _)| left),
        limit: first.map(|(_, limit)| limit),
        idle: idle(comparison, members),
        connections,
        answering: others,
        never_answered: members.iter().all(Member::is_unanswered),
        black_hole: (others > 0 && unanswered == Unanswered::Data
            || unanswered == Unanswered::OneWay)
            && comparison.facts(netns).and_then(|facts| facts.mtu_probing) == Some(0)
            && members.iter().all(Member::is_full),
    };
    // Where nobody holds them, nobody waits.
    let severity = if dead.connections.orphans == dead.connections.sockets {
        Severity::Info
    } else {
        severity(comparison, netns, service, dead.connections.sockets)
    };
    comparison.finding(severity, netns, Problem::DeadPeer(Box::new(dead)))
}

/// Other connections of the same service to these peers, on which nothing is under way and nothing
/// was heard since.
fn idle(comparison: &Comparison<'_>, members: &[Member<'_>]) -> Idle {
    let mut idle = Idle::default();
    // There may be as many of these as of those: a network that is cut in two.
    let mut by_local: HashMap<_, u64, RandomState> = HashMap::default();
    let mut by_peer: HashMap<_, u64, RandomState> = HashMap::default();
    for Member { seen, since, .. } in members {
        let Tuple { local, peer, netns } = seen.tuple();
        let keep = |least: &mut u64| *least = (*least).min(*since);
        keep(by_local.entry((netns, local, peer.address())).or_insert(*since));
        keep(by_peer.entry((netns, peer)).or_insert(*since));
    }
    let quiet = |seen: &&Seen<'_>| {
        matches!(seen.state, State::Established | State::CloseWait | State::FinWait2)
            && seen.record.has(flag::HAS_SOCKET)
            && seen.record.snd_una == seen.record.write_seq
    };
    for seen in comparison.seen.iter().filter(quiet) {
        let Tuple { local, peer, netns } = seen.tuple();
        let of_client = by_local.get(&(netns, local, peer.address()));
        let silent = [of_client, by_peer.get(&(netns, peer))].into_iter().flatten();
        let Some(&since) = silent.min() else { continue };
        let is_silent = heard(comparison, seen).is_some_and(|heard| heard >= since);
        let Some(silence) = silence(comparison, seen).filter(|_| is_silent) else { continue };
        if silence.timers.keepalive == 0 {
            idle.never += 1;
        } else if silence.timers.probes_out < KEEPALIVE_PROBES {
            idle.probed += 1;
            let next = silence.fires_in().map(|left| left * 1_000_000);
            idle.probe_in = [idle.probe_in, next].into_iter().flatten().min();
        }
    }
    idle
}
