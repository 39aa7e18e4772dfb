//! All sockets, and what happens to them.
//!
//! [`Table::ingest`] takes the kernel's events, [`Table::expire`] the passing of time; both tell
//! an [`Observer`] what follows. The table takes no event on trust: one that does not follow from
//! the state known before is made good by `inferred` transitions and counted.

mod agree;
mod arena;
mod causes;
mod close;
mod eviction;
mod expire;
mod holders;
mod identity;
mod lingering;
mod merge;
mod removals;
mod segments;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod undecided;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_ebpf::{
    Record, kind,
    state::{LISTEN, NEW_SYN_RECV, SYN_RECV},
};

pub use self::merge::{Merged, Snapshot};
use self::{
    eviction::Evicted,
    merge::Closed,
    removals::Removals,
    store::{Slot, Store},
    undecided::Undecided,
};
use super::{
    connection::{self, Connection, Processes, SocketId},
    filter::Filter,
    linger::Thresholds,
    owner::{self, Owner},
    stack::Maker,
    state::State,
    time_wait::Ticks,
    update::{
        Close, Loss, LossPlace, Observer, Role, Sequence, Source, Subject, Transition, Update,
    },
};

/// Sockets to keep where nobody says otherwise.
pub const MAX_SOCKETS: usize = 1_000_000;

/// What the table has to know beforehand.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the kernel lets through: of nothing else are there events.
    pub filter: Filter,
    /// The kernel's tick.
    pub ticks: Ticks,
    /// When to flag a socket.
    pub thresholds: Thresholds,
    /// The hooks on resets are attached.
    pub resets_traced: bool,
    /// How long `CLOSED → SYN_SENT` may be held back for its local port, nanoseconds.
    pub port_patience: u64,
    /// How long a flag on a socket on which data may still move waits for a look at it,
    /// nanoseconds; 0 where none are taken.
    pub look_patience: u64,
    /// Sockets to keep at most, some 450 bytes each.
    pub max_sockets: usize,
}

impl Default for Options {
    /// For a recording or a test: nothing but events.
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            ticks: Ticks { hz: 250 },
            thresholds: Thresholds::default(),
            resets_traced: true,
            port_patience: 2_000_000_000,
            look_patience: 0,
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
#[derive(Debug)]
pub struct Table {
    options: Options,
    store: Store,
    /// The processes that own them.
    processes: Processes,
    /// Owners of listeners by namespace and port.
    listeners: HashMap<(u32, u16), Owner, RandomState>,
    /// When it was looked last who holds what.
    held_at: Option<u64>,
    /// A listener has been made since the last look at who holds what.
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
    /// Children announced as raw copies of their listener, by address (Linux ≤ 6.12).
    raw_children: HashMap<u64, u64, RandomState>,
    undecided: Undecided,
    /// How many connections a socket has had that may have another one.
    reusable: HashMap<SocketId, u32, RandomState>,
    /// Sockets closed while a snapshot is being taken: it may still show them.
    closed_meanwhile: Option<Closed>,
    /// Namespaces that a snapshot has shown completely: what begins there later has events.
    covered: HashSet<u32, RandomState>,
    /// Number of the last snapshot, modulo 256.
    snapshots: u8,
    /// Events taken so far.
    events: u64,
    /// Events of the guard that the main program had told already.
    duplicates: u64,
    /// The sockets closed last: an event told twice is recognised by them.
    closed_last: VecDeque<(SocketId, Subject)>,
    evicted: Evicted,
}

/// Closed sockets to remember; events told twice are at most two events apart on each CPU.
const CLOSED_LAST: usize = 32;
/// Children to remember that are still raw copies.
const RAW_CHILDREN: usize = 1 << 16;
/// Sockets to remember that were closed and may connect again.
const REUSABLE: usize = 1 << 16;

impl Table {
    /// An empty table.
    pub fn new(options: Options) -> Self {
        Self {
            store: Store::new(options.thresholds.states()),
            options,
            processes: Processes::default(),
            listeners: HashMap::default(),
            held_at: None,
            listener_is_new: false,
            removals: Removals::default(),
            raisings: BinaryHeap::new(),
            doublings: BinaryHeap::new(),
            unannounced: VecDeque::new(),
            open: VecDeque::new(),
            raw_children: HashMap::default(),
            undecided: Undecided::default(),
            reusable: HashMap::default(),
            closed_meanwhile: None,
            covered: HashSet::default(),
            snapshots: 0,
            events: 0,
            duplicates: 0,
            closed_last: VecDeque::with_capacity(CLOSED_LAST),
            evicted: Evicted::default(),
        }
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
        self.store.counts()[state.index()]
    }

