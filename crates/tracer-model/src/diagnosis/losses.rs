//! Segments that are lost on their way to peers that answer.

use std::{cmp::Reverse, net::IpAddr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::Sent;

use super::{
    Baseline,
    common::{has_room, most_first},
    comparison::{Comparison, Detector, Seen},
    queues,
};
use crate::connection::SocketId;
use tracer_event::{
    close::Reason,
    endpoint::{Endpoint, Tuple},
    finding::{Finding, Path, Problem, Retransmissions, Segments, Severity},
    process::Process,
    update::{Subject, Transition},
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

/// What connections have sent that began and ended while observed, by namespace, peer and process.
#[derive(Clone, Debug, Default)]
pub(super) struct Over(HashMap<(u32, IpAddr, u32), (Segments, Subject), RandomState>);

impl Over {
    /// Takes note of the end of a full socket whose peer has acknowledged everything.
    pub(super) fn note(&mut self, transition: &Transition, since: u64) {
        /// SYN and FIN are sent again as well.
        const WITHOUT_DATA: u64 = 2;
        let Transition { ref subject, close, .. } = *transition;
        let Some(life) = transition.life.filter(|life| life.began >= since) else { return };
        if close.is_some_and(|close| close.reason != Reason::Graceful) {
            return;
        }
        if let Some(mut sent) = segments(life.sent) {
            sent.segments += WITHOUT_DATA;
            let pid = subject.owner.map_or(0, |owner| owner.process.pid);
            let key = (subject.tuple.netns, subject.tuple.peer.address(), pid);
            self.sum(key, (sent, *subject));
        }
    }

    /// Adds what was observed next.
    pub(super) fn add(&mut self, later: &Self) {
        for (key, one) in &later.0 {
            self.sum(*key, *one);
        }
    }

    fn sum(&mut self, key: (u32, IpAddr, u32), (sent, subject): (Segments, Subject)) {
        if has_room(&self.0, &key) {
            let (sum, _) = self.0.entry(key).or_insert((Segments::default(), subject));
            *sum = sum.and(sent);
        }
    }
}

/// What was sent to a peer, and by whom of it that which was lost.
#[derive(Default)]
struct Tally {
    sent: Segments,
    losers: Vec<Process>,
    is_wanted: bool,
}

impl Tally {
    /// Of one connection or several; who has them, and whether they are asked about, matters only of
    /// those that lose something.
    fn add(&mut self, sent: Segments, who: impl FnOnce() -> (Option<Process>, bool)) {
        self.sent = self.sent.and(sent);
        if sent.lost() > 0 {
            let (loser, is_wanted) = who();
            self.losers.extend(loser);
            self.is_wanted |= is_wanted;
        }
    }
}

type Peers = HashMap<IpAddr, Tally, RandomState>;

/// A finding for each namespace.
fn retransmissions(comparison: &Comparison<'_>) -> Vec<Finding> {
    let mut namespaces: HashMap<u32, Peers, RandomState> = HashMap::default();
    let mut tally = |netns, peer, sent, who: &dyn Fn() -> (Option<Process>, bool)| {
        namespaces.entry(netns).or_default().entry(peer).or_default().add(sent, who);
    };
    for seen in &comparison.seen {
        let Some(sent) = since(comparison.input.first, seen) else { continue };
        let tuple = seen.tuple();
        tally(tuple.netns, tuple.peer.address(), sent, &|| {
            let holder = comparison.holders(seen.record).first();
            (holder.map(|holder| holder.process), comparison.wants_seen(seen))
        });
    }
    for (&(netns, peer, _), (sent, subject)) in &comparison.input.observed.over.0 {
        if sent.lost() > 0 && queues::is_told_full(comparison, netns, subject.tuple.peer) {
            continue;
        }
        let owner = subject.owner.map(|owner| owner.process);
        tally(netns, peer, *sent, &|| (owner, comparison.wants_subject(subject)));
    }
    let find = |(netns, peers)| finding(comparison, netns, peers);
    namespaces.into_iter().filter_map(find).collect()
}

/// What was sent on a connection while it was observed, if the peer has acknowledged data before and
/// meanwhile, and does now: a server with a full accept queue does not, nor one that is gone.
fn since(first: &Baseline, seen: &Seen<'_>) -> Option<Segments> {
    /// The SYN counts.
    const SYN: u64 = 1;
    /// More in a row may be for ever.
    const IN_A_ROW: u8 = 1;
    let (earlier, acknowledged) = *first.sent.get(&SocketId::of(seen.record))?;
    let answers = acknowledged > SYN
        && seen.record.bytes_acked > acknowledged
        && seen.record.retransmits <= IN_A_ROW;
    segments(Sent::of(seen.record)?.since(earlier)).filter(|_| answers)
}

/// Of one connection; none where this kernel does not count them.
fn segments(Sent { segments, again, twice }: Sent) -> Option<Segments> {
    (segments > 0 && again <= segments).then(|| Segments {
        connections: 1,
        segments: segments.into(),
        again: again.into(),
        twice: twice.min(again).into(),
    })
}

fn finding(comparison: &Comparison<'_>, netns: u32, peers: Peers) -> Option<Finding> {
    let all = |peers: &[(IpAddr, Tally)]| {
        peers.iter().fold(Segments::default(), |all, (_, tally)| all.and(tally.sent))
    };
    let loses = |sent: &Segments, least| sent.lost() >= least && sent.percent() >= PERCENT;
    let (mut affected, mut others): (Vec<_>, Vec<_>) =
        peers.into_iter().partition(|(_, tally)| loses(&tally.sent, OF_ONE));
    if affected.is_empty() && loses(&all(&others), OF_ALL) {
        (affected, others) = (others, Vec::new());
    }
    if !affected.iter().any(|(_, tally)| tally.is_wanted) {
        return None;
    }
    affected.sort_by_key(|(peer, tally)| (Reverse(tally.sent.lost()), *peer));
    let losers = affected.iter().flat_map(|(_, tally)| tally.losers.iter().copied());
    let processes = most_first(losers, |process| process.pid).into_iter().take(NAMED);
    let sent = all(&affected);
    let path =
        |(peer, tally): &(IpAddr, Tally)| Path { peer: Endpoint::new(*peer, 0), sent: tally.sent };
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

/// What is lost on the way to a peer, if that is told.
pub(super) fn told<'a>(
    comparison: &'a Comparison<'_>,
    netns: u32,
    peer: Endpoint,
) -> Option<&'a Segments> {
    let found = comparison.found.iter().filter(|finding| finding.netns == netns);
    let paths = found.filter_map(|finding| match &finding.problem {
        Problem::Retransmissions(found) => Some(&found.peers),
        _ => None,
    });
    let mut paths = paths.flatten().filter(|path| path.peer.address() == peer.address());
    paths.next().map(|path| &path.sent)
}

/// Whether so many retransmissions in a row to a peer are what chance makes of the segments that are
/// lost on the way there anyway.
pub(super) fn explain(comparison: &Comparison<'_>, seen: &Seen<'_>, in_a_row: u8) -> bool {
    const LIKELY: f64 = 0.1;
    let Tuple { netns, peer, .. } = seen.tuple();
    told(comparison, netns, peer).is_some_and(|sent| {
        let chance = (sent.percent() / 100.0).powi(1 + i32::from(in_a_row));
        chance * sent.segments as f64 >= LIKELY
    })
}
