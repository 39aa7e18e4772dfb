//! Connections that are reset: who is told of, and how badly.

use super::*;
use tracer_event::{
    close::{Close, Initiator, Reason},
    endpoint::{Endpoint, Tuple},
    finding::ConnectionResets,
    fixtures,
    process::{Evidence, Owner, Process},
    sequence::Sequence,
    update::{ConnectionSummary, Observer as _, Role, Subject, Transition, Update},
};

const MILLISECOND: u64 = 1_000_000;

/// One end of a connection between a client, of these processes, and the server 901.
fn end(role: Role, pid: u32, port: u16) -> Subject {
    let (name, pid): (&[u8; 6], _) =
        if role == Role::Server { (b"server", 901) } else { (b"client", pid) };
    let mut process = Process { pid, comm: [0; 16], start_ns: 0 };
    process.comm[..6].copy_from_slice(name);
    process.comm[6] = (pid % 10) as u8 + b'0';
    let owner = Owner { process, evidence: Evidence::Connect, fd: None, others: 0 };
    let local = Endpoint::new([10, 0, 0, 2].into(), port);
    let tuple = Tuple { local, peer: Endpoint::new([10, 0, 0, 1].into(), SERVER), netns: NETNS };
    let tuple = if role == Role::Server { tuple.reversed() } else { tuple };
    Subject { role: Some(role), owner: Some(owner), ..Subject::of_addresses(tuple) }
}

/// The end of the client's, after a time in which it had waited for an answer, or had not.
fn closed(subject: Subject, reason: Reason, idle: u64, awaited: bool) -> Transition {
    let close = Close::new(reason, Some(Initiator::Local));
    let close = Close { idle: Some(idle * MILLISECOND), awaited, ..close };
    Transition {
        close: Some(close),
        ..Transition::new(subject, SECOND, State::FinWait2, State::Closed)
    }
}

/// The end of the server's, which has written what nobody has read.
fn reset(subject: Subject, from: State) -> Transition {
    let [snd_una, snd_nxt, write_seq] = [1, 78, 78];
    let numbers = Sequence { snd_una, snd_nxt, write_seq, rcv_nxt: 9, acked: 1, received: 9 };
    Transition {
        close: Some(Close::new(Reason::ResetReceived, Some(Initiator::Peer))),
        sequence: Some(numbers),
        ..Transition::new(subject, SECOND, from, State::Closed)
    }
}

fn found(observed: &Observed, filter: &str) -> Vec<Finding> {
    let (first, last) = (look(SECOND, Vec::new()), look(SECOND + OBSERVED, Vec::new()));
    let table = Table::new(table::Options::default());
    find_in(&filter.parse().unwrap(), &first, &last, observed, &table).findings
}

fn resets(findings: &[Finding]) -> Vec<(Severity, &ConnectionResets)> {
    let of = |one: &'_ Finding| one.severity;
    let resets = findings.iter().filter_map(|one| match &one.problem {
        Problem::ConnectionResets(resets) => Some((of(one), resets)),
        _ => None,
    });
    resets.collect()
}

/// A farewell is no answer that was waited for.
#[rstest]
#[case::data_comes_later(Reason::ResetSentDataAfterClose, 1_000, true, Some(Severity::Warning))]
#[case::by_rst(Reason::ResetSentLingerZero, 1_000, true, Some(Severity::Warning))]
#[case::of_an_idle_pool(Reason::ResetSentDataAfterClose, 9_000, false, Some(Severity::Info))]
#[case::a_health_check(Reason::ResetSentLingerZero, 9_000, false, None)]
#[case::it_does_not_want_it(Reason::ResetSentDataAfterClose, 20, true, Some(Severity::Info))]
fn who_has_waited_for_an_answer_has_given_up(
    #[case] reason: Reason,
    #[case] idle: u64,
    #[case] awaited: bool,
    #[case] severity: Option<Severity>,
) {
    let mut observed = Observed::default();
    for port in 40_000..40_004 {
        let closed = closed(end(Role::Client, 900, port), reason, idle, awaited);
        observed.observe(Update::Transition(&closed));
    }
    let findings = found(&observed, "");
    let told = resets(&findings);
    assert_eq!(told.first().map(|(severity, _)| *severity), severity);
    if severity == Some(Severity::Warning) {
        let ends = &told[0].1.ends;
        assert_eq!((ends[0].connections, ends[0].waited), (4, Some(SECOND)));
    }
}

