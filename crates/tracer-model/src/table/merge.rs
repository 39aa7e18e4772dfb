//! Snapshots: what the kernel says there is, merged into what the events have shown.
//!
//! A snapshot is taken while events go on. Each of its records has the time at which it was made;
//! a socket that has moved since then is left to the events. What is in the snapshot and not in
//! the table was there before the tracer, or its events were lost; what is in the table and not
//! in the snapshot is gone.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::{Holder, Record, kind};

use super::{Observer, Slot, Source, State, Table, Transition, Way, emit::transition};
use crate::{connection::SocketId, socket, time_wait::TIME_WAIT_SECONDS};
use tracer_event::{endpoint::Tuple, sequence::Sequence};

/// A picture of all sockets of some network namespaces.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When it was begun, nanoseconds of `CLOCK_MONOTONIC`.
    pub begun: u64,
    /// When it was finished; zero for at once.
    pub ended: u64,
    /// The sockets.
    pub records: Vec<Record>,
    /// Namespaces that it covers completely, by inode number.
    pub namespaces: Vec<u32>,
    /// Who holds them; empty where that was not asked for.
    pub holders: Vec<Holder>,
    /// When their holders were looked for, if they were.
    pub held_at: Option<u64>,
}

/// Seconds.
const LONGEST_TIMER: u64 = 3600;

/// What a merge has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Sockets that the table did not know.
    pub found: usize,
    /// Sockets whose state was another.
    pub corrected: usize,
    /// Sockets that were gone.
    pub gone: usize,
    /// Sockets that the next snapshot will show to be gone, or not.
    pub missing: usize,
    /// Sockets that there was no room for.
    pub left_out: usize,
}

/// Sockets to remember that are closed while a snapshot is being taken.
const CLOSED: usize = 1 << 18;

/// What has been closed while a snapshot is being taken: it may still show it.
#[derive(Debug, Default)]
pub(super) struct Closed {
    times: HashMap<SocketId, u64, RandomState>,
    /// More than can be remembered: what the table does not know is left to the next snapshot.
    too_many: bool,
}

impl Closed {
    pub(super) fn note(&mut self, id: SocketId, time: u64) {
        self.too_many |= self.times.len() >= CLOSED;
        if !self.too_many {
            self.times.insert(id, time);
        }
    }

    /// Whether a socket was closed.
    pub(super) fn has(&self, id: SocketId) -> bool {
        self.times.contains_key(&id)
    }

    /// Whether a socket was closed after it was seen at `time`.
    fn after(&self, id: SocketId, time: u64) -> bool {
        self.times.get(&id).is_some_and(|closed| *closed >= time)
    }
}

/// A merge while it goes on.
struct Merge {
    closed: Closed,
    merged: Merged,
    /// Sockets that were found too far out of order for the queues.
    left_out: Vec<Slot>,
}

/// This many sockets out of order are not worth a pass through the queues.
const FEW: usize = 64;

impl Table {
    /// To be called before a snapshot is begun: what closes from now on may still be in it.
    pub fn expect_snapshot(&mut self) {
        self.closed_meanwhile.get_or_insert_default();
    }

    /// Merges a snapshot. All events up to its end must have been ingested.
    pub fn merge(&mut self, snapshot: &Snapshot, out: &mut impl Observer) -> Merged {
        self.snapshots = self.snapshots.wrapping_add(1).max(1);
        let mut merge = Merge {
            closed: self.closed_meanwhile.take().unwrap_or_default(),
            merged: Merged::default(),
            left_out: Vec::new(),
        };
        for record in &snapshot.records {
            if record.kind != kind::REQUEST_SOCKET {
                self.merge_wanted(record, &mut merge, out);
            }
        }
        let Merge { closed, mut merged, left_out } = merge;
        self.line_up(left_out);
        self.merge_holders(&snapshot.holders, snapshot.begun);
        self.guess_owners(&snapshot.records);
        self.check_half_open(snapshot, out);
        self.held_at = snapshot.held_at.or(self.held_at);
        self.sweep(snapshot, &mut merged, out);
        self.leave_out(merged.left_out as u64);
        if merged.left_out > 0 {
            // What there was no room for is not new when there is.
            self.covered.forget();
        } else if !closed.too_many {
            let skips = self.options.snapshots_skip;
            self.covered.show(&snapshot.namespaces, snapshot.begun, skips);
        }
        self.emit_unseen_of_snapshot(snapshot.begun.max(snapshot.ended), out);
        merged
    }

