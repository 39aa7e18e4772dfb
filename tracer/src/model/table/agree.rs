//! Making the table agree with the kernel where an event shows that others have been missed.

use tracer_ebpf::{Record, kind};

use super::{Observer, Slot, Source, State, Table, Transition, lost_healed, transition};

impl Table {
    /// Makes the table agree with the state that the kernel says is being left; false if the
    /// event has been told before.
    pub(super) fn agree(
        &mut self,
        slot: Slot,
        record: &Record,
        from: State,
        out: &mut impl Observer,
    ) -> bool {
        let Some(known) = self.store.get(slot) else {
            return false;
        };
        let edge = (record.old_state, record.new_state);
        if record.kind == kind::STATE_CAUGHT && known.last_edge == edge {
            self.duplicates += 1;
            return false;
        }
        if known.state == from {
            return true;
        }
        let known = known.state;
        if let Some(connection) = self.store.get_mut(slot) {
            // What is told of the past has the port that is known by now.
            connection.absorb(record);
        }
        match known.path_to(from) {
            Some(between) => {
                let missing: Vec<State> = between.into_iter().chain([from]).collect();
                lost_healed(record.time_ns, missing.len() as u64, out);
                for state in missing {
                    self.infer(slot, state, record.time_ns, out);
                }
            }
            // Nothing legal leads there: believe the kernel and forget the past.
            None => {
                lost_healed(record.time_ns, 1, out);
                self.store.enter(slot, from, record.time_ns);
                if let Some(connection) = self.store.get_mut(slot) {
                    connection.since_known = false;
                }
            }
        }
        true
    }

    /// A transition that must have happened unseen.
    pub(super) fn infer(&mut self, slot: Slot, to: State, time: u64, out: &mut impl Observer) {
        self.announce(slot, to, None, out);
        let Some(connection) = self.store.get(slot) else {
            return;
        };
        let transition = Transition {
            source: Source::Inferred,
            ..transition(connection, connection.state, to, time)
        };
        self.tell(slot, &transition, out);
    }
}
