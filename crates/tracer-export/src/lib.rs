//! Events to services: an OpenTelemetry receiver, Prometheus, the journal, syslog.
//!
//! ```
//! use tracer_export::metrics::Metrics;
//!
//! // Every family that there is, from the start: what counts nothing yet is zero.
//! assert!(!Metrics::default().families().is_empty());
//! ```

pub mod journald;
pub mod metrics;
#[cfg(feature = "otlp")]
pub mod otlp;
mod pem;
pub mod prometheus;
pub mod service;
pub mod syslog;