    /// Events taken so far: where there are none, ports and queues stay as they are.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Events that were told twice, so far.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// All sockets, in no order.
    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.store.iter().map(|(_, connection)| connection)
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
            kind::DESTROYED => self.destroyed(record, out),
            _ => lost(record.time_ns, LossPlace::Decode, 1, out),
        }
    }

    fn change_state(&mut self, record: &Record, out: &mut impl Observer) {
        let states = (State::from_kernel(record.old_state), State::from_kernel(record.new_state));
        let ((Some(from), Some(to)), false) = (states, record.old_state == NEW_SYN_RECV) else {
            return lost(record.time_ns, LossPlace::Decode, 1, out);
        };
        if from == State::Listen && to == State::SynRecv && record.peer_port == 0 {
            // A raw copy of the listener: what it is comes with the next event of this socket.
            return self.note_raw_child(record, out);
        }
        if let Some(time) = self.raw_children.remove(&record.sk)
            && from == State::SynRecv
        {
            self.bear(record, time, out);
        }
        self.step(record, from, to, out);
    }

    /// Its next event comes within the same call of the kernel, unless it is lost.
    fn note_raw_child(&mut self, record: &Record, out: &mut impl Observer) {
        if self.raw_children.len() >= RAW_CHILDREN {
            lost(record.time_ns, LossPlace::Unseen, self.raw_children.len() as u64, out);
            self.raw_children.clear();
        }
        self.raw_children.insert(record.sk, record.time_ns);
    }

    /// The birth of a raw child at `time`, told with what `record` knows of it now.
    fn bear(&mut self, record: &Record, time: u64, out: &mut impl Observer) {
        let birth = Record { time_ns: time, old_state: LISTEN, new_state: SYN_RECV, ..*record };
        self.step(&birth, State::Listen, State::SynRecv, out);
    }

    /// One observed transition.
    fn step(&mut self, record: &Record, from: State, to: State, out: &mut impl Observer) {
        let begins = from == State::Closed || (from, to) == (State::Listen, State::SynRecv);
        let slot = if begins {
            if self.is_told_twice(record, to) {
                self.duplicates += 1;
                return;
            }
            self.begin(record, from, out)
        } else {
            match self.lookup(record) {
                Some(slot) => {
                    if !self.agree(slot, record, from, out) {
                        return;
                    }
                    slot
                }
                None if self.is_told_twice(record, to) => {
                    self.duplicates += 1;
                    return;
                }
                // There before the tracer: nothing is known of its past.
                None => {
                    self.make_room(record.time_ns);
                    self.store.insert(Connection::new(record, from, None))
                }
            }
        };
        if let Some(connection) = self.store.get_mut(slot) {
            connection.last_edge = (record.old_state, record.new_state);
        }
        self.refine(slot, record, from, to);
        self.announce(slot, to, Some(record), out);
        if to == State::Closed && from != State::Listen {
            self.close(slot, record, from, out);
        } else {
            self.advance(slot, record, to, begins, out);
        }
    }

    /// Takes over what the record says of the socket and of the acting process.
    fn refine(&mut self, slot: Slot, record: &Record, from: State, to: State) {
        let Some(connection) = self.store.get_mut(slot) else {
            return;
        };
        connection.absorb(record);
        connection.role = connection.role.or(match (from, to) {
            (State::Closed, State::SynSent) => Some(Role::Client),
            (State::Listen, State::SynRecv) => Some(Role::Server),
            (State::Closed, State::Listen) | (State::Listen, State::Closed) => Some(Role::Listener),
            _ => None,
        });
        let acting = owner::acting(record, from, to);
        if let Some(maker) = Maker::of(acting, record) {
            connection.set_maker(maker);
        }
        if let Some(owner) = acting {
            let owner = owner::refine(connection.owner(), Some(owner));
            connection.set_owner(owner, &mut self.processes);
        }
        let key = (connection.tuple.netns, connection.tuple.local.port);
        if connection.role == Some(Role::Server) && !connection.is_owned() {
            let guess = self.listeners.get(&key).map(Owner::guess);
            connection.set_owner(guess, &mut self.processes);
        }
        if let (State::Closed, State::Listen, Some(owner)) = (from, to, connection.owner()) {
            self.listeners.insert(key, owner);
            self.listener_is_new = true;
        }
    }

    /// Tells of the SYN_SENT that was held back for its local port, before what follows it.
    fn announce(
        &mut self,
        slot: Slot,
        next: State,
        record: Option<&Record>,
        out: &mut impl Observer,
    ) {
        if next != State::SynSent {
            self.tell_held(slot, record, out);
        }
    }

    /// The same as soon as the port is known.
    fn announce_held(&mut self, slot: Slot, record: Option<&Record>, out: &mut impl Observer) {
        if self.store.get(slot).is_some_and(|connection| connection.tuple.local.port != 0) {
            self.tell_held(slot, record, out);
        }
    }

    fn tell_held(&mut self, slot: Slot, record: Option<&Record>, out: &mut impl Observer) {
        let Some(connection) = self.store.get_mut(slot).filter(|held| held.unannounced) else {
            return;
        };
        connection.unannounced = false;
        let connection = &*connection;
        let born = Transition {
            elapsed: None,
            sequence: record.and_then(Sequence::of),
            ..transition(connection, State::Closed, State::SynSent, connection.since)
        };
        self.replace_minisocket(slot, born.time, out);
        out.observe(Update::Transition(&born));
    }

    /// A transition into a state other than CLOSED (or of a listener into CLOSED).
    fn advance(
        &mut self,
        slot: Slot,
        record: &Record,
        to: State,
        begins: bool,
        out: &mut impl Observer,
    ) {
        let Some(connection) = self.store.get_mut(slot) else {
            return;
        };
        if to == State::SynSent {
            // The port is stale where the socket was connected before (kernel: inet_sport is
            // chosen after the event).
            let stale = connection.ordinal > 1 || record.error != 0;
            connection.unannounced = connection.tuple.local.port == 0 || stale;
        }
        if connection.unannounced {
            self.store.enter(slot, to, record.time_ns);
            let Some(connection) = self.store.get(slot) else { return };
            let waiting = Deadline::of(slot, connection, record.time_ns);
            let queue = if self.is_open(slot) { &mut self.open } else { &mut self.unannounced };
            queue.push_back(waiting);
            return;
        }
        if to == State::SynSent {
            self.replace_minisocket(slot, record.time_ns, out);
        }
        let Some(connection) = self.store.get(slot) else {
            return;
        };
        let elapsed = connection.elapsed(record.time_ns).filter(|_| !begins);
        let handshake = (to == State::Established)
            .then(|| connection::handshake(record, connection.role, elapsed));
        let transition = Transition {
            elapsed,
            handshake,
            sequence: Sequence::of(record),
            ..transition(connection, connection.state, to, record.time_ns)
        };
        self.tell(slot, &transition, out);
        if let (Some(handshake), Some(connection)) = (handshake, self.store.get_mut(slot)) {
            connection.complete(&handshake);
        }
        if to == State::Closed {
            self.forget(slot, record.time_ns);
        }
    }

    /// Applies a transition and tells of it. Who goes to CLOSED is dropped by the caller.
    fn tell(&mut self, slot: Slot, transition: &Transition, out: &mut impl Observer) {
        let stays = self.store.get(slot).is_some_and(|known| known.state == transition.to);
        let cleared = if stays { None } else { self.cleared(slot, transition.time) };
        if transition.to != State::Closed {
            self.store.enter(slot, transition.to, transition.time);
        }
        if !stays {
            self.plan_if_left_out(slot);
        }
        out.observe(Update::Transition(transition));
        if let Some(linger) = cleared {
            out.observe(Update::Linger(&[linger]));
        }
    }

    /// Drops a connection that has come to its end at `time`.
    fn forget(&mut self, slot: Slot, time: u64) -> Option<Connection> {
        let connection = self.store.remove(slot)?;
        if let Some(closed) = &mut self.closed_meanwhile {
            closed.note(connection.id, time);
        }
        if connection.role == Some(Role::Listener) {
            self.listeners.remove(&(connection.tuple.netns, connection.tuple.local.port));
        }
        self.undecided.take(slot);
        if self.closed_last.len() == CLOSED_LAST {
            self.closed_last.pop_front();
        }
        self.closed_last.push_back((connection.id, connection.subject()));
        Some(connection)
    }
}

/// A transition of `connection` as the tracepoint tells it.
#[inline]
fn transition(connection: &Connection, from: State, to: State, time: u64) -> Transition {
    Transition {
        time,
        subject: connection.subject(),
        from,
        to,
        kernel: None,
        source: Source::Tracepoint,
        elapsed: connection.elapsed(time),
        handshake: None,
        sequence: None,
        close: None,
        orphaned: connection.orphaned,
    }
}

fn lost(time: u64, place: LossPlace, count: u64, out: &mut impl Observer) {
    out.observe(Update::Loss(&Loss { time, place, count, healed: false }));
}

fn lost_healed(time: u64, count: u64, out: &mut impl Observer) {
    out.observe(Update::Loss(&Loss { time, place: LossPlace::Unseen, count, healed: true }));
}
