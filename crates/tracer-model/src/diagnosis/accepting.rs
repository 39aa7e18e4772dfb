//! Connections that wait for accept(), long before the queue is full, and half-open ones that wait
//! for their clients' first data.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_wire::{Record, kind, segment};

use super::{
    comparison::{Comparison, Detector, Seen},
    queues, workers,
};
use crate::{
    connection::SocketId,
    listeners::{awaits_accept, is_listener},
    socket::{half_open, silence},
};
use tracer_event::{
    endpoint::Tuple,
    finding::{AcceptWait, DeferredAccept, Finding, Listener, Problem, Severity},
    process::Process,
    state::State,
};

pub(super) const DETECTORS: &[Detector] = &[waiting, deferred];

const SECOND: u64 = 1_000_000_000;
/// A process that works gets round to accept() within this time.
const GRACE: u64 = SECOND;
/// Clients notice.
const LONG: u64 = 3 * SECOND;
/// A client that means to send does so within this time.
const SPEECHLESS: u64 = 2 * SECOND;

/// The connections that wait for one listener; for one of several where that is not known.
struct Queue<'a> {
    listeners: Vec<&'a Record>,
    waiting: Vec<&'a Seen<'a>>,
}

/// Listeners whose queue stands still, or moves so slowly that clients wait. Where all of them have
/// given up the sockets in CLOSE_WAIT say it, and where the queue is full that says it.
fn waiting(comparison: &Comparison<'_>) -> Vec<Finding> {
    let mut queues: HashMap<Vec<SocketId>, Queue<'_>, RandomState> = HashMap::default();
    for seen in comparison.seen.iter().filter(|seen| awaits_accept(seen.record)) {
        let listeners = comparison.listeners_of_waiting(seen.record);
        if listeners.is_empty() {
            continue;
        }
        let ids = listeners.iter().map(|record| SocketId::of(record)).collect();
        let queue = queues.entry(ids);
        queue.or_insert_with(|| Queue { listeners, waiting: Vec::new() }).waiting.push(seen);
    }
    queues.values().filter_map(|queue| judge(comparison, queue)).collect()
}

fn judge(comparison: &Comparison<'_>, queue: &Queue<'_>) -> Option<Finding> {
    let Queue { listeners, waiting } = queue;
    let of_queue = |seen: &&Seen<'_>| listeners.iter().any(|one| std::ptr::eq(*one, seen.record));
    let own: Vec<&Seen<'_>> = comparison.seen_in(State::Listen).filter(of_queue).collect();
    let given_up = waiting.iter().filter(|seen| seen.state == State::CloseWait).count();
    let is_explained = own.iter().any(|seen| queues::severity(comparison, seen).is_some());
    let stuck = waiting.iter().any(|seen| seen.recent.is_some_and(awaits_accept));
    let is_wanted = || own.iter().chain(waiting).any(|seen| comparison.wants_seen(seen));
    if given_up == waiting.len() || is_explained || !stuck || !is_wanted() {
        return None;
    }
    let (oldest, is_exact) = waiting.iter().map(|seen| age(comparison, seen)).max()?;
    let moves = has_moved(comparison, queue);
    let about = (oldest >= GRACE).then(|| of_listener(comparison, listeners)).flatten()?;
    let severity = match oldest {
        LONG.. => Severity::Warning,
        _ if !moves || about.uneven => Severity::Info,
        _ => return None,
    };
    let problem = AcceptWait {
        waiting: waiting.len() as u64,
        given_up: given_up as u64,
        oldest,
        at_least: !is_exact,
        moves,
        ..about
    };
    let netns = listeners[0].netns;
    Some(comparison.finding(severity, netns, Problem::AcceptWait(Box::new(problem))))
}

/// What there is to say of the listener, whoever waits.
fn of_listener(comparison: &Comparison<'_>, listeners: &[&Record]) -> Option<AcceptWait> {
    let netns = listeners[0].netns;
    let all = comparison.listeners_of(netns, Tuple::of(listeners[0]).local);
    let workers = workers::of(comparison, &all);
    let accepts = |process: &Process| workers.iter().any(|worker| worker.process.is(process));
    let is_master = |process: &Process| !workers.is_empty() && !accepts(process);
    let listener = comparison.listener_but(listeners, is_master)?;
    let siblings: Vec<&Record> = all
        .into_iter()
        .filter(|other| !listeners.iter().any(|one| std::ptr::eq(*one, *other)))
        .collect();
    Some(AcceptWait {
        waiting: 0,
        given_up: 0,
        oldest: 0,
        at_least: false,
        moves: false,
        listened: listened(comparison, listeners[0], &listener),
        leaderless: listener.processes.first().is_some_and(|program| {
            let facts = comparison.input.last.host.processes.get(&program.process.pid);
            facts.is_some_and(|facts| facts.leaderless)
        }),
        siblings: siblings.len() as u32,
        siblings_waiting: siblings.iter().map(|record| u64::from(record.accept_queue)).sum(),
        descriptors: listener
            .processes
            .first()
            .and_then(|program| comparison.descriptors(program.process.pid, 0.0)),
        uneven: workers::is_uneven(&workers),
        workers,
        listener,
    })
}

