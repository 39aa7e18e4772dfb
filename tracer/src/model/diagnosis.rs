//! What is wrong on this host: two looks and what happened between them in, findings out.
//!
//! Two looks, because one cannot tell what stands still from what moves, nor how fast it grows.
//! Findings are of sockets that the filter wants; the figures of what these share with others
//! (ports, queues, descriptors) are of all.

mod causes;
mod close_wait;
mod common;
mod handshakes;
mod limits;
mod queues;
mod scene;
#[cfg(test)]
mod tests;
mod watched;

use self::scene::Scene;
pub use self::{
    causes::explain,
    common::{ConnectKey, finding, no_local_port},
    queues::full_queues,
    watched::Watched,
};
use super::{
    filter::Filter,
    finding::Finding,
    host::Host,
    stack::Stacks,
    table::{Snapshot, Table},
    time_wait::Ticks,
    update::Subject,
};

pub use crate::event::diagnosis::Diagnosis;

/// One look at the host.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Sockets and who holds them.
    pub snapshot: Snapshot,
    /// All else.
    pub host: Host,
}

/// All that a diagnosis rests on.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// What is asked about.
    pub filter: &'a Filter,
    /// Whether a socket is in a container that is asked about, which no record tells.
    pub is_within: &'a dyn Fn(&Subject) -> bool,
    /// The kernel's tick.
    pub ticks: Ticks,
    /// The look at the beginning.
    pub first: &'a Look,
    /// The look at the end.
    pub last: &'a Look,
    /// What happened between them.
    pub watched: &'a Watched,
    /// All sockets, with the last look merged in.
    pub table: &'a Table,
    /// The stacks in which sockets were made, if they are asked for.
    pub stacks: Option<&'a dyn Stacks>,
}

/// Finds what is wrong.
pub fn diagnose(case: &Case<'_>) -> Diagnosis {
    let scene = Scene::new(case);
    let close_wait = close_wait::look(&scene);
    let mut findings = close_wait.findings;
    findings.extend(limits::ports(&scene));
    findings.extend(limits::time_wait(&scene));
    findings.extend(limits::descriptors(&scene, &findings));
    findings.extend(queues::accept(&scene));
    findings.extend(queues::syn(&scene));
    findings.extend(handshakes::stuck(&scene));
    findings.extend(case.watched.failures(&scene));
    sort(&mut findings);
    Diagnosis {
        findings,
        states: scene.states(),
        namespaces: case.last.snapshot.namespaces.len(),
        observed: scene.observed(),
        sending: close_wait.sending,
        lost: case.watched.lost,
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
