//! Findings of a live trace: told when they begin, when they get worse and when they are over.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::Record;

use super::{
    connection::SocketId,
    diagnosis::{ConnectKey, HostSnapshot, finding, full_queues, no_local_port},
    filter::Filter,
    ports,
    time_wait::Ticks,
};
use tracer_event::{
    endpoint::Tuple,
    finding::{
        AcceptQueue, Finding, Listener, NoLocalPort, PortUse, Problem, Program, Scope, Severity,
        Status,
    },
    host::{Counters, Host},
    process::{Evidence, Owner, Process},
    update::{Subject, Transition},
};

const SECOND: u64 = 1_000_000_000;
const MINUTE: f64 = 60e9;
/// Failures are over when there has been none for this time.
const QUIET: u64 = 10 * SECOND;
/// Failures are reported again at each tenfold of their number.
const WORSE: u64 = 10;

type ScarcePorts = HashMap<(u32, Scope), (Severity, PortUse), RandomState>;

/// Remembers what has been reported.
#[derive(Debug, Default)]
pub struct Watch {
    ticks: Ticks,
    failures: BTreeMap<ConnectKey, Failures>,
    ports: ScarcePorts,
    queues: HashMap<SocketId, (u32, AcceptQueue), RandomState>,
    /// Who holds the listeners: not every snapshot shows holders.
    listening: HashMap<SocketId, Vec<Process>, RandomState>,
    busy: HashMap<(u32, Scope), u32, RandomState>,
    counters: BTreeMap<u32, Counters>,
    sizes: BTreeMap<u32, u32>,
    looked: u64,
    /// Of the last snapshot: who leads into which namespace.
    host: Host,
    used: Arc<[PortUse]>,
}

#[derive(Debug)]
struct Failures {
    problem: NoLocalPort,
    /// Reported again at this count.
    next: u64,
    last: u64,
}

impl Watch {
    /// Nothing reported yet.
    pub fn new(ticks: Ticks) -> Self {
        Self { ticks, ..Self::default() }
    }

    /// How many ephemeral ports are in use towards the busiest destinations, as of the last
    /// snapshot.
    pub fn ports(&self) -> &Arc<[PortUse]> {
        &self.used
    }

    /// A connect() that found no port is reported at once.
    pub fn transition(&mut self, transition: &Transition) -> Option<Finding> {
        let (key, failure) = no_local_port(transition)?;
        let (netns, time) = (key.0, transition.time);
        let size = self.sizes.get(&netns).copied();
        let failures = self.failures.entry(key).or_insert(Failures {
            problem: NoLocalPort { size, ..failure },
            next: 1,
            last: time,
        });
        failures.last = time;
        failures.problem.count += 1;
        if failures.problem.count < failures.next {
            return None;
        }
        failures.next *= WORSE;
        let status = if failures.problem.count == 1 { Status::Raised } else { Status::Continues };
        let problem = Problem::NoLocalPort(failures.problem);
        Some(finding(&self.host, time, Severity::Critical, status, netns, problem))
    }

    /// Failures that have stopped.
    pub fn expire(&mut self, now: u64) -> Vec<Finding> {
        let host = &self.host;
        let over =
            self.failures.extract_if(.., |_, failures| failures.last.saturating_add(QUIET) <= now);
        over.map(|((netns, ..), Failures { problem, .. })| {
            let problem = Problem::NoLocalPort(problem);
            finding(host, now, Severity::Critical, Status::Cleared, netns, problem)
        })
        .collect()
    }

    /// What a snapshot shows of ports and accept queues.
    pub fn look(&mut self, look: &HostSnapshot, filter: &Filter) -> Vec<Finding> {
        self.host.clone_from(&look.host);
        let namespaces = look.host.namespaces.iter();
        self.sizes = namespaces
            .filter_map(|(&netns, facts)| Some((netns, facts.ports.as_ref()?.size())))
            .collect();
        let mut findings = self.check_ports(look, filter);
        findings.extend(self.check_queues(look, filter));
        let namespaces = look.host.namespaces.iter();
        self.counters = namespaces.map(|(&netns, facts)| (netns, facts.counters)).collect();
        self.looked = look.snapshot.begun;
        findings
    }

    fn check_ports(&mut self, look: &HostSnapshot, filter: &Filter) -> Vec<Finding> {
        let now = look.snapshot.begun;
        let bad = self.scarce_ports(look, filter);
        let mut findings = Vec::new();
        let mut tell = |severity, status, one: PortUse| {
            let netns = one.netns;
            let problem = Problem::EphemeralPorts(one);
            findings.push(finding(&self.host, now, severity, status, netns, problem));
        };
        for (key, (severity, one)) in &bad {
            match self.ports.get(key) {
                None => tell(*severity, Status::Raised, one.clone()),
                Some((known, _)) if severity > known => {
                    tell(*severity, Status::Continues, one.clone());
                }
                Some(_) => {}
            }
        }
        for (key, (severity, mut one)) in std::mem::replace(&mut self.ports, bad) {
            match self.ports.get_mut(&key) {
                // It is reported again only if it gets worse than it was at the worst.
                Some((now, _)) => *now = (*now).max(severity),
                None => {
                    one.used = one.reusable + self.busy.get(&key).copied().unwrap_or(0);
                    tell(severity, Status::Cleared, one);
                }
            }
        }
        findings
    }

