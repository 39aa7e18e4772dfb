//! Sockets that stay in CLOSE_WAIT, grouped by cause, holder and service.

use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::{
    common::{each_once, most_first},
    comparison::{Comparison, Detector, Kin, Seen},
    peers::{heirs, peers},
    queues,
    twins::{Twins, twins},
};
use crate::{
    cause::{self, Context},
    connection::{Connection, SocketId},
    socket::{is_orphaned, silence},
    timeouts,
};
use tracer_event::{
    endpoint::Tuple,
    finding::{
        Cause, Descriptors, Finding, Leak, Listener, Made, OtherSide, Problem, Program, Service,
        Severity,
    },
    process::{Owner, Process},
    socket::Socket,
    stack::Stacks,
    state::State,
    update::Subject,
};

pub(super) const DETECTORS: &[Detector] = &[leaks];

const SECOND: u64 = 1_000_000_000;
/// A process that works gets round to close() within this time.
const GRACE: u64 = SECOND;
/// A process may be busy with one or two for this time, as with a request that ended in a FIN.
const BUSY: u64 = 30 * SECOND;
/// This many are a leak if one of them is as old as this, or has not moved between the snapshots.
const SEVERAL: u64 = 3;
const SETTLED: u64 = 5 * SECOND;
/// Descriptors that run out within this time are as good as gone, minutes.
const SOON: f64 = 10.0;

/// What one line of a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    netns: u32,
    pub(super) cause: Cause,
    /// Holders.
    who: Vec<Kin>,
    /// Those who listen where nobody has accepted.
    listening: Vec<u32>,
    pub(super) parent: Option<Process>,
    service: Service,
}

#[derive(Default)]
struct Group<'a> {
    members: Vec<Member<'a>>,
    /// Those that a process may still close in time: they count for growth, as those do that were
    /// so young at the first snapshot.
    young: i64,
}

struct Member<'a> {
    seen: &'a Seen<'a>,
    socket: Socket,
    /// The other side of what its process forwards, or where it has asked.
    twin: Option<&'a Seen<'a>>,
    age: u64,
    at_least: bool,
    /// It was in CLOSE_WAIT at the first snapshot.
    was_there: bool,
}

/// Sockets in CLOSE_WAIT that nobody closes.
fn leaks(comparison: &Comparison<'_>) -> Vec<Finding> {
    let lives = comparison.lives(State::CloseWait);
    let mut groups: HashMap<Key, Group<'_>, RandomState> = HashMap::default();
    let twins = twins(comparison);
    let idle = |seen: &&Seen<'_>| !cause::is_sending(seen.record, seen.earlier);
    for seen in comparison.seen_in(State::CloseWait).filter(idle) {
        let socket = comparison.socket(seen);
        let key = key(comparison, seen, &socket, &twins);
        if !wants(comparison, seen, &socket, &key) {
            continue;
        }
        let life = lives.get(&SocketId::of(seen.record)).copied();
        let twin = twins.get(&SocketId::of(seen.record)).filter(|_| key.cause.has_other_side());
        let twin = twin.map(|twin| twin.seen);
        let member = Member { twin, ..Member::new(comparison, seen, socket, life) };
        let group = groups.entry(key).or_default();
        if member.age >= GRACE {
            group.members.push(member);
        } else {
            group.young += i64::from(!member.was_there);
        }
    }
    groups.retain(|_, group| !group.members.is_empty());
    if groups.is_empty() {
        return Vec::new();
    }
    let closed = closed(comparison);
    let groups = groups.into_iter();
    let found = groups.map(|(key, group)| finding(comparison, &key, &group, &closed));
    found.filter(|finding| !is_explained(comparison, finding)).collect()
}

