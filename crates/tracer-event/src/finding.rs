//! `finding`: something is wrong with more than one socket. One file a kind: its evidence, the
//! sentence, the evidence in words, and what to do about it.

mod accept_queue_full;
mod accept_wait;
mod alike;
mod body;
mod churn;
mod close_wait_leak;
mod closed_but_held;
mod commands;
mod connect_failures;
mod connection_resets;
mod connections;
mod counted;
mod dead_peer;
mod deferred_accept;
mod descriptors;
mod doing;
mod ephemeral_ports;
mod keepalive_race;
mod left_open;
mod listens_elsewhere;
mod made;
mod no_keepalive;
mod no_local_port;
mod not_reading;
mod other_side;
mod parts;
mod peer_not_reading;
mod process_ended;
mod remedies;
mod retransmissions;
mod self_connect;
mod sockets;
mod stuck_handshake;
mod stuck_state;
mod syn_backlog;
#[cfg(test)]
mod tests;
mod time_wait_overflow;
mod words;

use std::borrow::Borrow as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::body::Body;
pub use self::{
    accept_queue_full::AcceptQueue,
    accept_wait::AcceptWait,
    churn::{Churn, PortCost},
    close_wait_leak::Leak,
    closed_but_held::ClosedButHeld,
    connect_failures::{ConnectFailure, ConnectFailures, Recovered},
    connection_resets::{BadEnd, ConnectionResets, StillOpen},
    connections::Connections,
    dead_peer::{DeadPeer, Idle, Unanswered},
    deferred_accept::DeferredAccept,
    descriptors::{Holds, OutOfDescriptors},
    ephemeral_ports::{PortUse, Scope},
    keepalive_race::KeepaliveRace,
    left_open::LeftOpen,
    listens_elsewhere::ListensElsewhere,
    made::Made,
    no_keepalive::NoKeepalive,
    no_local_port::NoLocalPort,
    not_reading::NotReading,
    other_side::OtherSide,
    parts::{
        Cause, Descriptors, Limit, Listener, LostSegment, Program, Service, Setting, Worker,
        minutes_left,
    },
    peer_not_reading::PeerNotReading,
    process_ended::{EndedGroup, Ends, ProcessEnded},
    retransmissions::{Path, Retransmissions, Segments},
    self_connect::SelfConnect,
    sockets::{SocketOwner, Sockets},
    stuck_handshake::StuckHandshake,
    stuck_state::StuckState,
    syn_backlog::SynBacklog,
    time_wait_overflow::TimeWaitOverflow,
    words::{halted, process, whose},
};
use self::{connections::of_connections, counted::counted};
use super::{
    host::Entry,
    phrase::{Wording, wording},
    process::Halt,
};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// It will fail if it goes on.
    Warning,
    /// It fails now, or very soon.
    Critical,
}

named!(Severity, "a severity" {
    [Self::Critical] "critical",
    [Self::Warning] "warning",
    [Self::Info] "info",
});

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

/// One line of evidence in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is about, in a word or two.
    pub label: &'static str,
    /// What is to be said.
    pub text: Wording,
}

/// Something to do. Nothing is ever run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Remedy {
    /// What, and what it does not do.
    pub text: Wording,
    /// A command to copy.
    pub command: Option<String>,
}

/// What docs/findings.md says of a kind of finding, besides what it is: clauses without a full stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// When it is reported, and how severe it is.
    pub when: &'static str,
    /// What it rests on.
    pub evidence: &'static str,
    /// What it cannot know.
    pub unknown: &'static str,
}

/// A kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its code in JSON.
    pub code: &'static str,
    /// What it is, in a sentence.
    pub what: &'static str,
    /// The rest.
    pub about: About,
}

