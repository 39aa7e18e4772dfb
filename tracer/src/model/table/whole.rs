//! Connections as a whole: each is told once when it is over for its application, and those that
//! are open when somebody asks for them.
//!
//! Over means in TIME_WAIT or CLOSED: what the kernel does with the addresses afterwards is told
//! by transitions alone, and is no part of a connection's duration.

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use tracer_ebpf::{Record, kind};

use super::{Close, Observer, Slot, Snapshot, Source, State, Table, Update};
use crate::model::{
    close::{Reason, initiator},
    connection::{Connection, SocketId, Traffic},
    update::{Role, Story},
};

/// The end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) time: u64,
    /// TIME_WAIT or CLOSED.
    pub(super) state: State,
    pub(super) close: Close,
    pub(super) source: Source,
}

impl End {
    /// Both ends have closed, and this one keeps the addresses for a while.
    pub(super) fn time_wait(time: u64, source: Source) -> Self {
        let close = Close::new(Reason::Graceful, None);
        Self { time, state: State::TimeWait, close, source }
    }
}

impl Table {
    /// Tells a connection that is over. One in TIME_WAIT has been told, or was over before the
    /// tracer looked, so when it leaves that state nothing is told.
    pub(super) fn conclude_story(
        &self,
        slot: Slot,
        End { time, state, close, source }: End,
        traffic: Option<Traffic>,
        out: &mut impl Observer,
    ) {
        let Some(connection) = self.store.get(slot) else {
            return;
        };
        let told = state == State::Closed && connection.state == State::TimeWait;
        if told || connection.role == Some(Role::Listener) {
            return;
        }
        let initiator = initiator(close.reason, connection.first_fin);
        let close = Close { initiator, ..close };
        let story = Story { state, close: Some(close), source, ..open(connection, time, traffic) };
        out.observe(Update::Story(&story));
    }

    /// Whether there are connections that [`Self::report`] has something to say of.
    pub fn has_open(&self) -> bool {
        let none = self.count(State::Listen) + self.count(State::TimeWait);
        self.len() as u64 > none
    }

    /// Tells the connections that are open at `now` and have been for `age` nanoseconds: with the
    /// counters of a snapshot, which has been merged, where it shows them.
    pub fn report(&self, snapshot: Option<&Snapshot>, age: u64, now: u64, out: &mut impl Observer) {
        let mut told: HashSet<Slot, RandomState> = HashSet::default();
        for record in snapshot.iter().flat_map(|snapshot| &snapshot.records) {
            if record.kind == kind::SOCKET
                && let Some(slot) = self.store.find(SocketId::of(record))
                && let Some(connection) = self.store.get(slot)
                // It may have moved since.
                && !connection.is_minisocket()
                && connection.since <= record.time_ns
                && told.insert(slot)
            {
                let counters = counters(connection, record);
                report_one(connection, record.time_ns, age, counters, out);
            }
        }
        for (slot, connection) in self.store.iter() {
            if !told.contains(&slot) {
                report_one(connection, now, age, connection.traffic(), out);
            }
        }
    }

    /// Decides what is still undecided: the trace ends.
    pub fn decide_rest(&mut self, out: &mut impl Observer) {
        self.decide_overdue(u64::MAX, out);
    }
}

fn counters(connection: &Connection, record: &Record) -> Option<Traffic> {
    use State::{Closing, FinWait1, FinWait2, LastAck};
    let fin_sent = matches!(connection.state, FinWait1 | FinWait2 | Closing | LastAck);
    Traffic::of(record, connection.role, fin_sent)
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
        && !connection.unannounced;
    if is_connection {
        let story = open(connection, time, traffic);
        if story.duration() >= age {
            out.observe(Update::Story(&story));
        }
    }
}

/// A connection that is open.
fn open(connection: &Connection, time: u64, traffic: Option<Traffic>) -> Story {
    Story {
        time,
        subject: connection.subject(),
        state: connection.state,
        began: connection.began(),
        spent: connection.spent(time),
        at_least: connection.spent_at_least(),
        handshake: connection.handshake(),
        bytes_sent: traffic.map(|traffic| traffic.sent),
        bytes_received: traffic.map(|traffic| traffic.received),
        retransmits: traffic.map(|traffic| traffic.retransmits),
        close: None,
        source: Source::Snapshot,
    }
}