/// Whether others that wait for the same listener, and have not given up, say it; or that its queue
/// is full, while it still moves.
fn is_explained(comparison: &Comparison<'_>, finding: &Finding) -> bool {
    let Problem::CloseWaitLeak(leak) = &finding.problem else { return false };
    let is_slow = |seen: &Seen<'_>| {
        let tuple = seen.tuple();
        tuple.netns == finding.netns
            && leak.listener.as_ref().is_some_and(|from| from.local == tuple.local)
            && queues::severity(comparison, seen).is_some()
    };
    if finding.severity == Severity::Info && comparison.seen_in(State::Listen).any(is_slow) {
        return true;
    }
    let of_same = |found: &Finding| match &found.problem {
        Problem::AcceptWait(wait) => {
            found.netns == finding.netns && Some(&wait.listener) == leak.listener.as_ref()
        }
        _ => false,
    };
    leak.cause == Cause::NeverAccepted && comparison.found.iter().any(of_same)
}

/// How many still send: half-closed by their peers.
pub(super) fn sending(comparison: &Comparison<'_>) -> u64 {
    let sends = |seen: &&Seen<'_>| cause::is_sending(seen.record, seen.earlier);
    let sending = comparison.seen_in(State::CloseWait).filter(sends);
    sending.filter(|seen| comparison.wants_seen(seen)).count() as u64
}

/// A connection that nobody has accepted belongs to those who listen.
fn wants(comparison: &Comparison<'_>, seen: &Seen<'_>, socket: &Socket, key: &Key) -> bool {
    if key.cause != Cause::NeverAccepted {
        return comparison.wants(socket);
    }
    let listeners = comparison.listeners_of_waiting(seen.record);
    let holders: Vec<Owner> =
        listeners.iter().flat_map(|record| comparison.holders(record)).copied().collect();
    let subject = Subject { owner: holders.first().copied(), ..socket.subject };
    comparison.wants(&Socket { holders, subject, ..socket.clone() })
}

pub(super) fn key(
    comparison: &Comparison<'_>,
    seen: &Seen<'_>,
    socket: &Socket,
    twins: &Twins<'_>,
) -> Key {
    let record = seen.record;
    let tuple = socket.subject.tuple;
    let listeners = match socket.unaccepted {
        true => comparison.listeners_of_waiting(record),
        false => comparison.listeners_of(tuple.netns, tuple.local),
    };
    let holders = listeners.iter().flat_map(|record| comparison.holders(record));
    let listening: Vec<Process> = holders.map(|holder| holder.process).collect();
    let creator =
        comparison.input.table.creator(SocketId::of(record)).map(|creator| creator.process);
    let host = &comparison.input.last.host;
    let context = Context { creator, listening: &listening, host };
    let (cause, parent) = cause::cause(socket, record, context);
    let cause = match (cause, twins.get(&SocketId::of(record))) {
        (Cause::Held, Some(twin)) => twin.cause(),
        (cause, _) => cause,
    };
    let (mut pids, mut who) = (Vec::new(), Vec::new());
    match cause {
        Cause::NeverAccepted => pids.extend(listening.iter().map(|process| process.pid)),
        _ => who = comparison.kin(heirs(comparison, &socket.holders)[0].iter().copied()),
    }
    pids.sort_unstable();
    pids.dedup();
    let service = comparison.service(&tuple);
    Key { netns: tuple.netns, cause, who, listening: pids, parent, service }
}

impl Key {
    /// The listener that has not accepted a socket of this kind.
    pub(super) fn listener(
        &self,
        comparison: &Comparison<'_>,
        seen: &Seen<'_>,
    ) -> Option<Listener> {
        let nobody = self.cause == Cause::NeverAccepted;
        nobody.then(|| comparison.listener(&comparison.listeners_of_waiting(seen.record))).flatten()
    }
}

impl Group<'_> {
    /// Those that have come between the snapshots.
    fn fresh(&self) -> i64 {
        self.members.iter().filter(|member| !member.was_there).count() as i64 + self.young
    }
}

