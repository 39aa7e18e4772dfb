//! What a diagnosis has found.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    finding::{Finding, PortUse, Severity},
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
    /// Ephemeral ports in use towards the busiest destinations.
    pub ports: Arc<[PortUse]>,
}

impl Diagnosis {
    /// Whether something is at least this bad.
    pub fn is_at_least(&self, severity: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity >= severity)
    }
}
