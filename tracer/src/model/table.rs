//! All sockets, and what happens to them.
//!
//! [`Table::ingest`] takes the kernel's events, [`Table::expire`] the passing of time; both tell
//! an [`Observer`] what follows. The table takes no event on trust: one that does not follow from
//! the state known before is made good by `inferred` transitions and counted.

mod agree;
mod close;
mod expire;
mod holders;
mod identity;
mod lingering;
mod merge;
mod segments;
mod store;
#[cfg(test)]
pub(crate) mod tests;

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
use self::store::{Slot, Store};
use super::{
    connection::{self, Connection, SocketId},
    endpoint::Tuple,
    filter::Filter,
    linger::Thresholds,
    owner::{self, Owner},
    state::State,
    time_wait::Ticks,
    update::{
        Close, Loss, LossPlace, Observer, Role, Sequence, Source, Subject, Transition, Update,
    },
};

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
}

/// Something to be done at a time, unless the socket has changed its state by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Deadline {
    time: u64,
    slot: Slot,
    /// [`Connection::since`] when this was planned: another value means another state.
    since: u64,
}

/// A transition to CLOSED whose reason depends on whether an RST follows at once.
#[derive(Clone, Copy, Debug)]
struct Undecided {
    slot: Slot,
    record: Record,
    reset_sent: bool,
}

/// All sockets.
#[derive(Debug)]
pub struct Table {
    options: Options,
    store: Store,
    /// Minisockets by their addresses: they are replaced, and half of them advance, silently.
    minisockets: HashMap<Tuple, Slot, RandomState>,
    /// Owners of listeners by namespace and port.
    listeners: HashMap<(u32, u16), Owner, RandomState>,
    /// When it was looked last who holds what.
    held_at: Option<u64>,
    /// A listener has been made since the last look at who holds what.
    listener_is_new: bool,
    /// Ends of minisockets, as far as the kernel's timer is predicted.
    removals: BinaryHeap<Reverse<Deadline>>,
    /// When sockets that are in no queue are to be flagged: too old for it when found, or still
    /// at work when their time came.
    raisings: BinaryHeap<Reverse<Deadline>>,
    /// Next doublings of the ages of lingering sockets.
    doublings: BinaryHeap<Reverse<Deadline>>,
    /// Clients whose `CLOSED → SYN_SENT` is held back, oldest first.
    unannounced: VecDeque<Deadline>,
    /// Children announced as raw copies of their listener, by address (Linux ≤ 6.12).
    raw_children: HashMap<u64, u64, RandomState>,
    undecided: Vec<Undecided>,
    /// How many connections a socket has had that may have another one.
    reusable: HashMap<SocketId, u32, RandomState>,
    /// Sockets closed while a snapshot is being taken: it may still show them.
    closed_meanwhile: Option<HashMap<SocketId, u64, RandomState>>,
    /// Namespaces that a snapshot has shown completely: what begins there later has events.
    covered: HashSet<u32, RandomState>,
    /// Number of the last snapshot.
    snapshots: u32,
    /// Events of the guard that the main program had told already.
    duplicates: u64,
    /// The sockets closed last: an event told twice is recognised by them.
    closed_last: VecDeque<(SocketId, Subject)>,
}

/// Closed sockets to remember; events told twice are at most two events apart on each CPU.
const CLOSED_LAST: usize = 32;
/// Sockets to remember that were closed and may connect again.
const REUSABLE: usize = 1 << 16;

impl Table {
    /// An empty table.
    pub fn new(options: Options) -> Self {
        Self {
            store: Store::new(options.thresholds.states()),
            options,
            minisockets: HashMap::default(),
            listeners: HashMap::default(),
            held_at: None,
            listener_is_new: false,
            removals: BinaryHeap::new(),
            raisings: BinaryHeap::new(),
            doublings: BinaryHeap::new(),
            unannounced: VecDeque::new(),
            raw_children: HashMap::default(),
            undecided: Vec::new(),
            reusable: HashMap::default(),
            closed_meanwhile: None,
            covered: HashSet::default(),
            snapshots: 0,
            duplicates: 0,
            closed_last: VecDeque::with_capacity(CLOSED_LAST),
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
        match record.kind {
            kind::STATE | kind::STATE_CAUGHT => self.change_state(record, out),
            kind::RESET_RECEIVED => self.receive_reset(record, out),
            kind::RESET_SENT => self.send_reset(record, out),
            kind::RETRANSMIT => self.retransmit(record, out),
            kind::RETRANSMIT_SYNACK => self.retransmit_synack(record, out),
            kind::ACCEPTED => self.accepted(record),
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
            self.raw_children.insert(record.sk, record.time_ns);
            return;
        }
        if let Some(time) = self.raw_children.remove(&record.sk)
            && from == State::SynRecv
        {
            self.bear(record, time, out);
        }
        self.step(record, from, to, out);
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
                None => self.store.insert(Connection::new(record, from, None)),
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
        let guess = self.listeners.get(&(record.netns, record.local_port)).copied();
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
        connection.owner = owner::refine(connection.owner, owner::acting(record, from, to));
        if connection.owner.is_none() && connection.role == Some(Role::Server) {
            connection.owner = guess.as_ref().map(Owner::guess);
        }
        let key = (connection.tuple.netns, connection.tuple.local.port);
        match (from, to, connection.owner) {
            (State::Closed, State::Listen, Some(owner)) => {
                self.listeners.insert(key, owner);
                self.listener_is_new = true;
            }
            (State::Listen, State::Closed, _) => drop(self.listeners.remove(&key)),
            _ => {}
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
            self.unannounced.push_back(Deadline {
                time: record.time_ns,
                slot,
                since: record.time_ns,
            });
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
            connection.handshake = Some(handshake);
        }
        if to == State::Closed {
            self.forget(slot);
        }
    }

    /// Applies a transition and tells of it.
    fn tell(&mut self, slot: Slot, transition: &Transition, out: &mut impl Observer) {
        let stays = self.store.get(slot).is_some_and(|known| known.state == transition.to);
        let cleared = if stays { None } else { self.cleared(slot, transition.time) };
        self.store.enter(slot, transition.to, transition.time);
        if !stays {
            self.plan_if_left_out(slot);
        }
        out.observe(Update::Transition(transition));
        if let Some(linger) = cleared {
            out.observe(Update::Linger(&[linger]));
        }
    }

    /// Drops a connection that has come to its end.
    fn forget(&mut self, slot: Slot) -> Connection {
        let connection = self.store.remove(slot);
        if let Some(closed) = &mut self.closed_meanwhile {
            closed.insert(connection.id, connection.since);
        }
        if self.minisockets.get(&connection.tuple) == Some(&slot) {
            self.minisockets.remove(&connection.tuple);
        }
        self.undecided.retain(|undecided| undecided.slot != slot);
        if self.closed_last.len() == CLOSED_LAST {
            self.closed_last.pop_front();
        }
        self.closed_last.push_back((connection.id, connection.subject()));
        connection
    }
}

/// A transition of `connection` as the tracepoint tells it.
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
