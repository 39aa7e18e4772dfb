//! Events for tests: what they leave open, a test sets.

use std::net::IpAddr;

use super::{
    close::{Close, Reason},
    endpoint::{Endpoint, Tuple},
    finding::{Finding, NoLocalPort, Problem, Program, Severity, Status},
    header::{Header, Mode},
    process::Process,
    state::State,
    subject::{Role, Subject},
    update::{ConnectionSummary, Linger, LingerStatus, Source, Transition},
};

/// A client of 10.0.0.1:80 on the same host.
pub fn subject(cookie: u64) -> Subject {
    let end = |port| Endpoint::new(IpAddr::from([10, 0, 0, 1]), port);
    let tuple = Tuple { local: end(40_000), peer: end(80), netns: 7 };
    Subject {
        cookie: Some(cookie),
        ordinal: 1,
        role: Some(Role::Client),
        ..Subject::of_addresses(tuple)
    }
}

/// A process of this name.
pub fn process(pid: u32, name: &str) -> Process {
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name.as_bytes());
    Process { pid, comm, start_ns: 0 }
}

/// Nothing more is known of it.
pub fn program(process: Process) -> Program {
    Program {
        process,
        executable: None,
        container: None,
        pod: None,
        pod_name: None,
        unit: None,
        freezer: None,
    }
}

/// The beginning of a trace that does without nothing.
pub fn header() -> Header {
    Header {
        version: "1".into(),
        kernel: "6.1".into(),
        mode: Mode::Btf,
        degraded: Vec::new(),
        options: Vec::new(),
        host: None,
        file: None,
        partial: None,
    }
}

/// A finding that has just been raised.
pub fn finding(time: u64, severity: Severity, problem: Problem) -> Finding {
    Finding { time, severity, status: Status::Raised, netns: 7, entry: None, problem }
}

/// Calls of connect() that found no port, by somebody.
pub fn no_local_port(peer: Endpoint, count: u64) -> Problem {
    Problem::NoLocalPort(NoLocalPort { process: None, others: 0, peer, count, size: None })
}

/// A socket that has just been stuck for too long.
pub fn linger(cookie: u64, state: State) -> Linger {
    Linger {
        time: 1,
        subject: subject(cookie),
        state,
        age: 2,
        idle: Some(2),
        at_least: false,
        threshold: 1,
        status: LingerStatus::Raised,
        orphaned: false,
        holders: Vec::new(),
        why: None,
        creator: None,
    }
}

/// A change of state of socket 1.
pub fn transition(from: State, to: State) -> Transition {
    Transition { elapsed: Some(3_000_000), ..Transition::new(subject(1), 5, from, to) }
}

/// A connection that is over.
pub fn connection(subject: Subject, time: u64, reason: Reason) -> ConnectionSummary {
    ConnectionSummary {
        time,
        subject,
        state: State::Closed,
        began: None,
        ended: None,
        duration: 0,
        spent: [0; State::COUNT],
        at_least: false,
        handshake: None,
        accept_wait: None,
        bytes_sent: None,
        bytes_received: None,
        retransmits: None,
        close: Some(Close::new(reason, None)),
        source: Source::Tracepoint,
    }
}
