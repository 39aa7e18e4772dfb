//! Follows every TCP connection of a host from handshake to the end of TIME_WAIT.
//!
//! The command: `tracer-kernel` gets events and snapshots, `tracer-model` makes sense of them,
//! `tracer-output` and `tracer-export` write what follows. Here `trace` puts them together, `top`
//! shows it on a full screen, `replay` does so with what was recorded.
//!
//! ```
//! use tracer::sockets::Order;
//!
//! // What is asked for is read as people type it.
//! assert!(matches!(clap::ValueEnum::from_str("age", true), Ok(Order::Age)));
//! ```

pub mod cli;
pub mod demo;
pub mod diagnose;
pub mod diff;
pub mod exec;
pub mod explain;
pub mod feature_list;
pub mod features;
#[cfg(any(test, fuzzing))]
pub mod fuzz_entry;
pub mod listing;
pub mod memory;
pub mod pair;
pub mod replay;
pub mod sockets;
pub mod top;
pub mod trace;
