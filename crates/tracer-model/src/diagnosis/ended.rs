//! Processes that have ended, and what has become of their connections.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    common::has_room,
    comparison::{Comparison, Detector},
};
use crate::filter::Condition;
use tracer_event::{
    container::Cgroup,
    finding::{EndedGroup, Ends, Finding, Problem, ProcessEnded, Severity},
    process::Process,
    state::State,
    update::{ConnectionSummary, Role, Subject, Transition},
};

pub(super) const DETECTORS: &[Detector] = &[processes];

/// How long the ends of what a process has left open are waited for, nanoseconds.
const PATIENCE: u64 = 3 * SECOND;
const SECOND: u64 = 1_000_000_000;

/// What ends so soon after data has come does so because of it: a process for one connection, as those of
/// PostgreSQL are, whose client says goodbye. Nanoseconds.
const PROMPT: u64 = 20_000_000;

/// A process by its id and its start: ids are given again.
type Key = (u32, u64);

fn key(process: &Process) -> Key {
    (process.pid, process.start_ns)
}

/// How connections ended, by second: incoming ones, and the others. Those that a process has ended
/// long before itself have nothing to do with its end.
#[derive(Clone, Debug, Default)]
struct Lately(Vec<(u64, [Ends; 2])>);

impl Lately {
    /// Seconds with ends that are remembered.
    const MOST: usize = 8;

    fn at(&mut self, second: u64) -> &mut [Ends; 2] {
        if self.0.last().is_none_or(|(last, _)| *last < second) {
            if self.0.len() == Self::MOST {
                self.0.remove(0);
            }
            self.0.push((second, Default::default()));
        }
        let last = self.0.len() - 1;
        &mut self.0[last].1
    }

    fn add(&mut self, later: &Self) {
        for (second, ends) in &later.0 {
            self.at(*second).iter_mut().zip(ends).for_each(|(known, ends)| known.add(ends));
        }
    }
}

/// What events say of ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended {
    ends: HashMap<Key, Lately, RandomState>,
    /// Processes that have ended with a socket open.
    exits: HashMap<Key, Exit, RandomState>,
    /// Ports on which something was sent, by namespace: what only reads, as one that takes logs does,
    /// owes nobody an answer.
    answering: HashMap<(u32, u16), (), RandomState>,
}

/// The end of a process.
#[derive(Clone, Copy, Debug)]
struct Exit {
    /// One of its sockets.
    subject: Subject,
    process: Process,
    time: u64,
    open: u64,
    /// Of these, accepted ones.
    accepted: u64,
    /// Of these, with a request that was not answered; and one that came just before.
    unanswered: u64,
    prompt: u64,
    listened: bool,
}

impl Exit {
    fn new(subject: Subject, process: Process, time: u64) -> Self {
        let [open, accepted, unanswered, prompt] = [0; 4];
        Self { subject, process, time, open, accepted, unanswered, prompt, listened: false }
    }

    fn add(&mut self, later: &Self) {
        let Self { subject: _, process: _, time, open, accepted, unanswered, prompt, listened } =
            *later;
        self.time = time;
        self.open += open;
        self.accepted += accepted;
        self.unanswered += unanswered;
        self.prompt += prompt;
        self.listened |= listened;
    }

    fn unanswered(&self) -> u64 {
        self.unanswered - if self.accepted == 1 { self.prompt } else { 0 }
    }
}

impl Ended {
    /// The end of a process shows only in what it has left open.
    pub(super) fn transition(&mut self, transition: &Transition) {
        let Transition { subject, from, time, at_exit: true, .. } = transition else { return };
        let Some(owner) = subject.owner else { return };
        let process = owner.process;
        let (subject, time) = (*subject, *time);
        let port = (subject.tuple.netns, subject.tuple.local.port);
        if transition.sequence.is_some_and(|sequence| sequence.acked > 0) {
            self.answers(port);
        }
        let is_server = subject.role == Some(Role::Server);
        let answers = is_server && self.answering.contains_key(&port);
        let unanswered = transition.unanswered.filter(|_| answers);
        let exit = Exit::new(subject, process, time);
        if !has_room(&self.exits, &key(&process)) {
            return;
        }
        let exit = self.exits.entry(key(&process)).or_insert(exit);
        exit.time = time;
        if *from == State::Listen {
            exit.listened = true;
        } else {
            exit.open += 1;
            exit.accepted += u64::from(is_server);
            exit.unanswered += u64::from(unanswered.is_some());
            exit.prompt += u64::from(unanswered.is_some_and(|since| since < PROMPT));
        }
    }

