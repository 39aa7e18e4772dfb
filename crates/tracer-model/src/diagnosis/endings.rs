//! What the beginnings and ends of connections show to be wrong: attempts to connect that fail or
//! are slow, servers that close what their clients are about to use.

use std::borrow::Cow;

use super::{
    attempts,
    comparison::{Comparison, Detector},
    history::{Group, History, Times},
    queues::{self, reaches},
    rejected,
};
use tracer_event::{
    close::Reason,
    endpoint::Endpoint,
    finding::{
        ConnectFailure, ConnectFailures, Finding, KeepaliveRace, ListensElsewhere, LostSegment,
        Problem, Recovered, Service, Severity,
    },
    process::Process,
};

pub(super) const DETECTORS: &[Detector] = &[connects, races];

/// So many are no accident.
const SEVERAL: u64 = 3;
/// Who connects again for so long does so for good, nanoseconds.
const SETTLED: u64 = 1_000_000_000;
/// Of so many attempts to connect one that fails is worth a warning.
const OF_ATTEMPTS: u64 = 10;
/// Of so many connections one that ends badly is; of so many handshakes one that is slow.
pub(super) const OF_CONNECTIONS: u64 = 20;

pub(super) fn severity(bad: u64, all: u64, share: u64) -> Severity {
    if bad >= SEVERAL && bad * share >= all { Severity::Warning } else { Severity::Info }
}

/// Time since the first of these.
pub(super) fn since(comparison: &Comparison<'_>, all: impl Iterator<Item = Times>) -> u64 {
    let first = all.filter(|times| times.count > 0).map(|times| times.first).min();
    comparison.now().saturating_sub(first.unwrap_or(u64::MAX))
}

/// The sample below which `percent` of a hundred are.
pub(super) fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    sorted.get((sorted.len().checked_sub(1)? * percent).div_ceil(100)).copied()
}

/// Clients whose attempts to connect fail, or need another SYN.
fn connects(comparison: &Comparison<'_>) -> Vec<Finding> {
    let groups = History::wanted(comparison);
    let find = |(service, group): &(Service, Cow<'_, Group>)| match service {
        Service::There(peer) => connect(comparison, &groups, *peer, group),
        Service::Here(_) => None,
    };
    groups.iter().filter_map(find).collect()
}

