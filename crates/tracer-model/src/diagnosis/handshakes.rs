//! Handshakes that get no answer.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::kind;

use super::{
    accepting::is_deferred,
    attempts::Ends,
    comparison::{Comparison, Seen},
};
use tracer_event::{
    finding::{Finding, Problem, Service, Severity, StuckHandshake},
    process::Process,
    state::State,
};

/// The second retransmission comes three seconds after the first attempt.
const RETRANSMITS: u8 = 2;

/// Clients whose SYN, and listeners whose SYN+ACK, has been sent again and again.
pub(super) fn stuck(comparison: &Comparison<'_>) -> Vec<Finding> {
    let mut groups: HashMap<(u32, State, Option<Process>, Service), StuckHandshake, RandomState> =
        HashMap::default();
    let ends = std::cell::LazyCell::new(|| Ends::of(comparison));
    for seen in comparison.seen.iter().filter(|seen| seen.record.retransmits >= RETRANSMITS) {
        let Seen { record, state, .. } = *seen;
        let tuple = seen.tuple();
        let service = match (state, record.kind) {
            (State::SynSent, _) => Service::There(tuple.peer),
            (State::SynRecv, kind::REQUEST_SOCKET) if !is_deferred(record) => {
                Service::Here(tuple.local)
            }
            _ => continue,
        };
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
        let lost = ends.lost(comparison, seen);
        let new = StuckHandshake { state, process, service, sockets: 0, retransmits: 0, lost };
        let group = groups.entry((tuple.netns, state, process, service)).or_insert(new);
        group.sockets += 1;
        group.retransmits = group.retransmits.max(record.retransmits);
        group.lost = group.lost.filter(|one| lost == Some(*one));
    }
    let find = |(key, stuck): (_, StuckHandshake)| {
        let (netns, state, ..): (u32, State, Option<Process>, Service) = key;
        // Clients that do not answer are the internet's noise.
        let severity = if state == State::SynSent { Severity::Warning } else { Severity::Info };
        comparison.finding(severity, netns, Problem::StuckHandshake(stuck))
    };
    groups.into_iter().map(find).collect()
}
