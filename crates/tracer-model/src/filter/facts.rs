//! What is known of a socket when a filter is asked, and what the filter says to that.
//!
//! The answer has three values. What can never be known of a socket makes a condition false: it has
//! no owner that anybody has seen, a handshake that nobody has timed. What only this question leaves
//! open, as the state where a socket is looked at for its whole life, makes it undecided.

use std::{cell::OnceCell, sync::Arc};

use tracer_event::{
    close::{Close, Reason},
    container::{Cgroup, is_named},
    endpoint::Endpoint,
    linger::Linger,
    process::Owner,
    segment::Answered,
    sequence::Sequence,
    socket::Socket,
    state::State,
    subject::Subject,
    update::{ConnectionSummary, Reset, Retransmit, Transition, Update},
};

use super::{
    expression::{Comparison, Condition, End, Expression, IpVersion, Operator},
    states::StateSet,
};
use crate::close;

/// `TASK_COMM_LEN - 1`, include/linux/sched.h.
const COMM_LEN: usize = 15;

/// What the kernel keeps of the name of a process.
pub fn kept(name: &str) -> &[u8] {
    let name = name.as_bytes();
    &name[..name.len().min(COMM_LEN)]
}

/// A fact.
#[derive(Clone, Copy, Debug, Default)]
enum Known<T> {
    /// Not part of the question.
    #[default]
    Open,
    /// There is none, or nobody knows it.
    Nothing,
    Is(T),
}

impl<T> Known<T> {
    fn of(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Self::Is)
    }

    fn holds(self, condition: impl FnOnce(T) -> bool) -> Option<bool> {
        match self {
            Self::Open => None,
            Self::Nothing => Some(false),
            Self::Is(value) => Some(condition(value)),
        }
    }
}

/// A time, and whether it is only known to be no shorter.
#[derive(Clone, Copy, Debug)]
struct Time {
    ns: u64,
    at_least: bool,
}

impl Time {
    fn compares(self, Comparison { operator, limit }: Comparison) -> bool {
        let is_short = matches!(operator, Operator::Less | Operator::AtMost);
        !(is_short && self.at_least) && operator.holds(&self.ns, &limit)
    }
}

/// What is known of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    subject: &'a Subject,
    holders: &'a [Owner],
    /// States that it is in, or has been in during what is told.
    states: Known<StateSet>,
    /// Several states of one life: neither a state nor its exclusion says no to all of it.
    is_life: bool,
    age: Known<Time>,
    handshake: Known<u64>,
    reason: Known<Reason>,
    problem: Known<()>,
    any_netns: bool,
}

impl<'a> Facts<'a> {
    /// Of a socket for its whole life.
    pub fn of(subject: &'a Subject) -> Self {
        Self {
            subject,
            holders: &[],
            states: Known::Open,
            is_life: false,
            age: Known::Open,
            handshake: Known::Open,
            reason: Known::Open,
            problem: Known::Open,
            any_netns: false,
        }
    }

    /// Of a socket at a moment, when nothing else happens to it.
    pub fn in_state(subject: &'a Subject, state: State, age: Option<u64>) -> Self {
        Self {
            states: Known::Is(StateSet::from_iter([state])),
            age: Known::of(age.map(|ns| Time { ns, at_least: false })),
            handshake: Known::Nothing,
            reason: Known::Nothing,
            problem: Known::Nothing,
            ..Self::of(subject)
        }
    }

    /// Of what happens to one socket; `None` of anything else.
    pub(super) fn of_update(update: &Update<'a>) -> Option<Self> {
        Some(match *update {
            Update::Transition(transition) => Self::from(transition),
            Update::Retransmit(Retransmit { subject, state, .. }) => {
                Self::in_state(subject, *state, None).with_problem()
            }
            Update::Reset(Reset { subject, state, segment, .. }) => {
                let facts = Self::in_state(subject, *state, None);
                // The end of a connection says what the RST has done to it. Where there is none any
                // more, nothing is lost if the peer closes as well.
                let is_known = subject.ordinal > 0 || segment.answers == Some(Answered::Fin);
                if is_known { facts } else { facts.with_problem() }
            }
            Update::Connection(story) => Self::from(story),
            Update::Linger(_) | Update::Loss(_) | Update::Finding(_) => return None,
        })
    }

