//! Connections as a whole: each is reported once when it is over for its application, and those
//! that are open when somebody asks for them.
//!
//! Over means in TIME_WAIT or CLOSED: what the kernel does with the addresses afterwards is
//! reported by transitions alone, and is no part of a connection's duration.

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use tracer_wire::kind;

use super::{Close, Observer, Slot, Snapshot, Source, State, Table, Transition, Update};
use crate::{
    close::initiator,
    connection::{Connection, SocketId, Traffic},
};
use tracer_event::{
    close::Reason,
    update::{ConnectionSummary, Role},
};

impl Table {
    /// Emits the connection as a whole if it is over with this transition. One in TIME_WAIT was
    /// over before, so nothing is emitted when it leaves that state.
    pub(super) fn emit_connection(
        &self,
        slot: Slot,
        transition: &Transition,
        traffic: Option<Traffic>,
        out: &mut impl Observer,
    ) {
        let Transition { time, to: state, source, close, .. } = *transition;
        if !matches!(state, State::TimeWait | State::Closed) {
            return;
        }
        let connection = &self.store[slot];
        let close = match state {
            State::TimeWait => {
                let reason = Reason::Graceful;
                let idle = connection.idle();
                Some(Close { idle, ..Close::new(reason, initiator(reason, connection.first_fin)) })
            }
            State::Closed if connection.state != State::TimeWait => close,
            _ => None,
        };
        if close.is_some() && connection.role != Some(Role::Listener) {
            let ended = close.map(|_| time);
            let story = ConnectionSummary {
                state,
                ended,
                close,
                source,
                ..open(connection, time, traffic)
            };
            out.observe(Update::Connection(&story));
        }
    }

    /// Whether there are connections that [`Self::report`] has something to say of.
    pub fn has_open(&self) -> bool {
        let none = self.count(State::Listen) + self.count(State::TimeWait);
        self.len() as u64 > none
    }

    /// Emits the connections that are open at `now` and have been for `age` nanoseconds: with the
    /// counters of a snapshot, which has been merged, where it shows them.
    pub fn report(&self, snapshot: Option<&Snapshot>, age: u64, now: u64, out: &mut impl Observer) {
        let mut told: HashSet<Slot, RandomState> = HashSet::default();
        let records = snapshot.iter().flat_map(|snapshot| &snapshot.records);
        for record in records.filter(|record| record.kind == kind::SOCKET) {
            let Some(slot) = self.store.find(SocketId::of(record)) else { continue };
            let connection = &self.store[slot];
            let has_moved = connection.is_minisocket() || connection.since > record.time_ns;
            if !has_moved && told.insert(slot) {
                let traffic = Traffic::of(record, connection.role, connection.state);
                report_one(connection, record.time_ns, age, traffic, out);
            }
        }
        for (_, connection) in self.store.iter().filter(|(slot, _)| !told.contains(slot)) {
            report_one(connection, now, age, connection.traffic(), out);
        }
    }

    /// Decides what is still undecided, and reports the RSTs that wait: the trace ends.
    pub fn decide_rest(&mut self, out: &mut impl Observer) {
        self.decide_overdue(u64::MAX, out);
        self.emit_overdue_answers(u64::MAX, out);
    }
}

fn report_one(
    connection: &Connection,
    time: u64,
    age: u64,
    traffic: Option<Traffic>,
    out: &mut impl Observer,
) {
    let is_connection = connection.role != Some(Role::Listener)
        && !matches!(connection.state, State::Listen | State::TimeWait)
        && !connection.is_unannounced();
    if is_connection {
        let story = open(connection, time, traffic);
        if story.duration >= age {
            out.observe(Update::Connection(&story));
        }
    }
}

/// A connection that is open.
fn open(connection: &Connection, time: u64, traffic: Option<Traffic>) -> ConnectionSummary {
    let spent = connection.spent(time);
    ConnectionSummary {
        time,
        subject: connection.subject(),
        state: connection.state,
        began: connection.began(),
        ended: None,
        duration: ConnectionSummary::duration(&spent),
        spent,
        at_least: connection.spent_at_least(),
        handshake: connection.handshake(),
        accept_wait: connection.accept_wait(),
        bytes_sent: traffic.map(|traffic| traffic.sent),
        bytes_received: traffic.map(|traffic| traffic.received),
        retransmits: traffic.map(|traffic| traffic.retransmits),
        close: None,
        source: Source::Snapshot,
    }
}
