//! The shapes of the JSON objects: what is nested where, and under which name.

use serde::Serialize;

use super::{
    lingering::Cause,
    origin::{Container, Process},
};
use crate::{
    model::{
        endpoint::{Endpoint, Tuple},
        socket::{Socket, Timer},
        state::State,
        update::{
            Close, Direction, Handshake, Linger, LingerStatus, Loss, LossPlace, Reset, Retransmit,
            Role, Segment, Source, Story, Subject, Transition,
        },
    },
    sink::stack::FrameBody,
};

/// A line about a socket. Nothing is flattened: that would cost as much as all the rest.
#[derive(Serialize)]
pub(super) struct Line<'a, T: Serialize> {
    kind: &'static str,
    time: &'a str,
    pub(super) socket: Identity,
    network: Network,
    pub(super) process: Option<Process<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) container: Option<Container>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<LingerStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<Cause>,
    /// The calls in which the socket was made, if that was asked for; null where not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stack: Option<Option<Vec<FrameBody<'a>>>>,
    /// What is missing in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stack_gap: Option<String>,
    /// All that hold a descriptor of the socket; `process` is the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) processes: Option<Vec<Process<'a>>>,
    tcp: T,
}

#[derive(Serialize)]
pub(super) struct Identity {
    cookie: Option<u64>,
    ordinal: u32,
    netns: u32,
    uid: Option<u32>,
    inode: Option<u64>,
    /// Path of the control group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cgroup: Option<String>,
}

#[derive(Serialize)]
struct Network {
    transport: &'static str,
    r#type: &'static str,
    local: Address,
    peer: Address,
}

#[derive(Serialize)]
pub(super) struct Address {
    address: std::net::IpAddr,
    port: Option<u16>,
}

#[derive(Serialize)]
pub(super) struct TransitionTcp {
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
pub(super) struct LingerTcp {
    state: State,
    role: Option<Role>,
    age_ns: u64,
    /// Time without progress, where data went on moving after one end had closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_ns: Option<u64>,
    /// The true age is larger: the state was entered before the tracer looked.
    at_least: bool,
    threshold_ns: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    orphaned: bool,
}

#[derive(Serialize)]
pub(super) struct SegmentTcp {
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
pub(super) struct StoryTcp<'a> {
    role: Option<Role>,
    source: Source,
    /// When it began, where that was seen.
    began: Option<&'a str>,
    /// Time in each state that it was in.
    #[serde(serialize_with = "by_name")]
    states: [u64; State::COUNT],
    at_least: bool,
    handshake: Option<Handshake>,
    bytes_sent: Option<u64>,
    bytes_received: Option<u64>,
    retransmits: Option<u32>,
    close: Close,
}

fn by_name<S: serde::Serializer>(
    spent: &[u64; State::COUNT],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let states = State::ALL.into_iter().map(|state| (state.name(), spent[state.index()]));
    serializer.collect_map(states.filter(|&(_, time)| time > 0))
}

#[derive(Serialize)]
pub(super) struct SocketTcp {
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

impl<'a, T: Serialize> Line<'a, T> {
    pub(super) fn new(kind: &'static str, time: &'a str, subject: &'a Subject, tcp: T) -> Self {
        let Subject { cookie, ordinal, tuple, uid, inode, ref owner, cgroup: _, role: _ } =
            *subject;
        let Tuple { local, peer, netns } = tuple;
        Self {
            kind,
            time,
            socket: Identity { cookie, ordinal, netns, uid, inode, cgroup: None },
            network: Network {
                transport: "tcp",
                r#type: if tuple.is_ipv4() { "ipv4" } else { "ipv6" },
                local: local.into(),
                peer: peer.into(),
            },
            process: owner.as_ref().map(Process::from),
            container: None,
            status: None,
            cause: None,
            stack: None,
            stack_gap: None,
            processes: None,
            tcp,
        }
    }
}

impl From<&Transition> for TransitionTcp {
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
            sequence: _,
            close,
            orphaned,
        } = *transition;
        Self {
            from,
            to,
            role: subject.role,
            source,
            elapsed_ns: elapsed,
            kernel: kernel.map(|(from, to)| Edge { from, to }),
            orphaned,
            handshake,
            close,
        }
    }
}

impl From<&Linger> for LingerTcp {
    fn from(linger: &Linger) -> Self {
        let Linger {
            time: _,
            ref subject,
            state,
            age,
            idle,
            at_least,
            threshold,
            status: _,
            orphaned,
            holders: _,
            why: _,
            maker: _,
        } = *linger;
        Self {
            state,
            role: subject.role,
            age_ns: age,
            idle_ns: (idle != age).then_some(idle),
            at_least,
            threshold_ns: threshold,
            orphaned,
        }
    }
}

impl From<&Retransmit> for SegmentTcp {
    fn from(retransmit: &Retransmit) -> Self {
        let Retransmit { time: _, ref subject, state, segment, ordinal, sequence } = *retransmit;
        let segment = SegmentOf {
            r#type: segment,
            direction: Direction::Sent,
            retransmit: Some(ordinal),
            sequence,
        };
        Self { state, role: subject.role, segment }
    }
}

impl From<&Reset> for SegmentTcp {
    fn from(reset: &Reset) -> Self {
        let Reset { time: _, ref subject, state, direction } = *reset;
        let segment =
            SegmentOf { r#type: Segment::Rst, direction, retransmit: None, sequence: None };
        Self { state, role: subject.role, segment }
    }
}

impl<'a> StoryTcp<'a> {
    pub(super) fn new(story: &Story, began: Option<&'a str>) -> Self {
        let Story {
            time: _,
            ref subject,
            began: _,
            spent,
            at_least,
            handshake,
            bytes_sent,
            bytes_received,
            retransmits,
            close,
            source,
        } = *story;
        Self {
            role: subject.role,
            source,
            began,
            states: spent,
            at_least,
            handshake,
            bytes_sent,
            bytes_received,
            retransmits,
            close,
        }
    }
}

impl From<&Loss> for LossBody {
    fn from(&Loss { time: _, place, count, healed }: &Loss) -> Self {
        Self { r#where: place, count, healed }
    }
}

impl From<&Socket> for SocketTcp {
    fn from(socket: &Socket) -> Self {
        let Socket {
            time: _,
            ref subject,
            state,
            age,
            holders: _,
            timer,
            receive_queue,
            send_queue,
            rtt,
            orphaned,
            unaccepted,
        } = *socket;
        Self {
            state,
            role: subject.role,
            age_ns: age,
            timer,
            receive_queue,
            send_queue,
            rtt_ns: rtt,
            orphaned,
            unaccepted,
        }
    }
}
