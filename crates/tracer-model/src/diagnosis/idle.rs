//! Idle connections on which a dead peer would never be noticed.

use std::collections::BTreeMap;

use tracer_wire::{Timers, flag};

use super::{
    common::most_first,
    comparison::{Comparison, Detector, Seen},
    ends::Ends,
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

/// A process, and its connections with the time for which each is idle.
type Group<'a> = (Process, Vec<(&'a Seen<'a>, u64)>);

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
    let ends = Ends::of(comparison);
    let mut groups: BTreeMap<(u32, u32), Group<'_>> = BTreeMap::new();
    for (seen, idle) in unprobed {
        let tuple = seen.tuple();
        // This host will not lose itself.
        let is_here = tuple.peer.address().is_loopback() || ends.peer(seen).is_some();
        let Some(holder) = comparison.holders(seen.record).first().filter(|_| !is_here) else {
            continue;
        };
        if comparison.wants_seen(seen) {
            let group = groups
                .entry((tuple.netns, holder.process.pid))
                .or_insert((holder.process, Vec::new()));
            group.1.push((seen, idle));
        }
    }
    let finding = |((netns, _), (process, members)): (_, Group<'_>)| {
        let services = members.iter().map(|(seen, _)| comparison.service(&seen.tuple()));
        let unprobed = NoKeepalive {
            program: comparison.program(process),
            sockets: members.len() as u64,
            longest: members.iter().map(|(_, idle)| *idle).max().unwrap_or(0),
            services: most_first(services, |_| ()),
        };
        comparison.finding(Severity::Info, netns, Problem::NoKeepalive(unprobed))
    };
    groups.into_iter().map(finding).collect()
}
