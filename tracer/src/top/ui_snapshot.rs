//! What the screens are drawn from: a copy of what is known, made a few times a second.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::rows::{ByState, Row, Rows};
use tracer_event::{
    endpoint::Tuple,
    finding::Finding,
    header::Header,
    process::Owner,
    state::State,
    update::{Handshake, OwnedUpdate},
    wall_clock::WallClock,
};
use tracer_model::connection::SocketId;

/// Seconds of history.
pub(super) const HISTORY: usize = 300;
/// Rates are averages over this many seconds.
pub(super) const RECENT: usize = 5;

/// Numbers by the state left and the state entered.
pub(super) type ByEdge<T> = ByState<ByState<T>>;

/// Everything that is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct UiSnapshot {
    pub(super) clock: WallClock,
    pub(super) header: Option<Arc<Header>>,
    pub(super) counts: ByState<u64>,
    /// Sockets that have outlasted the threshold of their state.
    pub(super) lingering: ByState<u64>,
    /// Counts of the last minutes, one sample per second, oldest first.
    pub(super) history: Arc<VecDeque<ByState<u32>>>,
    /// Recent transitions per second.
    pub(super) rates: ByEdge<f64>,
    /// Transitions since the start.
    pub(super) totals: ByEdge<u64>,
    pub(super) handshakes: Handshakes,
    /// Worst first.
    pub(super) findings: Arc<Vec<Finding>>,
    /// The time that the findings rest on, nanoseconds; `None` before the second snapshot.
    pub(super) observed: Option<u64>,
    /// Events lost for good.
    pub(super) lost: u64,
    /// The sockets when they were last asked for.
    pub(super) rows: Rows,
    /// The socket whose details were asked for.
    pub(super) chosen: Option<Arc<Chosen>>,
}

impl UiSnapshot {
    /// Recent transitions per second between two states.
    pub(super) fn rate(&self, from: State, to: State) -> f64 {
        self.rates[from.index()][to.index()]
    }

    /// Recent transitions per second into a state.
    pub(super) fn entering(&self, state: State) -> f64 {
        self.rates.iter().map(|to| to[state.index()]).sum()
    }

    /// Recent transitions per second.
    pub(super) fn events(&self) -> f64 {
        self.rates.iter().flatten().sum()
    }

    /// By how many sockets a state has changed within a minute; `None` as long as nothing is known
    /// of a minute ago.
    pub(super) fn change(&self, state: State) -> Option<i64> {
        // The last sample is of now.
        let before = self.history.get(self.history.len().checked_sub(61)?)?;
        Some(self.counts[state.index()] as i64 - i64::from(before[state.index()]))
    }
}

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;
const SECOND: u64 = 1_000 * MILLISECOND;

/// Upper ends of the histogram's classes, nanoseconds: 1, 2 and 5 in each decade.
#[rustfmt::skip]
pub(super) const CLASSES: [u64; 19] = [
    20 * MICROSECOND, 50 * MICROSECOND,
    100 * MICROSECOND, 200 * MICROSECOND, 500 * MICROSECOND,
    MILLISECOND, 2 * MILLISECOND, 5 * MILLISECOND,
    10 * MILLISECOND, 20 * MILLISECOND, 50 * MILLISECOND,
    100 * MILLISECOND, 200 * MILLISECOND, 500 * MILLISECOND,
    SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, u64::MAX,
];

/// How long the handshakes of one side took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Durations {
    /// How many are in each class.
    pub(super) classes: [u64; CLASSES.len()],
    /// Median, 99th percentile and longest, nanoseconds.
    pub(super) quantiles: [u64; 3],
}

impl Durations {
    pub(super) fn total(&self) -> u64 {
        self.classes.iter().sum()
    }
}

/// Handshakes since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Handshakes {
    /// Outgoing: from connect() to ESTABLISHED.
    pub(super) connected: Durations,
    /// Incoming: from SYN+ACK to its ACK.
    pub(super) accepted: Durations,
    /// Completed only after a SYN or SYN+ACK was retransmitted.
    pub(super) retried: u64,
    /// Refused, unreachable or not answered.
    pub(super) failed: u64,
}

/// The ends of the socket that an event is about.
pub(super) fn tuple(event: &OwnedUpdate) -> Option<Tuple> {
    match event {
        OwnedUpdate::Linger(lingers) => lingers.first().map(|linger| linger.subject.tuple),
        event => event.update().subject().map(|subject| subject.tuple),
    }
}

/// Everything that is known of one socket.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    /// As the list shows it; its state is CLOSED when it is gone.
    pub(super) row: Row,
    /// The program of its owner.
    pub(super) executable: Option<Arc<str>>,
    /// Nanoseconds in each state; at least, if part of them was before the trace.
    pub(super) spent: ByState<u64>,
    pub(super) at_least: bool,
    pub(super) handshake: Option<Handshake>,
    /// Who holds a descriptor of it.
    pub(super) holders: Vec<Owner>,
    /// What happened to it, and to the peer socket if that is on this host, oldest first.
    pub(super) events: Vec<OwnedUpdate>,
}

/// What the screen needs to be drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ViewRequest {
    /// All sockets.
    pub(super) rows: bool,
    /// Everything about one socket.
    pub(super) chosen: Option<(SocketId, u32)>,
    /// What sorting the sockets took last, nanoseconds: the more, the less often they are copied.
    pub(super) cost: u64,
}

/// What the reading thread and the screen's thread share.
#[derive(Debug, Default)]
pub struct Shared(Mutex<Exchange>);

#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// The newest picture, until the screen takes it.
    pub(super) ui_snapshot: Option<UiSnapshot>,
    pub(super) view_request: ViewRequest,
    /// The trace is over.
    pub(super) ended: bool,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Exchange> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
