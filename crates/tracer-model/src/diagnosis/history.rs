//! How connections began and ended, by process and service, as the events show it.

mod group;
mod pairs;
#[cfg(test)]
mod tests;
mod times;

use std::{borrow::Cow, collections::VecDeque};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

pub(super) use self::{group::Group, times::Times};
use self::{
    group::{Verdict, failure, is_hasty},
    pairs::Pairs,
};
use super::{
    Comparison,
    attempts::Attempts,
    common::{has_room, of_one_name},
};
use crate::close::is_bad;
use tracer_event::{
    close::Reason,
    endpoint::Tuple,
    finding::Service,
    process::Evidence,
    sequence::Sequence,
    state::State,
    update::{ConnectionSummary, Retransmit, Role, Subject, Transition},
};

/// Ends with an RST that destroyed nothing which are remembered until the other end is told.
const HARMLESS: usize = 64;

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
    pairs: Pairs,
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
                    group.fail(failure, time);
                }
            }
            (State::TimeWait | State::Listen | State::SynRecv, _) => {}
            (_, State::Closed | State::TimeWait) => {
                let is_harmless = self.is_harmless(transition);
                let group = self.group(subject);
                let verdict =
                    group.map_or(Verdict::Fine, |group| group.end(transition, is_harmless));
                self.met = (verdict == Verdict::Met).then_some(subject.tuple);
                self.pair(transition, verdict == Verdict::Bad);
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

    /// Looks for the other end of a connection that ends by an RST.
    fn pair(&mut self, transition: &Transition, is_bad: bool) {
        let subject = &transition.subject;
        let Some(other) = self.pairs.meet(transition, is_bad) else { return };
        let ends = [(*subject, is_bad), (other.subject, other.is_bad)];
        for (subject, _) in ends.iter().filter(|(_, is_bad)| *is_bad) {
            if let Some(group) = self.group(subject) {
                group.paired += 1;
            }
        }
    }

    /// The summary of a connection follows its last transition.
    pub(super) fn connection(&mut self, summary: &ConnectionSummary) {
        let ConnectionSummary { ref subject, close, .. } = *summary;
        let met = self.met.take() == Some(subject.tuple);
        if summary.ended.is_some()
            && is_accepted(subject)
            && let Some(group) = self.group(subject)
        {
            group.accepted += 1;
        }
        if let Some(close) = close.filter(|close| close.idle.is_some())
            && let Some(group) = self.group(subject)
        {
            group.close(summary, close, met);
        }
    }

    /// The group of a connection, unless there are too many.
    fn group(&mut self, subject: &Subject) -> Option<&mut Group> {
        let key = key(subject)?;
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
        let merged = of_one_name(groups, Group::add_other);
        merged.into_iter().map(|((_, service), group)| (service, group)).collect()
    }
}

fn key(subject: &Subject) -> Option<(u32, u32, Service)> {
    let service = match subject.role {
        Some(Role::Client) => Service::There(subject.tuple.peer),
        Some(Role::Server) => Service::Here(subject.tuple.local),
        _ => return None,
    };
    let pid = subject.owner.map_or(0, |owner| owner.process.pid);
    Some((subject.tuple.netns, pid, service))
}

/// Whether it is known who has accepted a connection.
pub(super) fn is_accepted(subject: &Subject) -> bool {
    let by = subject.owner.map(|owner| owner.evidence);
    subject.role == Some(Role::Server) && by == Some(Evidence::Accept)
}
