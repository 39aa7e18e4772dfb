//! Metrics for Prometheus: what an endpoint answers.

mod endpoint;
mod exposition;

pub use self::endpoint::{Endpoint, Listen};
#[cfg(test)]
pub(super) use self::exposition::tests;
