//! What has become of the connections of one process with one service.

use std::collections::VecDeque;

use super::times::{Times, of};
use crate::close::{is_bad, is_unacknowledged};
use tracer_event::{
    close::{Close, Initiator, Reason},
    endpoint::Tuple,
    finding::LostSegment,
    icmp::Icmp,
    process::Process,
    sequence::Sequence,
    state::State,
    update::{ConnectionSummary, Role, Subject, Transition},
};

/// Times of handshakes, and idle times, of one group that are kept.
const SAMPLES: usize = 1_024;
/// Connections that were reset whose other ends are looked for.
const RESET: usize = 16;
/// A timer for idle connections is no shorter than this, nor does an application wait as long for a
/// handshake without a reason.
const IDLE: u64 = 500_000_000;

const SECOND: u64 = 1_000_000_000;
/// The first retransmission of a SYN comes after this time (`TCP_TIMEOUT_INIT`).
const FIRST_RETRANSMISSION: u64 = 1_000_000_000;
/// Who gives up sooner has not waited for an answer.
const HASTY: u64 = 100_000_000;

/// Connections of one process with one service.
#[derive(Clone, Debug)]
pub(in crate::diagnosis) struct Group {
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
    /// When an attempt failed last, when one succeeded first, and first after that.
    failed_at: u64,
    connected_first: u64,
    connected_again: u64,
    /// Attempts have failed again after one that succeeded.
    relapsed: bool,
    /// Whether it is over for each of these processes, where there are several.
    over: Option<bool>,
    /// Connections that it has accepted.
    pub accepted: u64,
    /// Connections that ended.
    pub ended: u64,
    /// Of these, badly.
    ends: Vec<(Reason, Times)>,
    /// Others that were reset because their process had ended.
    pub reset_at_exit: u64,
    /// The last of these that an RST has ended, with their numbers and when.
    pub reset: VecDeque<(Tuple, Sequence, u64)>,
    /// Requests that met a server's idle timer.
    pub race: Race,
    /// Connections that a client has closed because no answer came.
    pub gave_up: GaveUp,
    /// Of those that ended badly, whose other end was seen to end so as well, by the RST of the one.
    pub paired: u64,
}

/// Why an attempt to connect failed, and what was lost if that is known.
pub(super) type Failure = (Reason, Option<Icmp>, Option<LostSegment>);

/// Requests on connections that the server had closed for idleness.
#[derive(Clone, Debug, Default)]
pub(in crate::diagnosis) struct Race {
    pub times: Times,
    /// Idle times before the server's FIN: of these connections, and of all that it has closed.
    pub met: Vec<u64>,
    pub closed: Vec<u64>,
    /// From the FIN to the RST, nanoseconds.
    pub after: Vec<u64>,
    /// Seconds of these FINs.
    pub seconds: Vec<u64>,
    /// Others that a server had closed, which were there before: nobody knows for how long.
    older: Times,
}

/// Connections on which an answer was waited for, and by which RST they ended.
#[derive(Clone, Debug, Default)]
pub(in crate::diagnosis) struct GaveUp {
    pub ends: Vec<(Reason, Times)>,
    /// For how long, nanoseconds.
    pub waited: Vec<u64>,
}

/// What the end of a connection was: fine also where it is counted apart; or it has met an idle timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    Bad,
    Met,
}

/// The first of two times, of which 0 is none.
fn or_first(known: u64, time: u64) -> u64 {
    if known == 0 { time } else { known }
}

fn keep(samples: &mut Vec<u64>, sample: u64) {
    if samples.len() < SAMPLES {
        samples.push(sample);
    }
}

