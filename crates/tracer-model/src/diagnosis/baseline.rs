//! What is kept of an earlier snapshot, to compare later ones with.
//!
//! Most sockets of a busy host are connected or in TIME_WAIT; of these, only the ports they use
//! matter later. The others are few: listeners, what waits for them, and what nobody closes.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_event::{finding::Scope, state::State};
use tracer_wire::Record;

use super::HostSnapshot;
use crate::{
    connection::SocketId, listeners::awaits_accept, ports, table::Snapshot, time_wait::Ticks,
    unread::is_unread,
};

/// An earlier snapshot, without the sockets that are not compared.
#[derive(Debug, Default)]
pub struct Baseline {
    /// Listeners, what waits for accept() or to be read, CLOSE_WAIT; and the host.
    pub(crate) look: HostSnapshot,
    /// Ephemeral ports in use, by namespace and what they serve.
    pub(super) ports: HashMap<(u32, Scope), u32, RandomState>,
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
        Self { look: with_records(look, records), ports }
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
