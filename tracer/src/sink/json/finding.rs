//! Findings as JSON: code, severity and the sentence are the same for all kinds, the evidence is
//! each kind's own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::Evidence;
use crate::{
    model::{
        diagnosis::Diagnosis,
        finding::{Finding, Severity, Status},
        state::State,
    },
    sink::finding::{Remedy, remedies, sentence},
};

/// Of a `finding`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct FindingBody {
    /// How it stands.
    pub(crate) status: Status,
    /// What is wrong.
    pub(crate) finding: Inner,
    /// Of the finding.
    #[serde(skip)]
    pub(super) code: &'static str,
}

/// What is wrong.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Inner {
    /// Which kind of finding, and what shows it.
    #[serde(flatten)]
    pub(crate) evidence: Evidence,
    /// How bad it is.
    pub(crate) severity: Severity,
    /// What is wrong, in a sentence. Made anew by a replay.
    #[serde(skip_deserializing)]
    pub(super) text: String,
    /// Inode number of the network namespace.
    pub(crate) netns: u32,
    /// A process in that namespace, where it is not the tracer's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) netns_pid: Option<u32>,
    /// What to do, the best first. Made anew by a replay.
    #[serde(skip_deserializing)]
    remedies: Vec<Remedy>,
}

impl From<&Finding> for FindingBody {
    fn from(finding: &Finding) -> Self {
        Self {
            code: finding.problem.code(),
            status: finding.status,
            finding: Inner {
                evidence: Evidence::from(&finding.problem),
                severity: finding.severity,
                text: sentence(finding),
                netns: finding.netns,
                netns_pid: finding.entry,
                remedies: remedies(finding),
            },
        }
    }
}

/// The `summary` of a diagnosis.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DiagnosisBody {
    /// Nothing is wrong.
    healthy: bool,
    /// How many findings of each severity.
    findings: BTreeMap<&'static str, u64>,
    /// How many sockets in each state.
    sockets: BTreeMap<State, u64>,
    /// Network namespaces looked into.
    namespaces: usize,
    /// Time between the looks.
    observed_ns: u64,
    /// Sockets in CLOSE_WAIT that still send.
    sending: u64,
    /// Events lost meanwhile.
    lost_events: u64,
    /// Nothing was lost.
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
            sockets: diagnosis.states.clone(),
            namespaces: diagnosis.namespaces,
            observed_ns: diagnosis.observed,
            sending: diagnosis.sending,
            lost_events: diagnosis.lost,
            complete: diagnosis.lost == 0,
        }
    }
}