impl<'a> Member<'a> {
    fn new(
        comparison: &Comparison<'_>,
        seen: &'a Seen<'a>,
        socket: Socket,
        life: Option<&Connection>,
    ) -> Self {
        let now = seen.record.time_ns;
        let was_there = seen
            .earlier
            .is_some_and(|earlier| State::from_kernel(earlier.new_state) == Some(State::CloseWait));
        let observed = life.map_or(0, |life| now.saturating_sub(life.since));
        let member = Self { seen, socket, twin: None, age: 0, at_least: true, was_there };
        if life.is_some_and(Connection::since_known) {
            return Self { age: observed, at_least: false, ..member };
        }
        // The FIN carried an acknowledgement as well: it has been in CLOSE_WAIT for at least as
        // long.
        let silence = silence(seen.record, comparison.input.ticks).unwrap_or(0);
        Self { age: observed.max(silence), ..member }
    }
}

/// How many sockets were in CLOSE_WAIT at the first snapshot and are not any more, by the name of
/// their first holder and service.
type Closed = HashMap<(u32, Option<[u8; 16]>, Service), i64, RandomState>;

fn closed(comparison: &Comparison<'_>) -> Closed {
    let still: HashSet<SocketId, RandomState> = comparison.now_in(State::CloseWait);
    let mut closed = Closed::default();
    for (record, holder) in comparison.earlier_in(State::CloseWait) {
        if !still.contains(&SocketId::of(record)) {
            let tuple = Tuple::of(record);
            let name = holder.map(|holder| holder.comm);
            *closed.entry((tuple.netns, name, comparison.service(&tuple))).or_default() += 1;
        }
    }
    closed
}

fn finding(comparison: &Comparison<'_>, key: &Key, group: &Group<'_>, closed: &Closed) -> Finding {
    let members = &group.members;
    let name = members.first().and_then(|one| Some(one.socket.holders.first()?.process.comm));
    let gone = closed.get(&(key.netns, name, key.service)).copied().unwrap_or(0);
    let [holders, heirs] = holders(comparison, members);
    let pid = holders.first().map(|holder| holder.process.pid);
    let listener = members.first().and_then(|one| key.listener(comparison, one.seen));
    let (peer_sockets, peer_orphans) = states_of(comparison, members);
    let oldest = members.iter().max_by_key(|member| member.age);
    let growth = comparison.per_minute(group.fresh() - gone);
    let accepting = || Some((listener.as_ref()?.processes.first()?.process.pid, 0.0));
    // What waits to be accepted takes no descriptor.
    let leaking = pid.map(|pid| (pid, growth)).or_else(accepting);
    let leak = Leak {
        cause: key.cause,
        holders,
        heirs,
        parent: key.parent,
        fds: fds(comparison, members, pid),
        sockets: members.len() as u64,
        service: key.service,
        peers: match &members[..] {
            [only] => vec![(only.socket.subject.tuple.peer, 1)],
            all => peers(all.iter().map(|member| member.seen), key.service),
        },
        listener,
        oldest: oldest.map_or(0, |member| member.age),
        at_least: oldest.is_some_and(|member| member.at_least),
        growth,
        unread: members.iter().map(|member| u64::from(member.socket.receive_queue)).sum(),
        descriptors: leaking.and_then(|(pid, growth)| comparison.descriptors(pid, growth)),
        peer_sockets,
        peer_orphans,
        other_side: other_side(comparison, key.cause, members),
        made: comparison.input.stacks.map(|stacks| made(comparison, members, stacks)),
    };
    let severity = severity(&leak, members);
    comparison.finding(severity, key.netns, Problem::CloseWaitLeak(Box::new(leak)))
}

