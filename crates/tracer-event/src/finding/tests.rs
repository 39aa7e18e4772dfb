//! What is said of each kind of finding.

mod accepting;
mod alike;
mod connecting;
mod ends;
mod languages;
mod losses;
mod silence;

use std::collections::BTreeMap;

use rstest::rstest;

use self::connecting::{connects, failed};
use super::{alike::runs, *};
use crate::{
    close::{Initiator, Reason},
    endpoint::Endpoint,
    fixtures,
    process::{Executable, Process},
    state::State,
};

/// A test of what each finding says, also when it is over.
macro_rules! sentences {
    ($test:ident: $($finding:expr => $words:literal;)+) => {
        #[test]
        fn $test() {
            $(says($finding, $words);)+
        }
    };
}
use sentences;

fn says(finding: Finding, words: &str) {
    assert_eq!(finding.sentence().english(), words);
    let over = Finding { status: Status::Cleared, ..finding };
    assert_eq!(over.sentence().english(), format!("over: {words}"));
}

fn at(address: &str, port: u16) -> Endpoint {
    Endpoint::new(address.parse().unwrap(), port)
}

fn app(pid: u32) -> Program {
    let executable = Some(Executable::of(b"/srv/app"));
    Program { executable, ..fixtures::program(fixtures::process(pid, "app")) }
}

fn from(queue: u32) -> Listener {
    let processes = vec![app(900)];
    Listener {
        local: at("0.0.0.0", 8080),
        processes,
        halted: None,
        doing: None,
        queue,
        backlog: 256,
        candidates: 1,
    }
}

fn leak(cause: Cause) -> Leak {
    Leak {
        cause,
        holders: vec![app(900)],
        heirs: Vec::new(),
        parent: Some(app(899).process),
        fds: vec![5, 6, 7, 9],
        sockets: 4,
        service: Service::Here(at("10.0.0.1", 8080)),
        peers: vec![(at("10.0.0.2", 0), 3), (at("10.0.0.3", 0), 1)],
        listener: None,
        oldest: 65_000_000_000,
        at_least: true,
        growth: 24.0,
        unread: 1234,
        descriptors: Some(Descriptors::new(500, 1024, 24.0)),
        peer_sockets: BTreeMap::new(),
        peer_orphans: 0,
        other_side: None,
        made: None,
    }
}

fn of(problem: Problem) -> Finding {
    fixtures::finding(0, Severity::Warning, problem)
}

fn leaking(cause: Cause) -> Finding {
    of(Problem::CloseWaitLeak(Box::new(leak(cause))))
}

fn never_accepted() -> Finding {
    let listener = Some(from(200));
    let leak =
        Leak { listener, holders: Vec::new(), fds: Vec::new(), ..leak(Cause::NeverAccepted) };
    of(Problem::CloseWaitLeak(Box::new(leak)))
}

fn ports(scope: Scope) -> Finding {
    of(Problem::EphemeralPorts(
        PortUse {
            netns: 7,
            scope,
            size: 28_232,
            used: 26_000,
            reusable: 400,
            states: [(State::TimeWait, 25_000), (State::Established, 1_000)].into(),
            destinations: 3,
            processes: vec![(app(900).process, 26_000)],
            growth: 0.0,
            rate: 412.3,
            minutes_left: None,
        }
        .growing(300.0),
    ))
}

fn to_one() -> Finding {
    ports(Scope::Destination { local: at("10.0.0.1", 0), peer: at("10.0.0.9", 443) })
}

fn no_port(count: u64) -> Finding {
    let process = Some(app(900).process);
    let (others, peer) = (0, at("10.0.0.9", 443));
    of(Problem::NoLocalPort(NoLocalPort { process, others, peer, count, size: None }))
}

fn queue(length: u32, dropped: Option<u32>) -> Finding {
    let (listener, somaxconn) = (from(length), Some(256));
    let (listen_overflows, listen_drops, descriptors) = (3, 0, None);
    of(Problem::AcceptQueueFull(AcceptQueue {
        listener,
        dropped,
        listen_overflows,
        listen_drops,
        somaxconn,
        descriptors,
    }))
}

fn backlog(syn_drops: u64, syn_cookies: u64, limit: u64) -> SynBacklog {
    let local = Some(at("10.0.0.1", 80));
    SynBacklog {
        half_open: 9,
        local,
        backlog: Some(64),
        syn_drops,
        syn_cookies,
        limit: Some(limit),
    }
}

fn resets(service: Service, ends: &[(Reason, u64)]) -> Finding {
    let end = |&(reason, connections): &(Reason, u64)| BadEnd {
        reason,
        connections,
        waited: None,
        after_fin: false,
    };
    of(Problem::ConnectionResets(ConnectionResets {
        others: 0,
        process: Some(app(900).process),
        service,
        ended: 60,
        ends: ends.iter().map(end).collect(),
        still_open: None,
        since: 4_000_000_000,
    }))
}

