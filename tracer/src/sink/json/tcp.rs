//! What is told of the connection itself: the object `tcp` of each kind.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::{
    socket::{Socket, Timer},
    state::State,
    update::{
        Answered, Close, Direction, Handshake, Linger, Reset, Retransmit, Role, Segment, Sequence,
        Source, Story, Transition,
    },
};

/// Of a `transition`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct TransitionTcp {
    /// State left.
    pub(crate) from: State,
    /// State that really follows.
    pub(crate) to: State,
    /// Which part the socket plays.
    pub(crate) role: Option<Role>,
    /// How it is known. Each event of the tracepoint is exactly one line.
    pub(crate) source: Source,
    /// Time spent in `from`.
    pub(crate) elapsed_ns: Option<u64>,
    /// What the tracepoint said, where that is not what really follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kernel: Option<Edge>,
    /// No process holds the socket any more; the kernel finishes alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) orphaned: bool,
    /// At `to: ESTABLISHED`: what is known of the three-way handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) handshake: Option<Handshake>,
    /// Sequence numbers at this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sequence: Option<SequenceBody>,
    /// At `to: SYN_SENT`, `FIN_WAIT1` and `LAST_ACK`: whether SYN or FIN leaves this host with it.
    /// A FIN waits behind data that may not be sent yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sent: Option<bool>,
    /// At the end: how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) close: Option<Close>,
}

/// A change of state.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Edge {
    /// State left.
    pub(crate) from: State,
    /// State entered.
    pub(crate) to: State,
}

/// Sequence numbers and byte counters, the kernel's own.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct SequenceBody {
    /// First unacknowledged number.
    snd_una: u32,
    /// Next number to send; left out where all that is written has been sent, that is where it is
    /// `write_seq`.
    #[serde(skip_serializing_if = "Option::is_none")]
    snd_nxt: Option<u32>,
    /// End of what the application has written; left out where it is `snd_una`.
    #[serde(skip_serializing_if = "Option::is_none")]
    write_seq: Option<u32>,
    /// Next number expected from the far end; left out before its SYN has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    rcv_nxt: Option<u32>,
    /// Acknowledged by the far end, a FIN and the SYN of the active side counted; left out where
    /// it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    bytes_acked: u64,
    /// Received in order, a FIN counted; left out where it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    bytes_received: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<Sequence> for SequenceBody {
    fn from(sequence: Sequence) -> Self {
        let Sequence { snd_una, snd_nxt, write_seq, rcv_nxt, acked, received } = sequence;
        Self {
            snd_una,
            snd_nxt: (snd_nxt != write_seq).then_some(snd_nxt),
            write_seq: (write_seq != snd_una).then_some(write_seq),
            rcv_nxt: (rcv_nxt != 0 || received != 0).then_some(rcv_nxt),
            bytes_acked: acked,
            bytes_received: received,
        }
    }
}

impl From<SequenceBody> for Sequence {
    fn from(body: SequenceBody) -> Self {
        let SequenceBody { snd_una, snd_nxt, write_seq, rcv_nxt, bytes_acked, bytes_received } =
            body;
        let write_seq = write_seq.unwrap_or(snd_una);
        Self {
            snd_una,
            snd_nxt: snd_nxt.unwrap_or(write_seq),
            write_seq,
            rcv_nxt: rcv_nxt.unwrap_or(0),
            acked: bytes_acked,
            received: bytes_received,
        }
    }
}

/// Of a `linger`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct LingerTcp {
    /// The state it lingers in; lingered in, where cleared.
    pub(crate) state: State,
    /// Which part the socket plays.
    pub(crate) role: Option<Role>,
    /// Time in the state.
    pub(crate) age_ns: u64,
    /// Time without progress, where data went on moving after one end had closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idle_ns: Option<u64>,
    /// The true age is larger: the state was entered before the tracer looked.
    pub(crate) at_least: bool,
    /// The threshold that it outlasted (`--linger`).
    pub(crate) threshold_ns: u64,
    /// No process holds the socket any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) orphaned: bool,
}

/// Of a `retransmit` or `reset`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct SegmentTcp {
    /// State of the socket.
    pub(crate) state: State,
    /// Which part the socket plays.
    pub(crate) role: Option<Role>,
    /// What was sent or received.
    pub(crate) segment: SegmentOf,
}

/// A segment.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct SegmentOf {
    /// Which.
    pub(crate) r#type: Segment,
    /// Which way it went.
    pub(crate) direction: Direction,
    /// Which retransmission of it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retransmit: Option<u32>,
    /// Its sequence number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sequence: Option<u32>,
    /// Of an RST without a socket: what it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answers: Option<Answered>,
}