    fn merge_wanted(&mut self, record: &Record, merge: &mut Merge, out: &mut impl Observer) {
        let id = SocketId::of(record);
        if self.options.filter.covers(&Tuple::of(record)) == Some(false) {
            // It was held back until its port showed that the filter does not want it.
            if let Some(slot) = self.store.find(id) {
                self.forget(slot, record.time_ns);
            }
        } else if !merge.closed.after(id, record.time_ns) {
            self.merge_one(record, merge, out);
        }
    }

    fn merge_one(&mut self, record: &Record, merge: &mut Merge, out: &mut impl Observer) {
        let Some(state) = State::from_kernel(record.new_state) else {
            return;
        };
        if record.kind == kind::SOCKET
            && let Some(birth) = self.raw_children.remove(&record.sk)
        {
            self.start_child(record, birth, out);
        }
        let slot = match self.lookup(record) {
            Some(slot) => slot,
            None if self.is_replaced(record, &merge.closed) => return,
            None if self.options.in_one_group && record.kind == kind::TIME_WAIT_SOCKET => return,
            // Of a closed one nothing is to be known; too many may be closed by now.
            None if state == State::Closed || merge.closed.too_many => return,
            None if !self.has_room() => {
                merge.merged.left_out += 1;
                return;
            }
            None => {
                merge.merged.found += 1;
                let is_counted = !self.has_known(record);
                let slot = self.add_found(record, state);
                merge
                    .left_out
                    .extend(Some(slot).filter(|slot| self.store.queues.is_left_out(*slot)));
                if self.covered.has(record.netns) {
                    self.infer_beginning(slot, is_counted, out);
                }
                slot
            }
        };
        self.bring_up_to_date(slot, record, state, &mut merge.merged, out);
    }

    /// Takes over what a snapshot shows of a socket.
    fn bring_up_to_date(
        &mut self,
        slot: Slot,
        record: &Record,
        state: State,
        merged: &mut Merged,
        out: &mut impl Observer,
    ) {
        let role = self.role_of(record, state);
        let connection = &mut self.store[slot];
        connection.shown = self.snapshots;
        connection.note_missing(false);
        if connection.since > record.time_ns {
            return;
        }
        connection.role = connection.role.or(role);
        if record.kind == kind::SOCKET {
            connection.absorb(record);
            if state == State::Listen {
                self.listeners.note(connection, record);
            }
            // Between the choice of the port and its SYN it has no number yet: what follows tells that.
            if state != State::SynSent || Sequence::of(record).is_some() {
                self.emit_held_with_port(slot, record, out);
            }
        } else if connection.is_unannounced() {
            connection.tuple = Tuple::of(record);
        }
        let slot = self.correct(slot, record, state, merged, out);
        match record.kind {
            kind::SOCKET => self.store[slot].note_left(record),
            kind::TIME_WAIT_SOCKET => self.arm(slot, record),
            _ => {}
        }
    }

    /// A snapshot shows sockets in no order: those of a state that were found get into its queue.
    fn line_up(&mut self, left_out: Vec<Slot>) {
        if left_out.len() > FEW {
            return self.store.queues.enqueue_all(left_out);
        }
        for slot in left_out {
            self.plan_if_left_out(slot);
        }
    }

    /// Age of a TIME_WAIT. That of a FIN_WAIT2 minisocket depends on settings that may have
    /// changed.
    pub(super) fn minisocket_age(&self, record: &Record) -> Option<u64> {
        let is_minisocket = record.kind == kind::TIME_WAIT_SOCKET;
        is_minisocket.then(|| socket::age(record, self.options.ticks)).flatten()
    }

