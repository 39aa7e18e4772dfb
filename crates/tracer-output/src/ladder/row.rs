//! A row of a diagram: what lies between the two lifelines, and the states that it leads to.

use std::ops::Not;

use tracer_event::{
    close::Reason,
    state::State,
    update::{Role, Segment},
};

/// Which end of a diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Side {
    /// Clients stand on the left, servers on the right.
    pub(super) fn of(role: Option<Role>) -> Self {
        if role == Some(Role::Server) { Self::Right } else { Self::Left }
    }
}

impl Not for Side {
    type Output = Self;

    /// The other side.
    fn not(self) -> Self {
        if self == Self::Left { Self::Right } else { Self::Left }
    }
}

/// A segment by its part in the life of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Syn,
    SynAck,
    /// The last one of the handshake.
    Ack,
    Fin,
    /// Acknowledges a FIN, on its own or with the other FIN.
    AckOfFin,
    Rst,
    /// Retransmitted data: without and with PSH.
    Data,
    PushedData,
}

impl From<Segment> for Kind {
    fn from(segment: Segment) -> Self {
        match segment {
            Segment::Syn => Self::Syn,
            Segment::SynAck => Self::SynAck,
            Segment::Fin => Self::Fin,
            Segment::Rst => Self::Rst,
            Segment::Data => Self::Data,
            Segment::PushedData => Self::PushedData,
        }
    }
}

/// A segment on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) kind: Kind,
    pub(super) from: Side,
    /// A kernel event at either end reports it; otherwise it is deduced from TCP's rules.
    pub(super) observed: bool,
    /// Which retransmission it is, 0 for the original.
    pub(super) ordinal: u32,
    /// A FIN that is also the first to acknowledge the other one.
    pub(super) acks_fin: bool,
    /// Its own number, where the connection's numbers do not say it.
    pub(super) sequence: Option<u32>,
    /// What a FIN, an RST or a SYN+ACK acknowledges, where an end has told.
    pub(super) ack: Option<u32>,
    /// Of a retransmission: the timeout in percent of the one before.
    pub(super) timeout: Option<u64>,
}

impl Arrow {
    pub(super) fn new(kind: Kind, from: Side, observed: bool) -> Self {
        let (ordinal, acks_fin, sequence, ack, timeout) = Default::default();
        Self { kind, from, observed, ordinal, acks_fin, sequence, ack, timeout }
    }

    /// The kinds of segment that it is, as bits.
    pub(super) fn kinds(&self) -> u8 {
        1 << self.kind as u8 | u8::from(self.acks_fin) << Kind::AckOfFin as u8
    }

    /// Whether it is such a segment.
    pub(super) fn is(&self, kind: Kind, from: Side) -> bool {
        self.from == from && self.kinds() & 1 << kind as u8 != 0
    }
}

/// What lies between the lifelines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Middle {
    Arrow(Arrow),
    /// Payload bytes sent since the last such row, from the left and from the right.
    Data([u64; 2]),
    /// A change of state that no arrow can show, and how it is known.
    Step(&'static str, &'static str),
    /// What else there is to say.
    Words(String),
}

/// A step in the life of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Nanoseconds of `CLOCK_MONOTONIC`; `None` where no event reports it.
    pub(super) time: Option<u64>,
    pub(super) middle: Middle,
    /// States entered with it, left and right.
    pub(super) states: [Option<State>; 2],
    pub(super) note: Option<Note>,
    /// Why the connection ended with it.
    pub(super) reason: Option<Reason>,
}

/// A remark on a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// How it ended, if not normally.
    Ending(&'static str),
    /// When TIME_WAIT will expire: nanoseconds of `CLOCK_MONOTONIC`.
    Expires(u64),
    /// TIME_WAIT is over.
    Expired,
    /// The last descriptor was closed.
    Orphaned,
}

impl Row {
    pub(super) fn new(time: Option<u64>, middle: Middle) -> Self {
        Self { time, middle, states: [None; 2], note: None, reason: None }
    }

    pub(super) fn arrow(&self) -> Option<&Arrow> {
        if let Middle::Arrow(arrow) = &self.middle { Some(arrow) } else { None }
    }

    pub(super) fn arrow_mut(&mut self) -> Option<&mut Arrow> {
        if let Middle::Arrow(arrow) = &mut self.middle { Some(arrow) } else { None }
    }

    /// Whether either end enters the state with this step.
    pub(super) fn enters(&self, state: State) -> bool {
        self.states.contains(&Some(state))
    }
}
