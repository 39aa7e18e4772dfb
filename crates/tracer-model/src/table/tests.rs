//! The table, event by event.
//!
//! [`lives`] plays the kernel: it makes the records that a socket's life gives rise to, and knows
//! what a snapshot of the socket would show. [`fixture`] feeds them to a table and notes what is
//! reported.

mod aborts;
mod caught;
mod closes;
mod cookieless;
mod crowded;
mod departures;
mod filtered;
mod fixture;
mod half_open;
mod linger;
mod lives;
mod opens;
mod owners;
mod random;
mod resync;
mod snapshot;
mod time_wait;
mod unseen;

use tracer_wire::{Record, kind};

use tracer_event::state::State;

/// A record of a state change with nothing else in it.
pub fn record(from: State, to: State) -> Record {
    Record { kind: kind::STATE, old_state: from as u8, new_state: to as u8, ..Record::EMPTY }
}
