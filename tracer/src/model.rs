//! What happens to sockets, as pure code: events in, updates out.
//!
//! No clock, no I/O, no kernel interface: the time is an argument, so that tests and replays need
//! none of them. Events are the wire records of `tracer_wire`; what becomes of the updates is
//! decided by the sinks.

pub mod cause;
pub mod close;
pub mod connection;
pub mod container;
pub mod diagnosis;
pub mod endpoint;
pub mod filter;
pub mod finding;
pub mod icmp;
pub mod linger;
pub mod listeners;
pub mod owner;
pub mod ports;
pub mod progress;
pub mod sequence;
pub mod socket;
pub mod stack;
pub mod state;
pub mod table;
pub mod time_wait;
pub mod update;
pub mod watch;
pub mod zone;

pub use crate::event::{host, initial};
