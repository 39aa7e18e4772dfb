//! A socket as a snapshot shows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{owner::Owner, state::State, update::Subject};

/// Which timer is running (`include/net/inet_connection_sock.h`, `include/net/tcp.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimerKind {
    /// The oldest segment is sent again when it fires.
    Retransmit,
    /// A zero-window probe is sent.
    ZeroWindowProbe,
    /// A tail loss probe is sent, or reordering is given up waiting for.
    LossProbe,
    /// A keepalive probe is sent; an orphan in FIN_WAIT2 is dropped.
    Keepalive,
    /// A minisocket is removed.
    TimeWait,
    /// The SYN+ACK is sent again.
    SynAck,
}

/// A timer and when it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timer {
    /// Which.
    pub name: TimerKind,
    /// Nanoseconds until it fires.
    pub expires_in_ns: u64,
}

/// A socket at the moment of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Socket {
    /// When it was seen.
    pub time: u64,
    /// Who it is; its owner is the first of `holders`.
    pub subject: Subject,
    /// Its state. A half-open connection is in SYN_RECV.
    pub state: State,
    /// Nanoseconds in that state, where the kernel says.
    pub age: Option<u64>,
    /// The true age is at least `age`: it is the time since the last acknowledgement came.
    pub at_least: bool,
    /// Processes that hold a descriptor of it.
    pub holders: Vec<Owner>,
    /// The timer that is running.
    pub timer: Option<Timer>,
    /// Received bytes that the application has not read; of a listener connections not accepted.
    pub receive_queue: u32,
    /// Bytes not acknowledged by the peer; of a listener the limit of its accept queue.
    pub send_queue: u32,
    /// Smoothed round-trip time, nanoseconds.
    pub rtt: Option<u64>,
    /// Closed by its process; the kernel finishes alone.
    pub orphaned: bool,
    /// Complete, but not accepted by any process yet.
    pub unaccepted: bool,
}