/// How long a connection has waited, and whether that is exact or at least so long.
fn age(comparison: &Comparison<'_>, seen: &Seen<'_>) -> (u64, bool) {
    let now = seen.record.time_ns;
    let life = comparison.input.table.connection(SocketId::of(seen.record));
    match life.and_then(super::super::connection::Connection::established_at) {
        Some(time) => (now.saturating_sub(time), true),
        None => {
            let observed = life.map_or(0, |life| now.saturating_sub(life.since));
            let silent = silence(seen.record, comparison.input.ticks).unwrap_or(0);
            (observed.max(silent), false)
        }
    }
}

/// Whether one that waited at the first snapshot waits no more. It may have been reset instead: then
/// the queue is said to move, which is less than the truth.
fn has_moved(comparison: &Comparison<'_>, queue: &Queue<'_>) -> bool {
    let Queue { listeners, waiting } = queue;
    let still: HashSet<SocketId, RandomState> =
        waiting.iter().map(|seen| SocketId::of(seen.record)).collect();
    let is_of_queue = |record: &&Record| {
        awaits_accept(record)
            && match record.listener {
                0 => {
                    let is_at = |one: &&Record| {
                        (one.netns, one.local_port) == (record.netns, record.local_port)
                    };
                    listeners.iter().any(is_at)
                }
                sk => listeners.iter().any(|one| one.sk == sk),
            }
    };
    let baselines = [comparison.input.first, comparison.input.recent].into_iter();
    let mut earlier = baselines.flat_map(|one| &one.look.snapshot.records).filter(is_of_queue);
    earlier.any(|record| !still.contains(&SocketId::of(record)))
}

/// Who called listen(), if that was seen and it holds the listener no more.
fn listened(comparison: &Comparison<'_>, record: &Record, held: &Listener) -> Option<Process> {
    let creator = comparison.input.table.creator(SocketId::of(record))?.process;
    let holds = held.processes.iter().any(|program| program.process.is(&creator));
    (!holds && !held.processes.is_empty()).then_some(creator)
}

/// Listeners with TCP_DEFER_ACCEPT whose clients have connected and say nothing.
fn deferred(comparison: &Comparison<'_>) -> Vec<Finding> {
    let mut queues: HashMap<SocketId, (&Record, u64, u64), RandomState> = HashMap::default();
    for seen in comparison.seen_in(State::SynRecv).filter(|seen| is_deferred(seen.record)) {
        let listener = comparison.listeners_of_waiting(seen.record).into_iter().next();
        let Some(listener) = listener.filter(|one| is_listener(one) && one.defer_accept != 0)
        else {
            continue;
        };
        if comparison.wants_seen(seen) {
            let age = half_open(seen.record).unwrap_or(0);
            let (_, count, oldest) =
                queues.entry(SocketId::of(listener)).or_insert((listener, 0, 0));
            *count += 1;
            *oldest = age.max(*oldest);
        }
    }
    let find = |(record, half_open, oldest): (&Record, u64, u64)| {
        let is_crowded = half_open >= 4 && half_open * 5 >= u64::from(record.accept_backlog) * 4;
        let severity = if is_crowded { Severity::Warning } else { Severity::Info };
        let listener = comparison.listener(&[record])?;
        let problem = Problem::DeferredAccept(DeferredAccept { listener, half_open, oldest });
        (oldest >= SPEECHLESS).then(|| comparison.finding(severity, record.netns, problem))
    };
    queues.into_values().filter_map(find).collect()
}

/// Whether the client of a half-open connection has acknowledged the SYN+ACK.
pub(super) fn is_deferred(record: &Record) -> bool {
    record.kind == kind::REQUEST_SOCKET && record.segment_flags & segment::ACK != 0
}
