//! Attempts to connect that were refused, though not by the kernel of the listener on this host.

use super::{comparison::Comparison, queues};
use tracer_event::{endpoint::Tuple, finding::Listener, state::State};

/// Who has listened all the time for what was refused: this kernel has not refused it, as no RST of its
/// own to that client shows, whether it may have been sent on to another port or not.
pub(super) fn though_listening(comparison: &Comparison<'_>, tuple: &Tuple) -> Option<Listener> {
    let Tuple { local, peer, netns } = *tuple;
    let observed = comparison.input.observed;
    let is_known = observed.lost == 0 && observed.refused.has_none_of(local.address());
    if !is_known || queues::is_full_at(comparison, netns, peer) {
        return None;
    }
    let mut listeners = comparison.seen_in(State::Listen).filter(|seen| {
        let Tuple { local, netns: there, .. } = seen.tuple();
        let is_bound = seen.record.interface != 0;
        // It may be IPV6_V6ONLY.
        let is_version = local.is_ipv4() == peer.is_ipv4();
        seen.earlier.is_some()
            && !is_bound
            && is_version
            && queues::takes(comparison, (there, local), netns, peer)
    });
    comparison.listener(&[listeners.next()?.record])
}