/// What each kind of finding knows to say of its evidence.
pub trait Explain {
    /// What holds for all of this kind.
    fn about() -> About
    where
        Self: Sized;
    /// What is wrong, in one sentence without a full stop, for a tired person.
    fn sentence(&self, severity: Severity) -> Wording;
    /// What shows it, a line each.
    fn evidence(&self) -> Vec<Line>;
    /// Who has to change what, commands to copy after `enter`, which enters the namespace, and what
    /// does not help.
    fn remedies(&self, enter: &str) -> Vec<Remedy>;
    /// The sockets that it is about, as far as it says which.
    fn sockets(&self) -> Sockets<'_> {
        Sockets::default()
    }
    /// How many sockets or events it is about: what is many comes first among equals.
    fn count(&self) -> u64;
    /// What makes two findings of this kind in one namespace the same at different times; nothing
    /// where there is one at most.
    fn key(&self) -> String {
        String::new()
    }
    /// Whether it has happened, so that it is never over.
    fn happens_once(&self) -> bool {
        false
    }
}

macro_rules! findings {
    ($(#[doc = $what:literal] $name:ident($held:ty): $type:ty = $code:literal,)+) => {
        /// The kinds of findings.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "code", content = "evidence")]
        pub enum Problem {
            $(#[doc = $what] #[serde(rename = $code)] $name($held),)+
        }

        impl Problem {
            /// All codes.
            pub const CODES: [&str; [$($code),+].len()] = [$($code),+];

            /// What there is to say of each kind, in the order of the codes.
            pub fn kinds() -> [Kind; Self::CODES.len()] {
                [$(Kind { code: $code, what: $what.trim_ascii(), about: <$type>::about() },)+]
            }

            /// Its code in JSON.
            pub fn code(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $code,)+
                }
            }

            fn explain(&self) -> &dyn Explain {
                match self {
                    $(Self::$name(held) => {
                        let one: &$type = held.borrow();
                        one
                    })+
                }
            }
        }
    };
}

findings! {
    /// Sockets in CLOSE_WAIT that nobody closes.
    CloseWaitLeak(Box<Leak>): Leak = "close_wait_leak",
    /// Ephemeral ports run out.
    EphemeralPorts(PortUse): PortUse = "ephemeral_ports",
    /// connect() found no free port.
    NoLocalPort(NoLocalPort): NoLocalPort = "no_local_port",
    /// A listener's accept queue is full, or was.
    AcceptQueueFull(AcceptQueue): AcceptQueue = "accept_queue_full",
    /// Connections wait in a listener's queue, and nobody accepts them.
    AcceptWait(Box<AcceptWait>): AcceptWait = "accept_wait",
    /// Half-open connections wait for their clients' first data.
    DeferredAccept(DeferredAccept): DeferredAccept = "deferred_accept",
    /// A process is done with connections, and another one still holds them.
    ClosedButHeld(Box<ClosedButHeld>): ClosedButHeld = "closed_but_held",
    /// A server leaves connections open that it has answered, and only accepts others.
    LeftOpen(Box<LeftOpen>): LeftOpen = "left_open",
    /// A socket is connected to itself.
    SelfConnect(SelfConnect): SelfConnect = "self_connect",
    /// There are too many half-open connections.
    SynBacklog(SynBacklog): SynBacklog = "syn_backlog",
    /// There are too many sockets in TIME_WAIT.
    TimeWaitOverflow(TimeWaitOverflow): TimeWaitOverflow = "time_wait_overflow",
    /// Descriptors run out.
    Descriptors(OutOfDescriptors): OutOfDescriptors = "descriptors",
    /// Handshakes that get no answer.
    StuckHandshake(StuckHandshake): StuckHandshake = "stuck_handshake",
    /// Peers do not answer any more.
    DeadPeer(Box<DeadPeer>): DeadPeer = "dead_peer",
    /// Peers do not read what they are sent.
    PeerNotReading(Box<PeerNotReading>): PeerNotReading = "peer_not_reading",
    /// A server does not read what its clients have sent.
    NotReading(Box<NotReading>): NotReading = "not_reading",
    /// Sockets stay in a state for too long.
    StuckState(Box<StuckState>): StuckState = "stuck_state",
    /// Segments are lost on their way to peers that answer.
    Retransmissions(Box<Retransmissions>): Retransmissions = "retransmissions",
    /// Idle connections that would never notice a dead peer.
    NoKeepalive(NoKeepalive): NoKeepalive = "no_keepalive",
    /// Many short connections to one destination, each used once.
    Churn(Churn): Churn = "churn",
    /// A process has ended, and what has become of its connections.
    ProcessEnded(Box<ProcessEnded>): ProcessEnded = "process_ended",
    /// Attempts to connect fail, or are slow because SYNs are lost.
    ConnectFailures(Box<ConnectFailures>): ConnectFailures = "connect_failures",
    /// Clients connect to another address than a server listens on.
    ListensElsewhere(Box<ListensElsewhere>): ListensElsewhere = "listens_elsewhere",
    /// Connections end by RST or timeout instead of being closed.
    ConnectionResets(ConnectionResets): ConnectionResets = "connection_resets",
    /// A server closes idle connections just before its clients use them again.
    KeepaliveRace(Box<KeepaliveRace>): KeepaliveRace = "keepalive_race",
}

