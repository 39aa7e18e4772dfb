//! Any event, borrowed as sinks take it or owned as a recording has it.

use super::finding::Finding;

pub use super::{
    close::Close,
    connection::ConnectionSummary,
    linger::{Linger, LingerStatus},
    loss::{Loss, LossPlace},
    reset::{Reset, Rst},
    retransmit::{Retransmit, Retransmitted},
    segment::{Answered, Direction, Segment},
    sequence::Sequence,
    subject::{Role, Subject},
    transition::{Edge, Handshake, Life, Source, Transition},
};

/// One thing to tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Update<'a> {
    /// A socket changed its state.
    Transition(&'a Transition),
    /// A segment of the handshake or teardown was retransmitted.
    Retransmit(&'a Retransmit),
    /// An RST was sent or received.
    Reset(&'a Reset),
    /// A connection is over.
    Connection(&'a ConnectionSummary),
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
            Self::Connection(told) => Some(&told.subject),
            Self::Linger(_) | Self::Loss(_) | Self::Finding(_) => None,
        }
    }

    /// When it happened or was noticed, nanoseconds of `CLOCK_MONOTONIC`.
    pub fn time(&self) -> u64 {
        match self {
            Self::Transition(event) => event.time,
            Self::Retransmit(event) => event.time,
            Self::Reset(event) => event.time,
            Self::Connection(event) => event.time,
            Self::Linger(lingers) => lingers.first().map_or(0, |linger| linger.time),
            Self::Loss(event) => event.time,
            Self::Finding(event) => event.time,
        }
    }
}

/// Takes updates.
pub trait Observer {
    /// Called for each update, in order.
    fn observe(&mut self, update: Update<'_>);
}

/// An update that owns what it tells.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "as in `Update`")]
pub enum OwnedUpdate {
    Transition(Transition),
    Retransmit(Retransmit),
    Reset(Reset),
    Connection(ConnectionSummary),
    /// One or several of one moment.
    Linger(Vec<Linger>),
    Loss(Loss),
    Finding(Box<Finding>),
}

impl OwnedUpdate {
    /// As sinks take it.
    pub fn update(&self) -> Update<'_> {
        match self {
            Self::Transition(told) => Update::Transition(told),
            Self::Retransmit(told) => Update::Retransmit(told),
            Self::Reset(told) => Update::Reset(told),
            Self::Connection(told) => Update::Connection(told),
            Self::Linger(told) => Update::Linger(told),
            Self::Loss(told) => Update::Loss(told),
            Self::Finding(told) => Update::Finding(told),
        }
    }

    /// When, nanoseconds of the recorded `CLOCK_MONOTONIC`.
    pub fn time(&self) -> u64 {
        self.update().time()
    }
}
