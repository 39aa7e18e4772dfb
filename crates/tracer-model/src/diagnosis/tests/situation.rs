//! Who is in the namespace of a finding, and which of two findings says why.

use super::*;
use tracer_event::{
    close::{Close, Reason},
    endpoint::{Endpoint, Tuple},
    finding::{Listener, LostSegment},
    fixtures,
    host::Entry,
    process::{Evidence, Owner, Process},
    sequence::Sequence,
    update::{Answered, Direction, Observer as _, Reset, Role, Rst, Subject, Transition, Update},
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
        look.host.namespaces.get_mut(&NETNS).unwrap().entry = Some(Entry::Process(1));
        look
    };
    let diagnosis = find(&at(SECOND), &at(SECOND + OBSERVED));
    assert_eq!(diagnosis.findings[0].entry, Some(Entry::Process(entry)));
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
        let process = Process { pid: 901, comm: *b"client\0\0\0\0\0\0\0\0\0\0", start_ns: 0 };
        let owner = Owner { process, evidence: Evidence::Connect, fd: None, others: 0 };
        let tuple = Tuple { netns: NETNS + 1, ..subject.tuple.reversed() };
        let (owner, role) = (Some(owner), Some(Role::Client));
        let subject = Subject { tuple, owner, role, ..subject };
        observed.observe(Update::Transition(&Transition {
            close: Some(Close::new(Reason::Refused, None)),
            ..Transition::new(subject, 1, State::SynSent, State::Closed)
        }));
    }
    let listens = Record { local_address: wire(listening), ..listener(0, 128) };
    let at = |time| look(time, vec![listens]);
    let table = Table::new(table::Options::default());
    let diagnosis =
        find_in(&Filter::default(), &at(SECOND), &at(SECOND + OBSERVED), &observed, &table);
    let is_elsewhere = |one: &Finding| matches!(one.problem, Problem::ListensElsewhere(_));
    let found = diagnosis.findings.into_iter().filter(is_elsewhere);
    let said = |finding: Finding| {
        let who = &finding.evidence()[0].text;
        assert!(who.english().contains("client[901]"), "{who}");
        (finding.severity, finding.sentence().to_string())
    };
    found.map(said).collect()
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
    let found = refused(listening, port, clients, segment);
    assert_eq!(found.iter().map(|(severity, _)| *severity).next(), expected, "{found:?}");
    for (_, said) in found {
        let (times, attempts) =
            (clients.len(), if clients.len() == 1 { "attempt" } else { "attempts" });
        let attempts = format!("{times} {attempts} to connect to 10.0.0.1:8080 refused");
        assert_eq!(said, format!("{attempts}: app[900] listens on 10.0.0.9:8080 only"));
    }
}

/// A client that has received up to 100, and sent from 18 to 20 when an RST came; the server's end is
/// there, by the numbers of what it has sent and received.
#[rstest]
#[case::all_came(State::Established, 100, 20, SECOND, true)]
#[case::the_last_was_rejected(State::Established, 100, 18, SECOND, true)]
#[case::just_now(State::Established, 100, 18, SECOND + OBSERVED, false)]
#[case::another_connection(State::Established, 100, 21, SECOND, false)]
#[case::another_that_has_sent_more(State::Established, 101, 18, SECOND, false)]
#[case::it_ends_as_well(State::LastAck, 100, 20, SECOND, false)]
fn who_is_open_has_sent_no_rst(
    #[case] state: State,
    #[case] snd_nxt: u32,
    #[case] rcv_nxt: u32,
    #[case] time: u64,
    #[case] is_open: bool,
) {
    let numbers =
        Sequence { snd_una: 18, snd_nxt: 20, write_seq: 20, rcv_nxt: 100, acked: 1, received: 1 };
    let server = Record { snd_nxt, rcv_nxt, ..socket(1, state, 9) };
    let Tuple { local, peer, netns } = Tuple::of(&server);
    let subject = Subject {
        role: Some(Role::Client),
        ..Subject::of_addresses(Tuple { local: peer, peer: local, netns: netns + 1 })
    };
    let mut observed = Observed::default();
    observed.observe(Update::Transition(&Transition {
        close: Some(Close::new(Reason::ResetReceived, None)),
        sequence: Some(numbers),
        ..Transition::new(subject, time, State::Established, State::Closed)
    }));
    let (first, last) = (look(SECOND, Vec::new()), look(SECOND + OBSERVED, vec![server]));
    let table = Table::new(table::Options::default());
    let found = find_in(&Filter::default(), &first, &last, &observed, &table);
    let resets = found.findings.iter().find_map(|finding| match &finding.problem {
        Problem::ConnectionResets(resets) => Some(resets),
        _ => None,
    });
    let open = resets.unwrap().still_open;
    assert_eq!(open.map(|open| open.connections), is_open.then_some(1));
    assert_eq!(open.and_then(|open| open.process).map(|one| one.pid), is_open.then_some(900));
}