/// Both ends of connections on this host, of two clients, in the order in which they are told.
#[rstest]
#[case::time_outs(true, false, "", &[(Severity::Warning, 900), (Severity::Warning, 902)])]
#[case::time_outs_told_first(true, true, "", &[(Severity::Warning, 900), (Severity::Warning, 902)])]
#[case::who_asks_about_the_server(true, false, "pid 901", &[(Severity::Info, 901)])]
#[case::farewells(false, false, "", &[(Severity::Info, 901)])]
#[case::who_asks_about_a_client(false, false, "pid 902", &[(Severity::Info, 902)])]
fn both_ends_of_a_connection_are_one_trouble(
    #[case] awaited: bool,
    #[case] client_first: bool,
    #[case] filter: &str,
    #[case] expected: &[(Severity, u32)],
) {
    let mut observed = Observed::default();
    for (port, pid) in (40_000..40_008).zip([900, 902].into_iter().cycle()) {
        let reason = Reason::ResetSentDataAfterClose;
        let client = closed(end(Role::Client, pid, port), reason, 1_000, awaited);
        let server = reset(end(Role::Server, 901, port), State::CloseWait);
        let mut both = [&server, &client];
        if client_first {
            both.reverse();
        }
        both.into_iter().for_each(|one| observed.observe(Update::Transition(one)));
    }
    let findings = found(&observed, filter);
    let who = |resets: &ConnectionResets| resets.process.map_or(0, |process| process.pid);
    let mut told: Vec<_> = resets(&findings).iter().map(|(one, of)| (*one, who(of))).collect();
    told.sort();
    assert_eq!(told, expected);
}

/// Connections that a server has closed after an idle time, in which second, and older ones of which
/// nobody knows for how long they had been idle: all of them are used again.
#[rstest]
#[case::older_ones(&[(1, 2_000), (1, 2_004)], 3, &[(Severity::Warning, "keepalive_race")])]
#[case::older_ones_alone(&[], 3, &[(Severity::Warning, "connection_resets")])]
#[case::now_and_then(
    &[(1, 1_000), (2, 1_900), (4, 1_300), (4, 1_600)], 0, &[(Severity::Warning, "keepalive_race")]
)]
#[case::a_drain(&[(4, 1_000), (4, 1_900), (4, 1_300)], 0, &[(Severity::Info, "keepalive_race")])]
#[case::two_drains(
    &[(1, 600), (1, 2_000), (1, 3_900), (9, 900), (9, 5_000)], 0, &[(Severity::Info, "keepalive_race")]
)]
fn connections_that_are_used_too_late(
    #[case] closed: &[(u64, u64)],
    #[case] older: u16,
    #[case] expected: &[(Severity, &str)],
) {
    let mut observed = Observed::default();
    for port in 0..older {
        let old = reset(end(Role::Client, 900, 30_000 + port), State::CloseWait);
        observed.observe(Update::Transition(&old));
    }
    for (&(second, idle), port) in closed.iter().zip(40_000..) {
        let reset = reset(end(Role::Client, 900, port), State::CloseWait);
        let idle = Some(idle * MILLISECOND);
        let close = reset.close.map(|close| Close { idle, ..close });
        observed.observe(Update::Transition(&Transition { close, ..reset }));
        let summary = fixtures::connection(reset.subject, second * SECOND, Reason::ResetReceived);
        observed.observe(Update::Connection(&ConnectionSummary { close, ..summary }));
    }
    let findings = found(&observed, "");
    let told: Vec<_> = findings.iter().map(|one| (one.severity, one.problem.code())).collect();
    assert_eq!(told, expected);
}
