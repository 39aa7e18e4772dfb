//! The causes of sockets that linger in CLOSE_WAIT, for the flags of a trace: decided as for a
//! finding, socket by socket.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_wire::Record;

use super::{
    Baseline, HostSnapshot, Input, Observed,
    baseline::with_records,
    close_wait::key,
    comparison::Comparison,
    twins::{STATES, twins},
};
use crate::{connection::SocketId, filter::Filter, table::Table, time_wait::Ticks};
use tracer_event::{enricher::Unknown, linger::CloseWaitCause, state::State};

/// Tells the table why its sockets in CLOSE_WAIT are not closed: of those that linger, or will
/// before long. The snapshot must have been merged, and show holders and their processes.
pub fn explain(look: &HostSnapshot, ticks: Ticks, table: &mut Table) {
    let Some(look) = essence(look, table) else { return };
    let (filter, observed) = (Filter::default(), Observed::default());
    let baseline = Baseline::of(&look, ticks);
    let input = Input {
        filter: &filter,
        enricher: &Unknown,
        ticks,
        first: &baseline,
        recent: &baseline,
        last: &look,
        observed: &observed,
        table,
        stacks: None,
    };
    let comparison = Comparison::new(&input);
    let mut known: HashMap<_, Arc<CloseWaitCause>, RandomState> = HashMap::default();
    let mut explained = Vec::new();
    let twins = twins(&comparison);
    for seen in comparison.seen_in(State::CloseWait) {
        let socket = comparison.socket(seen);
        let key = key(&comparison, seen, &socket, &twins);
        let close_wait_cause = known.entry(key).or_insert_with_key(|key| {
            let listener = key.listener(&comparison, seen);
            Arc::new(CloseWaitCause { cause: key.cause, parent: key.parent, listener })
        });
        let id = SocketId::of(seen.record);
        explained.push((id, Arc::clone(close_wait_cause), socket.receive_queue));
    }
    drop(twins);
    drop(comparison);
    for (id, close_wait_cause, unread) in explained {
        table.explain(id, close_wait_cause, unread);
    }
}

/// What causes rest on: the sockets asked about, the listeners, and who holds these.
fn essence(look: &HostSnapshot, table: &Table) -> Option<HostSnapshot> {
    let is_of_interest = |record: &&Record| match State::from_kernel(record.new_state) {
        Some(State::CloseWait) => table.wants_cause(record),
        Some(State::Listen) => true,
        _ => false,
    };
    let mut records: Vec<Record> =
        look.snapshot.records.iter().filter(is_of_interest).copied().collect();
    let mut states = records.iter().map(|record| State::from_kernel(record.new_state));
    states.find(|state| *state == Some(State::CloseWait))?;
    records.extend(forwarded(look, &records));
    Some(with_records(look, records))
}

/// What may be the other sides of sockets in CLOSE_WAIT: the processes hold them too.
fn forwarded(look: &HostSnapshot, asked: &[Record]) -> Vec<Record> {
    let is_closed =
        |record: &&Record| State::from_kernel(record.new_state) == Some(State::CloseWait);
    let closed: HashSet<SocketId, RandomState> =
        asked.iter().filter(is_closed).map(SocketId::of).collect();
    let holders = || look.snapshot.holders.iter();
    let pids: HashSet<u32, RandomState> = holders()
        .filter(|holder| closed.contains(&SocketId::held(holder)))
        .map(|holder| holder.pid)
        .collect();
    let held: HashSet<SocketId, RandomState> =
        holders().filter(|holder| pids.contains(&holder.pid)).map(SocketId::held).collect();
    let is_other_side = |record: &&Record| {
        State::from_kernel(record.new_state).is_some_and(|state| STATES.contains(&state))
            && held.contains(&SocketId::of(record))
    };
    look.snapshot.records.iter().filter(is_other_side).copied().collect()
}
