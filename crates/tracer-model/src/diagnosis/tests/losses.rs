//! Segments that are lost on their way.

use tracer_wire::Sent;

use super::{
    silence::{exchange, retransmitting},
    *,
};
use tracer_event::{
    close::{Close, Reason},
    endpoint::{Endpoint, Tuple},
    finding::{Retransmissions, Segments},
    fixtures,
    update::{Life, Observer as _, Subject, Transition, Update},
};

/// A client's end to a host, on which so much has been sent so far.
fn client(n: u64, host: u8, [segments, again, twice]: [u32; 3], acknowledged: u64) -> Record {
    Record {
        peer_address: wire(host),
        segment_seq: segments,
        total_retrans: again,
        fd: twice,
        bytes_acked: acknowledged,
        last_sent: JIFFIES as u32,
        ..socket(n, State::Established, 0)
    }
}

/// Each of `hosts` has sent, lost and got twice so much between the snapshots, on one connection.
fn found(hosts: &[(u8, [u32; 3])]) -> Vec<(Severity, Retransmissions)> {
    let at = |n: usize, host: u8, sent: [u32; 3], acknowledged| {
        client(n as u64 + 1, host, sent.map(|count| count + 1_000), acknowledged)
    };
    let each = || hosts.iter().enumerate();
    let before = each().map(|(n, (host, _))| at(n, *host, [0; 3], 10)).collect();
    let now = each().map(|(n, (host, sent))| at(n, *host, *sent, 20)).collect();
    retransmissions(between(before, now))
}

fn retransmissions(diagnosis: Diagnosis) -> Vec<(Severity, Retransmissions)> {
    let all = diagnosis.findings.into_iter();
    all.filter_map(|finding| match finding.problem {
        Problem::Retransmissions(found) => Some((finding.severity, *found)),
        _ => None,
    })
    .collect()
}

#[rstest]
#[case::many([1_000, 30, 0], Some(Severity::Warning))]
#[case::some([1_000, 10, 0], Some(Severity::Info))]
#[case::few([1_001, 10, 0], None)]
#[case::too_few_to_tell([20, 9, 0], None)]
// The peer had got them: it was slow, or the path reorders.
#[case::received_twice([1_000, 30, 25], None)]
#[case::more_received_twice_than_sent([1_000, 30, 99], None)]
// Only SYN, or a counter that this kernel does not have.
#[case::nothing_known([0, 30, 0], None)]
fn one_lost_segment_in_a_hundred_is_told(
    #[case] sent: [u32; 3],
    #[case] expected: Option<Severity>,
) {
    let severities = found(&[(2, sent)]).into_iter().map(|(severity, _)| severity);
    assert_eq!(severities.collect::<Vec<_>>(), Vec::from_iter(expected));
}

#[test]
fn peers_that_lose_are_told_apart_from_those_that_do_not() {
    let all = found(&[(2, [900, 30, 1]), (2, [100, 0, 0]), (3, [5_000, 3, 0]), (4, [500, 40, 0])]);
    let [(_, found)] = all.as_slice() else { panic!("{all:?}") };
    let worst: Vec<_> =
        found.peers.iter().map(|path| (path.peer.address(), path.sent.segments)).collect();
    assert_eq!(worst, [([10, 0, 0, 4].into(), 500), ([10, 0, 0, 2].into(), 1_000)]);
    assert_eq!((found.more_peers, found.sent.connections), (0, 3));
    assert_eq!((found.sent.segments, found.sent.lost()), (1_500, 69));
    assert_eq!((found.others.segments, found.others.lost()), (5_000, 3));
    assert_eq!(found.processes.len(), 1);
    assert_eq!(found.observed, OBSERVED);
}

#[rstest]
#[case::all_lose(2, 1)]
#[case::chance(1, 0)]
fn of_many_peers_that_lose_a_few_each_all_are_counted(#[case] again: u32, #[case] expected: usize) {
    let hosts: Vec<_> = (2..14).map(|host| (host, [100, again, 0])).collect();
    let all = found(&hosts);
    assert_eq!(all.len(), expected, "{all:?}");
    for (_, found) in all {
        assert_eq!((found.more_peers, found.peers.len(), found.others.segments), (4, 8, 0));
    }
}

#[rstest]
// A server with a full accept queue, or one that is gone.
#[case::nothing_acknowledged(1, 1, 0, 0)]
#[case::nothing_acknowledged_meanwhile(10, 10, 0, 0)]
#[case::nothing_acknowledged_before(1, 20, 0, 0)]
#[case::one_is_under_way(10, 20, 1, 1)]
#[case::perhaps_it_is_gone_now(10, 20, 2, 0)]
fn who_does_not_answer_is_another_matter(
    #[case] before: u64,
    #[case] now: u64,
    #[case] retransmits: u8,
    #[case] expected: usize,
) {
    let earlier = vec![client(1, 2, [0; 3], before)];
    let now = Record { retransmits, ..client(1, 2, [100, 30, 0], now) };
    assert_eq!(retransmissions(between(earlier, vec![now])).len(), expected);
}

/// Of a thousand segments to it so many are lost, and one is for the fourth time in a row.
#[rstest]
#[case::one_in_four(250, true)]
#[case::one_in_twenty(50, false)]
fn a_peer_is_not_dead_where_so_many_in_a_row_are_lost_by_chance(
    #[case] lost: u32,
    #[case] expected: bool,
) {
    let silent = || retransmitting(9, State::Established, 5, 9, 4);
    let earlier = vec![silent(), client(1, 2, [0; 3], 10)];
    let found = between(earlier, vec![silent(), client(1, 2, [1_000, lost, 0], 20)]);
    let codes = found.findings.iter().map(|finding| finding.problem.code());
    let expected: &[&str] =
        if expected { &["retransmissions"] } else { &["dead_peer", "retransmissions"] };
    assert_eq!(codes.collect::<Vec<_>>(), expected);
}