    fn answers(&mut self, port: (u32, u16)) {
        if has_room(&self.answering, &port) {
            self.answering.insert(port, ());
        }
    }

    pub(super) fn connection(&mut self, connection: &ConnectionSummary) {
        let is_server = connection.subject.role == Some(Role::Server);
        if is_server && connection.bytes_sent.is_some_and(|sent| sent > 0) {
            let tuple = connection.subject.tuple;
            self.answers((tuple.netns, tuple.local.port));
        }
        let (Some(close), Some(owner)) = (connection.close, connection.subject.owner) else {
            return;
        };
        let key = key(&owner.process);
        let is_other = usize::from(!is_server);
        // What comes after the end of the process is all of one time.
        let time = self.exits.get(&key).map_or(u64::MAX, |exit| exit.time).min(connection.time);
        if has_room(&self.ends, &key) {
            self.ends.entry(key).or_default().at(time / SECOND)[is_other].count(close.reason);
        }
    }

    /// Adds what happened next.
    pub(super) fn add(&mut self, later: &Self) {
        for (key, ends) in &later.ends {
            if has_room(&self.ends, key) {
                self.ends.entry(*key).or_default().add(ends);
            }
        }
        for (key, exit) in &later.exits {
            if !has_room(&self.exits, key) {
                continue;
            }
            match self.exits.get_mut(key) {
                Some(known) => known.add(exit),
                None => _ = self.exits.insert(*key, *exit),
            }
        }
        later.answering.keys().for_each(|port| self.answers(*port));
    }
}

/// Processes that have ended, as soon as their connections have, or will not soon; those of a
/// container or a unit that has ended as one, and those of one name whose connections lost something.
fn processes(comparison: &Comparison<'_>) -> Vec<Finding> {
    let exits = &comparison.input.observed.ended.exits;
    if exits.is_empty() {
        return Vec::new();
    }
    let closing = closing(comparison, exits);
    let enricher = comparison.input.enricher;
    let mut found = Vec::new();
    let mut groups: BTreeMap<String, (Arc<Cgroup>, Vec<Fate<'_>>)> = BTreeMap::new();
    let mut names: BTreeMap<(u32, [u8; 16]), Vec<Fate<'_>>> = BTreeMap::new();
    let mut exits: Vec<&Exit> = exits.values().collect();
    exits.sort_unstable_by_key(|exit| key(&exit.process));
    for exit in exits.into_iter().filter(|exit| comparison.wants_subject(&exit.subject)) {
        let fate = Fate::of(comparison, &closing, exit);
        match enricher.cgroup(&exit.subject) {
            Some(group) if enricher.is_over(&group) => {
                let known = groups.entry(group.whole().to_owned());
                known.or_insert_with(|| (group, Vec::new())).1.push(fate);
            }
            // The others of the container may be about to end.
            Some(group) if group.container.is_some() && is_fresh(comparison, exit) => {}
            _ if fate.incoming.lost() > 0 && !fate.is_awaited(comparison) => {
                names.entry((exit.subject.tuple.netns, exit.process.comm)).or_default().push(fate);
            }
            _ => found.extend(finding(comparison, vec![fate], None)),
        }
    }
    for (group, fates) in groups.into_values() {
        found.extend(finding(comparison, fates, Some(&group)));
    }
    for fates in names.into_values() {
        found.extend(finding(comparison, fates, None));
    }
    found
}

fn is_fresh(comparison: &Comparison<'_>, exit: &Exit) -> bool {
    comparison.now() < exit.time.saturating_add(PATIENCE)
}

/// What has become of the connections of a process.
struct Fate<'a> {
    exit: &'a Exit,
    incoming: Ends,
    all: Ends,
    still_closing: u64,
}

