//! One event of the tracepoint: what it does to the socket, and what is told of it.

use tracer_ebpf::{
    Record, flag, segment,
    state::{CLOSE, LISTEN, NEW_SYN_RECV, SYN_RECV},
};

use super::{
    CLOSED_LAST, Connection, Deadline, LossPlace, Observer, RAW_CHILDREN, Role, Sequence, Slot,
    Source, State, Table, Transition, Update, lost, transition, whole::End,
};
use crate::model::{connection, endpoint::Tuple, owner, stack::Maker};

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
        if let Some(birth) = self.raw_children.remove(&record.sk)
            && from == State::SynRecv
        {
            self.bear(record, birth, out);
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
    pub(super) fn bear(
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
        let slot = if begins {
            if self.is_told_twice(record, to) {
                self.duplicates += 1;
                return;
            }
            self.begin(record, from, out)
        } else {
            match self.lookup(record) {
                Some(slot) => match self.agree(slot, record, from, out) {
                    Some(slot) => slot,
                    None => return,
                },
                None if self.is_told_twice(record, to) => {
                    self.duplicates += 1;
                    return;
                }
                None => self.meet(record, from, self.covered.contains(&record.netns), out),
            }
        };
        if let Some(connection) = self.store.get_mut(slot) {
            connection.last_edge = (record.old_state, record.new_state);
        }
        self.refine(slot, record, from, to);
        if from == State::Listen && to == State::SynRecv {
            self.complete_half_open(&Tuple::of(record), record.time_ns, out);
        }
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
    }

    /// Tells of the SYN_SENT that was held back for its local port, before what follows it.
    pub(super) fn announce(
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
    pub(super) fn announce_held(
        &mut self,
        slot: Slot,
        record: Option<&Record>,
        out: &mut impl Observer,
    ) {
        if self.store.get(slot).is_some_and(|connection| connection.tuple.local.port != 0) {
            self.tell_held(slot, record, out);
        }
    }

    pub(super) fn tell_held(
        &mut self,
        slot: Slot,
        record: Option<&Record>,
        out: &mut impl Observer,
    ) {
        let Some(connection) = self.store.get_mut(slot).filter(|held| held.unannounced) else {
            return;
        };
        connection.unannounced = false;
        let connection = &*connection;
        // Without a port nothing was sent.
        let portless = connection.tuple.local.port == 0;
        let failed = portless && record.is_some_and(|record| record.new_state == CLOSE);
        let born = Transition {
            elapsed: None,
            sent: connection.left().map(|left| left && !failed),
            // What is told late is told with the numbers of its own moment.
            sequence: record.and_then(Sequence::of).map(|later| later.of_syn()),
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
        let sent = has_left(record, to);
        if connection.unannounced {
            self.store.enter(slot, to, record.time_ns);
            let Some(connection) = self.store.get_mut(slot) else { return };
            connection.set_left(sent);
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
            sent,
            ..transition(connection, connection.state, to, record.time_ns)
        };
        self.tell(slot, &transition, out);
        if let Some(connection) = self.store.get_mut(slot) {
            connection.set_left(sent);
            if let Some(handshake) = handshake {
                connection.complete(&handshake);
            }
        }
        if to == State::Closed {
            self.forget(slot, record.time_ns);
        }
    }

    /// Applies a transition and tells of it. Who goes to CLOSED is dropped by the caller.
    pub(super) fn tell(&mut self, slot: Slot, transition: &Transition, out: &mut impl Observer) {
        let stays = self.store.get(slot).is_some_and(|known| known.state == transition.to);
        let cleared = if stays { None } else { self.cleared(slot, transition.time) };
        let traffic = self.store.get(slot).and_then(Connection::traffic);
        if transition.to != State::Closed {
            self.store.enter(slot, transition.to, transition.time);
        }
        if !stays {
            self.plan_if_left_out(slot);
        }
        out.observe(Update::Transition(transition));
        // Of the tracepoint's own the caller knows the counters.
        if transition.to == State::TimeWait && transition.source != Source::Tracepoint {
            let end = End::time_wait(transition.time, transition.source);
            self.conclude_story(slot, end, traffic, out);
        }
        if let Some(linger) = cleared {
            out.observe(Update::Linger(&[linger]));
        }
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
        if self.closed_last.len() == CLOSED_LAST {
            self.closed_last.pop_front();
        }
        self.closed_last.push_back((connection.id, connection.subject()));
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
