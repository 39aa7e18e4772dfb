//! The table, event by event.

use tracer_ebpf::{Record, kind};

use crate::model::state::State;

/// A record of a state change with nothing else in it.
pub(crate) fn record(from: State, to: State) -> Record {
    Record { kind: kind::STATE, old_state: from as u8, new_state: to as u8, ..Record::EMPTY }
}
