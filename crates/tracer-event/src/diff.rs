//! `diff`: what changed between two recordings (`tracer diff --format json`).

use schemars::JsonSchema;
use serde::Serialize;

use super::endpoint::Endpoint;
use super::exec::Direction;

/// What changed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Diff {
    /// The recording that is compared with.
    pub before: Recording,
    /// The recording that is compared.
    pub after: Recording,
    /// A change is beyond noise only where `p` is less than this.
    pub level: f64,
    /// A change is beyond noise only where one value is at least so many times the other.
    pub factor: f64,
    /// Something is worse beyond noise, or a finding is new.
    pub regression: bool,
    /// What was compared.
    pub comparisons: Vec<Compared>,
    /// Which findings only one of the recordings has.
    pub findings: Findings,
    /// What could not be judged, and why.
    pub not_judged: Vec<String>,
}

/// One of the recordings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Recording {
    /// Its name.
    pub file: String,
    /// How long it is, nanoseconds; null where it has no beginning.
    pub duration_ns: Option<u64>,
    /// How many connections it has.
    pub connections: u64,
    /// How many of them ended.
    pub ended: u64,
    /// Nothing was lost.
    pub complete: bool,
}

/// A value in both recordings.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Compared {
    /// What it is: `connections`, `destination`, `churn`, `outcome`, `handshake_p50`,
    /// `handshake_p99`, `lifetime_p50`, `lifetime_p99`, `retransmits` or `leaks`.
    pub metric: String,
    /// In what it is counted.
    pub unit: Unit,
    /// Its value before.
    pub before: f64,
    /// Its value after.
    pub after: f64,
    /// By how much it changed.
    pub change: f64,
    /// How probable such a difference is by chance, corrected for the number of comparisons.
    pub p: f64,
    /// Whether it is more than noise.
    pub beyond_noise: bool,
    /// What the change is worth.
    pub verdict: Verdict,
    /// Of a `destination`: which.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// Of an `outcome`: why connections ended, as `tcp.close.reason` of a `connection`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

/// Where connections lead to, or come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    /// Whether they were opened or accepted.
    pub direction: Direction,
    /// Where to, or where.
    #[serde(flatten)]
    pub end: Endpoint,
}

/// In what a value is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Events a second.
    PerSecond,
    /// From 0 to 1.
    Share,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Time,
}

/// What a change is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A regression.
    Worse,
    /// The opposite of one.
    Better,
    /// Neither good nor bad by itself.
    Neither,
}

/// Findings that only one of the recordings has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Findings {
    /// Those of `after`.
    pub new: Vec<Found>,
    /// Those of `before`.
    pub gone: Vec<Found>,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Found {
    /// Its code, as `finding.code` of a `finding`.
    pub code: &'static str,
    /// What is wrong, as a sentence.
    pub text: String,
}
