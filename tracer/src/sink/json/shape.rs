//! The shapes of the JSON objects: what is nested where, and under which name.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    model::{
        endpoint::{Endpoint, Tuple},
        owner::{Evidence, Owner},
        socket::{Socket, Timer},
        state::State,
        update::{
            Close, Direction, Handshake, Linger, LingerStatus, Loss, LossPlace, Reset, Retransmit,
            Role, Segment, Source, Story, Subject, Transition,
        },
    },
    sink::{escape::escape, wall_clock::WallClock},
};

/// RFC 3339 with nine digits.
pub(super) fn nanoseconds<S: serde::Serializer>(
    time: &Timestamp,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.9}"))
}

#[derive(Serialize)]
struct About {
    socket: Identity,
    network: Network,
    process: Option<Process>,
}

#[derive(Serialize)]
struct Identity {
    cookie: Option<u64>,
    ordinal: u32,
    netns: u32,
    uid: Option<u32>,
    inode: Option<u64>,
}

#[derive(Serialize)]
struct Network {
    transport: &'static str,
    r#type: &'static str,
    local: Address,
    peer: Address,
}

#[derive(Serialize)]
struct Address {
    address: std::net::IpAddr,
    port: Option<u16>,
}

#[derive(Serialize)]
struct Process {
    pid: u32,
    name: String,
    evidence: Evidence,
    #[serde(skip_serializing_if = "Option::is_none")]
    fd: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct TransitionBody {
    #[serde(flatten)]
    about: About,
    tcp: TransitionTcp,
}

#[derive(Serialize)]
struct TransitionTcp {
    from: State,
    to: State,
    role: Option<Role>,
    source: Source,
    elapsed_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<Edge>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    orphaned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<Handshake>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close: Option<Close>,
}

#[derive(Serialize)]
struct Edge {
    from: State,
    to: State,
}

#[derive(Serialize)]
pub(super) struct LingerBody {
    #[serde(flatten)]
    about: About,
    status: LingerStatus,
    tcp: LingerTcp,
}

#[derive(Serialize)]
struct LingerTcp {
    state: State,
    role: Option<Role>,
    age_ns: u64,
    /// The true age is larger: the state was entered before the tracer looked.
    at_least: bool,
    threshold_ns: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    orphaned: bool,
}

#[derive(Serialize)]
pub(super) struct SegmentBody {
    #[serde(flatten)]
    about: About,
    tcp: SegmentTcp,
}

#[derive(Serialize)]
struct SegmentTcp {
    state: State,
    role: Option<Role>,
    segment: SegmentOf,
}

#[derive(Serialize)]
struct SegmentOf {
    r#type: Segment,
    direction: Direction,
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct StoryBody {
    #[serde(flatten)]
    about: About,
    tcp: StoryTcp,
}

#[derive(Serialize)]
struct StoryTcp {
    role: Option<Role>,
    source: Source,
    /// When it began, where that was seen.
    #[serde(serialize_with = "optional_nanoseconds")]
    began: Option<Timestamp>,
    /// Time in each state that it was in.
    states: BTreeMap<&'static str, u64>,
    at_least: bool,
    handshake: Option<Handshake>,
    bytes_sent: Option<u64>,
    bytes_received: Option<u64>,
    retransmits: Option<u32>,
    close: Close,
}

fn optional_nanoseconds<S: serde::Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => nanoseconds(time, serializer),
        None => serializer.serialize_none(),
    }
}

#[derive(Serialize)]
pub(super) struct SocketBody {
    #[serde(flatten)]
    about: About,
    /// All that hold a descriptor of it; `process` is the first.
    processes: Vec<Process>,
    tcp: SocketTcp,
}

#[derive(Serialize)]
struct SocketTcp {
    state: State,
    role: Option<Role>,
    age_ns: Option<u64>,
    timer: Option<Timer>,
    receive_queue: u32,
    send_queue: u32,
    rtt_ns: Option<u64>,
    orphaned: bool,
    unaccepted: bool,
}

#[derive(Serialize)]
pub(super) struct LossBody {
    r#where: LossPlace,
    count: u64,
    healed: bool,
}

impl From<Endpoint> for Address {
    fn from(end: Endpoint) -> Self {
        Self { address: end.address(), port: (end.port != 0).then_some(end.port) }
    }
}