fn connect(
    comparison: &Comparison<'_>,
    groups: &[(Service, Cow<'_, Group>)],
    peer: Endpoint,
    group: &Group,
) -> Option<Finding> {
    let failed = group.failed().map(|(_, times)| times.count).sum();
    let attempts = group.connected + failed;
    let retransmitted = group.retransmitted.count;
    let slow = severity(retransmitted, group.connected, OF_CONNECTIONS);
    if failed == 0 && slow == Severity::Info || is_explained(comparison, peer, group) {
        return None;
    }
    let failures_since = since(comparison, group.failed().map(|(_, times)| times));
    let recovered = group.recovered().map(|(failed, again)| Recovered {
        outage: failures_since.saturating_sub(comparison.now().saturating_sub(failed)),
        since: comparison.now().saturating_sub(again),
    });
    let recovered = recovered.filter(|again| again.since >= SETTLED);
    let failing = match is_served_elsewhere(groups, peer, group) || recovered.is_some() {
        true => Severity::Info,
        false => severity(failed, attempts, OF_ATTEMPTS),
    };
    let failures = failures(comparison, group);
    let tuple = group.subject.tuple;
    let mut refused = failures.iter().filter(|one| one.reason == Reason::Refused);
    let listener = refused.next().and_then(|_| rejected::though_listening(comparison, &tuple));
    let mut handshakes = group.handshakes.clone();
    handshakes.sort_unstable();
    let times = group.failed().map(|(_, times)| times).chain([group.retransmitted]);
    let problem = Problem::ConnectFailures(Box::new(ConnectFailures {
        process: group.process(),
        others: group.others,
        peer,
        attempts,
        failures,
        retransmitted,
        answered: group.answered,
        delay: group.delay,
        p50: percentile(&handshakes, 50),
        p99: percentile(&handshakes, 99),
        since: since(comparison, times),
        recovered,
        listener,
    }));
    Some(comparison.finding(failing.max(slow), tuple.netns, problem))
}

/// The failures by reason, and by what was lost where that is proved.
fn failures(comparison: &Comparison<'_>, group: &Group) -> Vec<ConnectFailure> {
    let is_here = group.failures.iter().any(|((.., lost), _)| lost.is_some())
        && attempts::is_here(comparison, &group.subject.tuple);
    let mut failures: Vec<ConnectFailure> = Vec::new();
    for ((reason, icmp, lost), Times { count, .. }) in group.failed() {
        let lost = lost.filter(|lost| *lost == LostSegment::SynAck || is_here);
        let is_same =
            |one: &&mut ConnectFailure| (one.reason, one.icmp, one.lost) == (reason, icmp, lost);
        match failures.iter_mut().find(is_same) {
            Some(known) => known.attempts += count,
            None => failures.push(ConnectFailure { reason, icmp, lost, attempts: count }),
        }
    }
    failures
}

/// Whether another finding says why there is no answer: the accept queue of a listener here, or that
/// the sockets are in SYN_SENT now.
fn is_explained(comparison: &Comparison<'_>, peer: Endpoint, group: &Group) -> bool {
    let answered = |reason| matches!(reason, Reason::Refused | Reason::Unreachable);
    if group.failures.iter().any(|((reason, ..), _)| answered(*reason)) {
        return is_refused_at_another_address(comparison, peer, group);
    }
    let netns = group.subject.tuple.netns;
    let is_told = |finding: &Finding| match &finding.problem {
        Problem::StuckHandshake(stuck) => {
            let is_same =
                |process: Process| stuck.process.is_some_and(|one| one.comm == process.comm);
            finding.netns == netns
                && stuck.service == Service::There(peer)
                && group.process().is_some_and(is_same)
        }
        _ => false,
    };
    queues::is_told_full(comparison, netns, peer) || comparison.found.iter().any(is_told)
}

/// Whether it is told who listens on that port at another address of this host.
fn is_refused_at_another_address(
    comparison: &Comparison<'_>,
    peer: Endpoint,
    group: &Group,
) -> bool {
    let netns = group.subject.tuple.netns;
    let all = group.failed().all(|((reason, ..), _)| reason == Reason::Refused);
    all && comparison.found.iter().any(|finding| {
        let is_it = |other: &ListensElsewhere| other.address == peer;
        reaches(netns, finding.netns, peer)
            && matches!(&finding.problem, Problem::ListensElsewhere(other) if is_it(other))
    })
}

/// Whether the program reaches that port by the other version of IP: it tries the addresses of a name
/// one after the other (RFC 8305). Where one of several IPv4 addresses does not answer, one of several
/// servers is down.
fn is_served_elsewhere(
    groups: &[(Service, Cow<'_, Group>)],
    peer: Endpoint,
    group: &Group,
) -> bool {
    let who =
        |group: &Group| (group.subject.tuple.netns, group.process().map(|process| process.comm));
    groups.iter().any(|(service, other)| {
        let Service::There(elsewhere) = service else { return false };
        elsewhere.port == peer.port
            && elsewhere.address().is_ipv4() != peer.address().is_ipv4()
            && other.connected > 0
            && who(other) == who(group)
    })
}

/// Whether all clients on this host whose attempts to connect to `peer` have failed, and there is one,
/// reach that port by the other version of IP.
pub(super) fn are_served_elsewhere(
    comparison: &Comparison<'_>,
    netns: u32,
    peer: Endpoint,
) -> bool {
    let groups = History::wanted(comparison);
    let is_of = |one: &&(Service, Cow<'_, Group>)| {
        let (service, group) = one;
        *service == Service::There(peer)
            && reaches(group.subject.tuple.netns, netns, peer)
            && group.failed().next().is_some()
    };
    let mut clients = groups.iter().filter(is_of).peekable();
    clients.peek().is_some() && clients.all(|(_, group)| is_served_elsewhere(&groups, peer, group))
}

/// Who on this host was refused at an address of a namespace, those first to whom it happened most.
pub(super) fn refused_at(
    comparison: &Comparison<'_>,
    netns: u32,
    address: Endpoint,
) -> Vec<Process> {
    let times = |group: &Group| {
        let refused = group.failed().filter(|((reason, ..), _)| *reason == Reason::Refused);
        refused.map(|(_, times)| times.count).sum::<u64>()
    };
    let is_of = |(service, group): &(Service, &Group)| {
        *service == Service::There(address) && reaches(group.subject.tuple.netns, netns, address)
    };
    let clients = History::all(comparison).filter(is_of);
    let clients = clients.filter_map(|(_, group)| Some((group.process()?, times(group))));
    let mut clients: Vec<(Process, u64)> = clients.filter(|(_, times)| *times > 0).collect();
    clients.sort_unstable_by_key(|(process, times)| (std::cmp::Reverse(*times), process.pid));
    clients.into_iter().map(|(process, _)| process).collect()
}

/// Servers whose idle timers meet requests. Where both ends are seen they are one finding, the
/// server's.
fn races(comparison: &Comparison<'_>) -> Vec<Finding> {
    let groups = History::wanted(comparison);
    let met = || groups.iter().filter(|(_, group)| group.race.times.count > 0);
    let server_of = |to: Endpoint| met().find(|(service, _)| *service == Service::Here(to));
    let find = |&(service, ref group): &(Service, Cow<'_, Group>)| match service {
        Service::Here(local) => {
            let mut clients = met().filter(|(service, _)| *service == Service::There(local));
            let client = clients.next().and_then(|(_, group)| group.process());
            Some(race(comparison, local, group, group.process(), client))
        }
        Service::There(peer) if server_of(peer).is_some() => None,
        Service::There(peer) => Some(race(comparison, peer, group, None, group.process())),
    };
    met().filter_map(find).collect()
}

fn race(
    comparison: &Comparison<'_>,
    service: Endpoint,
    group: &Group,
    server: Option<Process>,
    client: Option<Process>,
) -> Finding {
    let race = &group.race;
    let mut met = race.met.clone();
    met.sort_unstable();
    let idle = percentile(&met, 50).unwrap_or(0);
    // Those that it has closed for another reason were idle for another time.
    let is_alike = |one: &&u64| one.abs_diff(idle) <= idle / 5;
    let alike = race.closed.iter().filter(is_alike);
    let spread = alike.clone().chain(&met).map(|one| one.abs_diff(idle)).max();
    // What a server closes because it ends, or wants to, has been idle for any time.
    let is_timer = met.iter().filter(is_alike).count() * 3 >= met.len() * 2;
    // A timer that looks only now and then, as that of Redis does, closes again and again what has
    // been idle for a time and up to a multiple of it.
    let mut seconds = race.seconds.clone();
    seconds.sort_unstable();
    seconds.dedup();
    let is_again = seconds.len() as u64 >= SEVERAL && met.first() >= Some(&(idle / 3));
    let resets = race.times.count;
    let problem = Problem::KeepaliveRace(Box::new(KeepaliveRace {
        server: server.map(|process| comparison.program(process)),
        client,
        service,
        resets,
        closed: alike.count() as u64,
        idle,
        spread: spread.unwrap_or(0),
        shortest: race.after.iter().copied().min().unwrap_or(0),
        longest: race.after.iter().copied().max().unwrap_or(0),
        since: since(comparison, std::iter::once(race.times)),
    }));
    let severity = if resets > 1 && (is_timer || is_again && resets >= SEVERAL) {
        Severity::Warning
    } else {
        Severity::Info
    };
    comparison.finding(severity, group.subject.tuple.netns, problem)
}
