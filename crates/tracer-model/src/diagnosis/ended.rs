//! Processes that have ended, and what has become of their connections.

use std::{collections::BTreeMap, sync::Arc};

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
}

/// The end of a process.
#[derive(Clone, Copy, Debug)]
struct Exit {
    /// One of its sockets.
    subject: Subject,
    process: Process,
    time: u64,
    open: u64,
    listened: bool,
}

impl Ended {
    /// The end of a process shows only in what it has left open.
    pub(super) fn transition(&mut self, transition: &Transition) {
        let Transition { subject, from, time, at_exit: true, .. } = transition else { return };
        let Some(owner) = subject.owner else { return };
        let process = owner.process;
        let (subject, time) = (*subject, *time);
        let exit = Exit { subject, process, time, open: 0, listened: false };
        if !has_room(&self.exits, &key(&process)) {
            return;
        }
        let exit = self.exits.entry(key(&process)).or_insert(exit);
        exit.time = time;
        if *from == State::Listen {
            exit.listened = true;
        } else {
            exit.open += 1;
        }
    }

    pub(super) fn connection(&mut self, connection: &ConnectionSummary) {
        let (Some(close), Some(owner)) = (connection.close, connection.subject.owner) else {
            return;
        };
        let key = key(&owner.process);
        let is_other = usize::from(connection.subject.role != Some(Role::Server));
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
            let first = Exit { open: 0, ..*exit };
            let known = self.exits.entry(*key).or_insert(first);
            known.time = exit.time;
            known.open += exit.open;
            known.listened |= exit.listened;
        }
    }
}

/// Processes that have ended, as soon as their connections have, or will not soon; those of a
/// container or a unit that has ended as one.
fn processes(comparison: &Comparison<'_>) -> Vec<Finding> {
    let exits = &comparison.input.observed.ended.exits;
    if exits.is_empty() {
        return Vec::new();
    }
    let closing = closing(comparison, exits);
    let enricher = comparison.input.enricher;
    let mut found = Vec::new();
    let mut groups: BTreeMap<String, (Arc<Cgroup>, Vec<&Exit>)> = BTreeMap::new();
    let mut exits: Vec<&Exit> = exits.values().collect();
    exits.sort_unstable_by_key(|exit| key(&exit.process));
    for exit in exits.into_iter().filter(|exit| comparison.wants_subject(&exit.subject)) {
        match enricher.cgroup(&exit.subject) {
            Some(group) if enricher.is_over(&group) => {
                let known = groups.entry(group.whole().to_owned());
                known.or_insert_with(|| (group, Vec::new())).1.push(exit);
            }
            // The others of the container may be about to end.
            Some(group) if group.container.is_some() && is_fresh(comparison, exit) => {}
            _ => found.extend(finding(comparison, &closing, &[exit], None)),
        }
    }
    let of_group = |(group, exits): (Arc<Cgroup>, Vec<&Exit>)| {
        finding(comparison, &closing, &exits, Some(&group))
    };
    found.extend(groups.into_values().filter_map(of_group));
    found
}

fn is_fresh(comparison: &Comparison<'_>, exit: &Exit) -> bool {
    comparison.now() < exit.time.saturating_add(PATIENCE)
}

/// What has become of the connections of processes that are one: of those of a group, or of one.
fn finding(
    comparison: &Comparison<'_>,
    closing: &HashMap<Key, u64, RandomState>,
    exits: &[&Exit],
    group: Option<&Cgroup>,
) -> Option<Finding> {
    let known = &comparison.input.observed.ended.ends;
    let (mut incoming, mut all) = (Ends::default(), Ends::default());
    for exit in exits {
        let since = exit.time.saturating_sub(PATIENCE) / SECOND;
        let ends = known.get(&key(&exit.process)).into_iter().flat_map(|lately| &lately.0);
        for (_, [accepted, others]) in ends.filter(|(second, _)| *second >= since) {
            incoming.add(accepted);
            [accepted, others].iter().for_each(|ends| all.add(ends));
        }
    }
    let still_closing = exits.iter().filter_map(|exit| closing.get(&key(&exit.process))).sum();
    if still_closing > 0 && exits.iter().any(|exit| is_fresh(comparison, exit)) {
        return None;
    }
    let listener = exits.iter().find(|exit| exit.listened);
    let severity = if incoming.lost() > 0 {
        Severity::Warning
    } else if listener.is_some() || names_processes(comparison) {
        Severity::Info
    } else {
        return None;
    };
    let first = listener.or(exits.first())?;
    let ended = ProcessEnded {
        process: first.process,
        group: group.map(|group| EndedGroup {
            path: group.whole().into(),
            container: group.container.as_deref().map(Into::into),
            pod: group.pod.as_deref().map(Into::into),
            pod_name: group.pod_name.clone(),
            unit: group.unit.as_deref().map(Into::into),
            processes: exits.len() as u64,
        }),
        left_open: exits.iter().map(|exit| exit.open).sum(),
        ends: all,
        still_closing,
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