/// Of a `connection`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct StoryTcp<'a> {
    /// Its state: TIME_WAIT or CLOSED where it is over.
    #[serde(default = "closed")]
    pub(crate) state: State,
    /// Which part the socket played.
    pub(crate) role: Option<Role>,
    /// How the end, or that it is open, is known.
    pub(crate) source: Source,
    /// When it began: RFC 3339; null where it was there before the tracer.
    #[serde(borrow)]
    #[schemars(extend("format" = "date-time"))]
    pub(crate) began: Option<Cow<'a, str>>,
    /// When it was over for its application; null where it is open.
    #[serde(borrow, skip_deserializing)]
    #[schemars(extend("format" = "date-time"))]
    pub(crate) ended: Option<Cow<'a, str>>,
    /// From `began`, or from when it was first seen, until `ended` or `time`: the sum of `states`.
    #[serde(skip_deserializing)]
    pub(crate) duration_ns: u64,
    /// Time in each state that it was in, nanoseconds. TIME_WAIT is not part of it.
    #[serde(serialize_with = "by_name", deserialize_with = "by_index")]
    #[schemars(with = "BTreeMap<String, u64>")]
    pub(crate) states: [u64; State::COUNT],
    /// The time in the state it was found in is at least what `states` says.
    pub(crate) at_least: bool,
    /// Its handshake, where it was seen.
    pub(crate) handshake: Option<Handshake>,
    /// Payload sent and acknowledged.
    pub(crate) bytes_sent: Option<u64>,
    /// Payload received.
    pub(crate) bytes_received: Option<u64>,
    /// Retransmitted segments.
    pub(crate) retransmits: Option<u32>,
    /// How it ended; null where it is open.
    pub(crate) close: Option<Close>,
}

/// What recordings of schema 1.0 mean, which tell of no others.
fn closed() -> State {
    State::Closed
}

fn by_name<S: serde::Serializer>(
    spent: &[u64; State::COUNT],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let states = State::ALL.into_iter().map(|state| (state.name(), spent[state.index()]));
    serializer.collect_map(states.filter(|&(_, time)| time > 0))
}

fn by_index<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u64; State::COUNT], D::Error> {
    let mut spent = [0; State::COUNT];
    for (state, time) in BTreeMap::<State, u64>::deserialize(deserializer)? {
        spent[state.index()] = time;
    }
    Ok(spent)
}

/// Of a `socket`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SocketTcp {
    /// Its state.
    state: State,
    /// Which part it plays.
    pub(crate) role: Option<Role>,
    /// Time in the state.
    age_ns: Option<u64>,
    /// The true age may be larger: `age_ns` is the time since the last acknowledgement came.
    at_least: bool,
    /// Which timer runs.
    timer: Option<Timer>,
    /// Received bytes that nobody has read; of a listener connections that wait for accept().
    receive_queue: u32,
    /// Bytes written and not acknowledged; of a listener the backlog.
    send_queue: u32,
    /// Round-trip time, smoothed.
    rtt_ns: Option<u64>,
    /// No process holds it any more.
    orphaned: bool,
    /// No process has accepted it yet.
    unaccepted: bool,
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
            sequence,
            sent,
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
            sequence: sequence.map(SequenceBody::from),
            sent,
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
            answers: None,
        };
        Self { state, role: subject.role, segment }
    }
}

impl From<&Reset> for SegmentTcp {
    fn from(reset: &Reset) -> Self {
        let Reset { time: _, ref subject, state, direction, answers } = *reset;
        let r#type = Segment::Rst;
        let segment = SegmentOf { r#type, direction, retransmit: None, sequence: None, answers };
        Self { state, role: subject.role, segment }
    }
}

impl<'a> StoryTcp<'a> {
    /// With `time` and `began` as they are written.
    pub(super) fn new(story: &Story, time: &'a str, began: Option<&'a str>) -> Self {
        let Story {
            time: _,
            ref subject,
            state,
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
            state,
            role: subject.role,
            source,
            began: began.map(Cow::Borrowed),
            ended: close.map(|_| Cow::Borrowed(time)),
            duration_ns: story.duration(),
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

impl From<&Socket> for SocketTcp {
    fn from(socket: &Socket) -> Self {
        let Socket {
            time: _,
            ref subject,
            state,
            age,
            at_least,
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
            at_least,
            timer,
            receive_queue,
            send_queue,
            rtt_ns: rtt,
            orphaned,
            unaccepted,
        }
    }
}
