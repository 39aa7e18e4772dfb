//! One event of the tracepoint: what it does to the socket, and what is reported of it.

use tracer_wire::{
    Record, flag, segment,
    state::{CLOSE, LISTEN, NEW_SYN_RECV, SYN_RECV},
};

use super::{
    Connection, Deadline, LossPlace, Observer, RAW_CHILDREN, Role, Sequence, Slot, State, Table,
    Transition, Update,
    emit::{lost, transition},
    push_last,
};
use crate::{
    connection::{self, Traffic},
    owner, socket, timeouts,
};
use tracer_event::endpoint::Tuple;

impl Table {
    pub(super) fn change_state(&mut self, record: &Record, out: &mut impl Observer) {
        let states = (State::from_kernel(record.old_state), State::from_kernel(record.new_state));
        let ((Some(from), Some(to)), false) = (states, record.old_state == NEW_SYN_RECV) else {
            return lost(record.time_ns, LossPlace::Decode, 1, out);
        };
        if from == State::Listen && to == State::SynRecv && record.peer_port == 0 {
            // A raw copy of the listener: what it is comes with the next event of this socket.
            return self.note_raw_child(record);
        }
        if !self.raw_children.is_empty()
            && let Some(birth) = self.raw_children.remove(&record.sk)
            && from == State::SynRecv
        {
            self.start_child(record, birth, out);
        }
        self.step(record, from, to, out);
    }

    /// Its next event comes within the same call of the kernel, unless it is lost.
    fn note_raw_child(&mut self, record: &Record) {
        if self.raw_children.len() >= RAW_CHILDREN {
            self.unseen.miss(self.raw_children.len(), false);
            self.raw_children.clear();
        }
        self.raw_children.insert(record.sk, (record.time_ns, record.listener));
    }

    /// The birth of a raw child at a time, of a listener, told with what `record` knows of it now.
    pub(super) fn start_child(
        &mut self,
        record: &Record,
        (time_ns, listener): (u64, u64),
        out: &mut impl Observer,
    ) {
        let (old_state, new_state) = (LISTEN, SYN_RECV);
        // Its numbers are those of now, not of then.
        let (snd_una, rcv_nxt) = (0, 0);
        let birth = Record { time_ns, listener, old_state, new_state, snd_una, rcv_nxt, ..*record };
        self.step(&birth, State::Listen, State::SynRecv, out);
    }

    /// One observed transition.
    fn step(&mut self, record: &Record, from: State, to: State, out: &mut impl Observer) {
        let begins = from == State::Closed || (from, to) == (State::Listen, State::SynRecv);
        let known = if begins { None } else { self.lookup(record) };
        if known.is_none() && self.is_duplicate(record, to) {
            self.duplicates += 1;
            return;
        }
        let slot = match known {
            Some(slot) => match self.reconcile(slot, record, from, out) {
                Some(slot) => slot,
                None => return,
            },
            None if begins => self.begin(record, from, out),
            None => self.add_unknown(record, from, self.covered.has(record.netns), out),
        };
        let is_held = self.refine(slot, record, from, to);
        if from == State::Listen && to == State::SynRecv {
            self.complete_half_open(&Tuple::of(record), record.time_ns, out);
        }
        if is_held && to != State::SynSent {
            self.emit_held(slot, Some(record), out);
        }
        if to == State::Closed && from != State::Listen {
            self.close(slot, record, from, out);
        } else {
            self.advance(slot, record, to, begins, out);
        }
    }

    /// Takes over what the record says of the socket and of the acting process; whether its SYN_SENT
    /// is held back.
    fn refine(&mut self, slot: Slot, record: &Record, from: State, to: State) -> bool {
        let connection = &mut self.store[slot];
        connection.last_edge = (record.old_state, record.new_state);
        connection.absorb(record);
        if from == State::Established {
            // What is killed has not given up.
            let awaits = record.exiting == 0 && record.awaits();
            connection.set_idle(socket::idle(record, self.options.ticks), awaits);
        }
        connection.role = connection.role.or(match (from, to) {
            (State::Closed, State::SynSent) => Some(Role::Client),
            (State::Listen, State::SynRecv) => Some(Role::Server),
            (State::Closed, State::Listen) | (State::Listen, State::Closed) => Some(Role::Listener),
            _ => None,
        });
        let acting = owner::acting(record, from, to);
        connection.acted(acting, record, &mut self.processes);
        match (from, to) {
            (State::Listen, State::SynRecv) if !connection.is_owned() => {
                let guess = self.listeners.guess(&connection.tuple, record.listener);
                connection.set_owner(guess, &mut self.processes);
            }
            (State::Closed, State::Listen) => {
                self.listeners.note(connection, record);
                self.listener_is_new = true;
            }
            _ => {}
        }
        connection.is_unannounced()
    }

