//! All sockets, and what happens to them.
//!
//! [`Table::ingest`] takes the kernel's events, [`Table::expire`] the passing of time; both report
//! to an [`Observer`] what follows. The table takes no event on trust: one that does not follow
//! from the state known before is completed by `inferred` transitions and counted.

mod answers;
mod arena;
mod causes;
mod close;
mod covered;
mod emit;
mod eviction;
mod expire;
mod found;
mod half_open;
mod holders;
mod identity;
mod lingering;
mod listeners;
mod merge;
mod queues;
mod reconcile;
mod removals;
mod segments;
mod step;
mod store;
#[cfg(test)]
pub mod tests;
mod undecided;
mod unseen;
mod whole;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::{Record, kind};

use self::{
    answers::Answers,
    arena::Slot,
    covered::Covered,
    emit::lost,
    eviction::Evicted,
    half_open::HalfOpen,
    listeners::Listeners,
    merge::Closed,
    removals::Removals,
    store::Store,
    undecided::Undecided,
    unseen::{Unseen, Way},
};
pub use self::{
    listeners::Queue,
    merge::{Merged, Snapshot},
};
use super::{
    accepts::AcceptTimes,
    connection::{Connection, Processes, SocketId},
    filter::Filter,
    linger::Thresholds,
    time_wait::Ticks,
};
use tracer_event::{
    endpoint::Tuple,
    state::State,
    update::{
        Close, Edge, Loss, LossPlace, Observer, Role, Sequence, Source, Subject, Transition, Update,
    },
};

/// Sockets to keep where nobody says otherwise.
pub const MAX_SOCKETS: usize = 1_000_000;
/// Sockets that can be kept at most.
pub const MOST_SOCKETS: u32 = store::SLOTS;

/// What the table has to know beforehand.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the kernel lets through: of nothing else are there events.
    pub filter: Filter,
    /// The kernel leaves out the sockets of all control groups but one. A minisocket has no group:
    /// one whose socket is not known is none of these.
    pub in_one_group: bool,
    /// The kernel's tick.
    pub ticks: Ticks,
    /// When to flag a socket.
    pub thresholds: Thresholds,
    /// The hooks on resets are attached.
    pub resets_traced: bool,
    /// How long `CLOSED → SYN_SENT` may be held back for its local port, nanoseconds.
    pub port_patience: u64,
    /// How long a flag on a socket on which data may still move waits for a snapshot of it,
    /// nanoseconds; 0 where none are taken.
    pub look_patience: u64,
    /// A snapshot may miss a socket that is there, if others come and go around it: two count.
    pub snapshots_skip: bool,
    /// Sockets to keep at most, some 450 bytes each.
    pub max_sockets: usize,
}

impl Default for Options {
    /// For a recording or a test: nothing but events.
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            in_one_group: false,
            ticks: Ticks::default(),
            thresholds: Thresholds::default(),
            resets_traced: true,
            port_patience: 2_000_000_000,
            look_patience: 0,
            snapshots_skip: false,
            max_sockets: MAX_SOCKETS,
        }
    }
}

/// Something to be done at a time, unless the socket has changed its state by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Deadline {
    time: u64,
    slot: Slot,
    /// Low half of [`Connection::since`] when this was planned: another value means another state.
    stamp: u32,
}

impl Deadline {
    fn of(slot: Slot, connection: &Connection, time: u64) -> Self {
        Self { time, slot, stamp: connection.since as u32 }
    }

    /// Whether the socket has been in its state since this was planned.
    fn is_of(self, connection: &Connection) -> bool {
        connection.since as u32 == self.stamp
    }
}