fn race(server: Option<Program>, client: Option<Process>) -> Finding {
    of(Problem::KeepaliveRace(Box::new(KeepaliveRace {
        server,
        client,
        service: at("10.0.0.1", 8080),
        resets: 7,
        closed: 19,
        idle: 5_000_000_000,
        spread: 3_000_000,
        shortest: 2_000_000,
        longest: 9_000_000,
        since: 61_000_000_000,
    })))
}

/// The evidence, line by line.
fn shown(finding: &Finding) -> Vec<String> {
    let lines = finding.evidence().into_iter();
    lines.map(|Line { label, text }| format!("{label}: {text}")).collect()
}

fn named(name: &str) -> Program {
    fixtures::program(fixtures::process(900, name))
}

#[rstest]
#[case("node", "raise server.keepAliveTimeout and headersTimeout above")]
#[case("nginx", "raise keepalive_timeout above")]
#[case("app", "raise its keep-alive timeout (node keepAliveTimeout")]
fn the_timeout_to_raise_is_named_by_program(#[case] name: &str, #[case] words: &str) {
    let remedies = race(Some(named(name)), None).remedies();
    assert!(remedies[0].text.english().contains(words), "{}", remedies[0].text);
    assert_eq!(remedies.len(), 3);
}

fn others() -> [Finding; 8] {
    [
        connects(100, vec![failed(Reason::Refused, 5), failed(Reason::ConnectTimeout, 1)]),
        resets(Service::Here(at("10.0.0.1", 80)), &[(Reason::ResetSentUnreadData, 3)]),
        connecting::reset_between(),
        race(Some(app(900)), None),
        of(Problem::SynBacklog(backlog(5, 0, 128))),
        of(Problem::TimeWaitOverflow(TimeWaitOverflow {
            time_wait: 4_000,
            limit: Some(4_096),
            skipped: 7,
            services: vec![(Service::There(at("10.0.0.9", 443)), 4_000)],
            closed_first: Initiator::Local,
        })),
        of(Problem::Descriptors(OutOfDescriptors {
            program: app(900),
            descriptors: Descriptors::new(1_000, 1_024, 12.0),
            holds: None,
        })),
        of(Problem::StuckHandshake(StuckHandshake {
            state: State::SynSent,
            process: Some(app(900).process),
            others: 0,
            service: Service::There(at("2001:db8::9", 443)),
            sockets: 2,
            retransmits: 4,
            lost: None,
            answering: 0,
        })),
    ]
}

sentences! {
    a_sentence_says_what_is_wrong_with_whom:
    leaking(Cause::Held) => "app[900] leaks 4 connections; the peers have closed";
    leaking(Cause::Unread) =>
        "app[900] does not read 4 connections to the end: 1,234 bytes unread, the peers have \
         closed";
    leaking(Cause::Inherited) =>
        "app[900] still holds 4 connections that came from the parent app[899] by fork; the peers \
         have closed, and so has the parent";
    leaking(Cause::Halted(Halt::Frozen)) =>
        "app[900] is frozen (cgroup freezer), with 4 connections open that the peers have closed";
    never_accepted() =>
        "4 connections never accepted, listener :8080, app[900], backlog 200 of 256; the peers \
         have closed";
    to_one() => "25,600 of 28,232 ports in use from 10.0.0.1 to 10.0.0.9:443, exhausted in 9 min";
    ports(Scope::Address(at("10.0.0.1", 0))) =>
        "25,600 of 28,232 ports of 10.0.0.1 in use by bind() before connect(), for all 3 \
         destinations together, exhausted in 9 min";
    no_port(1) => "app[900] found no free local port to connect to 10.0.0.9:443";
    no_port(5) => "app[900] found no free local port to connect to 10.0.0.9:443, 5 times";
    queue(257, None) =>
        "accept queue of listener :8080, app[900], is full: new connections are dropped; backlog \
         257 of 256";
    queue(0, Some(2)) =>
        "accept queue of listener :8080, app[900], was full: new connections were dropped; backlog \
         0 of 256";
    queue(0, None) =>
        "accept queue of listener :8080, app[900], or another one here was full; backlog 0 of 256";
    connects(100, vec![failed(Reason::Refused, 40)]) =>
        "app[900] cannot connect to 10.0.0.5:443: 40 of 100 attempts refused, for 12 s";
    connects(1, vec![failed(Reason::Refused, 1)]) =>
        "app[900] cannot connect to 10.0.0.5:443: refused";
    connects(100, vec![failed(Reason::Refused, 5), failed(Reason::AbortedLocally, 1)]) =>
        "app[900] cannot connect to 10.0.0.5:443: 6 of 100 attempts failed: 5 refused, 1 given up \
         without an answer, for 12 s";
    connects(100, Vec::new()) =>
        "6 of 100 handshakes from app[900] to 10.0.0.5:443 needed another SYN, 6.06s lost in all, \
         for 12 s";
    resets(Service::There(at("10.0.0.5", 443)), &[(Reason::ResetReceived, 9)]) =>
        "9 of 60 connections of app[900] to 10.0.0.5:443: reset by the peer, in the last 4 s";
    resets(Service::Here(at("0.0.0.0", 80)), &[(Reason::ResetSentUnreadData, 9)]) =>
        "9 of 60 connections of app[900] to :80 here: reset by this end (closed with unread data), \
         in the last 4 s";
    race(Some(named("node")), None) =>
        "7 requests met an RST: node[900] (10.0.0.1:8080) closes connections that were idle for \
         5.00s ± 3.00ms, for 1m01s";
    race(None, Some(app(900).process)) =>
        "7 requests of app[900] met an RST: the server 10.0.0.1:8080 closes connections that were \
         idle for 5.00s ± 3.00ms, for 1m01s";
}

