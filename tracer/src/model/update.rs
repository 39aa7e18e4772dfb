//! What the model tells: the updates that sinks write, each with all it takes to write it.
//!
//! Times are nanoseconds of `CLOCK_MONOTONIC`; a sink turns them into wall-clock time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_wire::segment;

use super::{
    cause::Why,
    close::{Initiator, Reason},
    endpoint::Tuple,
    finding::Finding,
    icmp::{Errno, Icmp},
    owner::Owner,
    stack::Maker,
    state::State,
};

pub use super::sequence::Sequence;

/// Which part a socket plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It called connect().
    Client,
    /// It came from a listener.
    Server,
    /// It waits for connections.
    Listener,
}

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

/// The socket that an update is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Socket cookie; `None` on kernels that give none to tracing programs.
    pub cookie: Option<u64>,
    /// Which connection on this socket, from 1: connect() after AF_UNSPEC keeps the cookie. 0
    /// where there is no socket at all, only addresses.
    pub ordinal: u32,
    /// Both ends.
    pub tuple: Tuple,
    /// User id of the owner, where known.
    pub uid: Option<u32>,
    /// Inode number of the socket's file, where it has one.
    pub inode: Option<u64>,
    /// Number of its control group in cgroup2, 0 where it is not known.
    pub cgroup: u64,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// Which part it plays, unknown for some sockets that were there before.
    pub role: Option<Role>,
}

/// What is known of the three-way handshake when it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Handshake {
    /// Client: from the SYN to ESTABLISHED. Server: from its SYN+ACK to the ACK, as the kernel
    /// measured it. Nanoseconds.
    pub duration_ns: Option<u64>,
    /// Round-trip time as the kernel measured it on the handshake, nanoseconds.
    pub rtt_ns: Option<u64>,
    /// SYNs (server: SYN+ACKs) that had to be sent again.
    pub syn_retransmits: Option<u32>,
    /// Initial sequence number of this end.
    pub local_isn: Option<u32>,
    /// Initial sequence number of the far end.
    pub peer_isn: Option<u32>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Close {
    /// Why.
    pub reason: Reason,
    /// Who took the first step.
    pub initiator: Option<Initiator>,
    /// The ICMP error that made it unreachable, where the kernel has kept it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Icmp>,
    /// What connect() or SO_ERROR has told the application of it; left out where it has not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Errno>,
}

impl Close {
    /// Without an ICMP error.
    pub fn new(reason: Reason, initiator: Option<Initiator>) -> Self {
        Self { reason, initiator, icmp: None, error: None }
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub time: u64,
    /// Which socket.
    pub subject: Subject,
    /// State left.
    pub from: State,
    /// State that really follows.
    pub to: State,
    /// What the tracepoint said, where that is not what really follows.
    pub kernel: Option<(State, State)>,
    /// How it is known.
    pub source: Source,
    /// Time spent in `from`, nanoseconds.
    pub elapsed: Option<u64>,
    /// At `→ ESTABLISHED`.
    pub handshake: Option<Handshake>,
    /// What the kernel's record says at this moment, where there is one and it has them. Of a
    /// SYN_SENT that was held back for its local port they are deduced from the record that has
    /// told the port.
    pub sequence: Option<Sequence>,
    /// Whether the segment that belongs to the new state, SYN or FIN, leaves this host with it: a
    /// FIN waits behind data that may not be sent yet. `None` where there is none, or it is not
    /// known.
    pub sent: Option<bool>,
    /// At the end.
    pub close: Option<Close>,
    /// No process holds the socket any more; the kernel finishes alone.
    pub orphaned: bool,
}

/// A segment of the handshake or teardown that was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmit {
    /// When.
    pub time: u64,
    /// Which socket; for a SYN+ACK the half-open connection, whose owner is the listener's.
    pub subject: Subject,
    /// State of the socket.
    pub state: State,
    /// Which segment.
    pub segment: Segment,
    /// Which retransmission of it, from 1.
    pub ordinal: u32,
    /// Its sequence number, where known.
    pub sequence: Option<u32>,
}

/// Segments that are told of one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Segment {
    /// Opens.
    #[serde(rename = "SYN")]
    Syn,
    /// Answers.
    #[serde(rename = "SYN+ACK")]
    SynAck,
    /// Ends one direction.
    #[serde(rename = "FIN")]
    Fin,
    /// Breaks off.
    #[serde(rename = "RST")]
    Rst,
}

impl Segment {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syn => "SYN",
            Self::SynAck => "SYN+ACK",
            Self::Fin => "FIN",
            Self::Rst => "RST",
        }
    }
}

/// Which way a segment went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From this end.
    Sent,
    /// To this end.
    Received,
}

/// What an RST answers where there is no socket for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Answered {
    /// Nobody listens on that port.
    #[serde(rename = "SYN")]
    Syn,
    /// The same from the other side.
    #[serde(rename = "SYN+ACK")]
    SynAck,
    /// The end of a connection that is not known here.
    #[serde(rename = "FIN")]
    Fin,
    /// Anything else of such a connection.
    #[serde(rename = "ACK")]
    Ack,
}

impl Answered {
    /// By the flags of the segment.
    pub fn of(flags: u8) -> Self {
        match (flags & segment::SYN != 0, flags & segment::ACK != 0, flags & segment::FIN != 0) {
            (true, false, _) => Self::Syn,
            (true, true, _) => Self::SynAck,
            (false, _, true) => Self::Fin,
            (false, _, false) => Self::Ack,
        }
    }
}

