//! What is said of silent peers, and of connections that are used once.

use super::*;

const SECOND: u64 = 1_000_000_000;

fn connections(service: Service, sockets: u64, orphans: u64) -> Connections {
    let peer = match service {
        Service::Here(_) => at("10.0.0.9", 0),
        Service::There(peer) => peer,
    };
    Connections {
        holders: vec![app(900)],
        listener: None,
        sockets,
        orphans,
        service,
        peers: vec![(peer, sockets)],
        states: [(State::Established, sockets)].into(),
    }
}

const HERE: fn() -> Service = || Service::Here(at("10.0.0.1", 80));
const THERE: fn() -> Service = || Service::There(at("10.0.0.9", 5432));

fn dead(unanswered: Unanswered, connections: Connections) -> Finding {
    of(Problem::DeadPeer(Box::new(DeadPeer {
        connections,
        unanswered,
        unacknowledged: 20_000,
        since: 5 * SECOND,
        silent: Some(65 * SECOND),
        tries: 4,
        gives_up: Some(920 * SECOND),
        limit: Some(Limit { setting: Setting::Retries, value: 15 }),
        idle: Idle { probed: 1, probe_in: Some(7_190 * SECOND), never: 4 },
        answering: 0,
        never_answered: false,
        black_hole: false,
    })))
}

fn stuck(connections: Connections, fins_waiting: u64, readers: Vec<Program>) -> Finding {
    of(Problem::PeerNotReading(Box::new(PeerNotReading {
        connections,
        unsent: 7_000_000,
        fins_waiting,
        closed: 4 * SECOND,
        readers,
        halted: None,
        unread: 0,
        gives_up: None,
    })))
}

pub(super) fn unread(halted: Option<Halt>) -> Finding {
    of(Problem::NotReading(Box::new(NotReading {
        connections: connections(HERE(), 3, 0),
        unread: 1_234,
        waiting: 61 * SECOND,
        halted,
        doing: None,
    })))
}

fn left_open() -> Finding {
    of(Problem::LeftOpen(Box::new(LeftOpen {
        connections: connections(HERE(), 12, 0),
        new: 5,
        idle: 61 * SECOND,
    })))
}

fn unprobed() -> Finding {
    of(Problem::NoKeepalive(NoKeepalive {
        program: app(900),
        others: 0,
        sockets: 14,
        longest: 5 * 3_600 * SECOND,
        services: vec![(THERE(), 14)],
    }))
}

pub(super) fn in_fin_wait2() -> Finding {
    of(Problem::StuckState(Box::new(StuckState {
        state: State::FinWait2,
        connections: connections(THERE(), 1, 0),
        oldest: 125 * SECOND,
        threshold: 75 * SECOND,
    })))
}

fn churn(minutes_left: Option<f64>) -> Finding {
    of(Problem::Churn(Churn {
        others: 0,
        program: app(900),
        peer: at("10.0.0.9", 80),
        connections: 1_234,
        rate: 500.0,
        lifetime: 800_000,
        handshake: 200_000,
        bytes_sent: 30,
        bytes_received: 2,
        ports: Some(PortCost { time_wait: 30_000, size: 28_232, minutes_left }),
    }))
}

fn two_peers() -> Connections {
    let peers = vec![(at("10.0.0.9", 0), 2), (at("10.0.0.8", 0), 1)];
    Connections { peers, ..connections(HERE(), 3, 0) }
}