#[rstest]
#[case::sending(59, 1)]
#[case::idle(60, 0)]
fn who_has_been_idle_is_not_kept_for_comparison(#[case] seconds: u64, #[case] expected: usize) {
    let last_sent = (JIFFIES - seconds * HZ) as u32;
    let earlier = Record { last_sent, ..client(1, 2, [0; 3], 10) };
    let found = retransmissions(between(vec![earlier], vec![client(1, 2, [100, 30, 0], 20)]));
    assert_eq!(found.len(), expected);
}

#[rstest]
#[case("dport 40001", 1)]
#[case("dport 40002", 0)]
fn only_those_that_are_asked_about_are_told(#[case] filter: &str, #[case] expected: usize) {
    let records = |sent: [u32; 3], acknowledged| {
        vec![client(1, 2, sent, acknowledged), client(2, 2, [0; 3], acknowledged)]
    };
    let filter: Filter = filter.parse().unwrap();
    let (before, now) = (records([0; 3], 10), records([100, 30, 0], 20));
    let diagnosis = find_wanted(&filter, &look(SECOND, before), &look(SECOND + OBSERVED, now));
    assert_eq!(retransmissions(diagnosis).len(), expected);
}

/// Forty connections to a server that are over, each with three segments of data.
fn over(server: u8, again: u32, began: u64, reason: Option<Reason>) -> Observed {
    let mut observed = Observed::since(SECOND);
    let end = |last, port| Endpoint::new([10, 0, 0, last].into(), port);
    for port in 40_000..40_040 {
        let tuple = Tuple { local: end(9, port), peer: end(server, SERVER), netns: NETNS };
        let close = reason.map(|reason| Close::new(reason, None));
        let sent = Sent { segments: 3, again, twice: 0 };
        let life = Some(Life { began, sent });
        let subject = Subject::of_addresses(tuple);
        let ends = fixtures::transition(State::FinWait2, State::FinWait2);
        observed.observe(Update::Transition(&Transition { life, close, subject, ..ends }));
    }
    observed
}

fn found_beside(observed: &Observed, sockets: Vec<Record>) -> Vec<(Severity, Retransmissions)> {
    let (first, last) = (look(SECOND, sockets.clone()), look(SECOND + OBSERVED, sockets));
    let table = Table::new(table::Options::default());
    retransmissions(find_in(&Filter::default(), &first, &last, observed, &table))
}

#[rstest]
#[case::orphans(1, SECOND, None, 1)]
#[case::closed(1, SECOND, Some(Reason::Graceful), 1)]
#[case::nothing_lost(0, SECOND, None, 0)]
// Part of it was sent before this was observed.
#[case::older(1, SECOND - 1, None, 0)]
#[case::perhaps_nobody_was_there(1, SECOND, Some(Reason::RetransmitTimeout), 0)]
fn what_short_connections_have_lost_is_told(
    #[case] again: u32,
    #[case] began: u64,
    #[case] reason: Option<Reason>,
    #[case] expected: usize,
) {
    let mut observed = Observed::since(SECOND);
    observed.add(&over(1, again, began, reason));
    let found = found_beside(&observed, Vec::new());
    assert_eq!(found.len(), expected, "{found:?}");
    for (severity, found) in found {
        assert_eq!(severity, Severity::Warning);
        let expected = Segments { connections: 40, segments: 200, again: 40, twice: 0 };
        assert_eq!(found.sent, expected);
    }
}

#[test]
fn what_a_full_accept_queue_drops_is_not_lost_on_the_way() {
    let observed = over(1, 1, SECOND, None);
    let full = listener(9, 8);
    let first = look(SECOND, vec![full]);
    let mut last = look(SECOND + OBSERVED, vec![full]);
    let codes = |last: &HostSnapshot| {
        let table = Table::new(table::Options::default());
        let found = find_in(&Filter::default(), &first, last, &observed, &table).findings;
        found.iter().map(|finding| finding.problem.code()).collect::<Vec<_>>()
    };
    assert_eq!(codes(&last), ["accept_queue_full"]);
    last.snapshot.records.clear();
    assert_eq!(codes(&last), ["retransmissions"]);
}

/// Reuse would save no handshakes that are slow because SYNs are lost.
#[rstest]
#[case::lost(1, &[("retransmissions", Severity::Warning), ("churn", Severity::Info)])]
#[case::slow(0, &[("churn", Severity::Warning)])]
fn slow_handshakes_are_explained_by_what_is_lost(
    #[case] again: u32,
    #[case] expected: &[(&str, Severity)],
) {
    let mut observed = over(2, again, SECOND, None);
    for n in 0..200 {
        observed.observe(Update::Connection(&exchange(n * 50, 40_000_000)));
    }
    let (first, mut last) = (look(SECOND, Vec::new()), look(SECOND + OBSERVED, Vec::new()));
    // There are enough ports.
    last.host.namespaces.get_mut(&NETNS).unwrap().ports = None;
    let table = Table::new(table::Options::default());
    let found = find_in(&Filter::default(), &first, &last, &observed, &table).findings;
    let found: Vec<_> =
        found.iter().map(|finding| (finding.problem.code(), finding.severity)).collect();
    assert_eq!(found, expected);
}
