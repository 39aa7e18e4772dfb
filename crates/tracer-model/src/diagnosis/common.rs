//! What findings of a diagnosis and of a live trace have in common.

use std::{cmp::Reverse, hash::Hash};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use tracer_event::{
    close::Reason,
    finding::{Finding, NoLocalPort, Problem, Severity, Status},
    host::Host,
    process::Process,
    update::Transition,
};

/// A finding, with a way into its namespace if that is not the tracer's own.
pub fn finding(
    host: &Host,
    time: u64,
    severity: Severity,
    status: Status,
    netns: u32,
    problem: Problem,
) -> Finding {
    let away = netns != host.home;
    let entry = away.then(|| host.entry(netns, problem.processes())).flatten();
    Finding { time, severity, status, netns, entry, problem }
}

/// Calls of connect() are counted by namespace, process and destination.
pub type ConnectKey = (u32, u32, String);

/// The call of connect() that ends with this transition because no local port was free, if it does;
/// not counted yet.
pub fn no_local_port(transition: &Transition) -> Option<(ConnectKey, NoLocalPort)> {
    let Transition { ref subject, close, .. } = *transition;
    close.filter(|close| close.reason == Reason::NoLocalPort)?;
    let (netns, peer) = (subject.tuple.netns, subject.tuple.peer);
    let process = subject.owner.map(|owner| owner.process);
    let key = (netns, process.map_or(0, |process| process.pid), peer.to_string());
    Some((key, NoLocalPort { process, peer, count: 0, size: None }))
}

/// How many there are of each, most first; of equally many in the order of `tie`.
pub(super) fn most_first<T: Hash + Eq, O: Ord>(
    all: impl Iterator<Item = T>,
    tie: impl Fn(&T) -> O,
) -> Vec<(T, u64)> {
    let mut counts: HashMap<T, u64, RandomState> = HashMap::default();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    let mut counts: Vec<(T, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(one, count)| (Reverse(*count), tie(one)));
    counts
}

/// Each process once, in the same order.
pub(super) fn each_once(all: impl Iterator<Item = Process>) -> Vec<Process> {
    let mut processes: Vec<Process> = Vec::new();
    for process in all {
        if !processes.contains(&process) {
            processes.push(process);
        }
    }
    processes
}
