//! Sockets that stay too long in a state are flagged.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use tracer_tests::{
    fault,
    netns::isolated,
    peer::Peer,
    record::{Record, listing},
    sockets::{End, Pair, Path, close_client_first},
    tracer::{self, Tracer},
};

const FAULT: &str = env!("CARGO_BIN_EXE_fault");

fn server(name: &str, arguments: &[&str]) -> (Peer, SocketAddr) {
    fault::server(FAULT, name, arguments)
}

const MILLISECOND: u64 = 1_000_000;

/// What every record on a lingering socket says; its age, milliseconds.
fn age(record: &Record, end: &End, state: &str) -> u64 {
    assert_eq!(record.local(), Some(end.local), "{record}");
    assert_eq!(record.peer(), Some(end.peer), "{record}");
    assert_eq!(record.at("/tcp/state"), state, "{record}");
    assert_eq!(record.at("/tcp/at_least"), false, "{record}");
    record.number("/tcp/age_ns").unwrap_or_else(|| panic!("no age: {record}")) / MILLISECOND
}

/// Raised at the threshold, told again at each doubling of the age.
fn ages_double(lingers: &[&Record], end: &End, state: &str, threshold: u64) {
    let mut due = threshold;
    for (index, record) in lingers.iter().enumerate() {
        let status = if index == 0 { "raised" } else { "continues" };
        assert_eq!(record.at("/status"), status, "{record}");
        let age = age(record, end, state);
        assert!(age >= due, "told at {age} ms, due at {due} ms: {record}");
        while due <= age {
            due *= 2;
        }
    }
}

#[test]
fn close_wait_is_raised_continues_and_is_cleared() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &["--linger", "close-wait=100ms,time-wait=off"]);
        let Pair { listener: _listener, client, server } = Pair::over(Path::V4);
        let end = End::of(&server);
        drop(client);
        tracer.wait_for("the second doubling", |record| {
            record.kind() == "linger"
                // A machine that is slow may raise it as late as that.
                && record.at("/status") != "raised"
                && record.number("/tcp/age_ns") >= Some(400 * MILLISECOND)
        });
        drop(server);
        let trace = tracer.finish();
        let lingers = trace.lingering(&end);
        let (cleared, before) = lingers.split_last().unwrap();
        assert!(before.len() >= 2, "{lingers:?}");
        ages_double(before, &end, "CLOSE_WAIT", 100);
        assert_eq!(cleared.at("/status"), "cleared", "{cleared}");
        let left = trace.life(&end).step("CLOSE_WAIT", "LAST_ACK");
        assert_eq!(cleared.at("/tcp/age_ns"), left.at("/tcp/elapsed_ns"), "{cleared} {left}");
        assert!(age(cleared, &end, "CLOSE_WAIT") >= 400);
        for linger in &lingers {
            assert_eq!(linger.number("/process/pid"), Some(std::process::id().into()), "{linger}");
        }
        let others = trace.records.iter().filter(|record| record.kind() == "linger");
        assert_eq!(others.count(), before.len() + 1);
    });
}

#[test]
fn time_wait_is_raised_although_no_tracepoint_shows_it() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &["--linger", "time-wait=100ms,close-wait=off"]);
        let pair = Pair::over(Path::V4);
        let (client, _) = pair.ends();
        let _listener = close_client_first(&tracer, pair);
        tracer.wait_for("a doubling", |record| record.at("/status") == "continues");
        let trace = tracer.finish();
        let lingers = trace.lingering(&client);
        assert!(lingers.len() >= 2);
        ages_double(&lingers, &client, "TIME_WAIT", 100);
        assert!(lingers.iter().all(|linger| linger.at("/tcp/orphaned") == true));
    });
}

#[test]
fn a_socket_that_leaves_its_state_in_time_is_not_flagged() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &["--linger", "close-wait=1s,time-wait=off"]);
        let pair = Pair::over(Path::V4);
        drop(close_client_first(&tracer, pair));
        thread::sleep(Duration::from_secs(2));
        let trace = tracer.finish();
        assert!(trace.records.iter().any(|record| record.at("/tcp/to") == "CLOSE_WAIT"));
        assert!(trace.records.iter().all(|record| record.kind() != "linger"));
    });
}