sentences! {
    a_sentence_says_who_what_and_since_when:
    dead(Unanswered::Data, connections(HERE(), 1, 0)) =>
        "10.0.0.9 is silent: 20,000 bytes unacknowledged for 5.00s on 1 connection of app[900] to \
         10.0.0.1:80 here; the kernel gives up in 15m20s";
    dead(Unanswered::Fin, connections(THERE(), 2, 2)) =>
        "10.0.0.9:5432 is silent: FIN unacknowledged for 5.00s on 2 connections to 10.0.0.9:5432, \
         closed by app[900]; the kernel gives up in 15m20s";
    dead(Unanswered::OneWay, connections(HERE(), 1, 0)) =>
        "10.0.0.9 sends, but acknowledges nothing: 20,000 bytes for 5.00s on 1 connection of \
         app[900] to 10.0.0.1:80 here; the kernel gives up in 15m20s";
    dead(Unanswered::KeepaliveProbes, two_peers()) =>
        "10.0.0.9 and 1 more peer are silent: 4 keepalive probes unanswered for 5.00s on 3 \
         connections of app[900] to 10.0.0.1:80 here; the kernel gives up in 15m20s";
    stuck(Connections { holders: Vec::new(), ..connections(HERE(), 60, 60) }, 60, Vec::new()) =>
        "10.0.0.9 does not read: window closed for 4.00s, 7,000,000 bytes unsent, so that no FIN \
         is sent yet, on 60 connections to 10.0.0.1:80 here, closed by the process";
    stuck(connections(THERE(), 2, 0), 1, vec![app(77)]) =>
        "app[77] does not read: window closed for 4.00s, 7,000,000 bytes unsent, so that 1 FIN is \
         not sent yet, on 2 connections of app[900] to 10.0.0.9:5432";
    unread(None) =>
        "app[900] has not read 1,234 bytes for 1m01s on 3 connections to 10.0.0.1:80 here";
    unread(Some(Halt::Stopped)) =>
        "app[900] has not read 1,234 bytes for 1m01s on 3 connections to 10.0.0.1:80 here; \
         app[900] is stopped (SIGSTOP)";
    dead(Unanswered::WindowProbes, connections(THERE(), 1, 0)) =>
        "10.0.0.9:5432 is silent: its window is closed, 4 probes unanswered for 5.00s on 1 \
         connection of app[900] to 10.0.0.9:5432; the kernel gives up in 15m20s";
    left_open() =>
        "app[900] leaves 12 connections to 10.0.0.1:80 here open after the answer, waiting in \
         accept() only; silent for up to 1m01s, 5 answered while observed";
    unprobed() =>
        "app[900] would never notice a dead peer on 14 connections, idle for up to 5h00m: neither \
         keepalive nor a user time-out is set";
    in_fin_wait2() =>
        "1 connection of app[900] to 10.0.0.9:5432: in FIN_WAIT2 for up to 2m05s, the peer has not \
         closed its side";
    churn(Some(0.5)) =>
        "app[900] opens 500 connections/s to 10.0.0.9:80, each used once for 800µs: reuse would \
         save 25 % of the time; its ports are exhausted in less than a minute";
}

#[test]
fn evidence_says_what_becomes_of_the_idle_ones() {
    let dead = dead(Unanswered::Data, connections(HERE(), 1, 0));
    let expected = [
        "process: app[900] /srv/app",
        "peer: 10.0.0.9 × 1",
        "states: 1 ESTABLISHED",
        "last heard: 1m05s ago",
        "tries: retransmitted 4 times",
        "limit: net.ipv4.tcp_retries2 = 15, no TCP_USER_TIMEOUT",
        "idle: 5 more connections to the silent peers: 1 will be probed, the first in 1h59m, 4 \
         never, without SO_KEEPALIVE",
    ];
    assert_eq!(shown(&dead), expected);
}

#[test]
fn what_is_written_is_read_again_and_remedies_are_few() {
    for finding in all() {
        let json = serde_json::to_string(&finding).unwrap();
        assert_eq!(serde_json::from_str::<Finding>(&json).unwrap(), finding, "{json}");
        let inside = Finding { entry: Some(Entry::Process(77)), ..finding };
        let (code, remedies) = (inside.problem.code(), inside.remedies());
        assert!((1..=3).contains(&remedies.len()), "{code}: {remedies:?}");
        for command in remedies.iter().filter_map(|remedy| remedy.command.as_ref()) {
            let of_namespace = ["ss ", "sysctl ", "timeout ", "tc ", "ip "]
                .iter()
                .any(|tool| command.contains(tool));
            assert_eq!(command.starts_with("nsenter -t 77 -n "), of_namespace, "{code}: {command}");
        }
        assert!(inside.evidence().iter().all(|line| line.label.len() < 12), "{code}");
    }
}

fn all() -> [Finding; 11] {
    [
        dead(Unanswered::Data, connections(HERE(), 1, 0)),
        dead(Unanswered::Fin, connections(THERE(), 2, 2)),
        stuck(connections(THERE(), 2, 0), 0, Vec::new()),
        stuck(connections(THERE(), 2, 2), 2, vec![app(77)]),
        unread(None),
        unread(Some(Halt::Stopped)),
        left_open(),
        unprobed(),
        churn(None),
        churn(Some(3.0)),
        losses::lossy(),
    ]
}

#[test]
fn clients_are_asked_on_a_port_and_servers_on_theirs() {
    let command = |finding: &Finding| finding.remedies()[0].command.clone().unwrap();
    let client = dead(Unanswered::Data, connections(HERE(), 1, 0));
    assert_eq!(command(&client), "timeout 3 bash -c '</dev/tcp/10.0.0.9/1'");
    let server = dead(Unanswered::Data, connections(THERE(), 1, 0));
    assert_eq!(command(&server), "timeout 3 bash -c '</dev/tcp/10.0.0.9/5432'");
}

fn forwarding(cause: Cause, name: &str) -> Finding {
    let other_side = Some(OtherSide {
        service: THERE(),
        peers: vec![(at("10.0.0.9", 5432), 4)],
        states: [(State::FinWait2, 4)].into(),
        processes: Vec::new(),
        unanswered: None,
    });
    let leak = Leak { holders: vec![named(name)], other_side, parent: None, ..leak(cause) };
    of(Problem::CloseWaitLeak(Box::new(leak)))
}

