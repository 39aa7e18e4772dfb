//! Which segment of a handshake within this host is lost.
//!
//! From one end alone nobody can tell a lost SYN from a lost SYN+ACK. Where the listener is here as
//! well, its half-open connection shows that the SYN has arrived, and a SYN+ACK that it retransmits
//! while the client still retransmits its SYN shows that the client does not get it.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_wire::kind;

use super::comparison::{Comparison, Seen};
use tracer_event::{
    endpoint::{Endpoint, Tuple},
    finding::LostSegment,
    host::Counters,
    state::State,
    update::{Retransmit, Segment, Transition},
};

/// Attempts at a time that are followed. Of what comes beyond it is not known what was lost.
const MOST: usize = 4_096;

/// Clients that have retransmitted their SYN, by both ends, and whether a SYN+ACK was retransmitted
/// to them since.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempts(HashMap<(Endpoint, Endpoint), bool, RandomState>);

impl Attempts {
    pub(super) fn retransmit(&mut self, event: &Retransmit) {
        let Tuple { local, peer, .. } = event.subject.tuple;
        match event.segment.r#type {
            Segment::Syn if self.0.len() < MOST => {
                self.0.entry((local, peer)).or_default();
            }
            // Seen from the listener. A client whose SYN arrives again is answered again
            // (`tcp_check_req`), so that this follows the client's.
            Segment::SynAck => {
                if let Some(answered) = self.0.get_mut(&(peer, local)) {
                    *answered = true;
                }
            }
            _ => {}
        }
    }

    /// SYN_SENT is over: what was lost, as far as the events show it. That nothing has answered shows
    /// only that a SYN was lost where the listener is here ([`is_here`]).
    pub(super) fn end(&mut self, transition: &Transition) -> Option<LostSegment> {
        let Tuple { local, peer, .. } = transition.subject.tuple;
        let answered = self.0.remove(&(local, peer))?;
        Some(if answered { LostSegment::SynAck } else { LostSegment::Syn })
    }
}

/// Whether a listener in the client's namespace takes what it sends to `peer`, and none of its
/// queues has dropped or answered a SYN without a half-open connection.
pub(super) fn is_here(comparison: &Comparison<'_>, tuple: &Tuple) -> bool {
    let Tuple { local, peer, netns } = *tuple;
    let is_within = local.address() == peer.address()
        || local.address().is_loopback() && peer.address().is_loopback();
    let listeners = comparison.listeners_of(netns, peer);
    let Counters { listen_overflows, listen_drops, syn_drops, syn_cookies, .. } =
        comparison.counted(netns);
    is_within
        && listen_overflows + listen_drops + syn_drops + syn_cookies == 0
        && comparison.input.observed.lost == 0
        && !listeners.is_empty()
        && listeners.iter().all(|one| one.accept_queue <= one.accept_backlog)
}

/// The ends of handshakes that are under way on this host.
pub(super) struct Ends {
    half_open: HashSet<(Endpoint, Endpoint), RandomState>,
    clients: HashMap<(Endpoint, Endpoint), State, RandomState>,
}

impl Ends {
    pub(super) fn of(comparison: &Comparison<'_>) -> Self {
        let mut ends = Self { half_open: HashSet::default(), clients: HashMap::default() };
        for seen in comparison.seen.iter().filter(|seen| seen.record.kind == kind::REQUEST_SOCKET) {
            let Tuple { local, peer, .. } = seen.tuple();
            ends.half_open.insert((peer, local));
        }
        // There may be millions of others.
        for seen in comparison.seen.iter().filter(|_| !ends.half_open.is_empty()) {
            let Tuple { local, peer, .. } = seen.tuple();
            if may_be_client(seen) && ends.half_open.contains(&(local, peer)) {
                ends.clients.insert((local, peer), seen.state);
            }
        }
        ends
    }

    /// What is lost of a handshake in which nothing has been answered for long.
    pub(super) fn lost(&self, comparison: &Comparison<'_>, seen: &Seen<'_>) -> Option<LostSegment> {
        let tuple = seen.tuple();
        let Tuple { local, peer, .. } = tuple;
        match seen.state {
            State::SynSent if self.half_open.contains(&(local, peer)) => Some(LostSegment::SynAck),
            // What was sent before the first snapshot may have been dropped by a queue that was full.
            State::SynSent => {
                let before = seen.earlier.map_or(0, |earlier| earlier.retransmits);
                let is_sent = seen.record.retransmits > before;
                (is_sent && is_here(comparison, &tuple)).then_some(LostSegment::Syn)
            }
            _ => match self.clients.get(&(peer, local))? {
                State::SynSent => Some(LostSegment::SynAck),
                _ => Some(LostSegment::Ack),
            },
        }
    }
}

fn may_be_client(seen: &Seen<'_>) -> bool {
    seen.record.kind == kind::SOCKET && matches!(seen.state, State::SynSent | State::Established)
}
