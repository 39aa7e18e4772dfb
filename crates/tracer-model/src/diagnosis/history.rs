//! How connections began and ended, by process and service, as the events show it.

use std::{borrow::Cow, collections::VecDeque};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    Comparison,
    attempts::Attempts,
    common::{has_room, of_one_name},
};
use crate::close::{is_bad, is_unacknowledged};
use tracer_event::{
    close::{Close, Initiator, Reason},
    endpoint::Tuple,
    finding::{LostSegment, Service},
    icmp::Icmp,
    process::{Evidence, Process},
    sequence::Sequence,
    state::State,
    update::{ConnectionSummary, Retransmit, Role, Subject, Transition},
};

/// Ends with an RST that destroyed nothing which are remembered until the other end is told.
const HARMLESS: usize = 64;
/// Times of handshakes, and idle times, of one group that are kept.
const SAMPLES: usize = 1_024;
/// A timer for idle connections is no shorter than this, nor does an application wait as long for a
/// handshake without a reason.
pub(super) const IDLE: u64 = 500_000_000;
/// The first retransmission of a SYN comes after this time (`TCP_TIMEOUT_INIT`).
const FIRST_RETRANSMISSION: u64 = 1_000_000_000;
/// Who gives up sooner has not waited for an answer.
const HASTY: u64 = 100_000_000;

/// All groups.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// By namespace, process and service.
    groups: HashMap<(u32, u32, Service), Group, RandomState>,
    /// The connection that ended last, if a request has met an idle timer on it.
    met: Option<Tuple>,
    /// Attempts to connect that need another SYN.
    attempts: Attempts,
    /// What the other ends of connections are that this host has reset when all had been sent and read
    /// (as a balancer does after its check), which shows to those others as a reset of what they sent;
    /// and the number up to which they were read.
    harmless: VecDeque<(Tuple, u32)>,
}

/// Connections of one process with one service.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The first of them.
    pub subject: Subject,
    /// Other processes of the same name whose connections are among them.
    pub others: u64,
    /// Handshakes of a client that were completed.
    pub connected: u64,
    /// Of these, with a retransmitted SYN.
    pub retransmitted: Times,
    /// Of these, where the SYN+ACK was lost.
    pub answered: u64,
    /// What the retransmissions have cost, nanoseconds.
    pub delay: u64,
    /// How long completed handshakes took, nanoseconds.
    pub handshakes: Vec<u64>,
    /// Attempts to connect that failed.
    pub failures: Vec<(Failure, Times)>,
    /// Attempts that were given up before a SYN was sent again, which may be of one who tries several
    /// addresses at once.
    pub hasty: Times,
    /// Connections that it has accepted.
    pub accepted: u64,
    /// Connections that ended.
    pub ended: u64,
    /// Of these, badly.
    pub ends: Vec<(Reason, Times)>,
    /// Requests that met a server's idle timer.
    pub race: Race,
}

/// Why an attempt to connect failed, and what was lost if that is known.
pub(super) type Failure = (Reason, Option<Icmp>, Option<LostSegment>);

/// Requests on connections that the server had closed for idleness.
#[derive(Clone, Debug, Default)]
pub(super) struct Race {
    pub times: Times,
    /// Idle times before the server's FIN: of these connections, and of all that it has closed.
    pub met: Vec<u64>,
    pub closed: Vec<u64>,
    /// From the FIN to the RST, nanoseconds.
    pub after: Vec<u64>,
}

/// How often, and when for the first time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub count: u64,
    pub first: u64,
}

impl Times {
    fn note(&mut self, time: u64) {
        self.add(Self { count: 1, first: time });
    }

    fn add(&mut self, later: Self) {
        self.first = if self.count == 0 { later.first } else { self.first };
        self.count += later.count;
    }
}

/// The entry of a short list.
fn of<K: PartialEq>(list: &mut Vec<(K, Times)>, key: K) -> &mut Times {
    let index = list.iter().position(|(known, _)| *known == key).unwrap_or(list.len());
    if index == list.len() {
        list.push((key, Times::default()));
    }
    &mut list[index].1
}

fn keep(samples: &mut Vec<u64>, sample: u64) {
    if samples.len() < SAMPLES {
        samples.push(sample);
    }
}

impl History {
    pub(super) fn retransmit(&mut self, event: &Retransmit) {
        self.attempts.retransmit(event);
    }