    /// The wanted ports of which little is left, with their growth since the last snapshot.
    fn scarce_ports(&mut self, look: &HostSnapshot, filter: &Filter) -> ScarcePorts {
        let minutes = look.snapshot.begun.saturating_sub(self.looked) as f64 / MINUTE;
        let usage = ports::usage(&look.snapshot.records, &look.host, self.ticks);
        let busy = usage.iter().map(|one| ((one.netns, one.scope), one.busy())).collect();
        self.used = ports::busiest(&usage, |one| wants_ports(filter, one));
        let before = std::mem::replace(&mut self.busy, busy);
        let wanted = ports::scarce(usage).into_iter().filter(|(_, one)| wants_ports(filter, one));
        let with_growth = wanted.map(|(severity, mut one)| {
            let key = (one.netns, one.scope);
            if let Some(&before) = before.get(&key).filter(|_| self.looked > 0) {
                let growth = (f64::from(one.busy()) - f64::from(before)) / minutes;
                one = one.growing(growth);
            }
            (key, (severity, one))
        });
        with_growth.collect()
    }

    fn check_queues(&mut self, look: &HostSnapshot, filter: &Filter) -> Vec<Finding> {
        let now = look.snapshot.begun;
        let full = full_queues(&look.snapshot.records);
        self.note_holders(look, &full);
        let mut findings = Vec::new();
        let mut tell = |status, netns, queue| {
            let problem = Problem::AcceptQueueFull(queue);
            findings.push(finding(&look.host, now, Severity::Critical, status, netns, problem));
        };
        let mut before = std::mem::take(&mut self.queues);
        for (&id, &record) in &full {
            let queue = self.queue(id, record, look);
            if before.remove(&id).is_none() && wants_queue(filter, record, &queue) {
                tell(Status::Raised, record.netns, queue.clone());
            }
            self.queues.insert(id, (record.netns, queue));
        }
        for (id, (netns, mut queue)) in before {
            let records = &look.snapshot.records;
            let record = records.iter().find(|record| SocketId::of(record) == id);
            queue.listener.queue = record.map_or(0, |record| record.accept_queue);
            if record.is_none_or(|record| wants_queue(filter, record, &queue)) {
                tell(Status::Cleared, netns, queue);
            }
        }
        findings
    }

    fn note_holders(
        &mut self,
        look: &HostSnapshot,
        full: &HashMap<SocketId, &Record, RandomState>,
    ) {
        if look.snapshot.holders.is_empty() {
            return;
        }
        self.listening.clear();
        for holder in &look.snapshot.holders {
            let id = SocketId::held(holder);
            if full.contains_key(&id) {
                let processes = self.listening.entry(id).or_default();
                let process = Owner::from(holder).process;
                if !processes.contains(&process) {
                    processes.push(process);
                }
            }
        }
    }

    fn queue(&self, id: SocketId, record: &Record, look: &HostSnapshot) -> AcceptQueue {
        let facts = look.host.namespaces.get(&record.netns);
        let counted = facts.map(|facts| facts.counters).unwrap_or_default();
        let before = self.counters.get(&record.netns).copied();
        let counted = before.map_or_else(Counters::default, |before| counted.since(before));
        let processes = self.listening.get(&id).into_iter().flatten();
        let program = |&process: &Process| Program { process, executable: None, container: None };
        AcceptQueue {
            listener: Listener {
                local: Tuple::of(record).local,
                processes: processes.map(program).collect(),
                halted: None,
                queue: record.accept_queue,
                backlog: record.accept_backlog,
                candidates: 1,
            },
            listen_overflows: counted.listen_overflows,
            listen_drops: counted.listen_drops,
            somaxconn: facts.and_then(|facts| facts.somaxconn),
        }
    }
}

/// Whether the ports of connections between these are wanted.
pub fn wants_ports(filter: &Filter, ports: &PortUse) -> bool {
    let (local, peer) = match ports.scope {
        Scope::Destination { local, peer } => (local, peer),
        Scope::Address(local) => (local, local),
    };
    wants(filter, Tuple { local, peer, netns: ports.netns }, None)
}

fn wants_queue(filter: &Filter, record: &Record, queue: &AcceptQueue) -> bool {
    let tuple = Tuple::of(record);
    let of = |process: Process| {
        let evidence = Evidence::TaskFile;
        wants(filter, tuple, Some(Owner { process, evidence, fd: None, others: 0 }))
    };
    let mut processes = queue.listener.processes.iter();
    wants(filter, tuple, None) || processes.any(|program| of(program.process))
}

fn wants(filter: &Filter, tuple: Tuple, owner: Option<Owner>) -> bool {
    filter.wants_subject(&Subject {
        cookie: None,
        ordinal: 1,
        tuple,
        uid: None,
        inode: None,
        cgroup: 0,
        owner,
        role: None,
    })
}
