//! Connections that are reset or time out.

use std::borrow::Cow;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::{
    common::most_first,
    comparison::{Comparison, Detector, Seen},
    endings::{OF_CONNECTIONS, percentile, severity, since},
    history::{Group, History, Times},
    queues::reaches,
};
use tracer_event::{
    close::Reason,
    endpoint::{Endpoint, Tuple},
    finding::{BadEnd, ConnectionResets, Finding, Problem, Service, StillOpen},
    sequence::Sequence,
    state::State,
};

pub(super) const DETECTORS: &[Detector] = &[resets];

/// What is open so long after the other end was reset has not sent the RST, nanoseconds.
const LATER: u64 = 100_000_000;

/// A group of connections that ended badly.
type Of<'a> = (Service, Cow<'a, Group>);

/// Processes whose connections with a service are reset or time out.
fn resets(comparison: &Comparison<'_>) -> Vec<Finding> {
    let groups = History::wanted(comparison);
    let open = open_ends(comparison, &groups);
    let undecided = undecided(comparison, &groups);
    let bad = groups.iter().filter(|(service, group)| {
        let is_undecided = |(of, ..): &(Tuple, Sequence, u64)| undecided.contains(&ends(of));
        let awaits_snapshot = !group.reset.is_empty() && group.reset.iter().all(is_undecided);
        let has_ended_badly = !group.ends().is_empty() || !group.gave_up.ends.is_empty();
        has_ended_badly
            && !awaits_snapshot
            && (still_open(comparison, group, &open).is_some()
                || !is_told_of_the_other_end(&groups, *service, group))
    });
    let find = |(service, group): &Of<'_>| {
        let mut ends = bad_ends(group);
        ends.sort_by_key(|end| std::cmp::Reverse(end.connections));
        let gave_up = group.gave_up.ends.iter().map(|(_, times)| *times);
        let times = group.ends().into_iter().map(|(_, times, _)| times).chain(gave_up);
        let problem = Problem::ConnectionResets(ConnectionResets {
            process: group.process(),
            others: group.others,
            service: *service,
            ended: group.ended,
            ends,
            still_open: still_open(comparison, group, &open),
            since: since(comparison, times),
        });
        let severity = severity(own(*service, group), group.ended, OF_CONNECTIONS);
        comparison.finding(severity, group.subject.tuple.netns, problem)
    };
    bad.map(find).collect()
}

fn bad_ends(group: &Group) -> Vec<BadEnd> {
    let mut waited = group.gave_up.waited.clone();
    waited.sort_unstable();
    let waited = percentile(&waited, 50);
    let of = |(reason, Times { count, .. }, after_fin)| BadEnd {
        reason,
        connections: count,
        waited: None,
        after_fin,
    };
    let ends = group.ends().into_iter().map(of);
    // Who gives up after one time does so in one way.
    let gave_up = group.gave_up.ends.iter();
    let gave_up = gave_up.map(|end| BadEnd { waited, ..of((end.0, end.1, false)) });
    ends.chain(gave_up).collect()
}

fn count(times: impl Iterator<Item = Times>) -> u64 {
    times.map(|times| times.count).sum()
}

/// How many of them weigh: a client that goes away, or does not want the rest of an answer, has its
/// reasons, unless it has given up.
fn own(service: Service, group: &Group) -> u64 {
    let is_own = |reason| match service {
        Service::Here(_) => reason != Reason::ResetReceived,
        Service::There(_) => {
            !matches!(reason, Reason::ResetSentUnreadData | Reason::ResetSentDataAfterClose)
        }
    };
    let ends = group.ends().into_iter().filter(|(reason, ..)| is_own(*reason));
    let gave_up = group.gave_up.ends.iter().map(|(_, times)| *times);
    count(ends.map(|(_, times, _)| times).chain(gave_up))
}

/// Sockets by their own end and the peer's.
type OpenEnds<'a> = HashMap<(Endpoint, Endpoint), Vec<&'a Seen<'a>>, RandomState>;

/// The open sockets that may be other ends of what was reset.
fn open_ends<'a>(comparison: &'a Comparison<'_>, groups: &[Of<'_>]) -> OpenEnds<'a> {
    let reset = groups.iter().flat_map(|(_, group)| &group.reset);
    let mut open: OpenEnds<'_> = reset.map(|(of, ..)| (ends(of), Vec::new())).collect();
    if open.is_empty() {
        return open;
    }
    for seen in &comparison.seen {
        let Tuple { local, peer, .. } = seen.tuple();
        if is_open(seen.state)
            && let Some(ends) = open.get_mut(&(local, peer))
        {
            ends.push(seen);
        }
    }
    open
}