impl Group {
    pub(super) fn new(subject: &Subject) -> Self {
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
            failed_at: 0,
            connected_first: 0,
            connected_again: 0,
            relapsed: false,
            over: None,
            accepted: 0,
            ended: 0,
            ends: Vec::new(),
            reset_at_exit: 0,
            reset: VecDeque::new(),
            race: Race::default(),
            gave_up: GaveUp::default(),
            paired: 0,
        }
    }

    /// How many of them failed, were slow or ended badly.
    pub(super) fn troubles(&self) -> u64 {
        let failures = self.failures.iter().map(|(_, times)| times);
        let ends = self.ends.iter().chain(&self.gave_up.ends).map(|(_, times)| times);
        let Race { times, older, .. } = &self.race;
        let all = failures.chain(ends).chain([&self.retransmitted, &self.hasty, times, older]);
        all.map(|times| times.count).sum()
    }

    /// Attempts that failed, and those that were given up early where none ever succeeded.
    pub(in crate::diagnosis) fn failed(&self) -> impl Iterator<Item = (Failure, Times)> {
        let hasty = Some(self.hasty).filter(|hasty| self.connected == 0 && hasty.count > 0);
        let hasty = hasty.map(|hasty| ((Reason::AbortedLocally, None, None), hasty));
        self.failures.iter().copied().chain(hasty)
    }

    /// Whose they are.
    pub(in crate::diagnosis) fn process(&self) -> Option<Process> {
        self.subject.owner.map(|owner| owner.process)
    }

    pub(super) fn connect(&mut self, transition: &Transition, lost: Option<LostSegment>) {
        self.connected += 1;
        self.connected_first = or_first(self.connected_first, transition.time);
        if !self.has_recovered() {
            self.connected_again = transition.time;
        }
        let Some(handshake) = transition.handshake else { return };
        let Some(duration) = handshake.duration_ns else { return };
        keep(&mut self.handshakes, duration);
        if handshake.syn_retransmits.is_some_and(|retransmits| retransmits > 0) {
            self.retransmitted.note(transition.time);
            self.answered += u64::from(lost == Some(LostSegment::SynAck));
            self.delay += duration.saturating_sub(handshake.rtt_ns.unwrap_or(0));
        }
    }

    pub(super) fn end(&mut self, transition: &Transition, is_harmless: bool) -> Verdict {
        self.ended += 1;
        let Transition { from, close, sequence, time, at_exit, .. } = *transition;
        let Some(close) = close else { return Verdict::Fine };
        let reason = close.reason;
        let met = met_a_timer(transition, reason);
        if met && self.idle(close).is_some() {
            self.race.times.note(time);
            return Verdict::Met;
        } else if met
            && close.idle.is_none()
            && reason == Reason::ResetReceived
            && self.is_clients()
        {
            self.race.older.note(time);
            return Verdict::Fine;
        }
        if let Some(waited) = self.waited(close) {
            of(&mut self.gave_up.ends, reason).note(time);
            keep(&mut self.gave_up.waited, waited);
        } else if is_harmless || !is_bad(reason, from, self.subject.role, sequence) {
            return Verdict::Fine;
        } else if at_exit {
            self.reset_at_exit += 1;
            return Verdict::Fine;
        } else {
            of(&mut self.ends, reason).note(time);
            let numbers = sequence.filter(|_| reason == Reason::ResetReceived);
            self.keep_reset(numbers.map(|numbers| (transition.subject.tuple, numbers, time)));
        }
        Verdict::Bad
    }

    /// How they ended that ended badly, and whether the server had closed them: what has met an idle
    /// timer, or probably has, is told with that.
    pub(in crate::diagnosis) fn ends(&self) -> Vec<(Reason, Times, bool)> {
        let ends = self.ends.iter().map(|(reason, times)| (*reason, *times, false));
        let is_told = self.race.older.count == 0 || self.race.times.count > 0;
        let older = (!is_told).then_some((Reason::ResetReceived, self.race.older, true));
        ends.chain(older).collect()
    }

    /// An attempt to connect that failed, or was given up early.
    pub(super) fn fail(&mut self, failure: Option<Failure>, time: u64) {
        // Who has reached the destination may try another address of its as well.
        if failure.is_some() || self.connected == 0 {
            self.relapsed |= self.has_recovered();
            self.failed_at = time;
        }
        match failure {
            Some(failure) => of(&mut self.failures, failure).note(time),
            None => self.hasty.note(time),
        }
    }

    fn has_recovered(&self) -> bool {
        self.failed_at > 0 && self.connected_again > self.failed_at
    }

    /// When attempts failed last, and when they succeeded again, if they failed for one time and all
    /// later ones have succeeded.
    pub(in crate::diagnosis) fn recovered(&self) -> Option<(u64, u64)> {
        let is_over = self.over.unwrap_or(self.has_recovered() && !self.relapsed);
        is_over.then_some((self.failed_at, self.connected_again))
    }

    /// Adds what another process of the name has met.
    pub(super) fn add_other(&mut self, other: &Self) {
        let is_fine = |one: &Self| one.failed_at == 0 || one.recovered().is_some();
        let (over, again) = (is_fine(self) && is_fine(other), self.connected_again);
        self.others += 1;
        self.add(other);
        self.over = Some(over && self.failed_at > 0);
        // The last of them.
        self.connected_again = again.max(other.connected_again);
    }

    /// How an idle connection was closed, and the time spent in each state.
    pub(super) fn close(&mut self, summary: &ConnectionSummary, close: Close, met: bool) {
        let Some(idle) = self.idle(close) else { return };
        keep(&mut self.race.closed, idle);
        if met {
            let closing = [State::FinWait1, State::FinWait2, State::Closing, State::CloseWait];
            keep(&mut self.race.met, idle);
            let after = closing.map(|state| summary.spent[state.index()]).iter().sum();
            keep(&mut self.race.after, after);
            keep(&mut self.race.seconds, summary.time.saturating_sub(after) / SECOND);
        }
    }

    fn keep_reset(&mut self, last: impl IntoIterator<Item = (Tuple, Sequence, u64)>) {
        self.reset.extend(last);
        self.reset.drain(..self.reset.len().saturating_sub(RESET));
    }

    /// For how long a connection was idle that its server has closed first.
    fn idle(&self, close: Close) -> Option<u64> {
        let server = self.subject.role == Some(Role::Server);
        let closer = if server { Initiator::Local } else { Initiator::Peer };
        close.idle.filter(|idle| *idle >= IDLE && close.initiator == Some(closer))
    }

    fn is_clients(&self) -> bool {
        self.subject.role == Some(Role::Client)
    }

    /// For how long a client had waited for an answer when it closed the connection: it has sent an RST
    /// at once, or the answer has met one.
    fn waited(&self, close: Close) -> Option<u64> {
        use Reason::{ResetSentDataAfterClose, ResetSentLingerZero};
        let is_own = matches!(close.reason, ResetSentDataAfterClose | ResetSentLingerZero)
            && close.initiator == Some(Initiator::Local)
            && self.is_clients();
        close.idle.filter(|idle| is_own && close.awaited && *idle >= HASTY)
    }

    pub(super) fn add(&mut self, later: &Self) {
        if later.failed_at > 0 {
            let is_between = (1..later.failed_at).contains(&later.connected_first);
            self.relapsed |=
                later.relapsed || self.failed_at > 0 && (self.has_recovered() || is_between);
        }
        self.connected_again = match later.failed_at {
            0 if self.has_recovered() => self.connected_again,
            0 => later.connected_first,
            _ => later.connected_again,
        };
        self.connected_first = or_first(self.connected_first, later.connected_first);
        self.failed_at = self.failed_at.max(later.failed_at);
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
        self.reset_at_exit += later.reset_at_exit;
        self.keep_reset(later.reset.iter().copied());
        self.race.times.add(later.race.times);
        self.race.older.add(later.race.older);
        self.paired += later.paired;
        let gave_up = &later.gave_up.ends;
        gave_up.iter().for_each(|(key, times)| of(&mut self.gave_up.ends, *key).add(*times));
        for (mine, others) in [
            (&mut self.race.met, &later.race.met),
            (&mut self.race.closed, &later.race.closed),
            (&mut self.race.after, &later.race.after),
            (&mut self.race.seconds, &later.race.seconds),
            (&mut self.gave_up.waited, &later.gave_up.waited),
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

/// Why an attempt to connect failed; `None` where it is no failure, or another finding's.
pub(super) fn failure(
    transition: &Transition,
    close: Close,
    lost: Option<LostSegment>,
) -> Option<Failure> {
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

pub(super) fn is_hasty(transition: &Transition, close: Close) -> bool {
    is_given_up(close) && transition.elapsed >= Some(HASTY)
}