    pub(super) fn transition(&mut self, transition: &Transition) {
        let Transition { ref subject, from, to, close, time, .. } = *transition;
        match (from, to) {
            (State::SynSent, State::Established) => {
                let lost = self.attempts.end(transition);
                if let Some(group) = self.group(subject) {
                    group.connect(transition, lost);
                }
            }
            (State::SynSent, State::Closed) => {
                let lost = self.attempts.end(transition);
                let failure = close.and_then(|close| failure(transition, close, lost));
                let hasty = close.is_some_and(|close| is_hasty(transition, close));
                if (failure.is_some() || hasty)
                    && let Some(group) = self.group(subject)
                {
                    match failure {
                        Some(failure) => of(&mut group.failures, failure).note(time),
                        None => group.hasty.note(time),
                    }
                }
            }
            (State::TimeWait | State::Listen | State::SynRecv, _) => {}
            (_, State::Closed | State::TimeWait) => {
                let is_harmless = self.is_harmless(transition);
                let group = self.group(subject);
                let met = group.is_some_and(|group| group.end(transition, is_harmless));
                self.met = met.then_some(subject.tuple);
            }
            _ => {}
        }
    }

    /// Whether the RST that has come from the other end on this host has destroyed nothing: all that
    /// this one has written was read there.
    fn is_harmless(&mut self, transition: &Transition) -> bool {
        let Transition { ref subject, from, close, sequence, .. } = *transition;
        let (Some(close), Some(Sequence { write_seq, rcv_nxt, .. })) = (close, sequence) else {
            return false;
        };
        match close.reason {
            Reason::ResetReceived => {
                let is_this = |(ends, _): &(Tuple, u32)| *ends == subject.tuple;
                let known = self.harmless.iter().position(is_this);
                let known = known.and_then(|place| self.harmless.remove(place));
                known.is_some_and(|(_, read)| read == write_seq)
            }
            reason @ Reason::ResetSentLingerZero
                if !is_bad(reason, from, subject.role, sequence) =>
            {
                self.harmless.truncate(HARMLESS - 1);
                self.harmless.push_front((subject.tuple.reversed(), rcv_nxt));
                false
            }
            _ => false,
        }
    }

    /// The summary of a connection follows its last transition.
    pub(super) fn connection(&mut self, summary: &ConnectionSummary) {
        let ConnectionSummary { ref subject, spent, close, .. } = *summary;
        let met = self.met.take() == Some(subject.tuple);
        if summary.ended.is_some()
            && is_accepted(subject)
            && let Some(group) = self.group(subject)
        {
            group.accepted += 1;
        }
        if let Some(close) = close.filter(|close| close.idle.is_some())
            && let Some(group) = self.group(subject)
            && let Some(idle) = group.idle(close)
        {
            keep(&mut group.race.closed, idle);
            if met {
                let closing = [State::FinWait1, State::FinWait2, State::Closing, State::CloseWait];
                keep(&mut group.race.met, idle);
                keep(&mut group.race.after, closing.map(|state| spent[state.index()]).iter().sum());
            }
        }
    }

    /// The group of a connection, unless there are too many.
    fn group(&mut self, subject: &Subject) -> Option<&mut Group> {
        let service = match subject.role {
            Some(Role::Client) => Service::There(subject.tuple.peer),
            Some(Role::Server) => Service::Here(subject.tuple.local),
            _ => return None,
        };
        let pid = subject.owner.map_or(0, |owner| owner.process.pid);
        let key = (subject.tuple.netns, pid, service);
        if !has_room(&self.groups, &key) {
            return None;
        }
        Some(self.groups.entry(key).or_insert_with(|| Group::new(subject)))
    }

    /// Adds what was observed next.
    pub(super) fn add(&mut self, later: &Self) {
        for (key, group) in &later.groups {
            self.groups.entry(*key).or_insert_with(|| Group::new(&group.subject)).add(group);
        }
    }

    /// All groups.
    pub(super) fn all<'a>(
        comparison: &'a Comparison<'_>,
    ) -> impl Iterator<Item = (Service, &'a Group)> {
        let all = comparison.input.observed.history.groups.iter();
        all.map(|((_, _, service), group)| (*service, group))
    }

    /// The groups that are asked about. Who is named comes first: nobody for what only others of the
    /// name have met.
    pub(super) fn wanted<'a>(comparison: &'a Comparison<'_>) -> Vec<(Service, Cow<'a, Group>)> {
        let groups = comparison.input.observed.history.groups.iter();
        let groups = groups.filter(|(_, group)| comparison.wants_subject(&group.subject));
        let groups = groups.map(|((netns, _, service), group)| {
            ((*netns, *service), group.process(), group.troubles(), group)
        });
        let merged = of_one_name(groups, |first, group| {
            first.others += 1;
            first.add(group);
        });
        merged.into_iter().map(|((_, service), group)| (service, group)).collect()
    }
}

/// Whether it is known who has accepted a connection.
pub(super) fn is_accepted(subject: &Subject) -> bool {
    let by = subject.owner.map(|owner| owner.evidence);
    subject.role == Some(Role::Server) && by == Some(Evidence::Accept)
}

/// Why an attempt to connect failed; `None` where it is no failure, or another finding's.
fn failure(transition: &Transition, close: Close, lost: Option<LostSegment>) -> Option<Failure> {
    match close.reason {
        Reason::ConnectTimeout => Some((close.reason, close.icmp, lost)),
        Reason::Refused | Reason::Unreachable => Some((close.reason, close.icmp, None)),
        _ if is_given_up(close) && transition.elapsed >= Some(FIRST_RETRANSMISSION) => {
            Some((Reason::AbortedLocally, None, lost))
        }
        _ => None,
    }
}

