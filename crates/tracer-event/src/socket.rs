//! `socket`: a socket of a list, as a snapshot shows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    host::Timeouts,
    process::Owner,
    state::State,
    subject::{Role, Subject, role},
};

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

/// How an idle connection is probed (`SO_KEEPALIVE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Keepalive {
    /// Idle time before the first probe, nanoseconds.
    #[serde(rename = "time_ns")]
    pub time: Option<u64>,
    /// Time between two probes, nanoseconds.
    #[serde(rename = "interval_ns")]
    pub interval: Option<u64>,
    /// Probes without an answer after which the connection is given up.
    pub probes: Option<u64>,
}

impl Keepalive {
    /// With the namespace's settings where the socket has none of its own.
    #[must_use]
    pub fn or(self, settings: &Timeouts) -> Self {
        let nanoseconds = |seconds: u64| seconds.saturating_mul(1_000_000_000);
        Self {
            time: self.time.or(settings.keepalive_time.map(nanoseconds)),
            interval: self.interval.or(settings.keepalive_interval.map(nanoseconds)),
            probes: self.probes.or(settings.keepalive_probes),
        }
    }
}

/// A socket at the moment of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Socket {
    /// When it was seen.
    #[serde(skip)]
    pub time: u64,
    /// Its state. A half-open connection is in SYN_RECV.
    pub state: State,
    /// Which part it plays.
    // Its owner is the first of `holders`.
    #[serde(rename = "role", serialize_with = "role::serialize")]
    #[schemars(with = "Option<Role>")]
    pub subject: Subject,
    /// Time in the state, where the kernel says.
    #[serde(rename = "age_ns")]
    pub age: Option<u64>,
    /// The true age may be larger: `age_ns` is the time since the last acknowledgement came.
    pub at_least: bool,
    /// Time for which no data has moved, either way; null where the kernel does not say.
    #[serde(rename = "idle_ns")]
    pub idle: Option<u64>,
    /// How it is probed while it is idle; null where it is not (`SO_KEEPALIVE`).
    pub keepalive: Option<Keepalive>,
    /// After which time without an acknowledgement it is given up (`TCP_USER_TIMEOUT`); null where
    /// the retransmissions decide.
    #[serde(rename = "user_timeout_ns")]
    pub user_timeout: Option<u64>,
    /// Processes that hold a descriptor of it.
    #[serde(skip)]
    pub holders: Vec<Owner>,
    /// Which timer runs.
    pub timer: Option<Timer>,
    /// Received bytes that nobody has read; of a listener connections that wait for accept().
    pub receive_queue: u32,
    /// Bytes written and not acknowledged; of a listener the backlog.
    pub send_queue: u32,
    /// Round-trip time, smoothed.
    #[serde(rename = "rtt_ns")]
    pub rtt: Option<u64>,
    /// No process holds it any more.
    pub orphaned: bool,
    /// No process has accepted it yet.
    pub unaccepted: bool,
}
