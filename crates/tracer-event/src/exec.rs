//! `exec`: what a command did on the network, at its end (`tracer exec --format json`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{endpoint::Endpoint, state::State};

/// What a command did.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Exec {
    /// The command line.
    pub command: Vec<String>,
    /// Its exit status, as a shell has it: 128 and the signal where one ended it, 125 to 127 where
    /// it did not run.
    pub exit_code: u8,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why it did not run.
    pub error: Option<String>,
    /// How long it ran, nanoseconds; null where it did not.
    pub duration_ns: Option<u64>,
    /// Its connections by destination, the most frequent first.
    pub destinations: Vec<Destination>,
    /// How long its handshakes took.
    pub handshake: Handshakes,
    /// Payload of all connections.
    pub bytes: Bytes,
    /// Segments of all connections that were retransmitted.
    pub retransmits: u64,
    /// Its sockets that were open at the end, listeners included.
    pub open: Vec<Open>,
    /// Processes that outlived it.
    pub survivors: Vec<Survivor>,
    /// What was asserted of it (`--assert`).
    pub assertions: Vec<Assertion>,
    /// Nothing was lost.
    pub complete: bool,
}

/// Connections that lead to one address, or come in at one.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Destination {
    /// Whether they were opened or accepted.
    pub direction: Direction,
    /// Where to, or where.
    #[serde(flatten)]
    pub end: Endpoint,
    /// How many, those that failed or are open included.
    pub connections: u64,
    /// How many ended for which reason, as `tcp.close.reason` of a `connection`.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// How many are open.
    pub open: u64,
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// This end.
    Outgoing,
    /// The peer.
    Incoming,
}

/// How long handshakes took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Handshakes {
    /// How many were seen.
    pub count: u64,
    /// The median, nanoseconds.
    pub p50_ns: Option<u64>,
    /// The 99th percentile, nanoseconds.
    pub p99_ns: Option<u64>,
}

/// Payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Bytes {
    /// Sent and acknowledged, bytes.
    pub sent: u64,
    /// Received, bytes.
    pub received: u64,
}

/// Which socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Socket {
    /// The kernel's number of the socket.
    pub cookie: Option<u64>,
    /// Inode number of the network namespace.
    pub netns: u32,
}

/// Both ends of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Network {
    /// This host's end.
    pub local: Endpoint,
    /// The peer.
    pub peer: Endpoint,
}

/// Whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Its descriptor of the socket.
    pub fd: Option<u32>,
}

/// A socket that was open at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Open {
    /// Which one.
    pub socket: Socket,
    /// Its ends.
    pub network: Network,
    /// Whose it is.
    pub process: Option<Process>,
    /// How it stood.
    pub tcp: Standing,
}

/// How a socket stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Standing {
    /// Its state.
    pub state: State,
    /// How long its connection had lasted, nanoseconds; null of a listener.
    pub age_ns: Option<u64>,
}

/// A process that outlived the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Survivor {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

/// Something that was asserted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Assertion {
    /// As it was written.
    pub name: String,
    /// Whether it holds.
    pub passed: bool,
    /// How often it does not.
    pub count: u64,
    /// Where it does not, the first ones.
    pub violations: Vec<Violation>,
}

/// Where something asserted does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Violation {
    /// In words.
    pub message: String,
    /// Which socket it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<Socket>,
    /// Its ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}
