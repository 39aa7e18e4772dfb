//! What the evidence of several findings consists of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    activity::Doing,
    container::PodName,
    endpoint::Endpoint,
    name,
    process::{Executable, Halt, Process},
};

/// Why a socket stays in CLOSE_WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The handshake is complete, but no process has accepted the connection.
    NeverAccepted,
    /// All who hold it cannot run.
    Halted(Halt),
    /// A child got a copy of the descriptor by fork and keeps it; its parent has closed its own.
    Inherited,
    /// It is held, with received data that nobody reads: the end of file behind it is not seen.
    Unread,
    /// It is held and has been read to the end of file, but not closed.
    Held,
    /// It is one side of what a proxy forwards: the FIN has been passed on, and the other side's
    /// peer does not close.
    PassedOn,
    /// The same, and the proxy has not passed the FIN on: the other side is open.
    NotPassedOn,
    /// Right after the last request came on it, its process has asked another server, which has not
    /// answered yet.
    AwaitsAnswer,
    /// Its descriptors are closed; the kernel has yet to send what is left.
    Orphaned,
    /// It has a file, but nobody's descriptor: in io_uring's table, on its way to another process,
    /// or in the kernel's own use.
    Unseen,
}

named!(Cause, "a cause" {
    [Self::NeverAccepted] "never_accepted",
    [Self::Halted(Halt::Stopped)] "owner_stopped",
    [Self::Halted(Halt::Traced)] "owner_traced",
    [Self::Halted(Halt::Frozen)] "owner_frozen",
    [Self::Inherited] "inherited",
    [Self::Unread] "unread_data",
    [Self::Held] "held",
    [Self::PassedOn] "half_close_passed_on",
    [Self::NotPassedOn] "half_close_not_passed_on",
    [Self::AwaitsAnswer] "awaits_answer",
    [Self::Orphaned] "orphaned",
    [Self::Unseen] "holder_not_visible",
});

impl Cause {
    /// Whether it rests on another connection of the process.
    pub fn has_other_side(self) -> bool {
        matches!(self, Self::PassedOn | Self::NotPassedOn | Self::AwaitsAnswer)
    }
}

/// What connections have in common that differ in the port of one end only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Service {
    /// Connections to this address of ours.
    #[serde(rename = "local")]
    Here(Endpoint),
    /// Connections to this address elsewhere.
    #[serde(rename = "peer")]
    There(Endpoint),
}

/// A process and the program it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Program {
    /// Number and name.
    #[serde(flatten)]
    pub process: Process,
    /// The program, where known.
    pub executable: Option<Executable>,
    /// Id (docker, containerd, CRI-O, podman) or name (LXC, nspawn) of its container.
    #[serde(with = "name::optional")]
    #[schemars(with = "Option<String>")]
    pub container: Option<Box<str>>,
    /// UID of the pod of Kubernetes that the container is in.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "name::optional")]
    #[schemars(with = "Option<String>")]
    pub pod: Option<Box<str>>,
    /// What that pod is called, where that was asked for (`--pod-logs`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<PodName>,
    /// Unit of systemd, where there is no container.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "name::optional")]
    #[schemars(with = "Option<String>")]
    pub unit: Option<Box<str>>,
    /// The file by which the control group is thawed that it is frozen with.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "name::optional")]
    #[schemars(with = "Option<String>")]
    pub freezer: Option<Box<str>>,
}

/// A listener and its accept queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listener {
    /// Its address.
    pub local: Endpoint,
    /// Who holds it.
    pub processes: Vec<Program>,
    /// Why none of these can run.
    pub halted: Option<Halt>,
    /// What the first of these does, where that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<Doing>,
    /// Connections that wait for accept().
    pub queue: u32,
    /// The most that may wait.
    pub backlog: u32,
    /// Listeners that share the address by SO_REUSEPORT and have connections waiting, where it is
    /// not known which of them it is.
    // 1 as a rule.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub candidates: u32,
}

impl Listener {
    /// What makes it the same at different times: its address, and the youngest of its processes, as
    /// others may share the address (SO_REUSEPORT), and a master may be named or not.
    pub(super) fn key(&self) -> String {
        let youngest = self.processes.iter().map(|one| one.process.pid).max();
        format!("{} {}", self.local, youngest.unwrap_or(0))
    }
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(count: &u32) -> bool {
    *count == 1
}

/// Descriptors of a process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Descriptors {
    /// Open now.
    pub open: u64,
    /// The most that may be open.
    pub limit: u64,
    /// Growth, descriptors a minute.
    #[serde(rename = "growth_per_minute")]
    pub growth: f64,
    /// Minutes until none is left, if they grow.
    pub minutes_left: Option<f64>,
}

impl Descriptors {
    /// So many of so many, growing like that.
    pub fn new(open: u64, limit: u64, growth: f64) -> Self {
        let minutes_left = minutes_left(limit.saturating_sub(open), growth);
        Self { open, limit, growth, minutes_left }
    }

    /// Whether none is left.
    pub const fn is_all(&self) -> bool {
        self.open >= self.limit
    }
}

/// Minutes until `left` are used up at `growth` a minute.
pub fn minutes_left(left: u64, growth: f64) -> Option<f64> {
    (growth > 0.0).then(|| left as f64 / growth)
}

/// What decides when the kernel gives up on a peer that does not answer.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// `net.ipv4.tcp_retries2`, retransmissions.
    #[serde(rename = "tcp_retries2")]
    Retries,
    /// `net.ipv4.tcp_orphan_retries`, or the eight that 0 stands for.
    #[serde(rename = "tcp_orphan_retries")]
    OrphanRetries,
    /// `TCP_USER_TIMEOUT` of the socket, milliseconds.
    UserTimeout,
    /// `TCP_KEEPCNT` of the socket, or `net.ipv4.tcp_keepalive_probes`.
    KeepaliveProbes,
}

/// A setting and its value.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Limit {
    /// Which.
    pub setting: Setting,
    /// How many, or how many milliseconds.
    pub value: u64,
}

/// Which segment of handshakes is lost, where what both ends on this host have shows it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LostSegment {
    /// The SYN: it was retransmitted, and the listener on this host has not answered.
    Syn,
    /// The SYN+ACK: the listener on this host has sent it, and the client has not got it.
    SynAck,
    /// The ACK of the SYN+ACK: the client on this host is connected, the listener has not got it.
    Ack,
    /// The SYN: the listener on this host has got it and dropped it, as its accept queue is full.
    DroppedSyn,
}

/// A process that accepts connections of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Worker {
    /// Which.
    #[serde(flatten)]
    pub process: Process,
    /// How many it has accepted while observed.
    pub accepted: u64,
}
