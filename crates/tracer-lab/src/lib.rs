//! Scenarios of TCP, played with real sockets on the running kernel: what `tracer demo` shows.
//!
//! A scenario is played by a process in a network namespace of its own. Both ends of a connection
//! are sockets of this kernel. Where a segment must be lost, late or out of place, the segments of
//! both ends pass a TUN device, and a thread decides what becomes of each ([`network`]). With the
//! process go its sockets, the device and the namespace: nothing stays behind, however it ends.
//!
//! The crate knows nothing of the tracer. It tells whoever started the process what happens next
//! and waits to be told to go on ([`stage`]).
//!
//! ```
//! let scenario = tracer_lab::scenario::find("handshake").expect("a scenario");
//! assert_eq!(scenario.name, "handshake");
//! ```

pub mod error;
pub mod namespace;
pub mod network;
pub mod options;
pub mod process;
pub mod scenario;
pub mod segment;
pub mod sockets;
pub mod stage;
pub mod tun;