#[rstest]
#[case(
    Cause::PassedOn,
    "10.0.0.9:5432 does not close 4 connections forwarded by haproxy[900], though it was told \
     that the peers have closed"
)]
#[case(
    Cause::NotPassedOn,
    "haproxy[900] has not passed on that the peers have closed 4 connections: the other side, \
     10.0.0.9:5432, is still open"
)]
fn of_a_proxy_the_end_that_does_not_close_is_named(#[case] cause: Cause, #[case] words: &str) {
    let finding = forwarding(cause, "haproxy");
    assert_eq!(finding.sentence().english(), words);
    let remedies = finding.remedies();
    assert!(remedies[0].text.english().contains("timeout server-fin"), "{remedies:?}");
    assert!(remedies.len() <= 3 && !format!("{remedies:?}").contains("must close() when read()"));
    let stream = forwarding(cause, "nginx").remedies();
    assert!(stream[0].text.english().contains("proxy_timeout"), "{stream:?}");
    let other = forwarding(cause, "forwarder").remedies();
    assert!(other[0].text.english().contains("half-close time-out"), "{other:?}");
    let evidence = format!("{:?}", finding.evidence());
    assert!(evidence.contains("10.0.0.9:5432 × 4, FIN sent: 4 FIN_WAIT2"), "{evidence}");
}

#[test]
fn who_has_not_answered_is_named_and_not_who_waits() {
    let mut finding = forwarding(Cause::AwaitsAnswer, "app");
    let Problem::CloseWaitLeak(leak) = &mut finding.problem else { panic!() };
    let side = leak.other_side.as_mut().unwrap();
    side.unanswered = Some(61_000_000_000);
    let words = "app[900] waits for 10.0.0.9:5432 to answer, with 4 connections open that the peers have closed";
    assert_eq!(finding.sentence().english(), words);
    let evidence = format!("{:?}", finding.evidence());
    assert!(evidence.contains("10.0.0.9:5432 × 4: no answer for 1m01s"), "{evidence}");
    let remedies = finding.remedies();
    assert!(remedies[0].text.english().starts_with("10.0.0.9:5432 has to answer"), "{remedies:?}");
    assert!(
        remedies.iter().all(|remedy| remedy.command.is_none()),
        "nobody is known: {remedies:?}"
    );
    let Problem::CloseWaitLeak(leak) = &mut finding.problem else { panic!() };
    leak.other_side.as_mut().unwrap().processes = vec![app(77)];
    let remedies = finding.remedies();
    assert_eq!(remedies[1].command.as_deref(), Some("tail -n +1 /proc/77/task/*/stack"));
}

#[rstest]
#[case(
    Unanswered::Data,
    1,
    "20,000 bytes unacknowledged for 5.00s on 1 connection of app[900] to \
    10.0.0.9:5432; 10.0.0.9:5432 answers on 1 other; the kernel gives up in 15m20s"
)]
#[case(
    Unanswered::Fin,
    2,
    "FIN unacknowledged for 5.00s on 1 connection of app[900] to \
    10.0.0.9:5432; 10.0.0.9:5432 answers on 2 others; the kernel gives up in 15m20s"
)]
#[case(
    Unanswered::KeepaliveProbes,
    2,
    "4 keepalive probes unanswered for 5.00s on 1 connection of app[900] \
    to 10.0.0.9:5432; 10.0.0.9:5432 answers on 2 others; the kernel gives up in 15m20s"
)]
fn whoever_answers_on_others_is_not_said_to_be_silent(
    #[case] unanswered: Unanswered,
    #[case] answering: u64,
    #[case] words: &str,
) {
    let mut finding = dead(unanswered, connections(THERE(), 1, 0));
    let Problem::DeadPeer(found) = &mut finding.problem else { panic!() };
    found.answering = answering;
    assert_eq!(finding.sentence().english(), words);
    let remedies = finding.remedies();
    assert!(remedies[0].text.english().starts_with("the peer is there"), "{remedies:?}");
    let Problem::DeadPeer(found) = &mut finding.problem else { panic!() };
    found.never_answered = true;
    let remedies = finding.remedies();
    assert!(remedies[0].text.english().contains("accept queue was full"), "{remedies:?}");
    let Problem::DeadPeer(found) = &mut finding.problem else { panic!() };
    found.black_hole = true;
    let remedies = finding.remedies();
    assert_eq!(remedies[0].command.as_deref(), Some("sysctl -w net.ipv4.tcp_mtu_probing=1"));
    assert!(remedies.len() <= 3, "{remedies:?}");
}

#[test]
fn a_reader_that_is_stopped_is_let_run_again() {
    let mut finding = stuck(connections(THERE(), 2, 0), 0, vec![app(77)]);
    if let Problem::PeerNotReading(stuck) = &mut finding.problem {
        stuck.halted = Some(Halt::Stopped);
    }
    assert_eq!(finding.remedies()[0].command.as_deref(), Some("kill -CONT 77"));
    assert!(finding.evidence().iter().any(|line| line.text.english().contains("SIGSTOP")));
}
