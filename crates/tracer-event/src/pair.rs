//! `pair` and `clock`: what `tracer pair --format json` says of the recordings of several hosts.

use schemars::JsonSchema;
use serde::Serialize;

use super::{endpoint::Endpoint, subject::Role};

/// How far the clocks of two hosts are apart, as their handshakes say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Clock {
    /// The recording of one host.
    pub first: String,
    /// That of the other.
    pub second: String,
    /// How far the clock of the second host is ahead, nanoseconds; negative where it is behind.
    pub ahead_ns: i64,
    /// It is no further from that, nanoseconds; null where the handshakes contradict each other.
    pub within_ns: Option<i64>,
    /// From how many handshakes that was concluded.
    pub handshakes: usize,
}

/// A connection of which at least one of the recordings has an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pair {
    /// By what the ends are known to belong together; null where there is one end only.
    pub link: Option<Link>,
    /// The recorded ends, the client's first where the roles are known.
    pub ends: Vec<End>,
    /// What both recordings together prove.
    pub verdicts: Vec<Verdict>,
}

/// By what two ends are known to belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Both initial sequence numbers.
    InitialSequenceNumbers,
    /// Addresses, time and the number that both know: the handshake was not completed.
    Addresses,
    /// Addresses and time, though the numbers differ: something between them ends the connection of
    /// one and makes another one.
    AddressesOnly,
}

/// An end of a connection, as the recording of its host has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct End {
    /// The recording.
    pub recording: String,
    /// Who opened the connection.
    pub role: Option<Role>,
    /// This end.
    pub local: Endpoint,
    /// The other one, as this host sees it.
    pub peer: Endpoint,
    /// Initial sequence number of this end.
    pub local_isn: Option<u32>,
    /// Initial sequence number of the peer.
    pub peer_isn: Option<u32>,
}

/// Something that is proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Verdict {
    /// Its name: one of those in docs/recording.md.
    pub code: &'static str,
    /// The same as a sentence.
    pub text: String,
}
