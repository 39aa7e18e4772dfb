//! What is wrong, as facts: each finding names its evidence; the words and remedies are the
//! sinks'.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::ports::{PortUse, minutes_left};

use super::{
    endpoint::Endpoint,
    host::{Counters, Halt},
    owner::Process,
    stack::Stack,
    state::State,
};

/// How bad it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// It will fail if it goes on.
    Warning,
    /// It fails now, or very soon.
    Critical,
}

impl Severity {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// How a finding of a live trace stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is new.
    Raised,
    /// It was known and has become worse.
    Continues,
    /// It is over.
    Cleared,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// When it was found, nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// How bad it is.
    pub severity: Severity,
    /// How it stands.
    pub status: Status,
    /// Where: a network namespace, by its inode number.
    pub netns: u32,
    /// A process in that namespace, where it is not the tracer's own: a way in. One that it is
    /// about, if there is one.
    pub entry: Option<u32>,
    /// What it is.
    pub problem: Problem,
}

/// The kinds of findings.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// Sockets in CLOSE_WAIT that nobody closes.
    CloseWaitLeak(Box<Leak>),
    /// Ephemeral ports run out.
    EphemeralPorts(PortUse),
    /// connect() found no free port.
    NoLocalPort(NoLocalPort),
    /// A listener's accept queue is full, or was.
    AcceptQueueFull(AcceptQueue),
    /// There are too many half-open connections.
    SynBacklog(SynBacklog),
    /// There are too many sockets in TIME_WAIT.
    TimeWaitOverflow(TimeWaitOverflow),
    /// Descriptors run out.
    Descriptors(OutOfDescriptors),
    /// Handshakes that get no answer.
    StuckHandshake(StuckHandshake),
}

impl Problem {
    /// All codes.
    pub const CODES: [&str; 8] = [
        "close_wait_leak",
        "ephemeral_ports",
        "no_local_port",
        "accept_queue_full",
        "syn_backlog",
        "time_wait_overflow",
        "descriptors",
        "stuck_handshake",
    ];

    /// Its code in JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::CloseWaitLeak(_) => "close_wait_leak",
            Self::EphemeralPorts(_) => "ephemeral_ports",
            Self::NoLocalPort(_) => "no_local_port",
            Self::AcceptQueueFull(_) => "accept_queue_full",
            Self::SynBacklog(_) => "syn_backlog",
            Self::TimeWaitOverflow(_) => "time_wait_overflow",
            Self::Descriptors(_) => "descriptors",
            Self::StuckHandshake(_) => "stuck_handshake",
        }
    }

    /// The processes that it is about.
    pub fn processes(&self) -> Vec<u32> {
        let programs = |programs: &[Program]| {
            programs.iter().map(|program| program.process.pid).collect::<Vec<_>>()
        };
        let one = |process: &Option<Process>| process.iter().map(|one| one.pid).collect();
        match self {
            Self::CloseWaitLeak(leak) => {
                let listening = leak.listener.iter().flat_map(|from| &from.processes);
                let holding = leak.holders.iter();
                holding.chain(listening).map(|program| program.process.pid).collect()
            }
            Self::EphemeralPorts(ports) => ports.processes.iter().map(|(one, _)| one.pid).collect(),
            Self::NoLocalPort(failures) => one(&failures.process),
            Self::AcceptQueueFull(full) => programs(&full.listener.processes),
            Self::SynBacklog(_) | Self::TimeWaitOverflow(_) => Vec::new(),
            Self::Descriptors(out) => vec![out.program.process.pid],
            Self::StuckHandshake(stuck) => one(&stuck.process),
        }
    }

    /// How many sockets or events it is about: what is many comes first among equals.
    pub fn count(&self) -> u64 {
        match self {
            Self::CloseWaitLeak(leak) => leak.sockets,
            Self::EphemeralPorts(ports) => u64::from(ports.used),
            Self::NoLocalPort(failures) => failures.count,
            Self::AcceptQueueFull(full) => u64::from(full.listener.queue),
            Self::SynBacklog(backlog) => backlog.half_open,
            Self::TimeWaitOverflow(overflow) => overflow.time_wait,
            // Below the leak that they follow from.
            Self::Descriptors(_) => 0,
            Self::StuckHandshake(stuck) => stuck.sockets,
        }
    }
}

/// Why a socket stays in CLOSE_WAIT.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
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
    /// Its descriptors are closed; the kernel has yet to send what is left.
    Orphaned,
    /// It has a file, but nobody's descriptor: in io_uring's table, on its way to another process,
    /// or in the kernel's own use.
    Unseen,
}

impl Cause {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::NeverAccepted => "never_accepted",
            Self::Halted(Halt::Stopped) => "owner_stopped",
            Self::Halted(Halt::Traced) => "owner_traced",
            Self::Halted(Halt::Frozen) => "owner_frozen",
            Self::Inherited => "inherited",
            Self::Unread => "unread_data",
            Self::Held => "held",
            Self::Orphaned => "orphaned",
            Self::Unseen => "holder_not_visible",
        }
    }
}

