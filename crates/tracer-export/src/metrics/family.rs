//! Metrics as both ways out take them: a name, a unit, and points with labels.

use std::borrow::Cow;

use serde::Serialize;

use super::histogram::Histogram;

/// All metrics at one moment.
pub type Families = Vec<Family>;

/// Attributes of a point, by their OpenTelemetry names.
pub type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// One metric.
#[derive(Clone, Debug)]
pub struct Family {
    /// OpenTelemetry's name, without the unit.
    pub name: &'static str,
    /// What it counts or measures.
    pub unit: Unit,
    /// What it says.
    pub help: &'static str,
    /// Its values.
    pub points: Points,
}

/// A unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// A part of 1.
    Ratio,
    /// Things: an annotation as `{connection}`, which Prometheus does not write.
    Of(&'static str),
    /// Nothing.
    None,
}

/// Values by labels.
#[derive(Clone, Debug)]
pub enum Points {
    /// Only grow.
    Counter(Vec<(Labels, u64)>),
    /// Go up and down, and can be added up.
    UpDown(Vec<(Labels, f64)>),
    /// Go up and down, and cannot be added up.
    Gauge(Vec<(Labels, f64)>),
    /// Distributions.
    Histogram(Vec<(Labels, Histogram)>),
}

impl Family {
    /// Prometheus's name of it, without the `_total` of counters.
    pub fn prometheus_name(&self) -> String {
        let name = self.name.replace('.', "_");
        match self.unit {
            Unit::Seconds => name + "_seconds",
            Unit::Ratio => name + "_ratio",
            Unit::Of(_) | Unit::None => name,
        }
    }
}

pub(super) fn label(
    key: &'static str,
    value: impl Into<Cow<'static, str>>,
) -> (&'static str, Cow<'static, str>) {
    (key, value.into())
}

/// The word that JSON has for a variant.
pub(super) fn word(variant: &impl Serialize) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
