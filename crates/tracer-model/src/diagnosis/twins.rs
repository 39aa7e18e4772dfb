//! The other sides of connections that a process forwards, or answers when another has answered it.
//!
//! A proxy that has received a FIN on one side passes it on to the other and waits for the answer:
//! its CLOSE_WAIT lasts until the other peer closes too. That two sockets of a process are two sides
//! of one connection takes evidence: one was half-closed at the moment at which the other's peer
//! closed, or exactly what came in on each went out on the other.
//!
//! A server that asks another one before it answers does not look at its client meanwhile: when the
//! client gives up, its CLOSE_WAIT lasts until the other has answered. The evidence is in the times:
//! a request came last, at once something was asked on a connection for which no other request
//! fits better, and neither has seen data since. A connection on which a process only tells (logs, as
//! an example) fits the last request as well: so there must be two such pairs with one peer, or the
//! only request that waits must fit a connection that has had answers.

use std::cmp::Reverse;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_wire::flag;

use super::comparison::{Comparison, Seen};
use crate::{
    connection::{Connection, SocketId, Traffic},
    time_wait::Ticks,
    timeouts,
};
use tracer_event::{
    endpoint::Endpoint,
    finding::{Cause, Service},
    state::State,
    update::Role,
};

/// A proxy passes a FIN on within this time, and who needs an answer for his own asks for it.
const AT_ONCE: u64 = 1_000_000_000;
/// Of this many sockets of a process, on each side, any may be two of one: more are not compared.
const MOST: usize = 1_000;
/// States of the other side.
pub(super) const STATES: [State; 3] = [State::FinWait1, State::FinWait2, State::Established];

/// The other sides of sockets in CLOSE_WAIT.
pub(super) type Twins<'a> = HashMap<SocketId, Twin<'a>, RandomState>;

/// The other side.
#[derive(Clone, Copy)]
pub(super) struct Twin<'a> {
    pub(super) seen: &'a Seen<'a>,
    /// The process has asked there for what it will answer, and does not forward what comes.
    is_asked: bool,
}

/// How little one looks like the other side of another; times are nanoseconds between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    /// The same bytes, and half-closed at one moment.
    Both(u64),
    Moment(u64),
    Bytes,
    /// A question; of a connection on which nobody has answered yet, one of so many to its peer.
    Asked {
        is_new: bool,
        questions: Reverse<u64>,
        apart: u64,
    },
}

impl Twin<'_> {
    /// Why the one in CLOSE_WAIT stays.
    pub(super) fn cause(&self) -> Cause {
        match self.seen.state {
            _ if self.is_asked => Cause::AwaitsAnswer,
            // The process has passed the FIN on.
            State::FinWait1 | State::FinWait2 => Cause::PassedOn,
            _ => Cause::NotPassedOn,
        }
    }
}

/// A socket of a process.
struct Side<'a> {
    seen: &'a Seen<'a>,
    /// It came from a listener.
    is_server: bool,
    /// For how long one direction has been closed, where that is known.
    closed: Option<u64>,
    traffic: Option<Traffic>,
    /// Jiffies at which data was last sent and received, where the kernel says.
    sent: Option<u64>,
    received: Option<u64>,
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
        pair(&closed, &others, comparison.input.ticks, &mut twins);
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
            sent: timeouts::jiffy(record, record.last_sent),
            received: timeouts::jiffy(record, record.last_received),
        });
    }

    /// How little the other one looks like the other side of this; `None` where it cannot be.
    fn distance(&self, other: &Self) -> Option<Distance> {
        let forwards = matches!((self.traffic, other.traffic), (Some(one), Some(two))
            if one.received == two.sent && one.sent == two.received && one.sent + one.received > 0);
        let apart = self.closed.zip(other.closed).map(|(one, two)| one.abs_diff(two));
        match (self.is_opposite(other), forwards, apart.filter(|apart| *apart <= AT_ONCE)) {
            (false, ..) | (_, false, None) => None,
            (_, true, Some(apart)) => Some(Distance::Both(apart)),
            (_, false, Some(apart)) => Some(Distance::Moment(apart)),
            (_, true, None) => Some(Distance::Bytes),
        }
    }

    /// The same where the process has asked for an answer there, with `questions` to that peer.
    fn asked_on(&self, other: &Self, questions: u64, ticks: Ticks) -> Option<Distance> {
        let apart = other.question()?.checked_sub(self.request()?).map(|it| ticks.nanoseconds(it));
        let apart = apart.filter(|apart| *apart <= AT_ONCE)?;
        let (is_new, questions) = (!other.has_heard(), Reverse(questions));
        self.is_opposite(other).then_some(Distance::Asked { is_new, questions, apart })
    }

    fn is_opposite(&self, other: &Self) -> bool {
        self.is_server != other.is_server && self.seen.record.netns == other.seen.record.netns
    }

    /// When a client has asked, where nothing was sent since.
    fn request(&self) -> Option<u64> {
        let (traffic, request) = (self.traffic?, self.received?);
        let is_answered = traffic.sent > 0 && self.sent.is_none_or(|sent| sent >= request);
        (self.is_server && traffic.received > 0 && !is_answered).then_some(request)
    }

    /// When this end has asked, where it has arrived and nothing has come since.
    fn question(&self) -> Option<u64> {
        let (traffic, question) = (self.traffic?, self.sent?);
        let has_answer = self.has_heard() && self.received.is_none_or(|heard| heard >= question);
        let is_question = traffic.sent > 0
            && self.seen.state == State::Established
            && self.seen.record.fin_acknowledged();
        (!self.is_server && is_question && !has_answer).then_some(question)
    }

    /// Whether the peer has ever sent data.
    fn has_heard(&self) -> bool {
        self.traffic.is_some_and(|traffic| traffic.received > 0)
    }

    fn peer(&self) -> Endpoint {
        self.seen.tuple().peer
    }
}

/// The best evidence first; each has one other side.
fn pair<'a>(closed: &[Side<'a>], others: &[Side<'a>], ticks: Ticks, twins: &mut Twins<'a>) {
    let mut questions: HashMap<Endpoint, u64, RandomState> = HashMap::default();
    for other in others.iter().filter(|other| other.question().is_some()) {
        *questions.entry(other.peer()).or_default() += 1;
    }
    let mut pairs = Vec::new();
    for (one, side) in closed.iter().take(MOST).enumerate() {
        for (other, candidate) in others.iter().take(MOST).enumerate() {
            let asked = || questions.get(&candidate.peer()).copied().unwrap_or(0);
            let distance =
                side.distance(candidate).or_else(|| side.asked_on(candidate, asked(), ticks));
            pairs.extend(distance.map(|distance| (distance, one, other)));
        }
    }
    pairs.sort_unstable();
    let mut taken: HashSet<usize, RandomState> = HashSet::default();
    let mut asked: HashMap<Endpoint, Vec<(SocketId, bool)>, RandomState> = HashMap::default();
    for (distance, one, other) in pairs {
        let (id, other_side) = (SocketId::of(closed[one].seen.record), &others[other]);
        if !twins.contains_key(&id) && taken.insert(other) {
            let is_asked = matches!(distance, Distance::Asked { .. });
            twins.insert(id, Twin { seen: other_side.seen, is_asked });
            if is_asked {
                asked.entry(other_side.peer()).or_default().push((id, other_side.has_heard()));
            }
        }
    }
    let requests = closed.iter().filter(|side| side.request().is_some()).count();
    for ids in asked.into_values() {
        if let [(id, has_heard)] = ids[..]
            && !(has_heard && requests == 1)
        {
            twins.remove(&id);
        }
    }
}
