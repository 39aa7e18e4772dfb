//! What is reported, without anything that gathers or writes it.
//!
//! The kernel side, the model and the sinks all use these types; nothing here knows of them.

pub mod diagnosis;
pub mod duration;
pub mod enricher;
pub mod escape;
pub mod header;
pub mod host;
pub mod initial;
pub mod ports;
pub mod socket;
pub mod wall_clock;
