//! Which processes accept the connections of a port, and how many each.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::Record;

use super::{
    Comparison,
    common::each_once,
    history::{History, is_accepted},
};
use crate::{connection::Connection, listeners::listens_for};
use tracer_event::{endpoint::Tuple, finding::Worker, process::Process};

/// Of fewer connections no share is judged.
const FEW: u64 = 20;
/// So many standard deviations are no chance.
const DEVIATIONS: f64 = 4.0;

/// Processes by their number: one may change its name.
type Workers = HashMap<u32, Worker, RandomState>;

/// Who accepts from listeners of one port, and who holds one and accepts nothing, most first; none
/// where there is one only, or accept() is not seen. A process that has started one of the others is
/// no worker (a master).
pub(super) fn of(comparison: &Comparison<'_>, listeners: &[&Record]) -> Vec<Worker> {
    let holders = listeners.iter().flat_map(|one| comparison.holders(one));
    let holders = each_once(holders.map(|holder| holder.process));
    if holders.len() < 2 {
        return Vec::new();
    }
    let mut workers = accepting(comparison, listeners);
    if workers.is_empty() {
        return Vec::new();
    }
    holders.into_iter().for_each(|holder| note(&mut workers, holder, 0));
    let facts = &comparison.input.last.host.processes;
    let parent = |pid: &u32| facts.get(pid).map(|facts| facts.parent);
    let parents: Vec<u32> = workers.keys().filter_map(parent).collect();
    workers.retain(|pid, worker| worker.accepted > 0 || !parents.contains(pid));
    let mut workers: Vec<Worker> = workers.into_values().collect();
    workers.sort_by_key(|worker| (std::cmp::Reverse(worker.accepted), worker.process.pid));
    workers
}

fn note(workers: &mut Workers, process: Process, accepted: u64) {
    let new = Worker { process, accepted: 0 };
    workers.entry(process.pid).or_insert(new).accepted += accepted;
}

/// Who has accepted while observed: connections that have ended, and those that are open.
fn accepting(comparison: &Comparison<'_>, listeners: &[&Record]) -> Workers {
    let mut workers = Workers::default();
    let is_theirs = |tuple: &Tuple| {
        listeners.iter().any(|one| {
            let at = Tuple::of(one);
            (at.netns, at.local.port) == (tuple.netns, tuple.local.port)
                && listens_for(at.local.address(), tuple.local.address())
        })
    };
    let ended = History::all(comparison).filter(|(_, group)| group.accepted > 0);
    for (_, group) in ended.filter(|(_, group)| is_theirs(&group.subject.tuple)) {
        if let Some(process) = group.process() {
            note(&mut workers, process, group.accepted);
        }
    }
    let since = comparison.input.observed.since;
    let open = comparison.input.table.connections();
    let open = open.filter(|life| life.is_accepted_since(since) && is_theirs(&life.tuple));
    for subject in open.map(Connection::subject).filter(is_accepted) {
        if let Some(owner) = subject.owner {
            note(&mut workers, owner.process, 1);
        }
    }
    workers
}

/// Whether the shares are further from even than chance makes them.
pub(super) fn is_uneven(workers: &[Worker]) -> bool {
    let all: u64 = workers.iter().map(|worker| worker.accepted).sum();
    if all < FEW || workers.len() < 2 {
        return false;
    }
    let (all, share) = (all as f64, 1.0 / workers.len() as f64);
    let (even, deviation) = (all * share, (all * share * (1.0 - share)).sqrt());
    workers.iter().any(|worker| (worker.accepted as f64 - even).abs() > DEVIATIONS * deviation)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[19, 0], false)]
    #[case(&[20, 0], true)]
    #[case(&[14, 6], false)]
    #[case(&[30, 20, 25], false)]
    #[case(&[310, 190, 250], true)]
    #[case(&[40, 38, 41, 0], true)]
    #[case(&[500], false)]
    fn shares_are_uneven_beyond_chance(#[case] accepted: &[u64], #[case] expected: bool) {
        let worker = |&accepted: &u64| Worker {
            process: Process { pid: 1, comm: [0; 16], start_ns: 0 },
            accepted,
        };
        assert_eq!(is_uneven(&accepted.iter().map(worker).collect::<Vec<_>>()), expected);
    }
}
