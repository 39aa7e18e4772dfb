//! Connections that are silent after an answer, and held by who does not wait for them.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_wire::Record;

use super::{
    common::most_first,
    comparison::{Comparison, Detector, Kin, Seen},
    peers,
};
use crate::{connection::SocketId, held};
use tracer_event::{
    activity::Activity,
    endpoint::Tuple,
    finding::{ClosedButHeld, Finding, LeftOpen, Problem, Service, Severity},
    process::{Owner, Process},
};

pub(super) const DETECTORS: &[Detector] = &[silent];

/// From here on a client has noticed, nanoseconds.
const LONG: u64 = 4_000_000_000;
/// Who serves a connection says something sooner, as a rule.
const WORK: u64 = 60_000_000_000;
/// So many were not left open on purpose, to say something to one when the next one has come.
const SEVERAL: usize = 3;
/// Standard input, output and error are given to a process on purpose.
const STANDARD: u32 = 2;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    netns: u32,
    service: Service,
    who: Vec<Kin>,
    closed_by: Process,
}

/// Silent connections that nobody waits for.
fn silent(comparison: &Comparison<'_>) -> Vec<Finding> {
    let last = &comparison.input.last.snapshot;
    let silent = held::silent(&last.records, &last.holders, comparison.input.ticks);
    let seen = |records: Vec<&Record>, is_off: fn(&Activity, u32) -> bool| {
        seen(comparison, &records, is_off)
    };
    let mut found = by_another(comparison, &seen(silent.apart, Activity::ignores));
    found.extend(left_open(comparison, &seen(silent.by_listener, |does, _| does.only_accepts())));
    found
}

/// Those of the records that are asked about and that none of their holders waits for.
fn seen<'c>(
    comparison: &'c Comparison<'_>,
    records: &[&Record],
    is_off: fn(&Activity, u32) -> bool,
) -> Vec<&'c Seen<'c>> {
    if records.is_empty() {
        return Vec::new();
    }
    let ids: HashSet<SocketId, RandomState> = records.iter().copied().map(SocketId::of).collect();
    let ignores = |holder: &Owner| {
        let facts = comparison.input.last.host.processes.get(&holder.process.pid);
        let fd = holder.fd.filter(|fd| *fd > STANDARD);
        facts.zip(fd).is_some_and(|(facts, fd)| is_off(&facts.activity, fd))
    };
    let is_ignored = |seen: &&Seen<'_>| {
        ids.contains(&SocketId::of(seen.record))
            && comparison.holders(seen.record).iter().all(ignores)
            && comparison.wants_seen(seen)
    };
    comparison.seen.iter().filter(is_ignored).collect()
}

/// Connections that are held by whom their listener's process has handed them to.
fn by_another(comparison: &Comparison<'_>, silent: &[&Seen<'_>]) -> Vec<Finding> {
    let mut groups: HashMap<Key, Vec<(&Seen<'_>, bool)>, RandomState> = HashMap::default();
    for &seen in silent {
        let holders = comparison.holders(seen.record);
        let Some((closed_by, accepted)) = closed_by(comparison, seen.record, holders) else {
            continue;
        };
        let tuple = seen.tuple();
        let key = Key {
            netns: tuple.netns,
            service: comparison.service(&tuple),
            who: comparison.kin(holders.iter().map(|holder| holder.process)),
            closed_by,
        };
        groups.entry(key).or_default().push((seen, accepted));
    }
    groups.iter().map(|(key, members)| finding(comparison, key, members)).collect()
}

/// Connections whose processes do nothing any more but accept the next ones.
fn left_open(comparison: &Comparison<'_>, silent: &[&Seen<'_>]) -> Vec<Finding> {
    let mut groups: HashMap<peers::Key<()>, Vec<&Seen<'_>>, RandomState> = HashMap::default();
    for &seen in silent {
        groups.entry(peers::key(comparison, seen, ())).or_default().push(seen);
    }
    let ticks = comparison.input.ticks;
    let finding = |(key, members): (peers::Key<()>, Vec<&Seen<'_>>)| {
        let idle = |seen: &&Seen<'_>| held::idle_after_answer(seen.record, ticks);
        let idle = members.iter().filter_map(idle);
        let problem = LeftOpen {
            connections: peers::connections(comparison, &members, key.service),
            new: idle.clone().filter(|idle| *idle < comparison.elapsed()).count() as u64,
            idle: idle.max().unwrap_or(0),
        };
        let grows = problem.new > 0 && problem.idle >= LONG;
        let severity = if grows { Severity::Warning } else { Severity::Info };
        comparison.finding(severity, key.netns, Problem::LeftOpen(Box::new(problem)))
    };
    groups.into_iter().filter(|(_, members)| members.len() >= SEVERAL).map(finding).collect()
}