impl From<Owner> for Process {
    fn from(Owner { process, evidence, fd }: Owner) -> Self {
        Self { pid: process.pid, name: escape(process.name()), evidence, fd }
    }
}

impl From<&Subject> for About {
    fn from(subject: &Subject) -> Self {
        let Subject { cookie, ordinal, tuple, uid, inode, owner, role: _ } = *subject;
        let Tuple { local, peer, netns } = tuple;
        Self {
            socket: Identity { cookie, ordinal, netns, uid, inode },
            network: Network {
                transport: "tcp",
                r#type: if tuple.is_ipv4() { "ipv4" } else { "ipv6" },
                local: local.into(),
                peer: peer.into(),
            },
            process: owner.map(Process::from),
        }
    }
}

impl From<&Transition> for TransitionBody {
    fn from(transition: &Transition) -> Self {
        let Transition {
            time: _,
            ref subject,
            from,
            to,
            kernel,
            source,
            elapsed,
            handshake,
            close,
            orphaned,
        } = *transition;
        Self {
            about: subject.into(),
            tcp: TransitionTcp {
                from,
                to,
                role: subject.role,
                source,
                elapsed_ns: elapsed,
                kernel: kernel.map(|(from, to)| Edge { from, to }),
                orphaned,
                handshake,
                close,
            },
        }
    }
}

impl From<&Linger> for LingerBody {
    fn from(linger: &Linger) -> Self {
        let Linger { time: _, ref subject, state, age, at_least, threshold, status, orphaned } =
            *linger;
        Self {
            about: subject.into(),
            status,
            tcp: LingerTcp {
                state,
                role: subject.role,
                age_ns: age,
                at_least,
                threshold_ns: threshold,
                orphaned,
            },
        }
    }
}

impl From<&Retransmit> for SegmentBody {
    fn from(retransmit: &Retransmit) -> Self {
        let Retransmit { time: _, ref subject, state, segment, ordinal, sequence } = *retransmit;
        let segment = SegmentOf {
            r#type: segment,
            direction: Direction::Sent,
            retransmit: Some(ordinal),
            sequence,
        };
        Self { about: subject.into(), tcp: SegmentTcp { state, role: subject.role, segment } }
    }
}

impl From<&Reset> for SegmentBody {
    fn from(reset: &Reset) -> Self {
        let Reset { time: _, ref subject, state, direction } = *reset;
        let segment =
            SegmentOf { r#type: Segment::Rst, direction, retransmit: None, sequence: None };
        Self { about: subject.into(), tcp: SegmentTcp { state, role: subject.role, segment } }
    }
}

impl StoryBody {
    pub(super) fn new(story: &Story, clock: WallClock) -> Self {
        let Story {
            time: _,
            ref subject,
            began,
            spent,
            at_least,
            handshake,
            bytes_sent,
            bytes_received,
            retransmits,
            close,
            source,
        } = *story;
        let states = State::ALL
            .into_iter()
            .map(|state| (state.name(), spent[state.index()]))
            .filter(|&(_, time)| time > 0)
            .collect();
        Self {
            about: subject.into(),
            tcp: StoryTcp {
                role: subject.role,
                source,
                began: began.map(|time| clock.at(time)),
                states,
                at_least,
                handshake,
                bytes_sent,
                bytes_received,
                retransmits,
                close,
            },
        }
    }
}

impl From<&Loss> for LossBody {
    fn from(&Loss { time: _, place, count, healed }: &Loss) -> Self {
        Self { r#where: place, count, healed }
    }
}

impl From<&Socket> for SocketBody {
    fn from(socket: &Socket) -> Self {
        let Socket {
            time: _,
            ref subject,
            state,
            age,
            ref holders,
            timer,
            receive_queue,
            send_queue,
            rtt,
            orphaned,
            unaccepted,
        } = *socket;
        Self {
            about: subject.into(),
            processes: holders.iter().copied().map(Process::from).collect(),
            tcp: SocketTcp {
                state,
                role: subject.role,
                age_ns: age,
                timer,
                receive_queue,
                send_queue,
                rtt_ns: rtt,
                orphaned,
                unaccepted,
            },
        }
    }
}
