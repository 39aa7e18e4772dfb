//! Half-open connections that linger: request sockets, which only snapshots show.
//!
//! They are no sockets of the table: the kernel makes one of a request when the handshake is
//! complete. What lingers is reported when a snapshot has shown it, so that nothing is flagged that
//! has been completed meanwhile; how long it has been half open the kernel knows.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::{Record, kind, segment};

use super::{
    Observer, Role, Snapshot, State, Table, Update,
    lingering::{self, doublings_beyond, linger},
};
use crate::{connection::Connection, linger::LOOK_LEAD, listeners::is_listener, socket::half_open};
use tracer_event::{
    endpoint::Tuple,
    linger::LingerCause,
    update::{Linger, LingerStatus, Segment},
};

/// Those that have been flagged, and when a snapshot should show what comes next.
#[derive(Debug, Default)]
pub(super) struct HalfOpen {
    flagged: HashMap<Tuple, (Connection, LingerCause), RandomState>,
    next: Option<u64>,
}

impl HalfOpen {
    /// When a snapshot will find one that is to be reported. It is taken half of [`LOOK_LEAD`]
    /// before the time that is said.
    pub(super) fn next(&self) -> Option<u64> {
        self.next.map(|next| next.saturating_add(LOOK_LEAD / 2 + 1))
    }
}

impl Table {
    /// Reports the half-open connections of a snapshot that linger, and of those that did.
    pub(super) fn check_half_open(&mut self, snapshot: &Snapshot, out: &mut impl Observer) {
        let Some(threshold) = self.options.thresholds.of(State::SynRecv) else { return };
        let mut told = Vec::new();
        self.half_open.next = None;
        for record in snapshot.records.iter().filter(|one| one.kind == kind::REQUEST_SOCKET) {
            if self.options.filter.covers(&Tuple::of(record)) != Some(false) {
                told.extend(self.check_request(record, threshold, snapshot));
            }
        }
        let shown = self.snapshots;
        let gone = self.half_open.flagged.extract_if(|tuple, (connection, _)| {
            connection.shown != shown && snapshot.namespaces.contains(&tuple.netns)
        });
        told.extend(gone.map(|(_, flag)| cleared(flag, threshold, snapshot.begun)));
        if !told.is_empty() {
            out.observe(Update::Linger(&told));
        }
    }

    /// What is to be reported of one that a snapshot shows.
    fn check_request(
        &mut self,
        record: &Record,
        threshold: u64,
        snapshot: &Snapshot,
    ) -> Option<Linger> {
        let age = half_open(record).unwrap_or(0);
        let known = self.half_open.flagged.remove(&Tuple::of(record));
        let before = known.as_ref().map_or(0, |(connection, _)| connection.doublings);
        let status = if known.is_some() { LingerStatus::Continues } else { LingerStatus::Raised };
        let is_due = age >= lingering::age(before, threshold);
        let doublings = doublings_beyond(age, before, threshold);
        let due = lingering::age(doublings, threshold);
        let again = record.time_ns.saturating_sub(age).saturating_add(due);
        self.half_open.next = Some(self.half_open.next.map_or(again, |next| next.min(again)));
        let (mut connection, why) = match known {
            _ if is_due => self.half_open_connection(record, age, snapshot),
            known => known?,
        };
        (connection.doublings, connection.shown) = (doublings, self.snapshots);
        let told = linger(&connection, threshold, record.time_ns, status);
        let told = is_due.then(|| Linger { why: Some(why.clone()), ..told });
        self.half_open.flagged.insert(connection.tuple, (connection, why));
        told
    }

    fn half_open_connection(
        &mut self,
        record: &Record,
        age: u64,
        snapshot: &Snapshot,
    ) -> (Connection, LingerCause) {
        let since = record.time_ns.saturating_sub(age);
        let mut connection = Connection::new(record, State::SynRecv, Some(since));
        connection.role = Some(Role::Server);
        let owner = self.listeners.guess(&connection.tuple, record.listener);
        connection.set_owner(owner, &mut self.processes);
        let is_with = |one: &&Record| is_listener(one) && one.sk == record.listener;
        // In a flood of SYNs there are many, and none needs this.
        let listener = || snapshot.records.iter().find(is_with);
        let why = if record.segment_flags & segment::ACK == 0 {
            LingerCause::NoAnswer(Segment::SynAck)
        } else if listener().is_some_and(|listener| listener.defer_accept != 0) {
            LingerCause::NoData
        } else {
            LingerCause::NoRoom
        };
        (connection, why)
    }

    /// A connection has come of a half-open one.
    pub(super) fn complete_half_open(&mut self, tuple: &Tuple, time: u64, out: &mut impl Observer) {
        if self.half_open.flagged.is_empty() {
            return;
        }
        let threshold = self.options.thresholds.of(State::SynRecv).unwrap_or(0);
        if let Some(flag) = self.half_open.flagged.remove(tuple) {
            out.observe(Update::Linger(&[cleared(flag, threshold, time)]));
        }
    }
}

fn cleared((connection, why): (Connection, LingerCause), threshold: u64, time: u64) -> Linger {
    Linger { why: Some(why), ..linger(&connection, threshold, time, LingerStatus::Cleared) }
}