    /// The same of which something has gone wrong.
    #[must_use]
    pub fn with_problem(self) -> Self {
        Self { problem: Known::Is(()), ..self }
    }

    /// The same wherever the socket is.
    #[must_use]
    pub fn in_any_netns(self) -> Self {
        Self { any_netns: true, ..self }
    }

    /// The same after a time in its state, or more.
    #[must_use]
    pub fn with_age(self, ns: u64, at_least: bool) -> Self {
        Self { age: Known::Is(Time { ns, at_least }), ..self }
    }

    pub(super) fn subject(&self) -> &'a Subject {
        self.subject
    }

    /// With the end, from a state and with the numbers of that time.
    fn ended(self, close: Option<Close>, from: State, sequence: Option<Sequence>) -> Self {
        let reason = close.map(|close| close.reason);
        let role = self.subject.role;
        let wrong = reason.is_some_and(|reason| close::is_problem(reason, from, role, sequence));
        let problem = if wrong { Known::Is(()) } else { self.problem };
        Self { reason: Known::of(reason), problem, ..self }
    }

    fn owners(&self) -> impl Iterator<Item = &'a Owner> {
        self.subject.owner.iter().chain(self.holders)
    }
}

impl<'a> From<&'a Transition> for Facts<'a> {
    fn from(transition: &'a Transition) -> Self {
        let Transition { subject, from, to, elapsed, handshake, close, sequence, .. } = transition;
        let sent_again = handshake.and_then(|handshake| handshake.syn_retransmits);
        let is_slow = sent_again.is_some_and(|count| count > 0);
        Self {
            states: Known::Is(StateSet::from_iter([*from, *to])),
            handshake: Known::of(handshake.and_then(|handshake| handshake.duration_ns)),
            problem: if is_slow { Known::Is(()) } else { Known::Nothing },
            ..Self::in_state(subject, *to, *elapsed)
        }
        .ended(*close, *from, *sequence)
    }
}

impl<'a> From<&'a ConnectionSummary> for Facts<'a> {
    fn from(story: &'a ConnectionSummary) -> Self {
        let ConnectionSummary {
            subject, state, spent, at_least, handshake, duration, close, ..
        } = story;
        let passed = State::ALL.into_iter().filter(|state| spent[state.index()] > 0);
        Self {
            states: Known::Is(passed.chain([*state]).collect()),
            is_life: true,
            age: Known::Is(Time { ns: *duration, at_least: *at_least }),
            handshake: Known::of(handshake.and_then(|handshake| handshake.duration_ns)),
            ..Self::in_state(subject, *state, None)
        }
        .ended(*close, last_state(story), numbers(story))
    }
}

/// The state that a connection has left at its end.
fn last_state(story: &ConnectionSummary) -> State {
    use State::{CloseWait, Closing, Established, FinWait1, FinWait2, LastAck};
    let latest_first = [LastAck, Closing, FinWait2, FinWait1, CloseWait, Established];
    let passed = |state: &State| story.spent[state.index()] > 0;
    latest_first.into_iter().find(passed).unwrap_or(story.state)
}

/// What its counters say of the sequence numbers: nothing of what was unacknowledged, which matters
/// to an RST in CLOSE_WAIT.
fn numbers(story: &ConnectionSummary) -> Option<Sequence> {
    let (acked, received) = (story.bytes_sent?, story.bytes_received?);
    (last_state(story) != State::CloseWait).then_some(Sequence {
        snd_una: 0,
        snd_nxt: 0,
        write_seq: 0,
        rcv_nxt: 0,
        acked,
        received,
    })
}

impl<'a> From<&'a Linger> for Facts<'a> {
    fn from(linger: &'a Linger) -> Self {
        let Linger { subject, state, age, at_least, holders, .. } = linger;
        let facts = Self { holders, ..Self::in_state(subject, *state, None) };
        facts.with_age(*age, *at_least).with_problem()
    }
}

impl<'a> From<&'a Socket> for Facts<'a> {
    fn from(socket: &'a Socket) -> Self {
        let Socket { subject, state, age, at_least, holders, .. } = socket;
        let age = Known::of(age.map(|ns| Time { ns, at_least: *at_least }));
        Self { age, holders, ..Self::in_state(subject, *state, None) }
    }
}

