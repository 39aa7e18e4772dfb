//! Events as the tracepoint shows them; what else is known of them is set by whoever emits them.

use super::{Connection, Loss, LossPlace, Observer, Source, State, Transition, Update};

/// A transition of `connection` as the tracepoint reports it.
#[inline]
pub(super) fn transition(connection: &Connection, from: State, to: State, time: u64) -> Transition {
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
        sent: None,
        close: None,
        life: None,
        unanswered: None,
        orphaned: connection.is_orphaned(),
        at_exit: false,
    }
}

/// Something is lost for good.
pub(super) fn lost(time: u64, place: LossPlace, count: u64, out: &mut impl Observer) {
    out.observe(Update::Loss(&Loss::final_loss(time, place, count)));
}
