//! Sockets that a live trace flags for staying in a state, and that no other finding explains: a
//! state that is flagged is never "OK".

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    comparison::{Comparison, Detector, Seen},
    dead_peers::is_dead,
    handshakes::stuck_with,
    peers::{Key, connections, key, silence},
    windows::is_closed,
};
use crate::{
    cause::is_sending,
    connection::{Connection, SocketId},
    linger::Thresholds,
    socket,
};
use tracer_event::{
    finding::{Finding, Listener, Problem, Severity, StuckState},
    state::State,
};

pub(super) const DETECTORS: &[Detector] = &[sockets];

/// Sockets that are stuck in a state.
fn sockets(comparison: &Comparison<'_>) -> Vec<Finding> {
    let lives = overdue(comparison);
    let stuck = |seen: &&Seen<'_>| {
        age(comparison, seen, &lives).is_some_and(|age| age >= threshold(seen.state))
    };
    let mut found = comparison.seen.iter().filter(stuck).peekable();
    if found.peek().is_none() {
        return Vec::new();
    }
    let mut groups: HashMap<Key<State>, Vec<&Seen<'_>>, RandomState> = HashMap::default();
    for seen in found {
        if comparison.wants_seen(seen) && !is_explained(comparison, seen) {
            groups.entry(key(comparison, seen, seen.state)).or_default().push(seen);
        }
    }
    let find =
        |(Key { netns, service, what: state, .. }, members): (Key<State>, Vec<&Seen<'_>>)| {
            let ages = members.iter().filter_map(|seen| age(comparison, seen, &lives));
            let problem = StuckState {
                state,
                oldest: ages.max().unwrap_or(0),
                threshold: threshold(state),
                connections: connections(comparison, &members, service),
            };
            comparison.finding(Severity::Info, netns, Problem::StuckState(Box::new(problem)))
        };
    groups.into_iter().map(find).collect()
}

/// The time at which a trace flags a state; FIN_WAIT1, which has none there because a slow peer may
/// still take what was written before, as LAST_ACK: here only the time without progress counts.
fn threshold(state: State) -> u64 {
    let of = |state| Thresholds::default().of(state);
    let last_ack = (state == State::FinWait1).then(|| of(State::LastAck)).flatten();
    of(state).or(last_ack).unwrap_or(u64::MAX)
}

/// The lives of which nothing has moved for as long as that: of a million sockets they are few.
fn overdue<'a>(comparison: &Comparison<'a>) -> HashMap<SocketId, &'a Connection, RandomState> {
    let now = comparison.now();
    let lives = comparison.input.table.connections();
    lives
        .filter(|life| now.saturating_sub(life.idle_since()) >= threshold(life.state))
        .map(|life| (life.id, life))
        .collect()
}

/// For how long nothing has moved on a socket in its state, at least.
fn age(
    comparison: &Comparison<'_>,
    seen: &Seen<'_>,
    lives: &HashMap<SocketId, &Connection, RandomState>,
) -> Option<u64> {
    let ticks = comparison.input.ticks;
    let by_events = lives.get(&SocketId::of(seen.record)).filter(|life| life.state == seen.state);
    let by_events = by_events.map(|life| comparison.now().saturating_sub(life.idle_since()));
    let by_record = match seen.state {
        State::SynRecv | State::FinWait2 => socket::age(seen.record, ticks),
        State::FinWait1 | State::Closing | State::LastAck | State::SynSent => {
            silence(comparison, seen).and_then(|silence| silence.retransmitting())
        }
        // What the peers of CLOSE_WAIT have closed is another finding's.
        _ => None,
    };
    by_events.into_iter().chain(by_record).max()
}

/// Whether another finding is about this socket, or about the end on this host that it waits for.
fn is_explained(comparison: &Comparison<'_>, seen: &Seen<'_>) -> bool {
    let leaks = || {
        comparison.found.iter().any(|finding| {
            matches!(finding.problem, Problem::CloseWaitLeak(_) | Problem::AcceptWait(_))
        })
    };
    match seen.state {
        State::CloseWait if !is_sending(seen.record, seen.earlier) => true,
        State::FinWait2 if leaks() => {
            comparison.peer(seen).is_some_and(|peer| peer.state == State::CloseWait)
        }
        State::SynRecv => {
            stuck_with(seen).is_some() || comparison.found.iter().any(|found| waits(found, seen))
        }
        _ => stuck_with(seen).is_some() || is_dead(comparison, seen) || is_closed(comparison, seen),
    }
}

/// Whether a finding says what half-open connections wait for.
fn waits(finding: &Finding, seen: &Seen<'_>) -> bool {
    let is_at = |listener: &Listener| listener.local.port == seen.record.local_port;
    finding.netns == seen.record.netns
        && match &finding.problem {
            Problem::AcceptQueueFull(queue) => is_at(&queue.listener),
            Problem::DeferredAccept(deferred) => is_at(&deferred.listener),
            Problem::SynBacklog(_) => true,
            _ => false,
        }
}
