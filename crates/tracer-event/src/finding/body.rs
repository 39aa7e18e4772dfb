//! A finding as it is written: what is said of it beside what shows it, which a replay makes anew.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Finding, Problem, Remedy, Severity, Status};
use crate::{host::Entry, name};

impl JsonSchema for Finding {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Body::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Body::json_schema(generator)
    }
}

/// A finding as it is written.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Finding")]
pub(super) struct Body {
    /// How it stands.
    status: Status,
    /// What is wrong.
    finding: Inner,
}

/// What is wrong.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Inner {
    /// Which kind of finding, and what shows it.
    #[serde(flatten)]
    problem: Problem,
    /// How bad it is.
    severity: Severity,
    /// What is wrong, in a sentence. Made anew by a replay.
    #[serde(skip_deserializing)]
    text: String,
    /// Inode number of the network namespace.
    netns: u32,
    /// A process in that namespace, where it is not the tracer's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    netns_pid: Option<u32>,
    /// Where it is mounted, if no process is there.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "name::optional")]
    #[schemars(with = "Option<String>")]
    netns_mount: Option<Box<str>>,
    /// What to do, the best first. Made anew by a replay.
    #[serde(skip_deserializing)]
    remedies: Vec<Remedy>,
}

impl From<Finding> for Body {
    fn from(finding: Finding) -> Self {
        let (text, remedies) = (finding.sentence().to_string(), finding.remedies());
        let Finding { time: _, severity, status, netns, entry, problem } = finding;
        let (netns_pid, netns_mount) = match entry {
            Some(Entry::Process(pid)) => (Some(pid), None),
            Some(Entry::Mount(path)) => (None, Some(path)),
            None => (None, None),
        };
        let finding = Inner { problem, severity, text, netns, netns_pid, netns_mount, remedies };
        Self { status, finding }
    }
}

impl From<Body> for Finding {
    fn from(Body { status, finding }: Body) -> Self {
        let Inner { mut problem, severity, netns, netns_pid, netns_mount, .. } = finding;
        let entry = netns_pid.map(Entry::Process).or(netns_mount.map(Entry::Mount));
        if let Problem::EphemeralPorts(ports) = &mut problem {
            ports.netns = netns;
        }
        Self { time: 0, severity, status, netns, entry, problem }
    }
}
