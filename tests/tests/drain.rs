//! Processes that end: what becomes of their connections.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tracer_tests::{
    case::python,
    netns::isolated,
    peer::Peer,
    record::{Record, listing},
    sockets::eventually,
    tracer::Tracer,
};

/// A server that holds connections of several kinds: read to the end, with unread data, not
/// accepted; and its clients, which stay.
fn server() -> (Peer, Peer) {
    let (mut server, port) = python(
        "server",
        "
l = listen('127.0.0.1', 0, 9); say(l.getsockname()[1])
kept = [l.accept()[0] for _ in range(4)]
for c in kept[:3]: c.recv(10)
say('accepted')
if sys.stdin.readline():
    kept[3].recv(10)
    for c in kept: c.close()
    say('closed'); hold()",
    );
    let (clients, _) = python(
        "clients",
        &format!(
            "
k = [socket.create_connection(('127.0.0.1', {port})) for _ in range(4)]
for s in k: s.sendall(b'x')
k.append(socket.create_connection(('127.0.0.1', {port}))); say('connected'); hold()"
        ),
    );
    assert_eq!(server.answer(), "accepted");
    (server, clients)
}

fn kill(peer: &Peer) {
    kill_process(Pid::from_raw(peer.pid() as i32).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn what_a_process_leaves_open_is_closed_by_its_end() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let (server, clients) = server();
        kill(&server);
        let at_exit = |record: &Record| *record.at("/tcp/at_exit") == true;
        let ends = |tracer: &Tracer| tracer.so_far().into_iter().filter(at_exit).count();
        eventually("the end of all that it held", || ends(&tracer) == 6);
        let trace = tracer.finish();
        let ended: Vec<&Record> = trace.records.iter().filter(|one| at_exit(one)).collect();
        let by = |from: &str, to: &str| ended.iter().filter(|one| one.is_step(from, to)).count();
        let all = listing(ended.iter().copied());
        assert_eq!(by("LISTEN", "CLOSED"), 1, "{all}");
        assert_eq!(by("ESTABLISHED", "FIN_WAIT1"), 3, "read to the end: {all}");
        assert_eq!(by("ESTABLISHED", "CLOSED"), 2, "unread, or not accepted: {all}");
        assert!(ended.iter().all(|one| one.number("/process/pid") == Some(server.pid())), "{all}");
        drop(clients);
    });
}

#[test]
fn a_process_that_closes_has_not_ended() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let (mut server, clients) = server();
        server.go();
        assert_eq!(server.answer(), "closed");
        tracer.wait_for("the close", |one| one.is_step("ESTABLISHED", "FIN_WAIT1"));
        std::thread::sleep(Duration::from_millis(100));
        let trace = tracer.finish();
        assert!(trace.transitions().all(|one| !one.has("/tcp/at_exit")));
        drop(clients);
    });
}
