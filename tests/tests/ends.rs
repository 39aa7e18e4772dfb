//! What the beginnings and ends of connections show: attempts that fail, resets, idle timers that
//! meet requests; and what is only the habit of an application.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::net::sockopt::set_tcp_quickack;
use serde_json::Value;
use tracer_tests::{
    diagnosis::Diagnosis,
    netns::{Namespace, isolated},
    record::{Record, listing},
    remedy::succeeds,
    sockets::{self, Path},
    tracer::Tracer,
};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

/// After which a server here closes idle connections.
const KEEP_ALIVE: Duration = Duration::from_millis(900);

/// Of several findings of a kind the one with a side of it: `peer` or `local`.
#[track_caller]
fn of<'a>(findings: &'a [Record], code: &str, at: &str) -> &'a Value {
    let found = findings.iter().find(|one| one.at("/finding/code") == code && one.has(at));
    found
        .unwrap_or_else(|| panic!("{code} with {at}: {}", listing(findings)))
        .at("/finding/evidence")
}

fn diagnose(namespace: &Namespace, happens: impl FnOnce()) -> Diagnosis {
    Diagnosis::during(namespace, happens)
}

#[test]
fn attempts_that_are_refused_are_counted_with_who_refuses() {
    isolated(|namespace| {
        let closed = sockets::loopback(Path::V4, sockets::free_port());
        let listener = sockets::listen(Path::V4);
        let diagnosis = diagnose(namespace, || {
            for _ in 0..4 {
                assert!(TcpStream::connect(closed).is_err());
            }
            drop(sockets::connect(&listener, Path::V4));
        });
        let [finding] = &diagnosis.findings[..] else { panic!("{}", listing(&diagnosis.findings)) };
        assert_eq!(finding.at("/finding/severity"), "warning");
        let evidence = diagnosis.evidence("connect_failures");
        assert_eq!(
            (&evidence["attempts"], &evidence["peer"]["port"]),
            (&4.into(), &closed.port().into())
        );
        assert_eq!(evidence["failures"][0]["reason"], "refused");
        assert_eq!(evidence["process"]["pid"], std::process::id());
        let text = diagnosis.text("connect_failures");
        assert!(
            text.contains(&format!("cannot connect to {closed}: 4 of 4 attempts refused")),
            "{text}"
        );
        let listening = succeeds(finding, "ss -tlnp");
        assert!(!listening.contains("127.0.0.1"), "nobody listens there: {listening}");
        succeeds(finding, "state syn-sent");
    });
}

/// As with a script that runs `curl`, or the workers of a server.
#[test]
fn processes_of_one_name_are_one() {
    isolated(|namespace| {
        let closed = sockets::loopback(Path::V4, sockets::free_port());
        let courier = || {
            let mut courier = Command::new(PEER);
            courier.args(["courier", "connect", &closed.to_string()]);
            courier.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut courier = courier.spawn().unwrap();
            (courier.id(), courier.wait().unwrap().success())
        };
        let mut served = 0;
        let diagnosis = diagnose(namespace, || {
            let listener = TcpListener::bind(closed).unwrap();
            let (pid, is_connected) = courier();
            assert!(is_connected);
            served = pid;
            drop((listener.accept().unwrap(), listener));
            assert!((0..4).all(|_| !courier().1));
        });
        let [finding] = &diagnosis.findings[..] else { panic!("{}", listing(&diagnosis.findings)) };
        assert_eq!(finding.at("/finding/severity"), "warning");
        let evidence = diagnosis.evidence("connect_failures");
        let told = (&evidence["attempts"], &evidence["process"]["name"]);
        assert_eq!(
            (told, &evidence["other_processes"]),
            ((&5.into(), &"courier".into()), &4.into())
        );
        assert_ne!(evidence["process"]["pid"], served, "nothing was wrong with it");
        let text = diagnosis.text("connect_failures");
        assert!(text.contains("] and 4 more of that name cannot connect to"), "{text}");
    });
}

/// Its time-out is shorter than the answer takes, which then meets an RST: no farewell.
#[test]
fn a_client_that_gives_up_is_told_of_once_and_after_which_time() {
    isolated(|namespace| {
        let listener = sockets::listen(Path::V4);
        let diagnosis = diagnose(namespace, || {
            for _ in 0..4 {
                let (mut client, mut server) = sockets::connect(&listener, Path::V4);
                sockets::send(&mut client, &server, b"a request");
                thread::sleep(Duration::from_millis(300));
                drop(client);
                server.write_all(b"an answer that comes too late").unwrap();
                sockets::wait_for_end(&mut server);
            }
        });
        let client = of(&diagnosis.findings, "connection_resets", "/finding/evidence/service/peer");
        let end = &client["ends"][0];
        assert_eq!(end["reason"], "reset_sent_data_after_close");
        assert_eq!(end["connections"], 4);
        assert!(end["waited_ns"].as_u64() >= Some(280_000_000), "{client}");
        assert_eq!(diagnosis.findings.len(), 1, "{}", listing(&diagnosis.findings));
        assert_eq!(diagnosis.status, 1);
    });
}

