//! What is wrong on this host: two snapshots and what happened between them in, findings out.
//!
//! Two snapshots, because one cannot tell what stands still from what moves, nor how fast it grows.
//! Findings are of sockets that the filter wants; the figures of what these share with others
//! (ports, queues, descriptors) are of all.

mod causes;
mod close_wait;
mod common;
mod comparison;
mod handshakes;
mod limits;
mod observed;
mod queues;
#[cfg(test)]
mod tests;

use self::comparison::Comparison;
pub use self::{
    causes::explain,
    common::{ConnectKey, finding, no_local_port},
    observed::Observed,
    queues::full_queues,
};
use super::{
    filter::Filter,
    table::{Snapshot, Table},
    time_wait::Ticks,
};
use tracer_event::{finding::Finding, host::Host, stack::Stacks, update::Subject};

use tracer_event::diagnosis::Diagnosis;

/// The sockets and the host at one time.
#[derive(Clone, Debug, Default)]
pub struct HostSnapshot {
    /// Sockets and who holds them.
    pub snapshot: Snapshot,
    /// All else.
    pub host: Host,
}

/// All that a diagnosis rests on.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// What is asked about.
    pub filter: &'a Filter,
    /// Whether a socket is in a container that is asked about, which no record tells.
    pub is_within: &'a dyn Fn(&Subject) -> bool,
    /// The kernel's tick.
    pub ticks: Ticks,
    /// The snapshot at the beginning.
    pub first: &'a HostSnapshot,
    /// The snapshot at the end.
    pub last: &'a HostSnapshot,
    /// What happened between them.
    pub observed: &'a Observed,
    /// All sockets, with the last snapshot merged in.
    pub table: &'a Table,
    /// The stacks in which sockets were made, if they are asked for.
    pub stacks: Option<&'a dyn Stacks>,
}

/// Finds what is wrong.
pub fn diagnose(input: &Input<'_>) -> Diagnosis {
    let comparison = Comparison::new(input);
    let close_wait = close_wait::look(&comparison);
    let mut findings = close_wait.findings;
    findings.extend(limits::ports(&comparison));
    findings.extend(limits::time_wait(&comparison));
    findings.extend(limits::descriptors(&comparison, &findings));
    findings.extend(queues::accept(&comparison));
    findings.extend(queues::syn(&comparison));
    findings.extend(handshakes::stuck(&comparison));
    findings.extend(input.observed.failures(&comparison));
    sort(&mut findings);
    Diagnosis {
        findings,
        states: comparison.states(),
        namespaces: input.last.snapshot.namespaces.len(),
        observed: comparison.elapsed(),
        sending: close_wait.sending,
        lost: input.observed.lost,
    }
}

/// Worst first; of those that are equally bad the one that is about most.
fn sort(findings: &mut [Finding]) {
    let key = |finding: &Finding| {
        let Finding { severity, ref problem, netns, .. } = *finding;
        (std::cmp::Reverse((severity, problem.count())), problem.code(), netns)
    };
    findings.sort_by_key(key);
}
