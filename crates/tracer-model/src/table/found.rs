//! Sockets that a snapshot or an event shows and the table does not know: from before, or born
//! unseen.

use tracer_wire::{Record, kind};

use super::{Closed, Observer, Slot, Source, State, Table, Transition, Update, emit::transition};
use crate::{
    connection::{Connection, SocketId},
    socket,
};
use tracer_event::{endpoint::Tuple, update::Role};

impl Table {
    /// A socket that the table does not know yet.
    pub(super) fn add_found(&mut self, record: &Record, state: State) -> Slot {
        let minisocket = record.kind == kind::TIME_WAIT_SOCKET;
        let age = self.minisocket_age(record);
        let since = age.map(|age| record.time_ns.saturating_sub(age));
        let mut connection = Connection::new(record, state, since);
        if minisocket {
            connection.become_minisocket(None);
        } else {
            connection.absorb(record);
        }
        connection.role = self.role_of(record, state);
        let namesake = self.store.known(connection.id).filter(|_| minisocket);
        let namesake = namesake.map(|namesake| namesake.ordinal);
        connection.ordinal = match namesake {
            // The socket has connected again since; which connection this was is not known of the
            // first one.
            Some(ordinal @ 2..) => ordinal - 1,
            Some(ordinal) => ordinal + 1,
            None if minisocket => self.reusable.get(&connection.id).copied().unwrap_or(1),
            None => self.reusable.remove(&connection.id).unwrap_or(0) + 1,
        };
        let slot = match namesake {
            Some(_) => self.store.insert_nameless(connection),
            None => self.store.insert(connection),
        };
        if minisocket {
            self.store.add_minisocket(slot);
        }
        slot
    }

    /// Which end a socket of a snapshot is.
    pub(super) fn role_of(&self, record: &Record, state: State) -> Option<Role> {
        socket::role(record, state, self.listeners.serve(&Tuple::of(record)))
    }

    /// Whether the table knew a minisocket and has ended it: connect() has started, which takes its
    /// place only when a port is chosen, a moment later or many milliseconds.
    pub(super) fn is_replaced(&self, record: &Record, closed: &Closed) -> bool {
        // The age is exact to a tick or two.
        let slack = self.options.ticks.nanoseconds(2);
        let was_known =
            |age: u64| self.covered.had(record.netns, record.time_ns.saturating_sub(age) + slack);
        record.kind == kind::TIME_WAIT_SOCKET
            && self.covered.has(record.netns)
            && (closed.has(SocketId::of(record))
                || self.minisocket_age(record).is_some_and(was_known))
    }

    /// Whether a minisocket that the table does not know is of a connection that it does: one
    /// before the socket's present one, or one whose cookie was asked for too late for the
    /// minisocket.
    pub(super) fn has_known(&self, record: &Record) -> bool {
        let id = SocketId::of(record);
        let twin = self.store.find_minisocket(&Tuple::of(record));
        record.kind == kind::TIME_WAIT_SOCKET
            && (self.store.find(id).is_some()
                || self.reusable.contains_key(&id)
                || twin.is_some_and(|twin| self.store[twin].is_armed_for(record.timer_expires)))
    }

    /// A socket that is new where all were known: the events of its beginning have been missed, and
    /// are counted unless they have been reported for another entry.
    pub(super) fn infer_beginning(
        &mut self,
        slot: Slot,
        is_counted: bool,
        out: &mut impl Observer,
    ) {
        let connection = &self.store[slot];
        let (ends, state, time) = (connection.tuple, connection.state, connection.since);
        let is_minisocket = connection.is_minisocket();
        if is_minisocket && state == State::TimeWait {
            self.unseen.closed_in_order(&ends, state, time);
        }
        if !is_minisocket {
            self.replace_minisocket(slot, time, out);
        }
        let served = match self.store[slot].role {
            Some(role) => role == Role::Server,
            None => self.listeners.serve(&ends),
        };
        let steps = steps_since_birth(state, served);
        if is_counted {
            // The kernel leaves FIN_WAIT2 for CLOSE when a minisocket takes over.
            let further = is_minisocket && state == State::FinWait2;
            self.unseen.miss(steps.len() + usize::from(further), false);
        }
        self.store[slot].set_beginning(&steps);
        let connection = &self.store[slot];
        let mut from = match steps.first() {
            Some(State::SynRecv) => State::Listen,
            _ => State::Closed,
        };
        for to in steps {
            let step = Transition {
                source: Source::Inferred,
                elapsed: None,
                ..transition(connection, from, to, connection.since)
            };
            out.observe(Update::Transition(&step));
            self.emit_connection(slot, &step, None, out);
            from = to;
        }
    }
}

/// The states that a socket has most likely passed until `state`, itself included.
fn steps_since_birth(state: State, served: bool) -> Vec<State> {
    let opening = if served || state == State::SynRecv {
        [State::SynRecv, State::Established]
    } else {
        [State::SynSent, State::Established]
    };
    if state == State::Listen {
        return vec![state];
    }
    if let Some(last) = opening.iter().position(|step| *step == state) {
        return opening[..=last].to_vec();
    }
    let closing = State::Established.path_to(state).unwrap_or_default();
    opening.into_iter().chain(closing).chain([state]).collect()
}
