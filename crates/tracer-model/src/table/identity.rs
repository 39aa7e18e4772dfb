//! Which socket of the table an event is of, and where a new life begins.

use tracer_wire::{Record, kind};

use super::{Observer, Slot, Source, State, Table};
use crate::connection::{Connection, SocketId};
use tracer_event::endpoint::Tuple;

impl Table {
    /// The socket of a record: by its cookie or address, a minisocket also by its ends.
    pub(super) fn lookup(&mut self, record: &Record) -> Option<Slot> {
        let id = SocketId::of(record);
        let found = self.store.find(id);
        if record.kind == kind::TIME_WAIT_SOCKET {
            // A socket that has connected again has the same cookie, and other ends.
            let tuple = Tuple::of(record);
            let has_ends = |slot: &Slot| {
                let known = &self.store[*slot];
                known.tuple == tuple || known.may_get(&tuple)
            };
            return found.filter(has_ends).or_else(|| self.minisocket(record));
        }
        if let Some(slot) = found {
            return (!self.has_connected_again(slot, record)).then_some(slot);
        }
        if id.cookie().is_none() {
            return self.minisocket(record);
        }
        // Somebody has asked for its cookie meanwhile.
        let address = SocketId::without_cookie(record);
        let slot = self.store.find(address)?;
        if let Some(closed) = &mut self.closed_meanwhile {
            // A snapshot that goes on may have seen it by its address.
            closed.note(address, record.time_ns);
        }
        self.store.identify(slot, id);
        Some(slot)
    }

    /// Whether what is known is the minisocket of a connection before, and a snapshot shows the
    /// socket with the next one.
    fn has_connected_again(&mut self, slot: Slot, record: &Record) -> bool {
        let again = record.kind == kind::SOCKET
            && self.store[slot].tuple != Tuple::of(record)
            && self.store.is_minisocket(slot);
        if again {
            self.release_to_next(slot);
        }
        again
    }

    /// The socket has its next connection while a minisocket has this one: the two have the
    /// identity in common, and the minisocket gives it up.
    pub(super) fn release_to_next(&mut self, slot: Slot) {
        let Connection { id, ordinal, .. } = self.store[slot];
        self.store.release(slot);
        self.reusable.insert(id, ordinal);
    }

    /// The minisocket that a record is of, by its ends.
    pub(super) fn minisocket(&self, record: &Record) -> Option<Slot> {
        let slot = self.store.find_minisocket(&Tuple::of(record))?;
        let known = self.store[slot].id;
        let id = SocketId::of(record);
        let is_named = id.cookie().is_some() && known.cookie().is_some();
        (known == id || record.kind == kind::TIME_WAIT_SOCKET && !is_named).then_some(slot)
    }

    /// Whether the guard reports what the main program has reported already.
    pub(super) fn is_duplicate(&self, record: &Record, to: State) -> bool {
        let id = SocketId::of(record);
        record.kind == kind::STATE_CAUGHT
            && match self.store.known(id) {
                Some(known) => known.last_edge == (record.old_state, record.new_state),
                None => {
                    to == State::Closed && self.closed_last.iter().any(|&(closed, _)| closed == id)
                }
            }
    }

    /// Where sockets are told apart by their address: what it named is gone, and who comes there
    /// next is another. A socket that the table still has there has ended unseen.
    pub(super) fn destroyed(&mut self, record: &Record, out: &mut impl Observer) {
        let id = SocketId::of(record);
        self.raw_children.remove(&record.sk);
        self.reusable.remove(&id);
        // An RST that decides may come after this (tcp_rcv_state_process).
        if let Some(slot) = self.store.find(id).filter(|slot| !self.undecided.contains(*slot)) {
            self.vanish(slot, record.time_ns, Source::Inferred, out);
        }
    }

    /// A new life: of a new socket, of a reconnecting one, or at the address of an old one.
    pub(super) fn begin(&mut self, record: &Record, from: State, out: &mut impl Observer) -> Slot {
        let id = SocketId::of(record);
        let mut known = self.store.find(id);
        if let Some(old) = known.filter(|old| self.undecided.contains(*old)) {
            self.decide(old, None, out);
            known = self.store.find(id);
        }
        match known {
            // connect() with AF_UNSPEC while a minisocket has the connection before.
            Some(old) if self.store.is_minisocket(old) => self.release_to_next(old),
            Some(old) => self.vanish(old, record.time_ns, Source::Inferred, out),
            None => {}
        }
        let before = if self.reusable.is_empty() { None } else { self.reusable.remove(&id) };
        let ordinal = before.unwrap_or(0) + 1;
        self.make_room(record.time_ns, out);
        let slot = self.store.insert(Connection::born(record, from, ordinal));
        if from == State::Listen {
            // The peer of a minisocket comes back from the same port.
            self.replace_minisocket(slot, record.time_ns, out);
        }
        slot
    }
}
