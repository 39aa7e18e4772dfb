//! What is kept of an earlier snapshot, to compare later ones with.
//!
//! Most sockets of a busy host are connected or in TIME_WAIT; of these, only the ports they use
//! matter later, and what was sent on those that send. The others are few: listeners, what waits
//! for them, and what nobody closes.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_event::{finding::Scope, state::State};
use tracer_wire::{Record, Sent};

use super::HostSnapshot;
use crate::{
    connection::SocketId, listeners::awaits_accept, ports, table::Snapshot, time_wait::Ticks,
    timeouts, unread::is_unread,
};

/// Who has sent something this short a time ago will be compared, nanoseconds.
const SENDING: u64 = 60_000_000_000;

/// An earlier snapshot, without the sockets that are not compared.
#[derive(Debug, Default)]
pub struct Baseline {
    /// Listeners, what waits for accept() or to be read, CLOSE_WAIT; and the host.
    pub(crate) look: HostSnapshot,
    /// Ephemeral ports in use, by namespace and what they serve.
    pub(super) ports: HashMap<(u32, Scope), u32, RandomState>,
    /// What was sent on the connections that were sending, and `bytes_acked`.
    pub(super) sent: HashMap<SocketId, (Sent, u64), RandomState>,
}

impl Baseline {
    /// Of a complete snapshot.
    pub fn of(look: &HostSnapshot, ticks: Ticks) -> Self {
        let stands_still = |record: &&Record| {
            matches!(State::from_kernel(record.new_state), Some(State::Listen | State::CloseWait))
                || awaits_accept(record)
                || is_unread(record)
        };
        let records = look.snapshot.records.iter().filter(stands_still).copied().collect();
        let ports = ports::usage(&look.snapshot.records, &look.host, ticks).into_iter();
        let ports = ports.map(|one| ((one.netns, one.scope), one.busy())).collect();
        let sending = |record: &Record| {
            let is_sending = timeouts::since(record, record.last_sent, ticks)? < SENDING;
            let sent = Sent::of(record).filter(|_| is_sending)?;
            Some((SocketId::of(record), (sent, record.bytes_acked)))
        };
        let sent = look.snapshot.records.iter().filter_map(sending).collect();
        Self { look: with_records(look, records), ports, sent }
    }

    /// When the snapshot was taken.
    pub fn begun(&self) -> u64 {
        self.look.snapshot.begun
    }
}

/// A snapshot of these sockets and their holders alone.
pub(super) fn with_records(look: &HostSnapshot, records: Vec<Record>) -> HostSnapshot {
    let ids: HashSet<SocketId, RandomState> = records.iter().map(SocketId::of).collect();
    let holders = look.snapshot.holders.iter();
    let holders = holders.filter(|holder| ids.contains(&SocketId::held(holder))).copied();
    let Snapshot { begun, ended, held_at, .. } = look.snapshot;
    let snapshot = Snapshot {
        begun,
        ended,
        records,
        namespaces: Vec::new(),
        holders: holders.collect(),
        held_at,
    };
    HostSnapshot { snapshot, host: look.host.clone() }
}
