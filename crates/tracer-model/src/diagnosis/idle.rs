//! Idle connections on which a dead peer would never be noticed.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::{Timers, flag};

use super::{
    common::most_first,
    comparison::{Comparison, Detector, Kin, Seen},
};
use crate::timeouts;
use tracer_event::{
    finding::{Finding, NoKeepalive, Problem, Severity},
    process::Process,
    state::State,
};

pub(super) const DETECTORS: &[Detector] = &[unprobed];

/// Idle for this long, nanoseconds: who sends messages of its own to see whether the peer is there
/// does so more often.
const LONG: u64 = 3_600_000_000_000;

/// Connections with who holds each, and the time for which it is idle.
type Group<'a> = Vec<(&'a Seen<'a>, Process, u64)>;

/// Processes with connections that nothing probes.
fn unprobed(comparison: &Comparison<'_>) -> Vec<Finding> {
    let unprobed: Vec<(&Seen<'_>, u64)> = comparison
        .seen_in(State::Established)
        .filter(|seen| seen.record.has(flag::HAS_SOCKET) && !seen.record.has(flag::MPTCP))
        .filter_map(|seen| {
            let timers = Timers::of(seen.record)?;
            let idle = timeouts::idle(seen.record, comparison.input.ticks)?;
            let asks = timers.keepalive == 1 || timers.user_timeout != 0;
            let waits = seen.record.snd_una != seen.record.write_seq;
            (idle >= LONG && !asks && !waits).then_some((seen, idle))
        })
        .collect();
    if unprobed.is_empty() {
        return Vec::new();
    }
    let mut groups: HashMap<(u32, Vec<Kin>), Group<'_>, RandomState> = HashMap::default();
    for (seen, idle) in unprobed {
        let tuple = seen.tuple();
        // This host will not lose itself.
        let is_here = tuple.peer.address().is_loopback() || comparison.peer(seen).is_some();
        let Some(holder) = comparison.holders(seen.record).first().filter(|_| !is_here) else {
            continue;
        };
        if comparison.wants_seen(seen) {
            let key = (tuple.netns, comparison.kin([holder.process].into_iter()));
            groups.entry(key).or_default().push((seen, holder.process, idle));
        }
    }
    let finding = |((netns, _), members): (_, Group<'_>)| finding(comparison, netns, &members);
    groups.into_iter().filter_map(finding).collect()
}

fn finding(comparison: &Comparison<'_>, netns: u32, members: &Group<'_>) -> Option<Finding> {
    let services = members.iter().map(|(seen, ..)| comparison.service(&seen.tuple()));
    let processes = members.iter().map(|(_, process, _)| *process);
    let processes = most_first(processes, |process| process.pid);
    let unprobed = NoKeepalive {
        program: comparison.program(processes.first()?.0),
        others: processes.len() as u64 - 1,
        sockets: members.len() as u64,
        longest: members.iter().map(|(.., idle)| *idle).max().unwrap_or(0),
        services: most_first(services, |service| format!("{service:?}")),
    };
    Some(comparison.finding(Severity::Info, netns, Problem::NoKeepalive(unprobed)))
}
