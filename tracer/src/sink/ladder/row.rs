//! A row of a diagram: what lies between the two lifelines, and the states that it leads to.

use super::Side;
use crate::model::{state::State, update::Segment};

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
}

impl Kind {
    pub(super) fn of(segment: Segment) -> Self {
        match segment {
            Segment::Syn => Self::Syn,
            Segment::SynAck => Self::SynAck,
            Segment::Fin => Self::Fin,
            Segment::Rst => Self::Rst,
        }
    }

    /// Whether it ends a direction, or both.
    pub(super) fn is_end(self) -> bool {
        matches!(self, Self::Fin | Self::Rst)
    }

    pub(super) fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A segment on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) kind: Kind,
    pub(super) from: Side,
    /// An event of the kernel stands for it, at either end; else TCP's rules ask for it.
    pub(super) told: bool,
    /// Which retransmission it is, 0 for the first time.
    pub(super) ordinal: u32,
    /// A FIN that is also the first to acknowledge the other one.
    pub(super) rides: bool,
    /// Its own number, where the connection's numbers do not say it.
    pub(super) sequence: Option<u32>,
    /// What a FIN acknowledges.
    pub(super) ack: Option<u32>,
    /// Of a retransmission: how long it was waited for, compared with the time before.
    pub(super) wait: Option<Wait>,
}

/// How the wait for an answer has changed from one retransmission to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It was as long as before.
    Same,
    /// It was twice as long.
    Doubled,
}

impl Wait {
    /// `None` for what is neither: timers and the machine take their time.
    pub(super) fn compare(before: u64, now: u64) -> Option<Self> {
        let percent = u128::from(now) * 100 / u128::from(before.max(1));
        match percent {
            80..=130 => Some(Self::Same),
            170..=250 => Some(Self::Doubled),
            _ => None,
        }
    }
}

impl Arrow {
    pub(super) fn new(kind: Kind, from: Side, told: bool) -> Self {
        Self { kind, from, told, ordinal: 0, rides: false, sequence: None, ack: None, wait: None }
    }

    /// Whether it is, or carries, such a segment.
    pub(super) fn is(&self, kind: Kind, from: Side) -> bool {
        self.from == from && (self.kind == kind || kind == Kind::AckOfFin && self.rides)
    }
}

/// What lies between the lifelines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Middle {
    Arrow(Arrow),
    /// Payload bytes that have gone since the last time, from the left and from the right.
    Data([u64; 2]),
    /// Nothing that an arrow could show.
    Words(String),
}

/// A step in the life of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Nanoseconds of `CLOCK_MONOTONIC`; `None` where no event tells it.
    pub(super) time: Option<u64>,
    pub(super) middle: Middle,
    /// States entered with it, left and right.
    pub(super) states: [Option<State>; 2],
    /// What is to be said of it in any case.
    pub(super) note: Option<Note>,
}

/// A word on a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// How it ended otherwise than in order.
    Ending(&'static str),
    /// When TIME_WAIT is over: nanoseconds of `CLOCK_MONOTONIC`.
    ExpectedEnd(u64),
    /// TIME_WAIT is over.
    Forgotten,
    /// The last descriptor was closed.
    Orphaned,
}

impl Row {
    pub(super) fn new(time: Option<u64>, middle: Middle) -> Self {
        Self { time, middle, states: [None; 2], note: None }
    }

    pub(super) fn arrow(&self) -> Option<&Arrow> {
        match &self.middle {
            Middle::Arrow(arrow) => Some(arrow),
            Middle::Data(_) | Middle::Words(_) => None,
        }
    }

    pub(super) fn arrow_mut(&mut self) -> Option<&mut Arrow> {
        match &mut self.middle {
            Middle::Arrow(arrow) => Some(arrow),
            Middle::Data(_) | Middle::Words(_) => None,
        }
    }

    /// Whether this step has led the socket of either end into a state.
    pub(super) fn enters(&self, state: State) -> bool {
        self.states.contains(&Some(state))
    }
}
