//! What is as it should be, or explained by itself: said with less weight, of nobody, or not at all.

use super::*;
use tracer_event::{
    close::{Close, Initiator, Reason},
    endpoint::{Endpoint, Tuple},
    fixtures,
    process::{Evidence, Owner, Process},
    update::{
        Answered, ConnectionSummary, Observer as _, Reset, Role, Rst, Subject, Transition, Update,
    },
};

fn end(address: [u8; 4], port: u16) -> Endpoint {
    Endpoint::new(address.into(), port)
}

fn owner(pid: u32) -> Option<Owner> {
    let process = Process { pid, comm: *b"app\0\0\0\0\0\0\0\0\0\0\0\0\0", start_ns: 0 };
    Some(Owner { process, evidence: Evidence::Connect, fd: None, others: 0 })
}

/// A client's socket.
fn client(local: Endpoint, peer: Endpoint) -> Subject {
    let tuple = Tuple { local, peer, netns: NETNS };
    Subject { role: Some(Role::Client), owner: owner(900), ..Subject::of_addresses(tuple) }
}

/// What is found beside what events have shown.
fn found(
    filter: &str,
    sockets: &[Record],
    counters: Counters,
    observed: &Observed,
) -> Vec<(Severity, &'static str)> {
    let first = look(SECOND, sockets.to_vec());
    let mut last = look(SECOND + OBSERVED, sockets.to_vec());
    last.host.namespaces.get_mut(&NETNS).unwrap().counters = counters;
    let table = Table::new(table::Options::default());
    let found = find_in(&filter.parse().unwrap(), &first, &last, observed, &table);
    found.findings.iter().map(|one| (one.severity, one.problem.code())).collect()
}

fn ends(subject: Subject, from: State, to: State, reason: Option<Reason>) -> Transition {
    let close = reason.map(|reason| Close::new(reason, None));
    Transition { subject, close, ..fixtures::transition(from, to) }
}

/// `localhost` is two addresses, and the server listens on one.
#[rstest]
#[case::and_connects_to_the_other([127, 0, 0, 1], Severity::Info)]
#[case::and_connects_to_another_server([10, 0, 0, 9], Severity::Info)]
#[case::and_gives_up([0; 4], Severity::Warning)]
fn a_client_that_is_refused_and_tries_the_next_address(
    #[case] then: [u8; 4],
    #[case] severity: Severity,
) {
    let v6 = "::1".parse().unwrap();
    let mut observed = Observed::default();
    for port in 40_000..40_003 {
        let (own, peer) = (Endpoint::new(v6, port), Endpoint::new(v6, SERVER));
        let subject = client(own, peer);
        let answers = Subject::of_addresses(subject.tuple.reversed());
        let segment = Rst::answering(Answered::Syn);
        let reset = Reset { time: SECOND, subject: answers, state: State::Closed, segment };
        observed.observe(Update::Reset(&reset));
        let refused = ends(subject, State::SynSent, State::Closed, Some(Reason::Refused));
        observed.observe(Update::Transition(&refused));
        if then != [0; 4] {
            let subject = client(end([127, 0, 0, 1], port), end(then, SERVER));
            let connected = ends(subject, State::SynSent, State::Established, None);
            observed.observe(Update::Transition(&connected));
        }
    }
    let local_address = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
    let listens = Record { local_address, ..listener(0, 128) };
    let told = found("", &[listens], Counters::default(), &observed);
    assert_eq!(told, [(severity, "listens_elsewhere")]);
}

/// One of several servers of a pool.
#[test]
fn a_server_that_does_not_answer_is_told_although_others_do() {
    let mut observed = Observed::default();
    for port in 40_000..40_005 {
        for (last, to, reason) in
            [(2, State::Established, None), (3, State::Closed, Some(Reason::Refused))]
        {
            let subject = client(end([10, 0, 0, 1], port), end([10, 0, 0, last], 8080));
            observed.observe(Update::Transition(&ends(subject, State::SynSent, to, reason)));
        }
    }
    let told = found("", &[], Counters::default(), &observed);
    assert_eq!(told, [(Severity::Warning, "connect_failures")]);
}