impl<'a> Fate<'a> {
    fn of(
        comparison: &Comparison<'_>,
        closing: &HashMap<Key, u64, RandomState>,
        exit: &'a Exit,
    ) -> Self {
        let key = key(&exit.process);
        let (mut incoming, mut others) = (Ends::default(), Ends::default());
        let since = exit.time.saturating_sub(PATIENCE) / SECOND;
        let known = &comparison.input.observed.ended.ends;
        let ends = known.get(&key).into_iter().flat_map(|lately| &lately.0);
        for (_, [accepted, other]) in ends.filter(|(second, _)| *second >= since) {
            incoming.add(accepted);
            others.add(other);
        }
        // The end of a connection does not show it: a FIN is a FIN.
        incoming.unanswered = exit.unanswered();
        incoming.closed_normally = incoming.closed_normally.saturating_sub(incoming.unanswered);
        others.add(&incoming);
        let still_closing = closing.get(&key).copied().unwrap_or(0);
        Self { exit, incoming, all: others, still_closing }
    }

    /// Its connections are about to end.
    fn is_awaited(&self, comparison: &Comparison<'_>) -> bool {
        self.still_closing > 0 && is_fresh(comparison, self.exit)
    }
}

/// What has become of the connections of processes that are one: of those of a group, of those of
/// one name, or of one.
fn finding(
    comparison: &Comparison<'_>,
    mut fates: Vec<Fate<'_>>,
    group: Option<&Cgroup>,
) -> Option<Finding> {
    // Who is named comes first.
    fates.sort_by_key(|fate| Reverse((fate.exit.listened, fate.incoming.lost())));
    let first = fates.first()?.exit;
    let mut ends = Ends::default();
    fates.iter().for_each(|fate| ends.add(&fate.all));
    if fates.iter().any(|fate| fate.is_awaited(comparison)) {
        return None;
    }
    let severity = if fates.iter().any(|fate| fate.incoming.lost() > 0) {
        Severity::Warning
    } else if first.listened || names_processes(comparison) {
        Severity::Info
    } else {
        return None;
    };
    let processes = fates.len() as u64;
    let ended = ProcessEnded {
        process: first.process,
        others: if group.is_some() { 0 } else { processes - 1 },
        group: group.map(|group| EndedGroup {
            path: group.whole().into(),
            container: group.container.as_deref().map(Into::into),
            pod: group.pod.as_deref().map(Into::into),
            pod_name: group.pod_name.clone(),
            unit: group.unit.as_deref().map(Into::into),
            processes,
        }),
        left_open: fates.iter().map(|fate| fate.exit.open).sum(),
        ends,
        still_closing: fates.iter().map(|fate| fate.still_closing).sum(),
    };
    let netns = first.subject.tuple.netns;
    Some(comparison.finding(severity, netns, Problem::ProcessEnded(Box::new(ended))))
}

/// Connections of these that are not over.
fn closing(
    comparison: &Comparison<'_>,
    exits: &HashMap<Key, Exit, RandomState>,
) -> HashMap<Key, u64, RandomState> {
    let mut closing = HashMap::default();
    let lives = comparison.input.table.connections();
    for life in lives.filter(|life| !matches!(life.state, State::TimeWait | State::Listen)) {
        let Some(owner) = life.owner() else { continue };
        let key = key(&owner.process);
        if exits.contains_key(&key) {
            *closing.entry(key).or_default() += 1;
        }
    }
    closing
}

/// Whether somebody waits for the end of certain processes.
fn names_processes(comparison: &Comparison<'_>) -> bool {
    use Condition::{Cgroup, Comm, Container, Pid};
    let named = comparison.input.filter.expression().affirmed();
    named.iter().any(|one| matches!(one, Pid(_) | Comm(_) | Container(_) | Cgroup(_)))
}