    /// Brings a known socket to the state in which the snapshot shows it; where it is then.
    fn correct(
        &mut self,
        slot: Slot,
        record: &Record,
        state: State,
        merged: &mut Merged,
        out: &mut impl Observer,
    ) -> Slot {
        let connection = &self.store[slot];
        let (was, minisocket) = (connection.is_minisocket(), record.kind == kind::TIME_WAIT_SOCKET);
        // A full socket was seen before the minisocket took over: no event says when that was.
        if connection.state == state && was == minisocket || was && !minisocket {
            return slot;
        }
        merged.corrected += 1;
        // The peer's FIN to a FIN_WAIT2 minisocket has no event; all else has been missed.
        if !was {
            let Some(way) = Way::of(connection.state, state, minisocket) else {
                return self.correct_connection(slot, record, state, out);
            };
            let time = self.entered(slot, record);
            self.infer_way(slot, way, time, out);
        }
        let time = self.entered(slot, record);
        let connection = &mut self.store[slot];
        if minisocket {
            connection.orphan();
        }
        if minisocket && state == State::TimeWait {
            self.unseen.closed_in_order(&connection.tuple, state, record.time_ns);
        }
        let connection = &*connection;
        let transition = Transition {
            source: Source::Snapshot,
            ..transition(connection, connection.state, state, time)
        };
        self.emit(slot, &transition, None, out);
        if minisocket {
            if !self.store[slot].is_minisocket() {
                self.store[slot].become_minisocket(None);
            }
            self.store.add_minisocket(slot);
        }
        slot
    }

    /// The snapshot shows another connection on a known socket.
    fn correct_connection(
        &mut self,
        slot: Slot,
        record: &Record,
        state: State,
        out: &mut impl Observer,
    ) -> Slot {
        self.end_previous(slot, record.time_ns, Source::Snapshot, out);
        let slot = self.add_found(record, state);
        self.infer_beginning(slot, true, out);
        self.store[slot].shown = self.snapshots;
        slot
    }

    /// When a known socket has entered the state in which the snapshot shows it, as far as that is
    /// known: the latest that it may be, as ages are whole ticks, and what events have told came
    /// before.
    fn entered(&self, slot: Slot, record: &Record) -> u64 {
        let tick = self.options.ticks.nanoseconds(1);
        let age = self.minisocket_age(record).unwrap_or(0).saturating_sub(tick);
        record.time_ns.saturating_sub(age).max(self.store[slot].since)
    }

    /// Plans the end of a minisocket by the timer that the snapshot shows.
    fn arm(&mut self, slot: Slot, record: &Record) {
        let ticks = self.options.ticks;
        let lifetime = TIME_WAIT_SECONDS * ticks.hz;
        let expires = record.timer_expires;
        let fires = ticks.fires_at(expires.saturating_sub(lifetime), expires);
        let connection = &mut self.store[slot];
        // No timer of a minisocket runs for longer (`TCP_FIN_TIMEOUT_MAX` is two minutes).
        let rest = fires.saturating_sub(record.jiffies).min(LONGEST_TIMER * ticks.hz);
        let removal = record.time_ns + ticks.nanoseconds(rest);
        // The timer may be armed a tick after the event.
        if !connection.is_armed_for(expires) {
            connection.set_removal(removal, expires);
            self.removals.plan(removal, slot);
        }
    }

    /// Ends what the snapshot does not show any more.
    fn sweep(&mut self, snapshot: &Snapshot, merged: &mut Merged, out: &mut impl Observer) {
        let seen = snapshot.begun.max(snapshot.ended);
        let gone: Vec<Slot> = self
            .store
            .iter()
            .filter(|(_, connection)| {
                connection.shown != self.snapshots
                    && connection.since < snapshot.begun
                    && snapshot.namespaces.contains(&connection.tuple.netns)
            })
            .map(|(slot, _)| slot)
            .collect();
        for slot in gone {
            if self.undecided.contains(slot) || self.store.get(slot).is_none() {
                continue;
            }
            let connection = &mut self.store[slot];
            // A full socket is gone a moment before the event says so. Before 6.18 iter/tcp may
            // skip any socket while others come and go around it.
            let minisocket = connection.is_minisocket();
            let doubtful = !minisocket || self.options.snapshots_skip;
            if doubtful && !connection.note_missing(true) {
                merged.missing += 1;
                continue;
            }
            merged.gone += 1;
            // What is gone after its timer was due has been ended by it, perhaps in the middle of
            // the snapshot.
            let (time, source) = match connection.removal() {
                removal if minisocket && removal != 0 && removal <= seen => {
                    (removal, Source::Timer)
                }
                _ => (snapshot.begun, Source::Snapshot),
            };
            self.vanish(slot, time, source, out);
        }
    }
}