/// Programs give up by close() or by connect() with AF_UNSPEC, some before a SYN is sent again: where
/// they try several addresses at once, and one has answered, that is no failure.
#[rstest]
#[case::close(Reason::AbortedLocally, 2_000, 0, true)]
#[case::af_unspec(Reason::Disconnected, 2_000, 0, true)]
#[case::soon(Reason::AbortedLocally, 300, 0, true)]
#[case::soon_and_sometimes(Reason::AbortedLocally, 300, 1, false)]
#[case::at_once(Reason::AbortedLocally, 20, 0, false)]
fn who_gives_up_has_not_connected(
    #[case] reason: Reason,
    #[case] milliseconds: u64,
    #[case] connected: u16,
    #[case] told: bool,
) {
    let mut observed = Observed::default();
    let subject = |port| client(end([10, 0, 0, 1], port), end([10, 0, 0, 2], 443));
    for port in 0..connected {
        let connected = ends(subject(port), State::SynSent, State::Established, None);
        observed.observe(Update::Transition(&connected));
    }
    for port in 40_000..40_005 {
        let failed = ends(subject(port), State::SynSent, State::Closed, Some(reason));
        let elapsed = Some(milliseconds * 1_000_000);
        observed.observe(Update::Transition(&Transition { elapsed, ..failed }));
    }
    let found = found("", &[], Counters::default(), &observed);
    let expected = told.then_some((Severity::Warning, "connect_failures"));
    assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
}

/// A listener's full queue explains what those do not get who connect to it, and no others.
#[rstest]
#[case::to_the_listener([10, 0, 0, 1], false)]
#[case::to_another_host([10, 0, 0, 2], true)]
fn a_full_queue_explains_its_own_clients(#[case] to: [u8; 4], #[case] told: bool) {
    let mut observed = Observed::default();
    for port in 40_000..40_005 {
        let subject = client(end([10, 0, 0, 1], port), end(to, SERVER));
        let failed = ends(subject, State::SynSent, State::Closed, Some(Reason::ConnectTimeout));
        observed.observe(Update::Transition(&failed));
    }
    let any = Record { local_address: [0; 16], ..listener(9, 8) };
    let waits = Record { flags: 0, ..socket(1, State::Established, 0) };
    let found = found("", &[any, waits], Counters::default(), &observed);
    assert!(found.iter().any(|(_, code)| *code == "accept_queue_full"), "{found:?}");
    assert_eq!(found.iter().any(|(_, code)| *code == "connect_failures"), told, "{found:?}");
}

#[rstest]
#[case::all("", 1)]
#[case::the_listener("sport 8080", 1)]
#[case::something_else("sport 9999", 0)]
fn a_flood_is_told_to_whom_it_concerns(#[case] filter: &str, #[case] count: usize) {
    let counters = Counters { syn_drops: 3, ..Counters::default() };
    let told = found(filter, &[listener(0, 8)], counters, &Observed::default());
    assert_eq!(told.len(), count, "{told:?}");
}

#[test]
fn time_wait_is_told_where_none_is_kept() {
    let counters = Counters { time_wait_overflow: 5, ..Counters::default() };
    let told = |filter| found(filter, &[], counters, &Observed::default());
    assert_eq!(told(""), [(Severity::Warning, "time_wait_overflow")]);
    assert_eq!(told("sport 9999"), []);
}

/// Connections of a server of which its clients use some again after it has closed them: it has a
/// timer, or closes all at one time, however long they have been idle.
#[rstest]
#[case::a_timer(&[2_000, 2_010, 2_100], Severity::Warning)]
#[case::a_drain(&[600, 2_000, 4_900], Severity::Info)]
#[case::once(&[2_000], Severity::Info)]
fn a_timer_closes_what_was_idle_for_one_time(#[case] idle: &[u64], #[case] severity: Severity) {
    let mut observed = Observed::default();
    for (idle, port) in idle.iter().zip(40_000..) {
        let tuple = client(end([10, 0, 0, 2], port), end([10, 0, 0, 1], SERVER)).tuple.reversed();
        let role = Some(Role::Server);
        let subject = Subject { role, owner: owner(900), ..Subject::of_addresses(tuple) };
        let reason = Reason::ResetSentDataAfterClose;
        let close =
            Close { idle: Some(idle * 1_000_000), ..Close::new(reason, Some(Initiator::Local)) };
        let close = Some(close);
        let end = ends(subject, State::FinWait2, State::Closed, None);
        observed.observe(Update::Transition(&Transition { close, ..end }));
        let summary = fixtures::connection(subject, 5, reason);
        observed.observe(Update::Connection(&ConnectionSummary { close, ..summary }));
    }
    let told = found("", &[], Counters::default(), &observed);
    assert_eq!(told, [(severity, "keepalive_race")]);
}

/// A client that has read what it wants may close before it has read all.
#[rstest]
#[case::of_a_client(Role::Client, Severity::Info)]
#[case::of_a_server(Role::Server, Severity::Warning)]
fn who_does_not_want_the_rest_is_not_to_blame(#[case] role: Role, #[case] severity: Severity) {
    let mut observed = Observed::default();
    for port in 40_000..40_003 {
        let subject = client(end([10, 0, 0, 1], port), end([10, 0, 0, 2], 80));
        let reversed = Subject { tuple: subject.tuple.reversed(), ..subject };
        let subject = if role == Role::Server { reversed } else { subject };
        let reason = Some(Reason::ResetSentUnreadData);
        let end = ends(
            Subject { role: Some(role), ..subject },
            State::Established,
            State::Closed,
            reason,
        );
        observed.observe(Update::Transition(&end));
    }
    let told = found("", &[], Counters::default(), &observed);
    assert_eq!(told, [(severity, "connection_resets")]);
}

