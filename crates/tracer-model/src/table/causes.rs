//! Why sockets linger, and who made them: what a snapshot has shown is kept for the flag.

use std::sync::Arc;

use tracer_wire::Record;

use super::Table;
use crate::connection::{Connection, SocketId};
use tracer_event::{
    linger::{CloseWaitCause, LingerCause},
    stack::Creator,
    state::State,
    update::Segment,
};

/// What is flagged within this time is asked about now, nanoseconds.
const AHEAD: u64 = 1_500_000_000;

impl Table {
    /// Who made a socket, where that was seen.
    pub fn creator(&self, id: SocketId) -> Option<Creator> {
        self.store.known(id)?.creator()
    }

    /// Whether a socket that a snapshot shows in CLOSE_WAIT lingers in it, or will before long:
    /// then its cause is wanted.
    pub fn wants_cause(&self, record: &Record) -> bool {
        self.store.known(SocketId::of(record)).is_some_and(|known| {
            known.state == State::CloseWait && self.is_due(known, record.time_ns)
        })
    }

    /// Who has made the sockets of one kind, and in which code; each once.
    pub fn creators(&self, wanted: impl Fn(&Connection) -> bool) -> Vec<Creator> {
        let made = self.connections().filter(|known| wanted(known));
        let mut creators: Vec<Creator> = made
            .filter_map(|known| known.creator().filter(|creator| creator.stack.is_some()))
            .collect();
        creators.sort_unstable_by_key(|creator| {
            (creator.process.pid, creator.process.start_ns, creator.stack)
        });
        creators.dedup();
        creators
    }

    /// Whether a socket lingers, or will before long.
    pub fn is_due(&self, connection: &Connection, now: u64) -> bool {
        let threshold = self.options.thresholds.of(connection.state);
        threshold.is_some_and(|threshold| {
            connection.idle_since().saturating_add(threshold) <= now.saturating_add(AHEAD)
        })
    }

    /// Takes over why a socket is not closed, and how many bytes nobody has read.
    pub fn explain(&mut self, id: SocketId, close_wait_cause: Arc<CloseWaitCause>, unread: u32) {
        if let Some(connection) = self.store.known_mut(id)
            && connection.state == State::CloseWait
        {
            connection.set_unclosed(close_wait_cause, unread);
        }
    }
}

/// Why a socket stays in its state; `None` where it may.
pub(super) fn why(connection: &Connection) -> Option<LingerCause> {
    match connection.state {
        State::CloseWait => Some(connection.close_wait_cause().map_or(
            LingerCause::NotLookedAt,
            |(close_wait_cause, unread)| {
                LingerCause::NotClosed(Arc::clone(close_wait_cause), *unread)
            },
        )),
        State::TimeWait => Some(LingerCause::ClosedFirst),
        State::FinWait2 => Some(LingerCause::PeerNotClosed),
        State::SynSent => Some(unanswered(connection, Segment::Syn)),
        State::SynRecv => Some(LingerCause::NoAnswer(Segment::SynAck)),
        State::FinWait1 | State::Closing | State::LastAck => {
            Some(unanswered(connection, Segment::Fin))
        }
        State::Closed | State::Listen | State::Established => None,
    }
}

/// What has not been sent has no answer to come.
fn unanswered(connection: &Connection, segment: Segment) -> LingerCause {
    if connection.left() == Some(false) {
        LingerCause::NotSent(segment)
    } else {
        LingerCause::NoAnswer(segment)
    }
}