/// The kernel waits for the first data of clients that say nothing: no socket, but it lingers.
#[test]
fn half_open_connections_are_raised_with_their_listener_and_cleared() {
    isolated(|namespace| {
        let mut server = Peer::start(FAULT, "waiter", &["defer"]);
        let address: SocketAddr = server.answer().parse().unwrap();
        server.answer();
        let options = ["--linger", "syn-recv=2s,time-wait=off,fin-wait2=off"];
        let tracer = Tracer::start(namespace, &options);
        let mut client = TcpStream::connect(address).unwrap();
        let begun = Instant::now();
        let peer = client.local_addr().ok();
        let of_client = |record: &Record| record.kind() == "linger" && record.peer() == peer;
        let raised = tracer.wait_for("a flag", of_client);
        let most = begun.elapsed();
        assert_eq!(raised.at("/status"), "raised", "{raised}");
        assert_eq!(raised.at("/tcp/state"), "SYN_RECV", "{raised}");
        assert_eq!(raised.at("/cause/code"), "no_data", "{raised}");
        assert_eq!(raised.at("/tcp/at_least"), false, "{raised}");
        assert_eq!(raised.at("/process/evidence"), "listener", "{raised}");
        assert_eq!(raised.number("/process/pid"), Some(server.pid()), "{raised}");
        let age = Duration::from_nanos(raised.number("/tcp/age_ns").unwrap());
        assert!((Duration::from_secs(2)..=most).contains(&age), "{age:?} of {most:?}");
        let listed = tracer::sockets(namespace, &[]);
        let half_open = listed.lines().find(|line| line.starts_with("SYN_RECV")).unwrap();
        assert!(half_open.contains(&format!("waiter[{}]?", server.pid())), "{half_open}");
        assert_ne!(half_open.split_whitespace().nth(1), Some("-"), "no age: {half_open}");
        client.write_all(b"at last").unwrap();
        let over = tracer.wait_for("the end of the flag", |record| {
            of_client(record) && record.at("/status") == "cleared"
        });
        assert!(over.number("/tcp/age_ns") >= raised.number("/tcp/age_ns"), "{over}");
        tracer.finish();
        server.close();
    });
}

/// Of two listeners that share an address one never accepts.
#[test]
fn flags_name_the_listener_that_does_not_accept_and_no_other() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &["--linger", "close-wait=2s,time-wait=off"]);
        let (deaf, address) = server("sleeper", &["shared-deaf", "0"]);
        let (keen, _) = server("worker", &["shared-keen", &address.port().to_string()]);
        for pid in [deaf.pid(), keen.pid()] {
            tracer.wait_for("a listener", |record| {
                record.is_step("CLOSED", "LISTEN") && record.number("/process/pid") == Some(pid)
            });
        }
        let clients: Vec<TcpStream> =
            (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
        drop(clients);
        tracer.wait_for("a flag", |record| record.kind() == "linger");
        let trace = tracer.finish();
        let flags = || trace.records.iter().filter(|record| record.kind() == "linger");
        for flag in flags() {
            assert_eq!(flag.number("/process/pid"), Some(deaf.pid()), "{flag}");
            assert_eq!(flag.at("/cause/code"), "never_accepted", "{flag}");
            let processes = flag.at("/cause/listener/processes");
            assert_eq!(processes.as_array().unwrap().len(), 1, "{flag}");
            assert_eq!(processes[0]["pid"], deaf.pid(), "{flag}");
        }
        // What is guessed of a connection when it begins is what becomes of it.
        let closed =
            || trace.transitions().filter(|record| record.is_step("CLOSE_WAIT", "LAST_ACK"));
        let mut guessed = 0;
        for record in trace.transitions().filter(|record| record.is_step("LISTEN", "SYN_RECV")) {
            let pid = record.number("/process/pid").unwrap();
            let of_same = |other: &&Record| other.at("/network/peer") == record.at("/network/peer");
            let is_closed = closed().any(|other| of_same(&other));
            let expected = if is_closed { keen.pid() } else { deaf.pid() };
            assert_eq!(pid, expected, "{record}");
            guessed += 1;
        }
        assert_eq!(guessed, 20);
        keen.close();
        deaf.close();
    });
}

/// The client has sent its request and shut that side down; the answer takes its time. Neither
/// the CLOSE_WAIT of the server nor the FIN_WAIT2 of the client is a leak.
#[test]
fn a_half_close_at_work_is_not_flagged_until_it_stops() {
    const THRESHOLD: Duration = Duration::from_secs(1);
    isolated(|namespace| {
        let tracer =
            Tracer::start(namespace, &["--linger", "close-wait=1s,fin-wait2=1s,time-wait=off"]);
        let Pair { listener: _listener, mut client, mut server } = Pair::over(Path::V4);
        let ends = [&client, &server].map(End::of);
        client.shutdown(Shutdown::Write).unwrap();
        tracer.wait_for_step(&ends[1], "ESTABLISHED", "CLOSE_WAIT");
        let begun = Instant::now();
        while begun.elapsed() < 4 * THRESHOLD {
            server.write_all(&[7; 1_000]).unwrap();
            client.read_exact(&mut [0; 1_000]).unwrap();
            thread::sleep(THRESHOLD / 10);
        }
        let early = tracer.so_far();
        let early = early.iter().filter(|record| record.kind() == "linger");
        assert_eq!(listing(early), "", "flagged although it was at work");
        let worked = begun.elapsed().as_nanos();
        for (end, state) in ends.iter().zip(["FIN_WAIT2", "CLOSE_WAIT"]) {
            let flag = tracer.wait_for("the flag of one that has stopped", |record| {
                record.kind() == "linger" && end.is_told_by(record)
            });
            assert_eq!(flag.at("/tcp/state"), state, "{flag}");
            let [age, idle] = ["/tcp/age_ns", "/tcp/idle_ns"].map(|at| flag.number(at).unwrap());
            assert!(u128::from(idle) >= THRESHOLD.as_nanos(), "{flag}");
            assert!(u128::from(age) >= worked && idle < age, "{flag}");
        }
        tracer.finish();
    });
}