impl Problem {
    /// The processes that it is about.
    pub fn processes(&self) -> Vec<u32> {
        self.sockets().owners.iter().map(|owner| owner.process.pid).collect()
    }

    /// The sockets that it is about, as far as it says which.
    pub fn sockets(&self) -> Sockets<'_> {
        self.explain().sockets()
    }

    /// How many sockets or events it is about: what is many comes first among equals.
    pub fn count(&self) -> u64 {
        self.explain().count()
    }

    /// Whether it has happened, so that it is never over.
    pub fn happens_once(&self) -> bool {
        self.explain().happens_once()
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Body", from = "Body")]
pub struct Finding {
    /// When it was found, nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// How bad it is.
    pub severity: Severity,
    /// How it stands.
    pub status: Status,
    /// Where: a network namespace, by its inode number.
    pub netns: u32,
    /// A way into that namespace, where it is not the tracer's own: a process that it is about, if
    /// there is one.
    pub entry: Option<Entry>,
    /// What it is.
    pub problem: Problem,
}

impl Problem {
    /// Takes over what only a snapshot has shown from the same finding of before; whether it is
    /// explained now and was not.
    pub fn carry(&mut self, before: &Self) -> bool {
        let (Self::ConnectionResets(now), Self::ConnectionResets(before)) = (self, before) else {
            return false;
        };
        let is_explained = now.still_open.is_some() && before.still_open.is_none();
        now.still_open = now.still_open.or(before.still_open);
        is_explained
    }
}

impl Finding {
    /// What makes two findings the same at different times.
    pub fn key(&self) -> String {
        format!("{} {} {}", self.problem.code(), self.netns, self.problem.explain().key())
    }

    /// What is wrong, in one sentence without a full stop.
    pub fn sentence(&self) -> Wording {
        let sentence = self.problem.explain().sentence(self.severity);
        match self.status {
            Status::Cleared => wording!("over", "over: {sentence}", [sentence]),
            Status::Raised | Status::Continues => sentence,
        }
    }

    /// What shows it.
    pub fn evidence(&self) -> Vec<Line> {
        let mut lines = self.problem.explain().evidence();
        let namespace = format!("net:[{}]", self.netns);
        let text = self.entry.as_ref().map(|entry| match entry {
            Entry::Process(pid) => {
                let pid = pid.to_string();
                wording!("namespace-of", "{namespace}, that of process {pid}", [namespace, pid])
            }
            Entry::Mount(path) => format!("{namespace}, {path}").into(),
        });
        lines.extend(text.map(|text| Line { label: "namespace", text }));
        lines
    }

    /// What helps, the best first.
    pub fn remedies(&self) -> Vec<Remedy> {
        // Sockets, ports and settings are those of a network namespace.
        let enter = self.entry.as_ref().map_or_else(String::new, Entry::command);
        self.problem.explain().remedies(&enter)
    }
}