/// A connection was broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// When.
    pub time: u64,
    /// Which socket.
    pub subject: Subject,
    /// Its state at that moment.
    pub state: State,
    /// Who sent it.
    pub direction: Direction,
    /// Where there is no socket: what it answers.
    pub answers: Option<Answered>,
}

/// A connection as a whole: told when it is over for its application, that is when its socket gets
/// to TIME_WAIT or CLOSED; while it is open at intervals (`--interval`) and when the trace ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// When it was over; of one that is open: when its counters were read.
    pub time: u64,
    /// Which socket.
    pub subject: Subject,
    /// Its state at that time: TIME_WAIT or CLOSED where it is over.
    pub state: State,
    /// When it began; `None` where it was there before the tracer.
    pub began: Option<u64>,
    /// Nanoseconds in each state, by [`State::index`].
    pub spent: [u64; State::COUNT],
    /// The time in the state it was found in is at least what `spent` says.
    pub at_least: bool,
    /// Its handshake, where it was seen.
    pub handshake: Option<Handshake>,
    /// Payload sent and acknowledged, bytes.
    pub bytes_sent: Option<u64>,
    /// Payload received, bytes.
    pub bytes_received: Option<u64>,
    /// Retransmitted segments.
    pub retransmits: Option<u32>,
    /// How it ended; `None` where it is open.
    pub close: Option<Close>,
    /// How the end is known, or that it is open.
    pub source: Source,
}

impl Story {
    /// From its beginning, or from when it was first seen, until its end or now, nanoseconds.
    pub fn duration(&self) -> u64 {
        self.spent.iter().fold(0, |sum, time| sum.saturating_add(*time))
    }
}

/// How a lingering socket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LingerStatus {
    /// It has just outlasted the threshold.
    Raised,
    /// It still does: told at each doubling of the age.
    Continues,
    /// It has left the state.
    Cleared,
}

/// A socket that outlasts the threshold of its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linger {
    /// When this was noticed.
    pub time: u64,
    /// Which socket.
    pub subject: Subject,
    /// The state it lingers in (lingered in, where cleared).
    pub state: State,
    /// Time in the state, nanoseconds.
    pub age: u64,
    /// Of this time without any progress, nanoseconds: what counts for the threshold. Less than
    /// `age` where data went on moving after one end had closed.
    pub idle: u64,
    /// The true age is at least `age`: the state was entered before the tracer looked.
    pub at_least: bool,
    /// The threshold it outlasted, nanoseconds.
    pub threshold: u64,
    /// How it stands.
    pub status: LingerStatus,
    /// No process holds the socket any more.
    pub orphaned: bool,
    /// Who holds a descriptor of it, as far as known.
    pub holders: Vec<Owner>,
    /// Why it stays, unless it may.
    pub why: Option<Why>,
    /// Who made it, where that was seen.
    pub maker: Option<Maker>,
}

/// Where something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossPlace {
    /// The ring buffer was full: the reader could not keep up.
    RingBuffer,
    /// The kernel skipped the programs because they were running on that CPU.
    Recursion,
    /// A record was damaged or of another version.
    Decode,
    /// State changes that must have happened without being seen, found by what followed and counted
    /// nowhere else.
    Unseen,
    /// More sockets than may be tracked: some were given up.
    Table,
    /// The output could not take more: what follows was traced but not written.
    Output,
    /// The journal could not take more.
    Journal,
    /// The receiver of syslog messages could not take more.
    Syslog,
    /// The OTLP receiver did not take it in time: traced but not sent.
    Otlp,
}

/// Something was lost since the last time this was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// When this was noticed.
    pub time: u64,
    /// Where.
    pub place: LossPlace,
    /// How many events (for `Output` lines, for `Journal`, `Syslog` and `Otlp` records).
    pub count: u64,
    /// The states shown are right all the same.
    pub healed: bool,
    /// There may have been more: of `Unseen` the fewest transitions that lead to what is there.
    pub at_least: bool,
}

impl Loss {
    /// Something that is lost for good, `count` times.
    pub fn final_loss(time: u64, place: LossPlace, count: u64) -> Self {
        Self { time, place, count, healed: false, at_least: false }
    }
}

/// One thing to tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Update<'a> {
    /// A socket changed its state.
    Transition(&'a Transition),
    /// A segment of the handshake or teardown was sent again.
    Retransmit(&'a Retransmit),
    /// An RST was sent or received.
    Reset(&'a Reset),
    /// A connection is over.
    Story(&'a Story),
    /// Sockets outlast their thresholds, or have ceased to; noticed at one moment.
    Linger(&'a [Linger]),
    /// Something was lost.
    Loss(&'a Loss),
    /// Something is wrong, or is not any more.
    Finding(&'a Finding),
}

impl Update<'_> {
    /// The socket that it is about, where it is about one.
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Transition(told) => Some(&told.subject),
            Self::Retransmit(told) => Some(&told.subject),
            Self::Reset(told) => Some(&told.subject),
            Self::Story(told) => Some(&told.subject),
            Self::Linger(_) | Self::Loss(_) | Self::Finding(_) => None,
        }
    }
}

/// Takes updates.
pub trait Observer {
    /// Called for each update, in order.
    fn observe(&mut self, update: Update<'_>);
}