/// By close(), or by connect() with AF_UNSPEC, as haproxy does it.
fn is_given_up(close: Close) -> bool {
    matches!(close.reason, Reason::AbortedLocally | Reason::Disconnected)
}

fn is_hasty(transition: &Transition, close: Close) -> bool {
    is_given_up(close) && transition.elapsed >= Some(HASTY)
}

impl Group {
    fn new(subject: &Subject) -> Self {
        Self {
            subject: *subject,
            others: 0,
            connected: 0,
            retransmitted: Times::default(),
            answered: 0,
            delay: 0,
            handshakes: Vec::new(),
            failures: Vec::new(),
            hasty: Times::default(),
            accepted: 0,
            ended: 0,
            ends: Vec::new(),
            race: Race::default(),
        }
    }

    /// How many of them failed, were slow or ended badly.
    fn troubles(&self) -> u64 {
        let failures = self.failures.iter().map(|(_, times)| times);
        let ends = self.ends.iter().map(|(_, times)| times);
        let all = failures.chain(ends).chain([&self.retransmitted, &self.hasty, &self.race.times]);
        all.map(|times| times.count).sum()
    }

    /// Attempts that failed, and those that were given up early where none ever succeeded.
    pub(super) fn failed(&self) -> impl Iterator<Item = (Failure, Times)> {
        let hasty = Some(self.hasty).filter(|hasty| self.connected == 0 && hasty.count > 0);
        let hasty = hasty.map(|hasty| ((Reason::AbortedLocally, None, None), hasty));
        self.failures.iter().copied().chain(hasty)
    }

    /// Whose they are.
    pub(super) fn process(&self) -> Option<Process> {
        self.subject.owner.map(|owner| owner.process)
    }

    fn connect(&mut self, transition: &Transition, lost: Option<LostSegment>) {
        self.connected += 1;
        let Some(handshake) = transition.handshake else { return };
        let Some(duration) = handshake.duration_ns else { return };
        keep(&mut self.handshakes, duration);
        if handshake.syn_retransmits.is_some_and(|retransmits| retransmits > 0) {
            self.retransmitted.note(transition.time);
            self.answered += u64::from(lost == Some(LostSegment::SynAck));
            self.delay += duration.saturating_sub(handshake.rtt_ns.unwrap_or(0));
        }
    }

    /// Whether a request has met an idle timer.
    fn end(&mut self, transition: &Transition, is_harmless: bool) -> bool {
        self.ended += 1;
        let Transition { from, close, sequence, time, at_exit, .. } = *transition;
        let Some(close) = close else { return false };
        let reason = close.reason;
        let met = self.idle(close).is_some() && met_a_timer(transition, reason);
        if met {
            self.race.times.note(time);
        } else if !at_exit && !is_harmless && is_bad(reason, from, self.subject.role, sequence) {
            // What the end of a process resets is told with it.
            of(&mut self.ends, reason).note(time);
        }
        met
    }

    /// For how long a connection was idle that its server has closed first.
    fn idle(&self, close: Close) -> Option<u64> {
        let server = self.subject.role == Some(Role::Server);
        let closer = if server { Initiator::Local } else { Initiator::Peer };
        close.idle.filter(|idle| *idle >= IDLE && close.initiator == Some(closer))
    }

    fn add(&mut self, later: &Self) {
        self.connected += later.connected;
        self.retransmitted.add(later.retransmitted);
        self.answered += later.answered;
        self.hasty.add(later.hasty);
        self.accepted += later.accepted;
        self.delay += later.delay;
        self.ended += later.ended;
        later.handshakes.iter().for_each(|sample| keep(&mut self.handshakes, *sample));
        later.failures.iter().for_each(|(key, times)| of(&mut self.failures, *key).add(*times));
        later.ends.iter().for_each(|(key, times)| of(&mut self.ends, *key).add(*times));
        self.race.times.add(later.race.times);
        for (mine, others) in [
            (&mut self.race.met, &later.race.met),
            (&mut self.race.closed, &later.race.closed),
            (&mut self.race.after, &later.race.after),
        ] {
            others.iter().for_each(|sample| keep(mine, *sample));
        }
    }
}

/// Whether this is the end of a connection that a server has closed for idleness, and whose client
/// has sent a request all the same: at the server data after close(), at the client an RST in
/// CLOSE_WAIT while something is unacknowledged.
fn met_a_timer(transition: &Transition, reason: Reason) -> bool {
    match (reason, transition.from) {
        (Reason::ResetSentDataAfterClose, State::FinWait1 | State::FinWait2) => true,
        (Reason::ResetReceived, State::CloseWait) => is_unacknowledged(transition.sequence),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
