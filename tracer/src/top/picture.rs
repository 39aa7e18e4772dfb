//! What the screens are drawn from: a copy of what is known, made a few times a second.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::rows::Row;
use crate::{
    model::{
        connection::SocketId,
        finding::Finding,
        owner::Owner,
        state::State,
        update::{Handshake, Linger, Reset, Retransmit, Subject, Transition, Update},
    },
    sink::{Hello, wall_clock::WallClock},
};

/// Seconds of history.
pub const HISTORY: usize = 300;
/// Rates are those of so many seconds.
pub const RECENT: usize = 5;

/// Numbers by [`State::index`].
pub type ByState<T> = [T; State::COUNT];
/// Numbers by the state left and the state entered.
pub type ByEdge<T> = [ByState<T>; State::COUNT];

/// All that is shown.
#[derive(Clone, Debug)]
pub struct Picture {
    /// When it was made.
    pub clock: WallClock,
    /// What the trace began with.
    pub hello: Option<Arc<Hello>>,
    /// Sockets by state.
    pub counts: ByState<u64>,
    /// Of these, sockets that have outlasted the threshold of their state.
    pub lingering: ByState<u64>,
    /// The last minutes, a sample a second, oldest first.
    pub history: Arc<VecDeque<Sample>>,
    /// Transitions a second, lately.
    pub rates: ByEdge<f64>,
    /// Transitions since the start.
    pub totals: ByEdge<u64>,
    /// How long handshakes took.
    pub handshakes: Handshakes,
    /// What is wrong, worst first.
    pub findings: Arc<Vec<Finding>>,
    /// The time that the findings rest on, nanoseconds; `None` before the second look.
    pub observed: Option<u64>,
    /// Events lost for good.
    pub lost: u64,
    /// The sockets, as of when they were last asked for.
    pub rows: Arc<Vec<Row>>,
    /// All of the socket that was asked for.
    pub chosen: Option<Arc<Chosen>>,
}

impl Picture {
    /// Nothing is known yet.
    pub fn empty(clock: WallClock) -> Self {
        Self {
            clock,
            hello: None,
            counts: [0; State::COUNT],
            lingering: [0; State::COUNT],
            history: Arc::default(),
            rates: [[0.0; State::COUNT]; State::COUNT],
            totals: [[0; State::COUNT]; State::COUNT],
            handshakes: Handshakes::default(),
            findings: Arc::default(),
            observed: None,
            lost: 0,
            rows: Arc::default(),
            chosen: None,
        }
    }

    /// Transitions a second, lately, between two states.
    pub fn rate(&self, from: State, to: State) -> f64 {
        self.rates[from.index()][to.index()]
    }

    /// Transitions a second into a state, lately.
    pub fn entering(&self, state: State) -> f64 {
        self.rates.iter().map(|to| to[state.index()]).sum()
    }

    /// Transitions a second, lately.
    pub fn events(&self) -> f64 {
        self.rates.iter().flatten().sum()
    }

    /// By how many sockets a state has changed within a minute; `None` as long as nothing is known
    /// of a minute ago.
    pub fn change(&self, state: State) -> Option<i64> {
        // The last sample is of now.
        let before = self.history.get(self.history.len().checked_sub(61)?)?;
        Some(self.counts[state.index()] as i64 - i64::from(before[state.index()]))
    }
}

/// Sockets by state at one moment.
pub type Sample = ByState<u32>;

/// Upper ends of the histogram's classes, nanoseconds: 1, 2 and 5 in each decade.
pub const CLASSES: [u64; 19] = [
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    u64::MAX,
];

/// How long the handshakes of one side took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// How many in each class.
    pub classes: [u64; CLASSES.len()],
    /// Median, 99th percentile and longest, nanoseconds.
    pub quantiles: [u64; 3],
}

impl Durations {
    /// How many there were.
    pub fn total(&self) -> u64 {
        self.classes.iter().sum()
    }
}

/// How long handshakes took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// From connect() to ESTABLISHED.
    pub connected: Durations,
    /// From SYN+ACK to its ACK.
    pub accepted: Durations,
    /// Complete only after a SYN or SYN+ACK was sent again.
    pub retried: u64,
    /// Not completed: refused, unreachable or without an answer.
    pub failed: u64,
}

/// Something that happened to a socket.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// It changed its state.
    Transition(Transition),
    /// A segment was sent again.
    Retransmit(Retransmit),
    /// An RST was sent or received.
    Reset(Reset),
    /// It outlasts a threshold, or does not any more.
    Linger(Box<Linger>),
}

impl Told {
    /// A copy of what a timeline shows.
    pub fn of(update: &Update<'_>) -> Option<Self> {
        match update {
            Update::Transition(told) => Some(Self::Transition(**told)),
            Update::Retransmit(told) => Some(Self::Retransmit(**told)),
            Update::Reset(told) => Some(Self::Reset(**told)),
            _ => None,
        }
    }

    /// To be told to a format.
    pub fn update(&self) -> Update<'_> {
        match self {
            Self::Transition(told) => Update::Transition(told),
            Self::Retransmit(told) => Update::Retransmit(told),
            Self::Reset(told) => Update::Reset(told),
            Self::Linger(told) => Update::Linger(std::slice::from_ref(told)),
        }
    }

    /// Whom it happened to.
    pub fn subject(&self) -> &Subject {
        match self {
            Self::Transition(told) => &told.subject,
            Self::Retransmit(told) => &told.subject,
            Self::Reset(told) => &told.subject,
            Self::Linger(told) => &told.subject,
        }
    }

    /// When.
    pub fn time(&self) -> u64 {
        match self {
            Self::Transition(told) => told.time,
            Self::Retransmit(told) => told.time,
            Self::Reset(told) => told.time,
            Self::Linger(told) => told.time,
        }
    }
}

/// All that is known of one socket.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// As the list shows it; its state is CLOSED when it has gone.
    pub row: Row,
    /// User id of the owner, where known.
    pub uid: Option<u32>,
    /// Inode number of the socket's file, where it has one.
    pub inode: Option<u64>,
    /// Nanoseconds in each state.
    pub spent: ByState<u64>,
    /// Part of the time may be from before the tracer looked.
    pub at_least: bool,
    /// Its handshake, where it was seen.
    pub handshake: Option<Handshake>,
    /// Who holds a descriptor of it.
    pub holders: Vec<Owner>,
    /// What happened to it, and to the far end if that is on this host, oldest first.
    pub told: Vec<Told>,
}

/// What the screen wants to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// All sockets.
    pub rows: bool,
    /// All of one socket.
    pub chosen: Option<(SocketId, u32)>,
    /// What copying and ordering the sockets took last, nanoseconds: the dearer, the rarer.
    pub cost: u64,
}

/// What the two threads have in common.
#[derive(Debug, Default)]
pub struct Shared {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    picture: Option<Picture>,
    wish: Wish,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a new picture up.
    pub fn show(&self, picture: Picture) {
        self.lock().picture = Some(picture);
    }

    /// The picture put up since the last call, if there is one.
    pub fn take(&self) -> Option<Picture> {
        self.lock().picture.take()
    }

    /// What the screen wants.
    pub fn wish(&self) -> Wish {
        self.lock().wish
    }

    /// Tells what the screen wants.
    pub fn set_wish(&self, wish: Wish) {
        self.lock().wish = wish;
    }

    /// The trace is over.
    pub fn end(&self) {
        self.lock().ended = true;
    }

    /// Whether the trace is over.
    pub fn has_ended(&self) -> bool {
        self.lock().ended
    }
}
