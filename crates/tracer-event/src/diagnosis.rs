//! What a diagnosis has found.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    duration::duration,
    finding::{Finding, PortUse, Severity},
    phrase::{Wording, wording},
    state::State,
};

/// What is wrong, and what there is.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// Worst first.
    pub findings: Vec<Finding>,
    /// How many wanted sockets are in each state.
    pub states: BTreeMap<State, u64>,
    /// Network namespaces looked into.
    pub namespaces: usize,
    /// Time between the snapshots, nanoseconds.
    pub observed: u64,
    /// Sockets in CLOSE_WAIT that still send.
    pub sending: u64,
    /// Events that were lost meanwhile: what is said of growth is the least.
    pub lost: u64,
    /// Namespaces that could not be looked into.
    pub refused: usize,
    /// Ephemeral ports in use towards the busiest destinations.
    pub ports: Arc<[PortUse]>,
}

/// What takes longer than this is rare enough: the kernel gives up a connect() after 127 s.
const LONG: u64 = 130_000_000_000;

impl Diagnosis {
    /// What nothing can be said of, each in some words: an all-clear is worth no more than that.
    pub fn not_judged(&self) -> Vec<Wording> {
        let too_long = (self.observed < LONG).then(|| {
            let time = duration(self.observed);
            wording!(
                "view-too-long",
                "what takes longer than {time}, as timeouts do (--for)",
                [time]
            )
        });
        let refused = (self.refused > 0).then(|| {
            let count = Wording::count(self.refused as u64, "network namespace");
            wording!("view-not-entered", "{count} that could not be entered", [count])
        });
        too_long.into_iter().chain(refused).collect()
    }

    /// Whether something is at least this bad.
    pub fn is_at_least(&self, severity: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity >= severity)
    }
}
