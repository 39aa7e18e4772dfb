//! Whose socket it is: only what is certain, and with its evidence.

use std::thread;

use tracer_tests::{
    netns::isolated,
    peer::Peer,
    record::Record,
    sockets::{self, End, Path},
    tracer::{Trace, Tracer},
};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

struct Owned {
    trace: Trace,
    client: (End, u64),
    server: (End, u64),
}

/// A client in one process, a server in another; the client's closes first.
fn two_processes() -> Owned {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let (mut server, address) = Peer::server(PEER, "depot");
        let (client, client_end) = Peer::client(PEER, "courier", address);
        let server_end = server.end();
        let pids = [client.pid(), server.pid()];
        client.close();
        tracer.wait_for_step(&client_end, "FIN_WAIT1", "FIN_WAIT2");
        server.close();
        let trace = tracer.finish();
        Owned { trace, client: (client_end, pids[0]), server: (server_end, pids[1]) }
    })
}

/// Checks the owner; any of the evidences will do.
fn is_owned(record: &Record, pid: u64, name: &str, evidences: &[&str]) {
    assert_eq!(record.number("/process/pid"), Some(pid), "{record}");
    assert_eq!(record.at("/process/name"), name, "{record}");
    let evidence = record.text("/process/evidence").unwrap_or_default();
    assert!(evidences.contains(&evidence), "{record}");
}

#[test]
fn a_client_belongs_to_the_process_that_connected() {
    let Owned { trace, client: (end, pid), .. } = two_processes();
    for step in trace.life(&end).steps() {
        is_owned(step, pid, "courier", &["connect"]);
    }
}

#[test]
fn a_server_belongs_to_the_process_that_closed_it() {
    let Owned { trace, server: (end, pid), .. } = two_processes();
    let life = trace.life(&end);
    // The listener's process until more is known: the tracer may have seen who holds the socket.
    let known = ["close", "accept", "task_file"];
    for step in life.steps() {
        is_owned(step, pid, "depot", &[&known[..], &["listener"]].concat());
    }
    for (from, to) in [("CLOSE_WAIT", "LAST_ACK"), ("LAST_ACK", "CLOSED")] {
        is_owned(life.step(from, to), pid, "depot", &known);
    }
}

#[test]
fn a_process_that_only_keeps_the_cpus_busy_is_never_an_owner() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let hogs: Vec<_> = (0..processors).map(|_| Peer::start(PEER, "hog", &["spin"])).collect();
        let listener = sockets::listen(Path::V4);
        for _ in 0..100 {
            let (client, mut server) = sockets::connect(&listener, Path::V4);
            drop(client);
            sockets::wait_for_end(&mut server);
        }
        drop(hogs);
        let trace = tracer.finish();
        assert!(trace.transitions().count() >= 1000, "too little traced");
        for record in &trace.records {
            assert_ne!(record.at("/process/name"), "hog", "{record}");
        }
    });
}
