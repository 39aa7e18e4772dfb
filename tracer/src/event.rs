//! What is reported, without anything that gathers or writes it.
//!
//! The kernel side, the model and the sinks all use these types; nothing here knows of them.

pub mod enricher;
pub mod escape;
pub mod header;
pub mod wall_clock;
