//! The other sides of connections that a process forwards.
//!
//! A proxy that has received a FIN on one side passes it on to the other and waits for the answer:
//! its CLOSE_WAIT lasts until the other peer closes too. That two sockets of a process are two sides
//! of one connection takes evidence: one was half-closed at the moment at which the other's peer
//! closed, or exactly what came in on each went out on the other.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_wire::flag;

use super::comparison::{Comparison, Seen};
use crate::{
    connection::{Connection, SocketId, Traffic},
    timeouts,
};
use tracer_event::{finding::Service, state::State, update::Role};

/// A proxy passes a FIN on within this time.
const AT_ONCE: u64 = 1_000_000_000;
/// Of this many sockets of a process, on each side, any may be two of one: more are not compared.
const MOST: usize = 1_000;
/// States of the other side.
pub(super) const STATES: [State; 3] = [State::FinWait1, State::FinWait2, State::Established];

/// The other sides of sockets in CLOSE_WAIT.
pub(super) type Twins<'a> = HashMap<SocketId, &'a Seen<'a>, RandomState>;

/// A socket of a process.
struct Side<'a> {
    seen: &'a Seen<'a>,
    /// It came from a listener.
    is_server: bool,
    /// For how long one direction has been closed, where that is known.
    closed: Option<u64>,
    traffic: Option<Traffic>,
}

/// Whether a process has passed the FIN on to the other side, by the state of that.
pub(super) fn is_passed_on(twin: &Seen<'_>) -> bool {
    twin.state != State::Established
}

/// The other side of each socket in CLOSE_WAIT that has one in the same process.
pub(super) fn twins<'a>(comparison: &'a Comparison<'_>) -> Twins<'a> {
    let pids = |seen: &Seen<'_>| {
        let holders = comparison.holders(seen.record).iter();
        holders.map(|holder| holder.process.pid)
    };
    let mut processes: HashMap<u32, (Vec<Side<'a>>, Vec<Side<'a>>), RandomState> =
        HashMap::default();
    let lives = comparison.lives(State::CloseWait);
    for seen in held(comparison, &[State::CloseWait]) {
        for pid in pids(seen) {
            let (closed, _) = processes.entry(pid).or_default();
            Side::add(comparison, seen, &lives, closed);
        }
    }
    if processes.is_empty() {
        return Twins::default();
    }
    let lives = comparison.lives(State::FinWait2);
    for seen in held(comparison, &STATES) {
        for pid in pids(seen) {
            if let Some((_, others)) = processes.get_mut(&pid) {
                Side::add(comparison, seen, &lives, others);
            }
        }
    }
    let mut twins = Twins::default();
    for (closed, others) in processes.into_values() {
        pair(&closed, &others, &mut twins);
    }
    twins
}

fn held<'a>(
    comparison: &'a Comparison<'_>,
    states: &'a [State],
) -> impl Iterator<Item = &'a Seen<'a>> {
    let seen = comparison.seen.iter();
    seen.filter(move |seen| states.contains(&seen.state) && seen.record.has(flag::HAS_SOCKET))
}

impl<'a> Side<'a> {
    /// Once, even if the process has several descriptors of it.
    fn add(
        comparison: &Comparison<'_>,
        seen: &'a Seen<'a>,
        lives: &HashMap<SocketId, &Connection, RandomState>,
        sides: &mut Vec<Self>,
    ) {
        if sides.last().is_some_and(|last| std::ptr::eq(last.seen, seen)) {
            return;
        }
        let record = seen.record;
        let is_server = matches!(comparison.service(&seen.tuple()), Service::Here(_));
        let life = lives.get(&SocketId::of(record)).filter(|life| life.since_known());
        let observed = life.map(|life| record.time_ns.saturating_sub(life.since));
        // Of what nothing moves on, the FIN or its acknowledgement was the last that came.
        let heard = || timeouts::since(record, record.last_ack, comparison.input.ticks);
        let role = if is_server { Role::Server } else { Role::Client };
        sides.push(Self {
            seen,
            is_server,
            closed: observed.or_else(heard).filter(|_| seen.state != State::Established),
            traffic: Traffic::of(record, Some(role), seen.state),
        });
    }

    /// How little the other one looks like the other side of this; `None` where it cannot be.
    fn distance(&self, other: &Self) -> Option<(u8, u64)> {
        let is_opposite =
            self.is_server != other.is_server && self.seen.record.netns == other.seen.record.netns;
        let forwards = matches!((self.traffic, other.traffic), (Some(one), Some(two))
            if one.received == two.sent && one.sent == two.received && one.sent + one.received > 0);
        let apart = self.closed.zip(other.closed).map(|(one, two)| one.abs_diff(two));
        match (is_opposite, forwards, apart.filter(|apart| *apart <= AT_ONCE)) {
            (false, ..) | (_, false, None) => None,
            (_, true, Some(apart)) => Some((0, apart)),
            (_, false, Some(apart)) => Some((1, apart)),
            (_, true, None) => Some((2, 0)),
        }
    }
}

/// The closest ones first; each has one other side.
fn pair<'a>(closed: &[Side<'a>], others: &[Side<'a>], twins: &mut Twins<'a>) {
    let mut pairs = Vec::new();
    for (one, side) in closed.iter().take(MOST).enumerate() {
        for (other, candidate) in others.iter().take(MOST).enumerate() {
            pairs.extend(side.distance(candidate).map(|distance| (distance, one, other)));
        }
    }
    pairs.sort_unstable();
    let mut taken: HashSet<usize, RandomState> = HashSet::default();
    for (_, one, other) in pairs {
        let id = SocketId::of(closed[one].seen.record);
        if !twins.contains_key(&id) && taken.insert(other) {
            twins.insert(id, others[other].seen);
        }
    }
}