fn severity(leak: &Leak, members: &[Member<'_>]) -> Severity {
    let nearly_out = |descriptors: &Descriptors| {
        descriptors.open * 10 >= descriptors.limit * 9
            || descriptors.minutes_left.is_some_and(|minutes| minutes < SOON)
    };
    let settled = members.iter().any(|member| member.was_there || member.age >= SETTLED);
    let full = |from: &Listener| from.queue > from.backlog;
    // While a full queue moves, its turn comes.
    if leak.descriptors.as_ref().is_some_and(nearly_out)
        || settled && leak.listener.as_ref().is_some_and(full)
    {
        return Severity::Critical;
    }
    // Peers that have half-closed and are still held may wait for an answer that takes its time.
    let half_closed = leak.peer_sockets.get(&State::FinWait2).copied().unwrap_or(0);
    let is_waited_for =
        leak.cause == Cause::Held && half_closed.saturating_sub(leak.peer_orphans) == leak.sockets;
    if leak.oldest >= BUSY || leak.sockets >= SEVERAL && settled && !is_waited_for {
        Severity::Warning
    } else {
        Severity::Info
    }
}

/// Programs that hold them, those of most of them first, and their children that do as well.
fn holders(comparison: &Comparison<'_>, members: &[Member<'_>]) -> [Vec<Program>; 2] {
    let each: Vec<_> =
        members.iter().map(|member| heirs(comparison, &member.socket.holders)).collect();
    [0, 1].map(|which| {
        let all = each.iter().flat_map(|both| &both[which]).copied();
        let all = most_first(all, |process| process.pid).into_iter();
        all.map(|(process, _)| comparison.program(process)).collect()
    })
}

fn fds(comparison: &Comparison<'_>, members: &[Member<'_>], pid: Option<u32>) -> Vec<u32> {
    let mut fds: Vec<u32> = members
        .iter()
        .flat_map(|member| comparison.holders(member.seen.record))
        .filter(|holder| Some(holder.process.pid) == pid)
        .filter_map(|holder| holder.fd)
        .collect();
    fds.sort_unstable();
    fds
}

/// What their process forwards to, or from where; whom it has asked.
fn other_side(
    comparison: &Comparison<'_>,
    cause: Cause,
    members: &[Member<'_>],
) -> Option<OtherSide> {
    let twins: Vec<&Seen<'_>> = members.iter().filter_map(|member| member.twin).collect();
    let service = comparison.service(&twins.first()?.tuple());
    let here = matches!(service, Service::Here(_));
    let peers = twins.iter().map(|twin| twin.tuple().peer);
    let peers = peers.map(|peer| if here { peer.with_port(0) } else { peer });
    let mut states = BTreeMap::new();
    twins.iter().for_each(|twin| *states.entry(twin.state).or_default() += 1);
    let silent = |twin: &&Seen<'_>| {
        timeouts::since(twin.record, twin.record.last_sent, comparison.input.ticks)
    };
    let is_asked = cause == Cause::AwaitsAnswer;
    let unanswered = is_asked.then(|| twins.iter().filter_map(silent).max()).flatten();
    let holders = twins.iter().filter_map(|twin| comparison.peer(twin));
    let holders = holders.flat_map(|seen| comparison.holders(seen.record));
    let holders = each_once(holders.map(|holder| holder.process));
    Some(OtherSide {
        service,
        peers: most_first(peers, |peer| (peer.address(), peer.port)),
        states,
        processes: holders.into_iter().map(|process| comparison.program(process)).collect(),
        unanswered,
    })
}

/// The code that made them. Different addresses may have the same names, as those of processes that
/// run one program.
fn made(comparison: &Comparison<'_>, members: &[Member<'_>], stacks: &dyn Stacks) -> Made {
    let mut made = Made::default();
    for member in members {
        let creator = comparison.input.table.creator(SocketId::of(member.seen.record));
        let Some(stack) = creator.and_then(|creator| stacks.stack(&creator)) else {
            made.before += 1;
            continue;
        };
        match made.stacks.iter_mut().find(|(known, _)| *known == stack) {
            Some((_, sockets)) => *sockets += 1,
            None => made.stacks.push((stack, 1)),
        }
    }
    made.stacks.sort_by_key(|(_, sockets)| std::cmp::Reverse(*sockets));
    made
}

fn states_of(comparison: &Comparison<'_>, members: &[Member<'_>]) -> (BTreeMap<State, u64>, u64) {
    let mut states = BTreeMap::new();
    let mut orphans = 0;
    for member in members {
        if let Some(peer) = comparison.peer(member.seen) {
            *states.entry(peer.state).or_default() += 1;
            orphans += u64::from(is_orphaned(peer.record));
        }
    }
    (states, orphans)
}