#[test]
fn resets_within_the_host_are_told_of_who_sends_them_with_why() {
    isolated(|namespace| {
        let listener = sockets::listen(Path::V4);
        let diagnosis = diagnose(namespace, || {
            for _ in 0..4 {
                let (mut client, server) = sockets::connect(&listener, Path::V4);
                sockets::send(&mut client, &server, b"a request that nobody reads");
                drop(server);
                sockets::wait_for_end(&mut client);
            }
        });
        let server =
            of(&diagnosis.findings, "connection_resets", "/finding/evidence/service/local");
        assert_eq!(server["ends"][0]["reason"], "reset_sent_unread_data");
        assert_eq!(server["ends"][0]["connections"], 4);
        assert_eq!(diagnosis.findings.len(), 1, "{}", listing(&diagnosis.findings));
        // One reset is one line at each end: the end of its connection.
        let tracer = Tracer::start(namespace, &["--problems"]);
        let (mut client, server) = sockets::connect(&listener, Path::V4);
        sockets::send(&mut client, &server, b"a request that nobody reads");
        drop(server);
        sockets::wait_for_end(&mut client);
        let trace = tracer.finish();
        let count = |kind| trace.records.iter().filter(|record| record.kind() == kind).count();
        assert_eq!((count("transition"), count("reset")), (2, 0), "{}", listing(&trace.records));
    });
}

/// A request on a connection that the server has just closed; the socket must be the server's alone.
fn too_late(listener: &TcpListener, client: &mut TcpStream) {
    let mut server = sockets::accept(listener);
    let mut byte = [0];
    client.write_all(b"?").unwrap();
    server.read_exact(&mut byte).unwrap();
    server.write_all(b"!").unwrap();
    client.read_exact(&mut byte).unwrap();
    thread::sleep(KEEP_ALIVE);
    drop(server);
    // It does not look before it writes.
    thread::sleep(Duration::from_millis(5));
    client.write_all(b"?").unwrap();
    sockets::wait_for_end(client);
}

#[test]
fn a_server_that_closes_what_is_used_again_is_told_with_its_timer() {
    isolated(|namespace| {
        let listener = sockets::listen(Path::V4);
        let address: SocketAddr = listener.local_addr().unwrap();
        let races = || {
            for _ in 0..3 {
                let mut client = TcpStream::connect(address).unwrap();
                too_late(&listener, &mut client);
            }
        };
        let diagnosis = diagnose(namespace, races);
        let [finding] = &diagnosis.findings[..] else { panic!("{}", listing(&diagnosis.findings)) };
        assert_eq!(finding.at("/finding/severity"), "warning");
        let race = diagnosis.evidence("keepalive_race");
        assert_eq!((&race["resets"], &race["closed"]), (&3.into(), &3.into()), "{race}");
        assert_eq!(race["server"]["pid"], std::process::id());
        assert_eq!(race["client"]["pid"], std::process::id());
        assert_eq!(race["service"]["port"], address.port());
        let time = |name: &str| Duration::from_nanos(race[name].as_u64().unwrap());
        let idle = time("idle_ns");
        assert!(idle + Duration::from_millis(20) >= KEEP_ALIVE && idle < 2 * KEEP_ALIVE, "{race}");
        assert!(time("idle_spread_ns") < KEEP_ALIVE / 2, "{race}");
        assert!(time("shortest_after_fin_ns") >= Duration::from_millis(4), "{race}");
        // The live trace has it too, and each connection its idle time.
        let tracer = Tracer::start(namespace, &[]);
        races();
        tracer.wait_for("the finding", |record| record.at("/finding/code") == "keepalive_race");
        let trace = tracer.finish();
        let is_idle = |record: &&Record| {
            record.kind() == "connection" && record.number("/tcp/close/idle_ns") > Some(800_000_000)
        };
        assert_eq!(trace.records.iter().filter(is_idle).count(), 6);
    });
}

#[test]
fn health_checks_and_what_is_closed_in_order_are_no_problem() {
    isolated(|namespace| {
        let listener = sockets::listen(Path::V4);
        let checks = || {
            let until = Instant::now() + Duration::from_secs(3);
            while Instant::now() < until {
                // A check is over at once; the server closes what it has accepted.
                let (client, server) = sockets::connect(&listener, Path::V4);
                sockets::linger_zero(&client);
                drop(client);
                drop(server);
                // One that asks and has its answer ends in the same way.
                let (mut client, mut server) = sockets::connect(&listener, Path::V4);
                // The answer is acknowledged by nothing but the RST.
                set_tcp_quickack(&client, false).unwrap();
                sockets::send(&mut client, &server, b"GET /health");
                server.read_exact(&mut [0; 11]).unwrap();
                sockets::send(&mut server, &client, b"200 OK");
                client.read_exact(&mut [0; 6]).unwrap();
                sockets::linger_zero(&client);
                drop((client, server));
                thread::sleep(Duration::from_millis(100));
            }
        };
        let tracer = Tracer::start(namespace, &["--problems"]);
        let diagnosis = diagnose(namespace, checks);
        assert_eq!(diagnosis.findings.len(), 0, "{}", listing(&diagnosis.findings));
        assert_eq!(diagnosis.status, 0);
        let trace = tracer.finish();
        // Nor do --problems show that a client has chosen it.
        let told = |record: &&Record| {
            matches!(record.kind(), "finding" | "reset")
                || record.at("/tcp/close/reason") == "reset_sent_linger0"
        };
        let told: Vec<&Record> = trace.records.iter().filter(told).collect();
        assert!(told.is_empty(), "{}", listing(told));
    });
}
