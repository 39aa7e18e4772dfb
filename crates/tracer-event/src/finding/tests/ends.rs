//! What is said of processes that have ended, of clients that give up, and of peers that do not end.

use super::{silence::in_fin_wait2, *};
use crate::container::PodName;

/// Several of one name, and the connections that they had open.
fn ended(others: u64, left_open: u64, ends: Ends) -> Finding {
    of(Problem::ProcessEnded(Box::new(ProcessEnded {
        process: app(900).process,
        others,
        group: None,
        left_open,
        ends,
        still_closing: 0,
    })))
}

const UNANSWERED: Ends = Ends {
    unanswered: 30,
    closed_normally: 2,
    reset: 0,
    unread: 0,
    unacknowledged: 0,
    never_accepted: 0,
};
const UNREAD: Ends = Ends { unanswered: 0, closed_normally: 0, unread: 8, ..UNANSWERED };

/// Nobody has stopped a process that ends with its only connection: more time is no remedy for it.
#[rstest]
#[case::workers(
    ended(3, 32, UNANSWERED),
    "app[900] and 3 more of that name have ended: 30 closed with a request unanswered, 2 closed normally",
    &["see why it has ended", "answer what has been requested", "if it is killed"]
)]
#[case::one(
    ended(0, 1, UNREAD),
    "app[900] has ended: 8 reset with unread data",
    &["answer what has been requested", "if it is killed"]
)]
#[case::children(
    ended(7, 8, UNREAD),
    "app[900] and 7 more of that name have ended: 8 reset with unread data",
    &["see why it has ended", "where it exits by itself"]
)]
fn processes_of_a_name_have_ended(
    #[case] finding: Finding,
    #[case] sentence: &str,
    #[case] remedies: &[&str],
) {
    assert_eq!(finding.sentence().to_string(), sentence);
    let said = finding.remedies();
    assert_eq!(said.len(), remedies.len(), "{said:?}");
    for (said, begins) in said.iter().zip(remedies) {
        assert!(said.text.english().starts_with(begins), "{said:?}");
    }
}

#[test]
fn who_gives_up_is_told_after_which_time() {
    let end = BadEnd {
        reason: Reason::ResetSentDataAfterClose,
        connections: 25,
        waited: Some(1_000_000_000),
        after_fin: false,
    };
    let finding = of(Problem::ConnectionResets(ConnectionResets {
        process: Some(app(900).process),
        others: 0,
        service: Service::There(at("10.0.0.5", 443)),
        ended: 25,
        ends: vec![end],
        still_open: None,
        since: 4_000_000_000,
    }));
    let said = "25 of 25 connections of app[900] to 10.0.0.5:443: closed by this end after 1.00s \
                without an answer, in the last 4 s";
    assert_eq!(finding.sentence().to_string(), said);
    let remedies = finding.remedies();
    assert!(remedies[0].text.english().starts_with("its time-out is shorter"), "{remedies:?}");
    assert!(finding.evidence().iter().all(|line| line.label == "ended"));
}

/// All of a container, and one of its processes.
fn ended_group(processes: u64) -> Finding {
    ended_in(processes, None)
}

/// The same of a container in a pod.
fn ended_in(processes: u64, pod_name: Option<PodName>) -> Finding {
    let id = "3f2a9c1b04de5f67890123456789abcdef0123456789abcdef0123456789abcd";
    let group = EndedGroup {
        path: format!("/docker/{id}").into(),
        container: Some(id.into()),
        pod: None,
        pod_name,
        unit: None,
        processes,
    };
    of(Problem::ProcessEnded(Box::new(ProcessEnded {
        process: app(900).process,
        others: 0,
        group: (processes > 0).then_some(group),
        left_open: 2,
        ends: Ends { closed_normally: 2, ..Ends::default() },
        still_closing: 0,
    })))
}

#[rstest]
#[case(ended_group(0), "app[900] has ended: 2 closed normally")]
#[case(ended_group(1), "container 3f2a9c1b04de (app[900]) has ended: 2 closed normally")]
#[case(
    ended_in(1, Some(PodName { namespace: "shop".into(), name: "web-1".into() })),
    "container shop/web-1/3f2a9c1b04de (app[900]) has ended: 2 closed normally"
)]
#[case(ended_group(3), "container 3f2a9c1b04de (app[900] and 2 more) has ended: 2 closed normally")]
#[case(
    in_fin_wait2(),
    "1 connection of app[900] to 10.0.0.9:5432: in FIN_WAIT2 for up to 2m05s, the peer has not closed \
     its side"
)]
fn what_has_ended_is_named(#[case] finding: Finding, #[case] sentence: &str) {
    assert_eq!(finding.sentence().to_string(), sentence);
}
