//! Processes that have ended, and who waited for them.

use super::*;
use tracer_event::{
    close::Reason,
    endpoint::{Endpoint, Tuple},
    finding::ProcessEnded,
    fixtures,
    process::{Evidence, Owner, Process},
    sequence::Sequence,
    update::{ConnectionSummary, Observer as _, Role, Subject, Transition, Update},
};

/// The server's end of a connection, of one of several processes of one name.
fn server(pid: u32, port: u16) -> Subject {
    let process = Process { pid, comm: *b"worker\0\0\0\0\0\0\0\0\0\0", start_ns: 0 };
    let owner = Owner { process, evidence: Evidence::Close, fd: None, others: 0 };
    let local = Endpoint::new([10, 0, 0, 1].into(), SERVER);
    let tuple = Tuple { local, peer: Endpoint::new([10, 0, 0, 2].into(), port), netns: NETNS };
    Subject { role: Some(Role::Server), owner: Some(owner), ..Subject::of_addresses(tuple) }
}

fn found(observed: &Observed) -> Vec<(Severity, ProcessEnded)> {
    let (first, last) = (look(SECOND, Vec::new()), look(SECOND + OBSERVED, Vec::new()));
    let table = Table::new(table::Options::default());
    let found = find_in(&Filter::default(), &first, &last, observed, &table).findings;
    let ended = |finding: Finding| match finding.problem {
        Problem::ProcessEnded(ended) => (finding.severity, *ended),
        other => panic!("{other:?}"),
    };
    found.into_iter().map(ended).collect()
}

/// The end of processes with connections on which this many bytes were answered, and whether another
/// connection of theirs was, before; and for how long the peer has waited that has sent last.
#[rstest]
#[case::requests(&[(1, 700), (1, 700)], false, Some(300), Some(2))]
#[case::one_that_was_answered(&[(1, 700)], false, None, None)]
#[case::several_workers(&[(1, 700), (2, 700), (2, 700), (3, 700)], false, Some(300), Some(4))]
#[case::a_first_request(&[(1, 0)], true, Some(300), Some(1))]
#[case::one_that_takes_logs(&[(1, 0), (2, 0)], false, Some(300), None)]
#[case::a_goodbye(&[(1, 700), (2, 700)], false, Some(1), None)]
#[case::several_at_once(&[(1, 700), (1, 700)], false, Some(1), Some(2))]
fn who_ends_leaves_requests_unanswered(
    #[case] connections: &[(u32, u64)],
    #[case] answers: bool,
    #[case] milliseconds: Option<u64>,
    #[case] expected: Option<u64>,
) {
    let mut observed = Observed::default();
    if answers {
        let other = fixtures::connection(server(9, 1), SECOND, Reason::Graceful);
        let bytes_sent = Some(700);
        observed.observe(Update::Connection(&ConnectionSummary { bytes_sent, ..other }));
    }
    for (&(pid, acked), port) in connections.iter().zip(40_000..) {
        let (subject, time) = (server(pid, port), 2 * SECOND);
        let [snd_una, rcv_nxt] = [1, 78];
        let [snd_nxt, write_seq] = [snd_una; 2];
        let numbers = Sequence { snd_una, snd_nxt, write_seq, rcv_nxt, acked, received: 77 };
        observed.observe(Update::Transition(&Transition {
            sequence: Some(numbers),
            at_exit: true,
            unanswered: milliseconds.map(|since| since * 1_000_000),
            ..Transition::new(subject, time, State::Established, State::FinWait1)
        }));
        let closed = fixtures::connection(subject, time, Reason::Graceful);
        observed.observe(Update::Connection(&closed));
    }
    let found = found(&observed);
    let told: Vec<_> = found.iter().map(|(severity, one)| (*severity, one.ends.lost())).collect();
    assert_eq!(told, expected.map(|count| (Severity::Warning, count)).as_slice());
    let pids: std::collections::BTreeSet<u32> = connections.iter().map(|(pid, _)| *pid).collect();
    for (_, ProcessEnded { others, ends, .. }) in found {
        assert_eq!((others + 1, ends.closed_normally), (pids.len() as u64, 0));
    }
}

/// Those whose connections lost nothing are not among those that lost something.
#[test]
fn a_child_that_exits_badly_is_one_of_several() {
    let mut observed = Observed::default();
    let reasons = [Reason::ResetSentUnreadData, Reason::Graceful, Reason::ResetSentUnreadData];
    for (reason, pid) in reasons.into_iter().zip(1..) {
        let subject = server(pid, 40_000 + pid as u16);
        observed.observe(Update::Transition(&Transition {
            at_exit: true,
            ..Transition::new(subject, SECOND, State::Established, State::Closed)
        }));
        observed.observe(Update::Connection(&fixtures::connection(subject, SECOND, reason)));
    }
    let [(Severity::Warning, ended)] = &found(&observed)[..] else { panic!("not one") };
    assert_eq!((ended.others, ended.ends.unread, ended.ends.closed_normally), (1, 2, 0));
}
