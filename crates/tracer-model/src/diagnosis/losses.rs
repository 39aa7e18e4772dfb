//! Segments that are lost on their way to peers that answer.

use std::{cmp::Reverse, net::IpAddr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::Sent;

use super::{
    Baseline,
    common::most_first,
    comparison::{Comparison, Detector, Seen},
};
use crate::connection::SocketId;
use tracer_event::{
    endpoint::{Endpoint, Tuple},
    finding::{Finding, Path, Problem, Retransmissions, Segments, Severity},
};

pub(super) const DETECTORS: &[Detector] = &[retransmissions];

/// One in a hundred is felt: who waits for it waits for a round trip, or for a time-out.
const PERCENT: f64 = 1.0;
/// Behind which little is left of a connection's rate.
const MANY_PERCENT: f64 = 3.0;
/// Fewer lost ones are chance.
const OF_ONE: u64 = 10;
/// The same where each of many peers has lost a few.
const OF_ALL: u64 = 20;
/// Peers and processes named.
const NAMED: usize = 8;

/// What was sent to a peer, and the connections on which something was lost.
#[derive(Default)]
struct Tally<'a> {
    sent: Segments,
    losers: Vec<&'a Seen<'a>>,
}

/// By namespace.
type Peers<'a> = HashMap<u32, HashMap<IpAddr, Tally<'a>, RandomState>, RandomState>;

/// A finding for each namespace.
fn retransmissions(comparison: &Comparison<'_>) -> Vec<Finding> {
    let mut namespaces = Peers::default();
    for seen in &comparison.seen {
        let Some(sent) = sent(comparison.input.first, seen) else { continue };
        let tuple = seen.tuple();
        let peers = namespaces.entry(tuple.netns).or_default();
        let tally = peers.entry(tuple.peer.address()).or_default();
        tally.sent = tally.sent.and(sent);
        if sent.lost() > 0 {
            tally.losers.push(seen);
        }
    }
    let find = |(netns, peers)| finding(comparison, netns, peers);
    namespaces.into_iter().filter_map(find).collect()
}

/// Whether so many retransmissions in a row to a peer are what chance makes of the segments that are
/// lost on the way there anyway.
pub(super) fn explain(comparison: &Comparison<'_>, seen: &Seen<'_>, in_a_row: u8) -> bool {
    const LIKELY: f64 = 0.1;
    let Tuple { netns, peer, .. } = seen.tuple();
    let paths = comparison.found.iter().filter(|finding| finding.netns == netns);
    let paths = paths.filter_map(|finding| match &finding.problem {
        Problem::Retransmissions(found) => Some(&found.peers),
        _ => None,
    });
    let explains = |Path { peer: lossy, sent }: &Path| {
        let chance = (sent.percent() / 100.0).powi(1 + i32::from(in_a_row));
        lossy.address() == peer.address() && chance * sent.segments as f64 >= LIKELY
    };
    paths.flatten().any(explains)
}

/// What was sent on a connection while it was observed, if the peer has acknowledged data before and
/// meanwhile, and does now: a server with a full accept queue does not, nor one that is gone.
fn sent(first: &Baseline, seen: &Seen<'_>) -> Option<Segments> {
    /// The SYN counts.
    const SYN: u64 = 1;
    /// More in a row may be for ever.
    const IN_A_ROW: u8 = 1;
    let (earlier, acknowledged) = *first.sent.get(&SocketId::of(seen.record))?;
    let Sent { segments, again, twice } = Sent::of(seen.record)?.since(earlier);
    let answers = acknowledged > SYN
        && seen.record.bytes_acked > acknowledged
        && seen.record.retransmits <= IN_A_ROW;
    let is_plausible = segments > 0 && again <= segments;
    (answers && is_plausible).then(|| Segments {
        connections: 1,
        segments: segments.into(),
        again: again.into(),
        twice: twice.min(again).into(),
    })
}

fn finding(
    comparison: &Comparison<'_>,
    netns: u32,
    peers: HashMap<IpAddr, Tally<'_>, RandomState>,
) -> Option<Finding> {
    let all = |peers: &[(IpAddr, Tally<'_>)]| {
        peers.iter().fold(Segments::default(), |all, (_, tally)| all.and(tally.sent))
    };
    let loses = |sent: &Segments, least| sent.lost() >= least && sent.percent() >= PERCENT;
    let (mut affected, mut others): (Vec<_>, Vec<_>) =
        peers.into_iter().partition(|(_, tally)| loses(&tally.sent, OF_ONE));
    if affected.is_empty() && loses(&all(&others), OF_ALL) {
        (affected, others) = (others, Vec::new());
    }
    affected.sort_by_key(|(peer, tally)| (Reverse(tally.sent.lost()), *peer));
    let losers = || affected.iter().flat_map(|(_, tally)| &tally.losers).copied();
    if !losers().any(|seen| comparison.wants_seen(seen)) {
        return None;
    }
    let holders = losers().filter_map(|seen| comparison.holders(seen.record).first());
    let processes = most_first(holders.map(|holder| holder.process), |process| process.pid);
    let processes = processes.into_iter().take(NAMED);
    let sent = all(&affected);
    let path = |(peer, tally): &(IpAddr, Tally<'_>)| Path {
        peer: Endpoint::new(*peer, 0),
        sent: tally.sent,
    };
    let problem = Retransmissions {
        sent,
        more_peers: affected.len().saturating_sub(NAMED) as u64,
        peers: affected.iter().take(NAMED).map(path).collect(),
        others: all(&others),
        processes: processes.map(|(process, _)| comparison.program(process)).collect(),
        observed: comparison.elapsed(),
    };
    let severity = if sent.percent() >= MANY_PERCENT { Severity::Warning } else { Severity::Info };
    Some(comparison.finding(severity, netns, Problem::Retransmissions(Box::new(problem))))
}