/// A client whose SYNs find the queue of a listener here full: that says it, and to who asks about the
/// client alone, its attempts.
#[rstest]
#[case::all(129, "", &["accept_queue_full"], None)]
#[case::the_client_alone(129, "pid 901", &["stuck_handshake"], Some(LostSegment::DroppedSyn))]
#[case::nearly_full(120, "", &["accept_queue_full", "stuck_handshake"], None)]
fn a_client_of_a_full_queue_is_told_why(
    #[case] queue: u32,
    #[case] filter: &str,
    #[case] codes: &[&str],
    #[case] lost: Option<LostSegment>,
) {
    let at = |time| {
        let listens = listener(queue, 128);
        let Tuple { local, .. } = Tuple::of(&listens);
        let syn = Record {
            retransmits: 4,
            local_port: 40_001,
            peer_port: local.port,
            peer_address: listens.local_address,
            ..socket(1, State::SynSent, 3)
        };
        let mut look = look(time, vec![listens, syn]);
        look.snapshot.holders = vec![holder(&listens, 900), holder(&syn, 901)];
        look
    };
    let diagnosis = find_wanted(&filter.parse().unwrap(), &at(SECOND), &at(SECOND + OBSERVED));
    let found: Vec<&str> =
        diagnosis.findings.iter().map(|finding| finding.problem.code()).collect();
    assert_eq!(found, codes);
    if let Problem::StuckHandshake(stuck) = &diagnosis.findings[0].problem {
        assert_eq!(stuck.lost, lost);
    }
}

/// Three attempts to connect to a listener on 10.0.0.1 that the snapshots show have been refused.
fn refused_though_listening(own_rst: bool, before: bool, listens: Record) -> Option<Listener> {
    let mut observed = Observed::default();
    for port in 40_000..40_003 {
        let (local, peer) = ([10, 0, 0, 2], [10, 0, 0, 1]);
        let [local, peer] = [(local, port), (peer, SERVER)]
            .map(|(address, port)| Endpoint::new(address.into(), port));
        let tuple = Tuple { local, peer, netns: 8 };
        let close = Some(Close::new(Reason::Refused, None));
        let subject = Subject { role: Some(Role::Client), ..Subject::of_addresses(tuple) };
        let failed = fixtures::transition(State::SynSent, State::Closed);
        observed.observe(Update::Transition(&Transition { subject, close, ..failed }));
        if own_rst {
            // A redirection has sent it on to a port where nobody listens.
            let elsewhere = Endpoint::new([127, 0, 0, 1].into(), 15_001);
            let tuple = Tuple { local: elsewhere, peer: local, netns: NETNS };
            let (subject, state) = (Subject::of_addresses(tuple), State::Closed);
            let segment = Rst::answering(Answered::Syn);
            observed.observe(Update::Reset(&Reset { time: SECOND, subject, state, segment }));
        }
    }
    let first = look(SECOND, if before { vec![listens] } else { Vec::new() });
    let last = look(SECOND + OBSERVED, vec![listens]);
    let table = Table::new(table::Options::default());
    let found = find_in(&Filter::default(), &first, &last, &observed, &table).findings;
    let mut found = found.into_iter().filter_map(|finding| match finding.problem {
        Problem::ConnectFailures(failures) => Some(failures.listener),
        _ => None,
    });
    found.next().expect("attempts that are refused are told")
}

#[rstest]
#[case::a_packet_filter(false, true, listener(0, 128), true)]
#[case::whose_address_it_is_is_not_known(false, true, Record { local_address: Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets(), ..listener(0, 128) }, false)]
#[case::this_kernel(true, true, listener(0, 128), false)]
#[case::it_has_just_begun(false, false, listener(0, 128), false)]
#[case::full_and_tcp_abort_on_overflow(false, true, listener(129, 128), false)]
#[case::bound_to_an_interface(false, true, Record { interface: 1, ..listener(0, 128) }, false)]
#[case::another_address(false, true, Record { local_address: wire(9), ..listener(0, 128) }, false)]
#[case::perhaps_ipv6_alone(false, true, Record { local_address: [0; 16], ..listener(0, 128) }, false)]
fn who_listens_all_the_time_has_not_refused(
    #[case] own_rst: bool,
    #[case] before: bool,
    #[case] listens: Record,
    #[case] expected: bool,
) {
    let found = refused_though_listening(own_rst, before, listens);
    assert_eq!(found.is_some(), expected, "{found:?}");
}
