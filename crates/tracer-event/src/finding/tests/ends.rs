//! What is said of processes that have ended, and of clients that give up.

use super::*;

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
