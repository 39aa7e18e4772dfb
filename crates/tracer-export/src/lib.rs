//! Events to services: an OpenTelemetry receiver, Prometheus, the journal, syslog.

pub mod journald;
pub mod metrics;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod prometheus;
pub mod service;
pub mod syslog;
