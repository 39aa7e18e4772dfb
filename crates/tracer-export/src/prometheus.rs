//! Metrics for Prometheus: what an endpoint answers, and to whom.

mod endpoint;
mod exposition;
mod process;
mod users;
mod web;

#[cfg(test)]
pub(super) use self::exposition::tests;
pub use self::{
    endpoint::{Endpoint, Listen},
    web::Web,
};