/// Whether something has failed, was retried or is stuck; also where that is not said of one socket.
pub fn is_problem(update: &Update<'_>) -> bool {
    let facts = Facts::of_update(update);
    facts.is_none_or(|facts| is(&Condition::Problem, &facts) != Some(false))
}

/// Whether an expression holds; `None` where these facts leave it open. The control group is looked
/// up if it matters.
pub(super) fn holds(
    expression: &Expression,
    facts: &Facts<'_>,
    group: impl Fn() -> Option<Arc<Cgroup>>,
) -> Option<bool> {
    let once = OnceCell::new();
    let group = || once.get_or_init(&group).as_deref();
    evaluate(expression, &|condition| match condition {
        Condition::Container(_) | Condition::Cgroup(_) => {
            Some(group().is_some_and(|group| is_of(condition, group)))
        }
        _ => is(condition, facts),
    })
}

/// The same where the control group is not part of the question.
pub(super) fn holds_anywhere(expression: &Expression, facts: &Facts<'_>) -> Option<bool> {
    evaluate(expression, &|condition| is(condition, facts))
}

/// Whether an expression holds, by its conditions.
pub(super) fn evaluate(
    expression: &Expression,
    is: &impl Fn(&Condition) -> Option<bool>,
) -> Option<bool> {
    // The first part that decides it ends it.
    let until = |parts: &[Expression], deciding: bool| {
        let mut result = Some(!deciding);
        for part in parts {
            match evaluate(part, is) {
                Some(holds) if holds == deciding => return Some(deciding),
                Some(_) => {}
                None => result = None,
            }
        }
        result
    };
    match expression {
        Expression::And(parts) => until(parts, false),
        Expression::Or(parts) => until(parts, true),
        Expression::Not(part) => evaluate(part, is).map(|holds| !holds),
        Expression::Is(condition) => is(condition),
    }
}

fn is(condition: &Condition, facts: &Facts<'_>) -> Option<bool> {
    let tuple = &facts.subject.tuple;
    let at = |end: End, holds: &dyn Fn(Endpoint) -> bool| match end {
        End::Local => holds(tuple.local),
        End::Peer => holds(tuple.peer),
        End::Either => holds(tuple.local) || holds(tuple.peer),
    };
    match condition {
        Condition::State(states) => in_states(*states, facts),
        Condition::Port(end, ports) => Some(at(*end, &|end| ports.contains(end.port))),
        Condition::Address(end, networks) => {
            Some(at(*end, &|end| networks.iter().any(|network| network.contains(end))))
        }
        Condition::Version(version) => Some((*version == IpVersion::V4) == tuple.is_ipv4()),
        Condition::Pid(pids) => Some(facts.owners().any(|owner| pids.contains(&owner.process.pid))),
        Condition::Comm(name) => {
            Some(facts.owners().any(|owner| owner.process.name() == kept(name)))
        }
        Condition::Netns(_) if facts.any_netns => None,
        Condition::Netns(netns) => Some(*netns == tuple.netns),
        Condition::Container(_) | Condition::Cgroup(_) => None,
        Condition::Role(role) => Some(facts.subject.role == Some(*role)),
        Condition::Reason(wanted) => facts.reason.holds(|reason| reason == *wanted),
        Condition::Age(limit) => facts.age.holds(|age| age.compares(*limit)),
        Condition::Handshake(Comparison { operator, limit }) => {
            facts.handshake.holds(|time| operator.holds(&time, limit))
        }
        Condition::Problem => facts.problem.holds(|()| true),
    }
}

fn is_of(condition: &Condition, group: &Cgroup) -> bool {
    match condition {
        Condition::Container(wanted) => {
            group.container.as_deref().is_some_and(|name| is_named(name, wanted))
        }
        Condition::Cgroup(wanted) => group.is_within(wanted),
        _ => false,
    }
}

fn in_states(wanted: StateSet, facts: &Facts<'_>) -> Option<bool> {
    let Known::Is(states) = facts.states else { return facts.states.holds(|_| false) };
    match (states.meets(wanted), states.without(wanted) == StateSet::NONE) {
        (true, false) if facts.is_life => None,
        (meets, _) => Some(meets),
    }
}
