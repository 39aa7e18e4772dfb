//! Findings as JSON: code, severity and the sentence are the same for all kinds, the evidence is
//! each kind's own.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::shape::Address;
use crate::{
    model::{
        diagnosis::Diagnosis,
        endpoint::Endpoint,
        finding::{
            AcceptQueue, Descriptors, Finding, Leak, Listener, Made, NoLocalPort, Problem, Program,
            Service, Severity, Status, TimeWaitOverflow,
        },
        owner::Process,
        ports::{PortUse, Scope},
        state::State,
    },
    sink::{
        escape::escape,
        finding::{Remedy, remedies, sentence},
        stack::{frames, gap},
    },
};

#[derive(Serialize)]
pub(super) struct FindingBody {
    status: Status,
    finding: Inner,
}

#[derive(Serialize)]
struct Inner {
    code: &'static str,
    severity: Severity,
    text: String,
    netns: u32,
    evidence: Value,
    remedies: Vec<Remedy>,
}

impl From<&Finding> for FindingBody {
    fn from(finding: &Finding) -> Self {
        Self {
            status: finding.status,
            finding: Inner {
                code: finding.problem.code(),
                severity: finding.severity,
                text: sentence(finding),
                netns: finding.netns,
                evidence: evidence(&finding.problem),
                remedies: remedies(finding),
            },
        }
    }
}

#[derive(Serialize)]
pub(super) struct DiagnosisBody {
    healthy: bool,
    findings: BTreeMap<&'static str, u64>,
    sockets: BTreeMap<&'static str, u64>,
    namespaces: usize,
    observed_ns: u64,
    /// In CLOSE_WAIT, but still sending.
    sending: u64,
    lost: u64,
    complete: bool,
}

impl From<&Diagnosis> for DiagnosisBody {
    fn from(diagnosis: &Diagnosis) -> Self {
        let severities = [Severity::Critical, Severity::Warning, Severity::Info];
        let count = |severity| {
            let of_it = diagnosis.findings.iter().filter(|one| one.severity == severity);
            (severity.name(), of_it.count() as u64)
        };
        Self {
            healthy: !diagnosis.is_at_least(Severity::Warning),
            findings: severities.into_iter().map(count).collect(),
            sockets: by_name(&diagnosis.states),
            namespaces: diagnosis.namespaces,
            observed_ns: diagnosis.observed,
            sending: diagnosis.sending,
            lost: diagnosis.lost,
            complete: diagnosis.lost == 0,
        }
    }
}

fn by_name(states: &BTreeMap<State, u64>) -> BTreeMap<&'static str, u64> {
    states.iter().map(|(state, count)| (state.name(), *count)).collect()
}

fn evidence(problem: &Problem) -> Value {
    match problem {
        Problem::CloseWaitLeak(leak) => close_wait(leak),
        Problem::EphemeralPorts(ports) => ephemeral_ports(ports),
        Problem::NoLocalPort(NoLocalPort { process: who, peer, count, size }) => json!({
            "process": who.as_ref().map(process),
            "peer": Address::from(*peer),
            "count": count,
            "range_ports": size,
        }),
        Problem::AcceptQueueFull(AcceptQueue { listener: from, counted, somaxconn }) => json!({
            "listener": listener(from),
            "listen_overflows": counted.listen_overflows,
            "listen_drops": counted.listen_drops,
            "somaxconn": somaxconn,
        }),
        Problem::SynBacklog(backlog) => json!({
            "half_open": backlog.half_open,
            "local": backlog.local.map(Address::from),
            "syn_drops": backlog.counted.syn_drops,
            "syn_cookies": backlog.counted.syn_cookies,
            "max_syn_backlog": backlog.limit,
        }),
        Problem::TimeWaitOverflow(overflow) => time_wait(overflow),
        Problem::Descriptors(out) => json!({
            "process": program(&out.program),
            "descriptors": descriptors(&out.descriptors),
        }),
        Problem::StuckHandshake(stuck) => json!({
            "state": stuck.state,
            "process": stuck.process.as_ref().map(process),
            "service": service(stuck.service),
            "sockets": stuck.sockets,
            "retransmits": stuck.retransmits,
        }),
    }
}

