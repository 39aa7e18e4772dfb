//! What runs out: ephemeral ports, places for TIME_WAIT, descriptors.

use std::borrow::Cow;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_wire::Record;

use super::{
    Input,
    common::{each_once, most_first, of_one_name},
    comparison::{Comparison, Detector, Seen},
};
use crate::{
    connection::{Connection, SocketId},
    ports,
    socket::idle,
};
use tracer_event::{
    close::Initiator,
    endpoint::Tuple,
    finding::{
        Descriptors, Finding, Holds, OutOfDescriptors, PortUse, Problem, Scope, Service, Severity,
        TimeWaitOverflow,
    },
    host::ProcessFacts,
    process::Process,
    state::State,
};

pub(super) const DETECTORS: &[Detector] = &[ports, time_wait, descriptors];

/// Services named in a finding.
const NAMED: usize = 3;

/// Destinations (and addresses whose ports bind() chose) with half of the range in use.
fn ports(comparison: &Comparison<'_>) -> Vec<Finding> {
    let input = comparison.input;
    let scarce = ports::scarce(comparison.ports().to_vec());
    if scarce.is_empty() {
        return Vec::new();
    }
    let wanted = wanted_ports(comparison);
    // Without cookies a minisocket has another identity than the socket had that it is of.
    let waiting = input.table.connections().filter(|life| life.state == State::TimeWait);
    let waiting = waiting.map(|life| (life.tuple, life)).collect();
    scarce
        .into_iter()
        .filter(|(_, one)| wanted.contains(&(one.netns, one.scope)))
        .map(|(severity, one)| {
            let earlier = input.first.ports.get(&(one.netns, one.scope)).copied().unwrap_or(0);
            let growth = comparison.per_minute(i64::from(one.busy()) - i64::from(earlier));
            let rate = rate(comparison, &one);
            let processes = processes(comparison, &one, &waiting);
            let netns = one.netns;
            let problem =
                Problem::EphemeralPorts(PortUse { rate, processes, ..one.growing(growth) });
            comparison.finding(severity, netns, problem)
        })
        .collect()
}

/// Whose the sockets are. One in TIME_WAIT has no holder any more: the table remembers who closed.
fn processes(
    comparison: &Comparison<'_>,
    ports: &PortUse,
    waiting: &HashMap<Tuple, &Connection, RandomState>,
) -> Vec<(Process, u64)> {
    let owners = comparison.seen.iter().filter_map(|seen| {
        let tuple = seen.tuple();
        if !ports.covers(&tuple) || !matches!(comparison.service(&tuple), Service::There(_)) {
            return None;
        }
        let was = || waiting.get(&tuple).and_then(|life| life.owner());
        Some(comparison.holders(seen.record).first().copied().or_else(was)?.process)
    });
    most_first(owners, |process| process.pid)
}

/// New connections a second.
fn rate(comparison: &Comparison<'_>, ports: &PortUse) -> f64 {
    let Scope::Destination { local, peer } = ports.scope else { return 0.0 };
    let observed = comparison.input.observed;
    let time = comparison.now().saturating_sub(observed.since);
    observed.opened(ports.netns, local, peer) as f64 * 1e9 / time.max(1) as f64
}

/// The scopes that one of the wanted sockets belongs to.
fn wanted_ports(comparison: &Comparison<'_>) -> HashSet<(u32, Scope), RandomState> {
    let wanted = comparison.seen.iter().filter(|seen| comparison.wants_seen(seen));
    wanted
        .flat_map(|seen| {
            let tuple = seen.tuple();
            let local = tuple.local.with_port(0);
            let one = Scope::Destination { local, peer: tuple.peer };
            [(tuple.netns, one), (tuple.netns, Scope::Address(local))]
        })
        .collect()
}