/// All sockets.
#[derive(Debug, Default)]
pub struct Table {
    options: Options,
    store: Store,
    /// The processes that own them.
    processes: Processes,
    listeners: Listeners,
    accepts: AcceptTimes,
    half_open: HalfOpen,
    /// When the last snapshot of holders was taken.
    held_at: Option<u64>,
    /// A listener has been made since the last snapshot of holders.
    listener_is_new: bool,
    /// Ends of minisockets, as far as the kernel's timer is predicted.
    removals: Removals,
    /// When sockets that are in no queue are to be flagged: too old for it when found, or still
    /// at work when their time came.
    raisings: BinaryHeap<Reverse<Deadline>>,
    /// Next doublings of the ages of lingering sockets.
    doublings: BinaryHeap<Reverse<Deadline>>,
    /// Clients whose `CLOSED → SYN_SENT` is held back, oldest first.
    unannounced: VecDeque<Deadline>,
    /// The same of those that the kernel has let through only because their port was not known:
    /// if they are not wanted, no further event will come.
    open: VecDeque<Deadline>,
    /// Children announced as raw copies of their listener, by address (Linux ≤ 6.12): when, and
    /// the listener's address.
    raw_children: HashMap<u64, (u64, u64), RandomState>,
    undecided: Undecided,
    /// How many connections a socket has had that may have another one.
    reusable: HashMap<SocketId, u32, RandomState>,
    /// Sockets closed while a snapshot is being taken: it may still show them.
    closed_meanwhile: Option<Closed>,
    covered: Covered,
    /// Number of the last snapshot, modulo 256.
    snapshots: u8,
    /// Events taken so far.
    events: u64,
    /// Events of the guard that the main program had reported already.
    duplicates: u64,
    /// The sockets closed last: an event reported twice is recognised by them.
    closed_last: VecDeque<(SocketId, Subject)>,
    /// The ends for which the last RSTs were sent that no socket sent.
    socketless: VecDeque<Tuple>,
    answers: Answers,
    /// Data retransmitted last: whose, its number, and how often.
    data_again: VecDeque<((SocketId, u32), u32)>,
    evicted: Evicted,
    unseen: Unseen,
}

/// Closed sockets to remember; events reported twice are at most two events apart on each CPU.
const CLOSED_LAST: usize = 32;
/// Children to remember that are still raw copies.
const RAW_CHILDREN: usize = 1 << 16;
/// Sockets to remember that were closed and may connect again.
const REUSABLE: usize = 1 << 16;

impl Table {
    /// An empty table.
    pub fn new(options: Options) -> Self {
        let max_sockets = options.max_sockets.min(MOST_SOCKETS as usize);
        let options = Options { max_sockets, ..options };
        Self { store: Store::new(options.thresholds.states()), options, ..Self::default() }
    }

    /// Sockets in the table.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether no socket is in the table.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many sockets are in a state.
    pub fn count(&self, state: State) -> u64 {
        self.store.queues.count(state)
    }

    /// Events taken so far: where there are none, ports and queues stay as they are.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Events that were reported twice, so far.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// All sockets, in no order.
    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.store.iter().map(|(_, connection)| connection)
    }

    /// How long connections waited for accept().
    pub fn accepts(&self) -> &AcceptTimes {
        &self.accepts
    }

    /// The socket with this identity.
    pub fn connection(&self, id: SocketId) -> Option<&Connection> {
        self.store.known(id)
    }

    /// Takes one event of the kernel.
    pub fn ingest(&mut self, record: &Record, out: &mut impl Observer) {
        self.events += 1;
        match record.kind {
            kind::STATE | kind::STATE_CAUGHT => self.change_state(record, out),
            kind::RESET_RECEIVED => self.receive_reset(record, out),
            kind::RESET_SENT => self.send_reset(record, out),
            kind::RETRANSMIT => self.retransmit(record, out),
            kind::RETRANSMIT_SYNACK => self.retransmit_synack(record, out),
            kind::ACCEPTED => self.accepted(record),
            kind::RESET_WITHOUT_SOCKET => self.reset_without_socket(record, out),
            kind::DESTROYED => self.destroyed(record, out),
            _ => lost(record.time_ns, LossPlace::Decode, 1, out),
        }
    }
}

/// Adds the last of the few that are remembered.
fn push_last<T>(few: &mut VecDeque<T>, last: T) {
    if few.len() == CLOSED_LAST {
        few.pop_front();
    }
    few.push_back(last);
}
