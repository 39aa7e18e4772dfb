//! The wire format between the kernel half and the user half: ring-buffer and iterator records,
//! the configuration that goes into frozen `.rodata`, and the counters.
//!
//! Both halves use this crate, so a field is written down once. It holds integers and byte arrays
//! only: every bit pattern is valid, padding is explicit, sizes are asserted. What the numbers mean
//! is decided in the user half (`tracer_model`).
//!
//! ```
//! use tracer_wire::{Plain as _, Record, kind};
//!
//! let sent = Record { kind: kind::STATE, local_port: 443, ..Record::EMPTY };
//! assert_eq!(Record::from_bytes(sent.as_bytes()), Some(&sent));
//! ```

#![no_std]

mod config;
mod plain;
mod record;
mod sent;
mod timers;

pub use config::{
    Filter, GROUP_DEPTH, MAX_PORTS, Member, Offsets, PortRange, RecordLayout, Settings,
};
pub use plain::Plain;
pub use record::{
    Counters, Handled, Holder, NO_DESCRIPTOR, NOTES, PATH_DEPTH, PATH_NAME, Program, Record, flag,
    kind,
};
pub use sent::Sent;
pub use timers::Timers;

/// Names of the maps, globals and programs in the object file, as the user half looks them up.
pub mod name {
    /// For each CPU a ring buffer of [`Record`](crate::Record)s and [`Program`](crate::Program)s.
    pub const EVENTS: &str = "EVENTS";
    /// One `u32`: 1 while the reader sleeps and wants to be woken.
    pub const READER: &str = "READER";
    /// Per-CPU [`Counters`](crate::Counters) by [`kind`](crate::kind).
    pub const COUNTERS: &str = "COUNTERS";
    /// User stacks by number, see [`Record::stack`](crate::Record::stack).
    pub const STACKS: &str = "STACKS";
    /// Global of type [`Offsets`](crate::Offsets).
    pub const OFFSETS: &str = "OFFSETS";
    /// Global of type [`Settings`](crate::Settings).
    pub const SETTINGS: &str = "SETTINGS";
    /// Global of type [`Filter`](crate::Filter).
    pub const FILTER: &str = "FILTER";
    /// Global of type [`RecordLayout`](crate::RecordLayout).
    pub const RECORD_LAYOUT: &str = "RECORD_LAYOUT";
}

/// TCP states as the kernel numbers them (`include/net/tcp_states.h`, stable user ABI).
pub mod state {
    /// TCP_ESTABLISHED
    pub const ESTABLISHED: u8 = 1;
    /// TCP_SYN_SENT
    pub const SYN_SENT: u8 = 2;
    /// TCP_SYN_RECV
    pub const SYN_RECV: u8 = 3;
    /// TCP_FIN_WAIT1
    pub const FIN_WAIT1: u8 = 4;
    /// TCP_FIN_WAIT2
    pub const FIN_WAIT2: u8 = 5;
    /// TCP_TIME_WAIT
    pub const TIME_WAIT: u8 = 6;
    /// TCP_CLOSE
    pub const CLOSE: u8 = 7;
    /// TCP_CLOSE_WAIT
    pub const CLOSE_WAIT: u8 = 8;
    /// TCP_LAST_ACK
    pub const LAST_ACK: u8 = 9;
    /// TCP_LISTEN
    pub const LISTEN: u8 = 10;
    /// TCP_CLOSING
    pub const CLOSING: u8 = 11;
    /// TCP_NEW_SYN_RECV: a request socket, a connection that is only half open
    pub const NEW_SYN_RECV: u8 = 12;
}

/// TCP flag bits of a segment (RFC 9293, section 3.1), as in `tcp_skb_cb.tcp_flags`.
pub mod segment {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The sender has nothing more to add for now.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment field is significant.
    pub const ACK: u8 = 0x10;
}
