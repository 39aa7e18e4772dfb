//! Who is in the namespace of a finding, and which of two findings says why.

use super::*;

/// Not anybody who has a socket there too, and nobody who has left.
#[rstest]
#[case::the_leaker(Some(NETNS), 900)]
#[case::who_is_there(Some(NETNS + 1), 1)]
#[case::who_is_known_to_be_there(None, 1)]
fn the_way_into_a_namespace_is_a_process_that_the_finding_is_about(
    #[case] leaker_is_in: Option<u32>,
    #[case] entry: u32,
) {
    let at = |time| {
        let mut look = look(time, vec![close_wait(1, 60)]);
        look.host.home = NETNS + 1;
        look.host.processes.get_mut(&900).unwrap().netns = leaker_is_in;
        look.host.namespaces.get_mut(&NETNS).unwrap().process = Some(1);
        look
    };
    let diagnosis = find(&at(SECOND), &at(SECOND + OBSERVED));
    assert_eq!(diagnosis.findings[0].entry, Some(entry));
}

/// Its half-open connections stay because nobody accepts.
#[rstest]
#[case(129, &["accept_queue_full"])]
#[case(0, &["syn_backlog"])]
fn a_full_accept_queue_is_not_told_as_a_flood_of_syns(#[case] queue: u32, #[case] codes: &[&str]) {
    let half_open = |n| Record { kind: kind::REQUEST_SOCKET, ..socket(n, State::SynRecv, 0) };
    let at = |time, syn_cookies| {
        let mut look = look(time, vec![listener(queue, 128), half_open(1), half_open(2)]);
        look.host.namespaces.get_mut(&NETNS).unwrap().counters =
            Counters { syn_cookies, ..Counters::default() };
        look
    };
    let diagnosis = find(&at(SECOND, 0), &at(SECOND + OBSERVED, 3));
    let found: Vec<&str> =
        diagnosis.findings.iter().map(|finding| finding.problem.code()).collect();
    assert_eq!(found, codes);
}
