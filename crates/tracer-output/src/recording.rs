//! Sinks of the binary form: a file ([`Recording`], for `tracer record`), and the last minutes in
//! memory, written when something happens ([`FlightRecorder`], for `tracer daemon`).

mod batches;
mod file;
mod flight;
mod kept;
pub mod settings;
#[cfg(test)]
mod tests;
mod triggers;

pub use self::{file::Recording, flight::FlightRecorder};