/// Who is done with a connection, and whether it was seen to accept it: else the parent of a holder
/// that listens for its like.
fn closed_by(
    comparison: &Comparison<'_>,
    record: &Record,
    holders: &[Owner],
) -> Option<(Process, bool)> {
    if let Some(creator) = comparison.input.table.creator(SocketId::of(record)) {
        let holds = holders.iter().any(|holder| holder.process.is(&creator.process));
        return (!holds).then_some((creator.process, true));
    }
    let local = Tuple::of(record).local;
    let listeners = comparison.listeners_of(record.netns, local);
    let mut listening = listeners.iter().flat_map(|one| comparison.holders(one));
    let parent = listening.find(|owner| is_parent(comparison, &owner.process, holders))?;
    Some((parent.process, false))
}

fn is_parent(comparison: &Comparison<'_>, process: &Process, holders: &[Owner]) -> bool {
    let processes = &comparison.input.last.host.processes;
    let parent = |holder: &Owner| Some(processes.get(&holder.process.pid)?.parent);
    holders.iter().any(|holder| parent(holder) == Some(process.pid))
}

/// Whether each connection is another process's, or its and its children's.
fn each_has_one(comparison: &Comparison<'_>, members: &[(&Seen<'_>, bool)]) -> bool {
    let holders = |seen: &Seen<'_>| {
        let [holders, _] = peers::heirs(comparison, comparison.holders(seen.record));
        holders
    };
    let mut known = HashSet::<Process, RandomState>::default();
    members.iter().all(|(seen, _)| match holders(seen)[..] {
        [one] => known.insert(one),
        _ => false,
    })
}

/// Whether a process knows of its descriptor: it runs the code of its parent, or was started with it as
/// the first that is free (`SD_LISTEN_FDS_START`).
fn may_serve(holder: &Owner, key: &Key) -> bool {
    const FIRST: u32 = 3;
    holder.process.comm == key.closed_by.comm || holder.fd.is_some_and(|fd| fd <= FIRST)
}

fn finding(comparison: &Comparison<'_>, key: &Key, members: &[(&Seen<'_>, bool)]) -> Finding {
    let ticks = comparison.input.ticks;
    let idle = members.iter().filter_map(|(seen, _)| held::idle_after_answer(seen.record, ticks));
    let idle = idle.max().unwrap_or(0);
    let holders = || members.iter().flat_map(|(seen, _)| comparison.holders(seen.record));
    let processes = most_first(holders().map(|holder| holder.process), |process| process.pid);
    let pid = processes.first().map(|(process, _)| process.pid);
    let of_first = holders().filter(|holder| Some(holder.process.pid) == pid);
    let mut fds: Vec<u32> = of_first.filter_map(|holder| holder.fd).collect();
    fds.sort_unstable();
    let owners: Vec<Owner> = holders().copied().collect();
    let may_serve =
        each_has_one(comparison, members) && owners.iter().all(|one| may_serve(one, key));
    let problem = ClosedButHeld {
        sockets: members.len() as u64,
        holders: processes.iter().map(|(process, _)| comparison.program(*process)).collect(),
        fds,
        closed_by: key.closed_by,
        is_parent: is_parent(comparison, &key.closed_by, &owners),
        accepted: members.iter().all(|(_, accepted)| *accepted),
        may_serve,
        service: key.service,
        peer: members[0].0.tuple().peer,
        idle,
        doing: pid.and_then(|pid| comparison.doing(pid)),
    };
    let long = if may_serve { WORK } else { LONG };
    let severity = if idle >= long { Severity::Warning } else { Severity::Info };
    comparison.finding(severity, key.netns, Problem::ClosedButHeld(Box::new(problem)))
}
