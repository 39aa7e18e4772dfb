//! Who is in the namespace of a finding, and which of two findings says why.

use super::*;
use tracer_event::{
    endpoint::{Endpoint, Tuple},
    update::{Answered, Direction, Observer as _, Reset, Rst, Subject, Update},
};

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

/// What is found when these clients have been refused at 10.0.0.1, the listener's or another port.
fn refused(listening: u8, port: u16, clients: &[[u8; 4]], segment: Rst) -> Vec<(Severity, String)> {
    let mut observed = Observed::default();
    for (client, own_port) in clients.iter().zip(40_000..) {
        let subject = Subject::of_addresses(Tuple {
            local: Endpoint::from_wire(wire(1), port),
            peer: Endpoint::new((*client).into(), own_port),
            netns: NETNS,
        });
        let reset = Reset { time: SECOND, subject, state: State::Closed, segment };
        observed.observe(Update::Reset(&reset));
    }
    let listens = Record { local_address: wire(listening), ..listener(0, 128) };
    let at = |time| look(time, vec![listens]);
    let table = Table::new(table::Options::default());
    let diagnosis =
        find_in(&Filter::default(), &at(SECOND), &at(SECOND + OBSERVED), &observed, &table);
    let found = diagnosis.findings.into_iter();
    found.map(|finding| (finding.severity, finding.sentence().to_string())).collect()
}

const CLIENT: [u8; 4] = [10, 0, 0, 2];

#[rstest]
#[case::several(9, SERVER, &[CLIENT; 3], Rst::answering(Answered::Syn), Some(Severity::Warning))]
#[case::one(9, SERVER, &[CLIENT], Rst::answering(Answered::Syn), Some(Severity::Info))]
#[case::one_each(
    9,
    SERVER,
    &[CLIENT, [192, 168, 0, 3], [100, 64, 0, 4]],
    Rst::answering(Answered::Syn),
    Some(Severity::Info)
)]
#[case::the_internet(9, SERVER, &[[203, 0, 113, 2]; 9], Rst::answering(Answered::Syn), None)]
#[case::nobody_listens(9, SERVER + 1, &[CLIENT; 3], Rst::answering(Answered::Syn), None)]
#[case::listens_there_by_now(1, SERVER, &[CLIENT; 3], Rst::answering(Answered::Syn), None)]
#[case::an_old_connection(9, SERVER, &[CLIENT; 3], Rst::answering(Answered::Ack), None)]
#[case::of_a_socket(9, SERVER, &[CLIENT; 3], Rst::new(Direction::Sent), None)]
fn who_listens_on_another_address_is_named(
    #[case] listening: u8,
    #[case] port: u16,
    #[case] clients: &[[u8; 4]],
    #[case] segment: Rst,
    #[case] expected: Option<Severity>,
) {
    let words = "app[900] listens on 10.0.0.9:8080 only: ";
    let found = refused(listening, port, clients, segment);
    assert_eq!(found.iter().map(|(severity, _)| *severity).next(), expected, "{found:?}");
    for (_, said) in found {
        let rest = said.strip_prefix(words).unwrap_or_else(|| panic!("{said}"));
        let (times, attempts) =
            (clients.len(), if clients.len() == 1 { "attempt" } else { "attempts" });
        assert_eq!(rest, format!("{times} {attempts} to connect to 10.0.0.1:8080 refused"));
    }
}