/// What a process has ended badly long before its own end has nothing to do with that.
#[rstest]
#[case::just_before(49, Severity::Warning)]
#[case::long_before(2, Severity::Info)]
fn a_process_ends_with_what_it_did_just_before(#[case] second: u64, #[case] severity: Severity) {
    let mut observed = Observed::default();
    let subject = client(end([10, 0, 0, 1], 8080), end([10, 0, 0, 2], 40_000));
    let subject = Subject { role: Some(Role::Server), ..subject };
    let reset = fixtures::connection(subject, second * SECOND, Reason::ResetSentUnreadData);
    observed.observe(Update::Connection(&reset));
    let listened = ends(subject, State::Listen, State::Closed, None);
    let exit = Transition { time: 50 * SECOND, at_exit: true, ..listened };
    observed.observe(Update::Transition(&exit));
    let told = found("", &[], Counters::default(), &observed);
    assert_eq!(told, [(severity, "process_ended")]);
}

/// Three requests that end in a FIN, and a server that works on them; or one that has forgotten them.
#[rstest]
#[case::clients_that_wait(flag::HAS_SOCKET, 8, Severity::Info)]
#[case::clients_that_wait_for_long(flag::HAS_SOCKET, 31, Severity::Warning)]
#[case::clients_that_are_gone(flag::DEAD, 8, Severity::Warning)]
fn who_half_closes_may_wait_for_an_answer(
    #[case] flags: u8,
    #[case] seconds: u64,
    #[case] severity: Severity,
) {
    let ends = |n| {
        let held = close_wait(n, seconds);
        let peer = Record {
            flags,
            cookie: 100 + n,
            local_address: held.peer_address,
            local_port: held.peer_port,
            peer_address: held.local_address,
            peer_port: held.local_port,
            ..socket(n, State::FinWait2, seconds)
        };
        [held, peer]
    };
    let at = |time| {
        let mut look = look(time, [0, 1, 2].map(ends).concat());
        for holder in look.snapshot.holders.iter_mut().filter(|holder| holder.cookie >= 100) {
            holder.pid = 901;
        }
        look
    };
    let told = find(&at(SECOND), &at(SECOND + OBSERVED)).findings;
    let is_leak = |one: &&Finding| one.problem.code() == "close_wait_leak";
    let leak = told.iter().find(is_leak).expect("a leak");
    assert_eq!(leak.severity, severity, "{leak:?}");
}

/// The end of a connection with 127.0.0.1:80, of the client and of the server, in these namespaces.
#[rstest]
#[case::of_one_namespace(NETNS, 3, &["connection_resets"])]
#[case::of_another_loopback(NETNS + 1, 3, &["connection_resets", "connection_resets"])]
#[case::fewer_than_the_client_has_got(NETNS, 1, &["connection_resets", "connection_resets"])]
#[case::by_its_end(NETNS, 9, &["process_ended"])]
fn resets_are_told_of_who_sends_them(
    #[case] netns: u32,
    #[case] sent: u16,
    #[case] codes: &[&str],
) {
    let mut observed = Observed::default();
    for n in 0..3 {
        let subject = client(end([127, 0, 0, 1], 40_000 + n), end([127, 0, 0, 1], 80));
        let reset = ends(subject, State::Established, State::Closed, Some(Reason::ResetReceived));
        observed.observe(Update::Transition(&reset));
        let tuple = Tuple { netns, ..subject.tuple.reversed() };
        let server = Subject { tuple, role: Some(Role::Server), ..subject };
        let reason = Some(Reason::ResetSentUnreadData).filter(|_| n < sent);
        let reset = ends(server, State::Established, State::Closed, reason);
        let reset = Transition { at_exit: sent == 9, ..reset };
        observed.observe(Update::Transition(&reset));
        let ended = fixtures::connection(server, SECOND, Reason::ResetSentUnreadData);
        observed.observe(Update::Connection(&ended));
    }
    let told = found("", &[], Counters::default(), &observed);
    assert_eq!(told.iter().map(|(_, code)| *code).collect::<Vec<_>>(), codes);
}

