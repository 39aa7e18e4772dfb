//! Servers that do not read what their clients have sent, and whoever is halted before it has read.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_wire::Record;

use super::{
    comparison::{Comparison, Detector, Seen},
    peers::{Key, connections, key},
};
use crate::{timeouts::since, unread::unread_for};
use tracer_event::{
    activity::{Activity, Doing},
    finding::{Finding, NotReading, Problem, Service, Severity},
    host::Host,
    process::{Halt, Owner},
    state::State,
};

pub(super) const DETECTORS: &[Detector] = &[unread];

/// So many do not wait by chance.
const SEVERAL: u64 = 3;
/// One of few that waits for longer waits in vain, nanoseconds.
const LONG: u64 = 30_000_000_000;

/// A computation that takes longer keeps all others waiting.
const COMPUTATION: u64 = 10_000_000_000;

/// Accepted connections with data that nobody reads or waits for. What a server sends unasked its
/// client may read later; not so while it is halted.
fn unread(comparison: &Comparison<'_>) -> Vec<Finding> {
    let stands = |seen: &&Seen<'_>| stands_still(comparison, seen);
    let found: Vec<&Seen<'_>> = comparison.seen.iter().filter(stands).collect();
    if found.is_empty() {
        return Vec::new();
    }
    let busy = busy(comparison, &found);
    let mut groups: HashMap<Key<Option<Halt>>, Vec<&Seen<'_>>, RandomState> = HashMap::default();
    for seen in found {
        let holders = comparison.holders(seen.record);
        let is_left = |holder: &Owner| {
            halt(comparison, holder).is_some()
                || leaves_unread(comparison, holder) && !busy.contains(&holder.process.pid)
                || computes(comparison, holder)
        };
        let is_here = matches!(comparison.service(&seen.tuple()), Service::Here(_));
        let are_halted = holders.iter().all(|holder| halt(comparison, holder).is_some());
        if !holders.is_empty()
            && (is_here || are_halted)
            && holders.iter().all(is_left)
            && !is_told(comparison, holders)
            && comparison.wants_seen(seen)
        {
            let halt = holders.first().and_then(|first| halt(comparison, first));
            groups.entry(key(comparison, seen, halt)).or_default().push(seen);
        }
    }
    let groups = groups.into_iter();
    groups.map(|(key, members)| finding(comparison, key, &members)).collect()
}

/// Whether nothing was read between the snapshots, nor has come.
fn stands_still(comparison: &Comparison<'_>, seen: &Seen<'_>) -> bool {
    let numbers = |record: &Record| (record.rcv_nxt, record.copied_seq);
    unread_for(seen.record, comparison.input.ticks).is_some()
        && seen.recent.is_some_and(|recent| numbers(recent) == numbers(seen.record))
}

/// Whether no thread of a process reads a connection, or waits for it. Where an event loop would that
/// may be about to come back, two looks must show that it does not.
fn leaves_unread(comparison: &Comparison<'_>, holder: &Owner) -> bool {
    let looks = [&comparison.input.recent.look.host, &comparison.input.last.host];
    at_each(&looks[1..], holder, Activity::leaves_unread)
        || at_each(&looks, holder, Activity::is_elsewhere)
}

fn at_each(looks: &[&Host], holder: &Owner, does: fn(&Activity, u32) -> bool) -> bool {
    let is_so = |host: &Host| {
        let facts = host.processes.get(&holder.process.pid).zip(holder.fd);
        facts.is_some_and(|(facts, fd)| does(&facts.activity, fd))
    };
    looks.iter().copied().all(is_so)
}

/// Whether one thread of a process has computed all the time while no other could read, and no data
/// has moved on any of its connections.
fn computes(comparison: &Comparison<'_>, holder: &Owner) -> bool {
    let pid = holder.process.pid;
    if !comparison.doing(pid).is_some_and(|doing| doing.computes()) {
        return false;
    }
    let looks = [&comparison.input.first.look.host, &comparison.input.last.host];
    let is_alone = at_each(&looks, holder, Activity::leaves_to_one);
    let is_its = |seen: &&Seen<'_>| {
        seen.state != State::Listen
            && comparison.holders(seen.record).iter().any(|one| one.process.pid == pid)
    };
    let ticks = comparison.input.ticks;
    let stands = |seen: &Seen<'_>| {
        let sent = since(seen.record, seen.record.last_sent, ticks);
        let has_read = |earlier: &Record| earlier.copied_seq != seen.record.copied_seq;
        sent.is_none_or(|time| time >= comparison.elapsed()) && !seen.earlier.is_some_and(has_read)
    };
    is_alone && comparison.seen.iter().filter(is_its).all(stands)
}

fn halt(comparison: &Comparison<'_>, holder: &Owner) -> Option<Halt> {
    comparison.input.last.host.processes.get(&holder.process.pid)?.halted
}

/// Who of those that hold these connections waits for others: for peers that take what it sends, as
/// a proxy that holds its clients back, or for the answer of another server.
fn busy(comparison: &Comparison<'_>, found: &[&Seen<'_>]) -> HashSet<u32, RandomState> {
    let holders = found.iter().flat_map(|seen| comparison.holders(seen.record));
    let pids: HashSet<u32, RandomState> = holders.map(|holder| holder.process.pid).collect();
    let is_waited_for = |seen: &&Seen<'_>| {
        let Record { write_seq, snd_una, last_sent, last_received, .. } = *seen.record;
        let is_open = matches!(seen.state, State::Established | State::CloseWait);
        let has_asked = last_sent != 0 && last_sent.wrapping_sub(last_received) as i32 > 0;
        is_open
            && (write_seq != snd_una
                || has_asked && matches!(comparison.service(&seen.tuple()), Service::There(_)))
    };
    let held = |seen: &Seen<'_>| {
        comparison.holders(seen.record).iter().map(|holder| holder.process.pid).collect::<Vec<_>>()
    };
    let waited_for = comparison.seen.iter().filter(is_waited_for);
    waited_for.flat_map(held).filter(|pid| pids.contains(pid)).collect()
}

/// Whether the senders' side says it, whose window is closed.
fn is_told(comparison: &Comparison<'_>, holders: &[Owner]) -> bool {
    let reads = |pid| holders.iter().any(|holder| holder.process.pid == pid);
    comparison.found.iter().any(|finding| match &finding.problem {
        Problem::PeerNotReading(stuck) => {
            stuck.readers.iter().any(|reader| reads(reader.process.pid))
        }
        _ => false,
    })
}

fn finding(
    comparison: &Comparison<'_>,
    Key { netns, service, what: halted, .. }: Key<Option<Halt>>,
    members: &[&Seen<'_>],
) -> Finding {
    let connections = connections(comparison, members, service);
    let ticks = comparison.input.ticks;
    let waiting = members.iter().filter_map(|seen| unread_for(seen.record, ticks));
    let first = connections.holders.first().map(|first| first.process.pid);
    let problem = NotReading {
        unread: members.iter().map(|seen| u64::from(seen.record.unread_bytes())).sum(),
        waiting: waiting.max().unwrap_or(0),
        halted,
        doing: first.and_then(|pid| comparison.doing(pid)),
        connections,
    };
    // A long computation comes to its end.
    let computes = problem.doing.as_ref().is_some_and(Doing::computes);
    let is_several =
        problem.connections.sockets >= SEVERAL && (!computes || problem.waiting >= COMPUTATION);
    let is_much = is_several || problem.waiting >= LONG;
    let severity = if is_much { Severity::Warning } else { Severity::Info };
    comparison.finding(severity, netns, Problem::NotReading(Box::new(problem)))
}