/// Whoever closes first keeps the TIME_WAIT.
fn time_wait(overflow: &TimeWaitOverflow) -> Value {
    let services = overflow.services.iter();
    let services: Vec<Value> = services
        .map(|&(one, sockets)| json!({ "service": service(one), "sockets": sockets }))
        .collect();
    json!({
        "time_wait": overflow.time_wait,
        "max_tw_buckets": overflow.limit,
        "skipped": overflow.skipped,
        "services": services,
        "closed_first": "local",
    })
}

fn close_wait(leak: &Leak) -> Value {
    let peers: Vec<Value> = leak
        .peers
        .iter()
        .map(|&(peer, sockets)| json!({ "peer": Address::from(peer), "sockets": sockets }))
        .collect();
    json!({
        "cause": leak.cause.name(),
        "sockets": leak.sockets,
        "processes": leak.holders.iter().map(program).collect::<Vec<_>>(),
        "parent": leak.parent.as_ref().map(process),
        "fds": leak.fds,
        "service": service(leak.service),
        "peers": peers,
        "listener": leak.listener.as_ref().map(listener),
        "oldest_ns": leak.oldest,
        "at_least": leak.at_least,
        "growth_per_minute": leak.growth,
        "unread_bytes": leak.unread,
        "descriptors": leak.descriptors.as_ref().map(descriptors),
        "far_ends": by_name(&leak.far_ends),
        "far_orphans": leak.far_orphans,
        "made": leak.made.as_ref().map(made),
    })
}

fn made(made: &Made) -> Value {
    let stacks = made.stacks.iter().map(|(stack, sockets)| {
        json!({ "sockets": sockets, "stack": frames(stack), "stack_gap": gap(stack) })
    });
    json!({ "stacks": stacks.collect::<Vec<_>>(), "before": made.before })
}

fn ephemeral_ports(ports: &PortUse) -> Value {
    let (scope, local, peer) = match ports.scope {
        Scope::Destination { local, peer } => ("destination", local, Some(peer)),
        Scope::Address(local) => ("bind_first", local, None),
    };
    json!({
        "scope": scope,
        "local": Address::from(local),
        "peer": peer.map(Address::from),
        "destinations": ports.destinations,
        "processes": ports.processes.iter().map(|(owner, sockets)| {
            json!({ "process": process(owner), "sockets": sockets })
        }).collect::<Vec<_>>(),
        "range_ports": ports.size,
        "used": ports.used,
        "reusable": ports.reusable,
        "sockets": by_name(&ports.states),
        "growth_per_minute": ports.growth,
        "connections_per_second": ports.rate,
        "minutes_left": ports.minutes_left(),
    })
}

pub(super) fn process(process: &Process) -> Value {
    json!({ "pid": process.pid, "name": escape(process.name()) })
}

fn program(program: &Program) -> Value {
    json!({
        "pid": program.process.pid,
        "name": escape(program.process.name()),
        "executable": program.executable.as_ref().map(|path| escape(path)),
    })
}

pub(super) fn listener(from: &Listener) -> Value {
    json!({
        "local": Address::from(from.local),
        "processes": from.processes.iter().map(program).collect::<Vec<_>>(),
        "halted": from.halted,
        "queue": from.queue,
        "backlog": from.backlog,
    })
}

fn service(service: Service) -> Value {
    let named = |end: Endpoint| Address::from(end);
    match service {
        Service::Here(local) => json!({ "local": named(local) }),
        Service::There(peer) => json!({ "peer": named(peer) }),
    }
}

fn descriptors(descriptors: &Descriptors) -> Value {
    json!({
        "open": descriptors.open,
        "limit": descriptors.limit,
        "growth_per_minute": descriptors.growth,
        "minutes_left": descriptors.minutes_left(),
    })
}