/// Attempts to connect, by seconds, and which of them fail; of two processes of one name.
#[rstest]
#[case::a_server_that_restarts(&[(1, 901, true), (2, 901, true), (3, 901, true), (4, 901, false)], Severity::Info)]
#[case::it_fails(&[(1, 901, true), (2, 901, true), (3, 901, true)], Severity::Warning)]
#[case::now_and_then(
    &[(1, 901, true), (2, 901, false), (3, 901, true), (4, 901, true), (5, 901, false)],
    Severity::Warning
)]
#[case::the_other_fails(
    &[(1, 901, true), (2, 901, true), (3, 902, true), (4, 901, false)],
    Severity::Warning
)]
#[case::both_recover(
    &[(1, 901, true), (2, 902, true), (3, 901, true), (4, 901, false), (5, 902, false)],
    Severity::Info
)]
fn what_has_failed_once_and_works_again_is_no_warning(
    #[case] attempts: &[(u64, u32, bool)],
    #[case] severity: Severity,
) {
    let mut observed = Observed::default();
    for &(second, pid, fails) in attempts {
        let subject = client(end([10, 0, 0, 1], 40_000 + second as u16), end([10, 0, 0, 2], 80));
        let subject = Subject { owner: owner(pid), ..subject };
        let (to, reason) = match fails {
            true => (State::Closed, Some(Reason::Refused)),
            false => (State::Established, None),
        };
        let ends = ends(subject, State::SynSent, to, reason);
        observed.observe(Update::Transition(&Transition { time: second * SECOND, ..ends }));
    }
    let told = found("", &[], Counters::default(), &observed);
    assert_eq!(told, [(severity, "connect_failures")]);
}

/// A client that goes away, or does not want what its server still says (a close_notify of TLS), has
/// its reasons.
#[rstest]
#[case(Role::Client, Reason::ResetSentUnreadData, Severity::Info)]
#[case(Role::Client, Reason::ResetSentDataAfterClose, Severity::Info)]
#[case(Role::Client, Reason::ResetReceived, Severity::Warning)]
#[case(Role::Server, Reason::ResetSentUnreadData, Severity::Warning)]
#[case(Role::Server, Reason::ResetSentDataAfterClose, Severity::Warning)]
fn what_clients_do_not_want_is_no_warning(
    #[case] role: Role,
    #[case] reason: Reason,
    #[case] severity: Severity,
) {
    let mut observed = Observed::default();
    for n in 0..3 {
        let subject = client(end([10, 0, 0, 1], 40_000 + n), end([10, 0, 0, 2], 80));
        let tuple = match role {
            Role::Client => subject.tuple,
            _ => subject.tuple.reversed(),
        };
        let subject = Subject { tuple, role: Some(role), ..subject };
        let reset = ends(subject, State::Established, State::Closed, Some(reason));
        observed.observe(Update::Transition(&reset));
    }
    let told = found("", &[], Counters::default(), &observed);
    assert_eq!(told, [(severity, "connection_resets")]);
}

/// A process may have set the limit to what it needs.
#[rstest]
#[case::some_left(79, None)]
#[case::few_left(80, Some(Severity::Info))]
#[case::hardly_any(95, Some(Severity::Warning))]
#[case::none(100, Some(Severity::Critical))]
fn a_process_full_of_connections(#[case] open: u64, #[case] severity: Option<Severity>) {
    let connections: Vec<Record> = (0..50).map(|n| socket(n, State::Established, 3)).collect();
    let at = |time| {
        let mut look = look(time, [&connections[..], &[listener(0, 128)]].concat());
        let process = look.host.processes.get_mut(&900).unwrap();
        (process.descriptors, process.descriptor_limit) = (Some(open), Some(100));
        look
    };
    let found = find(&at(SECOND), &at(SECOND + OBSERVED)).findings;
    let told = found.iter().find(|one| one.problem.code() == "descriptors");
    assert_eq!(told.map(|one| one.severity), severity);
}

/// Two of a name.
#[test]
fn workers_full_of_connections_are_one_finding() {
    let connections: Vec<Record> = (0..60).map(|n| socket(n, State::Established, 3)).collect();
    let at = |time| {
        let mut look = look(time, connections.clone());
        for holder in look.snapshot.holders.iter_mut().filter(|holder| holder.cookie < 25) {
            holder.pid = 901;
        }
        let full = |open| ProcessFacts {
            descriptors: Some(open),
            descriptor_limit: Some(40),
            ..ProcessFacts::default()
        };
        look.host.processes = [(900, full(40)), (901, full(36))].into();
        look
    };
    let found = find(&at(SECOND), &at(SECOND + OBSERVED)).findings;
    let [Finding { severity: Severity::Critical, problem: Problem::Descriptors(out), .. }] =
        &found[..]
    else {
        panic!("{found:?}")
    };
    assert_eq!((out.program.process.pid, out.holds.unwrap().others), (900, 1));
}