fn ends(of: &Tuple) -> (Endpoint, Endpoint) {
    (of.peer, of.local)
}

/// Other ends of what was reset that are open as far as events show: whether they have sent the RST
/// the next snapshot decides. Only where there is none yet: else it has.
fn undecided(
    comparison: &Comparison<'_>,
    groups: &[Of<'_>],
) -> HashSet<(Endpoint, Endpoint), RandomState> {
    let reset = groups.iter().flat_map(|(_, group)| &group.reset);
    let reset: HashSet<_, RandomState> = reset.map(|(of, ..)| ends(of)).collect();
    if !comparison.seen.is_empty() || reset.is_empty() {
        return HashSet::default();
    }
    let lives = comparison.input.table.connections();
    let open = lives.filter(|life| is_open(life.state) && !life.is_minisocket());
    let ends = open.map(|life| (life.tuple.local, life.tuple.peer));
    ends.filter(|ends| reset.contains(ends)).collect()
}

fn is_open(state: State) -> bool {
    use State::{CloseWait, Established, FinWait1, FinWait2};
    matches!(state, Established | CloseWait | FinWait1 | FinWait2)
}

/// Who holds the other ends of what was reset, if all of these are here and open long after: they have
/// sent no RST.
fn still_open(
    comparison: &Comparison<'_>,
    group: &Group,
    open: &OpenEnds<'_>,
) -> Option<StillOpen> {
    let is_long_ago = |&&(.., time): &&(Tuple, Sequence, u64)| time + LATER <= comparison.now();
    let other_end = |(of, numbers, _): &(Tuple, Sequence, u64)| {
        let is_it = |seen: &&&Seen<'_>| {
            let sent = numbers.snd_nxt.wrapping_sub(numbers.snd_una);
            seen.record.snd_nxt == numbers.rcv_nxt
                && seen.record.rcv_nxt.wrapping_sub(numbers.snd_una) <= sent
        };
        open.get(&ends(of))?.iter().find(is_it).copied()
    };
    let ends: Option<Vec<&Seen<'_>>> =
        group.reset.iter().filter(is_long_ago).map(other_end).collect();
    let ends = ends.filter(|ends| !ends.is_empty())?;
    let holders = ends.iter().filter_map(|seen| comparison.holders(seen.record).first());
    let holders = most_first(holders.map(|holder| holder.process), |process| process.pid);
    let process = holders.first().map(|(process, _)| *process);
    Some(StillOpen { connections: ends.len() as u64, process })
}

/// Whether the other ends of these, on this host, are what is reported.
fn is_told_of_the_other_end(groups: &[Of<'_>], service: Service, group: &Group) -> bool {
    let bad = group.ends();
    let of = |at: Service| {
        let there = move |group: &Group, other: &Group| match at {
            Service::Here(at) | Service::There(at) => {
                reaches(group.subject.tuple.netns, other.subject.tuple.netns, at)
            }
        };
        let others = groups.iter().filter(move |(service, _)| *service == at);
        others.map(|(_, other)| &**other).filter(move |other| there(group, other))
    };
    let is_received = |(reason, ..): &(Reason, Times, bool)| *reason == Reason::ResetReceived;
    let all_received = bad.iter().all(is_received);
    let number = count(bad.iter().map(|(_, times, _)| *times));
    let is_paired = group.paired >= number;
    match service {
        // The client has sent them, and not for a reason of its own.
        Service::Here(at) => {
            all_received && is_paired && of(Service::There(at)).any(has_broken_off)
        }
        Service::There(at) if all_received && group.gave_up.ends.is_empty() => {
            // What the end of a process resets is told with that.
            let sent = |server: &Group| {
                let sent = server.ends().into_iter().filter(|end| !is_received(end));
                count(sent.map(|(_, times, _)| times)) + server.reset_at_exit
            };
            of(Service::Here(at)).any(|server| sent(server) >= number)
        }
        // All clients of a server in one.
        Service::There(at) => {
            own(service, group) == 0 && is_paired && of(Service::Here(at)).next().is_some()
        }
    }
}

/// Whether a client has given up, or thrown away what it had sent.
fn has_broken_off(client: &Group) -> bool {
    let is_linger = |end: (Reason, _, _)| end.0 == Reason::ResetSentLingerZero;
    !client.gave_up.ends.is_empty() || client.ends().into_iter().any(is_linger)
}