/// What connections have in common that differ in the port of one end only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Connections to this address of ours.
    Here(Endpoint),
    /// Connections to this address elsewhere.
    There(Endpoint),
}

/// A process and the program it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Number and name.
    pub process: Process,
    /// Path of the program, where known.
    pub executable: Option<Vec<u8>>,
    /// Its container, where it is in one that is known.
    pub container: Option<Box<str>>,
}

/// A listener and its accept queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its address.
    pub local: Endpoint,
    /// Who holds it.
    pub processes: Vec<Program>,
    /// Why all of these cannot run, if so.
    pub halted: Option<Halt>,
    /// Connections that wait for accept().
    pub queue: u32,
    /// The most that may wait.
    pub backlog: u32,
    /// How many listeners share the address and can be the one: 1 as a rule.
    pub candidates: u32,
}

/// Descriptors of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descriptors {
    /// Open now.
    pub open: u64,
    /// The most that may be open.
    pub limit: u64,
    /// Growth, descriptors a minute.
    pub growth: f64,
}

impl Descriptors {
    /// Minutes until none is left, if they grow.
    pub fn minutes_left(&self) -> Option<f64> {
        minutes_left(self.limit.saturating_sub(self.open), self.growth)
    }
}

/// Sockets in CLOSE_WAIT with one cause, one holder and one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Leak {
    /// Why they stay.
    pub cause: Cause,
    /// Who holds them, or has not accepted them.
    pub holders: Vec<Program>,
    /// The parent that closed its copy, of [`Cause::Inherited`].
    pub parent: Option<Process>,
    /// Descriptors of the first holder, ascending.
    pub fds: Vec<u32>,
    /// How many sockets.
    pub sockets: u64,
    /// What they have in common.
    pub service: Service,
    /// Far ends' addresses and how many sockets each has, most first.
    pub peers: Vec<(Endpoint, u64)>,
    /// The listener they came from, of [`Cause::NeverAccepted`].
    pub listener: Option<Listener>,
    /// Longest time in CLOSE_WAIT, nanoseconds.
    pub oldest: u64,
    /// The true age is at least `oldest`.
    pub at_least: bool,
    /// Growth, sockets a minute.
    pub growth: f64,
    /// Received bytes that nobody has read.
    pub unread: u64,
    /// Descriptors of the first holder, or of who does not accept.
    pub descriptors: Option<Descriptors>,
    /// States of those far ends that are on this host.
    pub far_ends: BTreeMap<State, u64>,
    /// How many of these no process holds any more.
    pub far_orphans: u64,
    /// The code that made them, if that is asked for.
    pub made: Option<Made>,
}

/// The code that made sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Stacks and how many sockets each has made, most first.
    pub stacks: Vec<(Arc<Stack>, u64)>,
    /// Sockets whose stack was not recorded: they were there before.
    pub before: u64,
}

/// Failed calls of connect(): no local port was free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoLocalPort {
    /// Whose calls.
    pub process: Option<Process>,
    /// Where to.
    pub peer: Endpoint,
    /// How many.
    pub count: u64,
    /// Ports that there are to choose from, where known.
    pub size: Option<u32>,
}

/// A full accept queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptQueue {
    /// The listener; where none is full any more the one with the longest queue.
    pub listener: Listener,
    /// `listen_overflows` and `listen_drops` are of the time of observation, of all listeners of
    /// the namespace.
    pub counted: Counters,
    /// `somaxconn`, the most that listen() grants.
    pub somaxconn: Option<u64>,
}

/// Too many half-open connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynBacklog {
    /// Half-open connections now.
    pub half_open: u64,
    /// The local address that has most of them.
    pub local: Option<Endpoint>,
    /// `syn_drops` and `syn_cookies` are of the time of observation.
    pub counted: Counters,
    /// `tcp_max_syn_backlog`.
    pub limit: Option<u64>,
}

/// Too many sockets in TIME_WAIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeWaitOverflow {
    /// In TIME_WAIT now.
    pub time_wait: u64,
    /// `tcp_max_tw_buckets`.
    pub limit: Option<u64>,
    /// Connections that skipped TIME_WAIT in the time of observation.
    pub skipped: u64,
    /// To whom most of them were; this end closed first.
    pub services: Vec<(Service, u64)>,
}

/// A process with hardly a descriptor left.
#[derive(Clone, Debug, PartialEq)]
pub struct OutOfDescriptors {
    /// Which.
    pub program: Program,
    /// How many it has.
    pub descriptors: Descriptors,
}

/// Handshakes without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckHandshake {
    /// SYN_SENT or SYN_RECV.
    pub state: State,
    /// Who connects or listens.
    pub process: Option<Process>,
    /// To what.
    pub service: Service,
    /// How many sockets.
    pub sockets: u64,
    /// Most retransmissions of one of them.
    pub retransmits: u8,
}