/// Namespaces with (nearly) as many TIME_WAIT sockets as there may be.
fn time_wait(comparison: &Comparison<'_>) -> Vec<Finding> {
    // Where each one skips TIME_WAIT, none is in it; whose they were nobody knows.
    let namespaces = comparison.input.last.host.namespaces.keys().copied();
    let wanted = namespaces.filter(|netns| comparison.wants_namespace(*netns));
    let mut services: HashMap<u32, Vec<Service>, RandomState> =
        wanted.map(|netns| (netns, Vec::new())).collect();
    let waiting = comparison.seen_in(State::TimeWait);
    for seen in waiting.filter(|seen| comparison.wants_seen(seen)) {
        let tuple = seen.tuple();
        services.entry(tuple.netns).or_default().push(comparison.service(&tuple));
    }
    let find = |(netns, services): (u32, Vec<Service>)| {
        let time_wait = services.len() as u64;
        let limit = comparison.facts(netns).and_then(|facts| facts.max_time_wait);
        let skipped = comparison.counted(netns).time_wait_overflow;
        let full = limit.is_some_and(|limit| limit > 0 && time_wait * 10 >= limit * 9);
        if skipped == 0 && !full {
            return None;
        }
        let mut services = most_first(services.into_iter(), |service| format!("{service:?}"));
        services.truncate(NAMED);
        let overflow = TimeWaitOverflow {
            time_wait,
            limit,
            skipped,
            services,
            closed_first: Initiator::Local,
        };
        Some(comparison.finding(Severity::Warning, netns, Problem::TimeWaitOverflow(overflow)))
    };
    services.into_iter().filter_map(find).collect()
}

/// A warning where so much is in use, of ten.
const MANY: u64 = 8;
/// Critical from here on, of a hundred.
const NEARLY_ALL: u64 = 95;
/// Who has moved no data for so long is not at work with it.
const IDLE: u64 = 10_000_000_000;
/// Minutes until none is left: a warning, critical.
const LEFT: (f64, f64) = (60.0, 10.0);

impl Comparison<'_> {
    /// Descriptors of a process that loses `leaking` of them a minute; others come and go.
    pub(super) fn descriptors(&self, pid: u32, leaking: f64) -> Option<Descriptors> {
        let Input { first, last, .. } = self.input;
        let now = last.host.processes.get(&pid)?;
        let (open, limit) = (now.descriptors?, now.descriptor_limit?);
        let before = first.look.host.processes.get(&pid).and_then(|facts| facts.descriptors);
        let grown = before.map_or_else(|| self.opened(pid), |before| open as i64 - before as i64);
        let grown = self.per_minute(grown);
        Some(Descriptors::new(open, limit, grown.min(leaking).max(0.0)))
    }

    /// How many sockets that a process holds are new: descriptors of a process with few sockets are
    /// not counted.
    fn opened(&self, pid: u32) -> i64 {
        let begun = self.input.first.begun();
        let is_new = |life: &&Connection| life.began().is_some_and(|began| began >= begun);
        let new = self.input.table.connections().filter(is_new).map(|life| life.id);
        let new: HashSet<SocketId, RandomState> = new.collect();
        let is_held =
            |record: &Record| self.holders(record).iter().any(|one| one.process.pid == pid);
        let opened =
            |seen: &&Seen<'_>| new.contains(&SocketId::of(seen.record)) && is_held(seen.record);
        self.seen.iter().filter(opened).count() as i64
    }
}

/// Leaking processes with hardly a descriptor left.
fn descriptors(comparison: &Comparison<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut told: Vec<Process> = Vec::new();
    for finding in &comparison.found {
        // Who has no descriptor left cannot accept either.
        let (program, descriptors) = match &finding.problem {
            Problem::CloseWaitLeak(leak) => {
                let listening = leak.listener.iter().flat_map(|listener| &listener.processes);
                (leak.holders.iter().chain(listening).next(), leak.descriptors)
            }
            Problem::AcceptWait(wait) => (wait.listener.processes.first(), wait.descriptors),
            _ => continue,
        };
        let (Some(program), Some(descriptors)) = (program, descriptors) else { continue };
        let Some(severity) = scarcity(&descriptors) else { continue };
        if !told.contains(&program.process) {
            told.push(program.process);
            let out = OutOfDescriptors { program: program.clone(), descriptors, holds: None };
            found.push(comparison.finding(severity, finding.netns, Problem::Descriptors(out)));
        }
    }
    found.extend(crowded(comparison, &told));
    found
}