#[test]
fn evidence_is_aligned_under_short_labels() {
    let expected = [
        "process: app[900] /srv/app",
        "fds: 5-7, 9",
        "peers: 10.0.0.2 × 3, 10.0.0.3 × 1, to 10.0.0.1:8080 here",
        "oldest: ≥ 1m05s in CLOSE_WAIT",
        "growth: +24/min",
        "unread: 1,234 bytes",
        "open: 500 of 1,024 descriptors: exhausted in 22 min",
    ];
    assert_eq!(shown(&leaking(Cause::Held)), expected);
}

#[test]
fn every_finding_has_a_remedy_and_every_command_enters_the_namespace() {
    let causes = [Cause::Held, Cause::Unread, Cause::Inherited, Cause::Orphaned, Cause::Unseen];
    let mut all: Vec<Finding> = causes.into_iter().map(leaking).collect();
    all.extend([never_accepted(), to_one(), no_port(1), queue(300, None)]);
    all.extend(others());
    all.push(connects(1, vec![failed(Reason::Refused, 1)]));
    all.extend(accepting::all());
    for finding in all {
        let code = finding.problem.code();
        assert!(!finding.remedies().is_empty(), "{code}");
        let inside = Finding { entry: Some(Entry::Process(77)), ..finding };
        for command in inside.remedies().iter().filter_map(|remedy| remedy.command.as_ref()) {
            // What is for the host of the peer is not for this one's namespace.
            let is_elsewhere = code == "connect_failures" && command.contains("-tlnp");
            let of_namespace = !is_elsewhere
                && ["ss ", "sysctl ", "timeout ", "nft "].iter().any(|tool| command.contains(tool));
            assert_eq!(command.starts_with("nsenter -t 77 -n "), of_namespace, "{code}: {command}");
        }
        assert!(
            inside.evidence().iter().any(|line| line.text.english().contains("net:[7]")),
            "{code}"
        );
        assert!(inside.evidence().iter().all(|line| line.label.len() < 12), "{code}");
    }
}

/// No command that changes nothing, and none that goes too far without a word.
#[test]
fn remedies_are_of_the_situation() {
    let commands = |drops, cookies| {
        let remedies = of(Problem::SynBacklog(backlog(drops, cookies, 8_192))).remedies();
        remedies.into_iter().filter_map(|remedy| remedy.command).collect::<Vec<_>>()
    };
    // Cookies were sent: the setting is on, and tcp_max_syn_backlog is not looked at.
    let sent = commands(0, 5);
    assert!(!sent.iter().any(|command| command.contains("sysctl")), "{sent:?}");
    let dropped = commands(5, 0);
    assert!(dropped.iter().any(|command| command.ends_with("tcp_syncookies=1")), "{dropped:?}");
    assert!(dropped.iter().any(|command| command.ends_with("=16384")), "{dropped:?}");
    let ends = leaking(Cause::Held).remedies();
    let ends = ends
        .iter()
        .find(|remedy| remedy.command.as_ref().is_some_and(|command| command.contains("ss -K")));
    assert!(ends.unwrap().text.english().contains("half-closed and waits"));
}

#[test]
fn names_cannot_speak_to_the_terminal() {
    let mut finding = no_port(1);
    if let Problem::NoLocalPort(NoLocalPort { process: Some(process), .. }) = &mut finding.problem {
        process.comm[..4].copy_from_slice(b"\x1b[2J");
    }
    assert!(finding.sentence().english().starts_with("\\x1b[2J["), "{}", finding.sentence());
}

#[rstest]
#[case(&[], "")]
#[case(&[3], "3")]
#[case(&[3, 4], "3-4")]
#[case(&[3, 4, 5, 9, 11, 12], "3-5, 9, 11-12")]
#[case(&[1, 3, 5, 7, 9, 11, 13, 15, 17], "1, 3, 5, 7, 9, 11, 13, 15, …")]
fn descriptors_are_written_as_runs(#[case] numbers: &[u32], #[case] text: &str) {
    assert_eq!(runs(numbers), text);
}
