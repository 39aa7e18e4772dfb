//! What happens to sockets, as pure code: events in, updates out.
//!
//! No clock, no I/O, no kernel interface: the time is an argument, so that tests and replays need
//! none of them. Events are the wire records of `tracer_wire`; what becomes of the updates is
//! decided by the sinks.
//!
//! ```
//! use tracer_model::table::{Options, Table};
//!
//! // Records of the kernel go in, events come out; time passes by the caller's clock only.
//! let table = Table::new(Options::default());
//! assert!(table.is_empty());
//! assert_eq!(table.next_deadline(), None);
//! ```

pub mod accepts;
pub mod cause;
pub mod close;
pub mod connection;
pub mod diagnosis;
pub mod filter;
pub mod held;
pub mod linger;
pub mod listeners;
pub mod owner;
pub mod pair;
pub mod ports;
pub mod progress;
pub mod selection;
pub mod socket;
pub mod table;
pub mod time_wait;
pub mod timeouts;
pub mod unread;
pub mod watch;
