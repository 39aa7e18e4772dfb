//! `transition`: a socket changes its state.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_wire::Sent;

use super::{
    close::Close,
    sequence::Sequence,
    state::State,
    subject::{Role, Subject, role},
};

/// How a transition is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The kernel's tracepoint fired.
    Tracepoint,
    /// A snapshot of all sockets shows it.
    Snapshot,
    /// The kernel's timer must have fired.
    Timer,
    /// It must have happened, from what was seen before and after.
    Inferred,
}

/// What is known of the three-way handshake when it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Handshake {
    /// Client: from the SYN to ESTABLISHED. Server: from its SYN+ACK to the ACK, as the kernel
    /// measured it. Nanoseconds.
    pub duration_ns: Option<u64>,
    /// Round-trip time as the kernel measured it on the handshake, nanoseconds.
    pub rtt_ns: Option<u64>,
    /// SYNs (server: SYN+ACKs) that had to be retransmitted.
    pub syn_retransmits: Option<u32>,
    /// Initial sequence number of this end.
    pub local_isn: Option<u32>,
    /// Initial sequence number of the peer.
    pub peer_isn: Option<u32>,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Transition {
    /// When.
    #[serde(skip)]
    pub time: u64,
    /// State left.
    pub from: State,
    /// State that really follows.
    pub to: State,
    /// Which part the socket plays.
    #[serde(rename = "role", with = "role")]
    #[schemars(with = "Option<Role>")]
    pub subject: Subject,
    /// How it is known. Each event of the tracepoint is exactly one line.
    pub source: Source,
    /// Time spent in `from`.
    #[serde(rename = "elapsed_ns")]
    pub elapsed: Option<u64>,
    /// What the tracepoint said, where that is not what really follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Edge>,
    /// No process holds the socket any more; the kernel finishes alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub orphaned: bool,
    /// The process has not closed it: it ends, and the kernel closes what it has left open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_exit: bool,
    /// At `to: ESTABLISHED`: what is known of the three-way handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake: Option<Handshake>,
    /// Sequence numbers at this moment.
    // Of a SYN_SENT that was held back for its local port they are deduced from the record that
    // has told the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
    /// At `to: SYN_SENT`, `FIN_WAIT1` and `LAST_ACK`: whether SYN or FIN leaves this host with it.
    /// A FIN waits behind data that may not be sent yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<bool>,
    /// At the end: how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close: Option<Close>,
    /// Where the full socket ends, and its life was seen from the beginning: for findings, not told.
    #[serde(skip)]
    pub life: Option<Life>,
    /// With `at_exit`: nanoseconds since the peer has sent data to which nothing was answered: for
    /// findings, not told.
    #[serde(skip)]
    pub unanswered: Option<u64>,
}

/// What a full socket has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// When it began, nanoseconds of `CLOCK_MONOTONIC`.
    pub began: u64,
    /// What it has sent.
    pub sent: Sent,
}

impl Transition {
    /// One of which the kernel's tracepoint has told, and nothing else is known.
    pub fn new(subject: Subject, time: u64, from: State, to: State) -> Self {
        Self {
            time,
            subject,
            from,
            to,
            kernel: None,
            source: Source::Tracepoint,
            elapsed: None,
            handshake: None,
            sequence: None,
            sent: None,
            close: None,
            life: None,
            unanswered: None,
            orphaned: false,
            at_exit: false,
        }
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edge {
    /// State left.
    pub from: State,
    /// State entered.
    pub to: State,
}