    /// Emits the SYN_SENT that was held back for its local port if the port is known now.
    pub(super) fn emit_held_with_port(
        &mut self,
        slot: Slot,
        record: &Record,
        out: &mut impl Observer,
    ) {
        if self.store[slot].tuple.local.port != 0 {
            self.emit_held(slot, Some(record), out);
        }
    }

    /// Emits the SYN_SENT that was held back for its local port, before what follows it.
    pub(super) fn emit_held(
        &mut self,
        slot: Slot,
        record: Option<&Record>,
        out: &mut impl Observer,
    ) {
        let connection = &mut self.store[slot];
        if !connection.is_unannounced() {
            return;
        }
        connection.set_unannounced(false);
        // Without a port nothing was sent.
        let portless = connection.tuple.local.port == 0;
        let failed = portless && record.is_some_and(|record| record.new_state == CLOSE);
        let born = Transition {
            elapsed: None,
            sent: connection.left().map(|left| left && !failed),
            // What is emitted late has the numbers of its own moment.
            sequence: record.and_then(Sequence::of).map(|later| later.of_syn()),
            ..transition(connection, State::Closed, State::SynSent, connection.since)
        };
        self.replace_minisocket(slot, born.time, out);
        out.observe(Update::Transition(&born));
        self.emit_answers(slot, out);
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
        let connection = &mut self.store[slot];
        if to == State::SynSent {
            // The port is stale where the socket was connected before (kernel: inet_sport is
            // chosen after the event).
            let stale = connection.ordinal > 1 || record.error != 0;
            connection.set_unannounced(connection.tuple.local.port == 0 || stale);
        }
        let sent = has_left(record, to);
        if connection.is_unannounced() {
            return self.hold_back(slot, to, sent, record.time_ns);
        }
        if to == State::SynSent {
            self.replace_minisocket(slot, record.time_ns, out);
        }
        let connection = &self.store[slot];
        let elapsed = connection.elapsed(record.time_ns).filter(|_| !begins);
        let handshake = (to == State::Established)
            .then(|| connection::handshake(record, connection.role, elapsed));
        let at_exit = owner::at_exit(record, connection.state, to);
        let transition = Transition {
            elapsed,
            handshake,
            sequence: Sequence::of(record),
            sent,
            at_exit,
            // Who has closed already waits for no answer.
            unanswered: (at_exit
                && (connection.state, to) == (State::Established, State::FinWait1)
                && record.peer_spoke_last())
            .then(|| timeouts::since(record, record.last_received, self.options.ticks))
            .flatten(),
            ..transition(connection, connection.state, to, record.time_ns)
        };
        self.emit(slot, &transition, None, out);
        if sent.is_some() {
            self.store[slot].set_left(sent);
        }
        if let Some(handshake) = handshake {
            self.store[slot].complete(&handshake);
        }
        if to == State::Closed {
            self.forget(slot, record.time_ns);
        }
    }

    /// The transition to SYN_SENT is emitted when the local port is known.
    fn hold_back(&mut self, slot: Slot, to: State, sent: Option<bool>, time: u64) {
        self.store.enter(slot, to, time);
        self.store[slot].set_left(sent);
        let waiting = Deadline::of(slot, &self.store[slot], time);
        let queue = if self.is_open(slot) { &mut self.open } else { &mut self.unannounced };
        queue.push_back(waiting);
    }

    /// Applies a transition and emits what follows from it. Who goes to CLOSED is dropped by the
    /// caller.
    pub(super) fn emit(
        &mut self,
        slot: Slot,
        transition: &Transition,
        traffic: Option<Traffic>,
        out: &mut impl Observer,
    ) {
        let connection = &self.store[slot];
        let traffic = traffic.or_else(|| connection.traffic());
        let stays = connection.state == transition.to;
        let is_flagged = connection.doublings > 0 && !stays;
        let cleared = if is_flagged { self.cleared(slot, transition.time) } else { None };
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
        self.emit_connection(slot, transition, traffic, out);
    }

    /// Drops a connection that has come to its end at `time`.
    pub(super) fn forget(&mut self, slot: Slot, time: u64) -> Option<Connection> {
        let connection = self.store.remove(slot)?;
        if let Some(closed) = &mut self.closed_meanwhile {
            closed.note(connection.id, time);
        }
        if connection.role == Some(Role::Listener) {
            self.listeners.remove(&connection);
        }
        self.undecided.take(slot);
        push_last(&mut self.closed_last, (connection.id, connection.subject()));
        Some(connection)
    }
}

/// Whether the SYN or FIN that belongs to a state leaves with the event that leads to it.
fn has_left(record: &Record, to: State) -> Option<bool> {
    let flag = match to {
        State::SynSent => segment::SYN,
        State::FinWait1 | State::LastAck => segment::FIN,
        _ => return None,
    };
    (!record.has(flag::CLASSIC)).then_some(record.segment_flags & flag != 0)
}
