//! Follows every TCP connection of a host from handshake to the end of TIME_WAIT.
//!
//! `event` says what is reported. `kernel` gets events and snapshots, `model` makes sense of them, `sink` writes what follows,
//! `trace` puts them together, `top` shows it on a full screen; `replay` does so with what was
//! recorded.
//!
//! ```
//! use tracer::model::{linger::Thresholds, state::State};
//!
//! // States and thresholds are read as people type them.
//! assert_eq!("close-wait".parse(), Ok(State::CloseWait));
//! assert!("close-wait=30s,time-wait=off".parse::<Thresholds>().is_ok());
//! ```

pub mod cli;
pub mod diagnose;
pub mod event;
pub mod exec;
pub mod features;
pub mod health;
#[cfg(any(test, fuzzing))]
pub mod hostile;
pub mod kernel;
pub mod memory;
pub mod model;
pub mod replay;
pub mod sink;
pub mod sockets;
pub mod top;
pub mod trace;
