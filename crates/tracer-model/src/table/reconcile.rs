//! Reconciling the table with an event that shows that others have been missed.

use tracer_wire::{Record, kind};

use super::{Connection, Observer, Slot, Source, State, Table, Transition, Way, emit::transition};

impl Table {
    /// Brings the table to the state that the kernel says is being left; where the socket is
    /// then, `None` if the event has been reported before.
    pub(super) fn reconcile(
        &mut self,
        slot: Slot,
        record: &Record,
        from: State,
        out: &mut impl Observer,
    ) -> Option<Slot> {
        let known = &mut self.store[slot];
        let edge = (record.old_state, record.new_state);
        if record.kind == kind::STATE_CAUGHT && known.last_edge == edge {
            self.duplicates += 1;
            return None;
        }
        let is_full = !known.is_minisocket();
        if known.state == from && is_full {
            return Some(slot);
        }
        let Some(way) = Way::of(known.state, from, false).filter(|_| is_full) else {
            // The socket has another connection.
            self.end_previous(slot, record.time_ns, Source::Inferred, out);
            return Some(self.add_unknown(record, from, true, out));
        };
        // What is reported of the past has the port that is known by now.
        known.absorb(record);
        self.infer_way(slot, way, record.time_ns, out);
        self.infer(slot, from, record.time_ns, out);
        Some(slot)
    }

    /// The socket has another connection, whose beginning was not seen: the one known is over, but
    /// for its minisocket.
    pub(super) fn end_previous(
        &mut self,
        slot: Slot,
        time: u64,
        source: Source,
        out: &mut impl Observer,
    ) {
        if self.store.is_minisocket(slot) {
            return self.release_to_next(slot);
        }
        let Connection { id, ordinal, .. } = self.store[slot];
        self.vanish(slot, time, source, out);
        self.reusable.insert(id, ordinal);
    }

    /// A socket that an event shows in state `from` and the table does not know: there before the
    /// tracer, or born unseen, which `is_new` says.
    pub(super) fn add_unknown(
        &mut self,
        record: &Record,
        from: State,
        is_new: bool,
        out: &mut impl Observer,
    ) -> Slot {
        self.make_room(record.time_ns, out);
        let mut connection = Connection::new(record, from, None);
        connection.ordinal = self.reusable.remove(&connection.id).unwrap_or(0) + 1;
        connection.absorb(record);
        let slot = self.store.insert(connection);
        if is_new {
            self.infer_beginning(slot, true, out);
        }
        slot
    }

    /// Counts the state changes that must have happened unseen, and emits all but the last.
    pub(super) fn infer_way(
        &mut self,
        slot: Slot,
        Way { between, events, at_least }: Way,
        time: u64,
        out: &mut impl Observer,
    ) {
        self.unseen.miss(events, at_least);
        for state in between {
            self.infer(slot, state, time, out);
        }
    }

    /// A transition that must have happened unseen.
    pub(super) fn infer(&mut self, slot: Slot, to: State, time: u64, out: &mut impl Observer) {
        if to != State::SynSent {
            self.emit_held(slot, None, out);
        }
        let connection = &self.store[slot];
        let time = time.max(connection.since);
        let transition = Transition {
            source: Source::Inferred,
            ..transition(connection, connection.state, to, time)
        };
        self.emit(slot, &transition, None, out);
    }
}