/// Other processes with hardly a descriptor left, most of which are TCP sockets.
fn crowded(comparison: &Comparison<'_>, told: &[Process]) -> Vec<Finding> {
    let many = comparison.input.last.host.processes.iter().filter(|(_, facts)| has_many(facts));
    let scarce = |pid: u32| {
        let descriptors = comparison.descriptors(pid, f64::INFINITY)?;
        Some((pid, (crowding(&descriptors), descriptors)))
    };
    let scarce: HashMap<u32, (Severity, Descriptors), RandomState> =
        many.filter_map(|(pid, _)| scarce(*pid)).collect();
    let mut held: HashMap<Process, Vec<&Seen<'_>>, RandomState> = HashMap::default();
    let sockets = comparison.seen.iter().filter(|_| !scarce.is_empty());
    for seen in sockets.filter(|seen| comparison.wants_seen(seen)) {
        for process in each_once(comparison.holders(seen.record).iter().map(|one| one.process)) {
            if scarce.contains_key(&process.pid) && !told.contains(&process) {
                held.entry(process).or_default().push(seen);
            }
        }
    }
    let find = |(process, sockets): (Process, Vec<&Seen<'_>>)| {
        let (severity, descriptors) = *scarce.get(&process.pid)?;
        let is_told =
            |one: &Holds| one.sockets * 2 >= descriptors.open || accepts_none(comparison, &process);
        let holds = holds(comparison, &sockets).filter(is_told)?;
        let program = comparison.program(process);
        let out = OutOfDescriptors { program, descriptors, holds: Some(holds) };
        Some((severity, sockets.first()?.record.netns, out))
    };
    let all: Vec<(Severity, u32, OutOfDescriptors)> = held.into_iter().filter_map(find).collect();
    let by_name = all.iter().map(|one| {
        let (_, netns, out) = one;
        (*netns, Some(out.program.process), out.descriptors.open, one)
    });
    let merged = of_one_name(by_name, |(worst, _, first), (severity, ..)| {
        *worst = (*worst).max(*severity);
        first.holds.iter_mut().for_each(|holds| holds.others += 1);
    });
    let finding = |(netns, one): (u32, Cow<'_, (Severity, u32, OutOfDescriptors)>)| {
        let (severity, _, out) = one.into_owned();
        comparison.finding(severity, netns, Problem::Descriptors(out))
    };
    merged.into_iter().map(finding).collect()
}

fn has_many(facts: &ProcessFacts) -> bool {
    let limit = facts.descriptor_limit.unwrap_or(u64::MAX);
    facts.descriptors.is_some_and(|open| open * 10 >= limit.saturating_mul(MANY))
}

/// Whether the accept queue of a process is full because it has no descriptor left.
fn accepts_none(comparison: &Comparison<'_>, process: &Process) -> bool {
    comparison.found.iter().any(|finding| match &finding.problem {
        Problem::AcceptQueueFull(queue) => {
            let first = queue.listener.processes.first();
            queue.descriptors.as_ref().is_some_and(Descriptors::is_all)
                && first.is_some_and(|program| program.process == *process)
        }
        _ => false,
    })
}

/// All may be in use: who has set the limit to what it needs is no sick process until it is reached.
fn crowding(descriptors: &Descriptors) -> Severity {
    let Descriptors { open, limit, minutes_left, .. } = *descriptors;
    let minutes = minutes_left.unwrap_or(f64::INFINITY);
    if open >= limit || minutes < LEFT.1 {
        Severity::Critical
    } else if open * 100 >= limit * NEARLY_ALL || minutes < LEFT.0 {
        Severity::Warning
    } else {
        Severity::Info
    }
}

fn holds(comparison: &Comparison<'_>, sockets: &[&Seen<'_>]) -> Option<Holds> {
    let services = sockets.iter().map(|seen| comparison.service(&seen.tuple()));
    let (service, of_service) =
        most_first(services, |service| format!("{service:?}")).into_iter().next()?;
    let ticks = comparison.input.ticks;
    let is_idle = |seen: &&&Seen<'_>| idle(seen.record, ticks).is_some_and(|time| time >= IDLE);
    let idle = sockets.iter().filter(is_idle).count() as u64;
    Some(Holds { sockets: sockets.len() as u64, service, of_service, idle, others: 0 })
}

fn scarcity(descriptors: &Descriptors) -> Option<Severity> {
    let Descriptors { open, limit, .. } = *descriptors;
    let minutes = descriptors.minutes_left.unwrap_or(f64::INFINITY);
    if open * 100 >= limit * NEARLY_ALL || minutes < LEFT.1 {
        Some(Severity::Critical)
    } else if open * 10 >= limit * MANY || minutes < LEFT.0 {
        Some(Severity::Warning)
    } else {
        None
    }
}
