//! Processes that end: what becomes of their connections.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tracer_tests::{
    case::python,
    cgroup::Container,
    diagnosis::Diagnosis,
    netns::isolated,
    peer::Peer,
    record::{Record, listing},
    sockets::eventually,
    tracer::Tracer,
};

/// A server that holds connections of several kinds: read to the end, with unread data, and the fifth
/// not accepted where it accepts four; and its clients, which stay.
fn server(accepts: usize) -> (Peer, Peer) {
    let code = format!(
        "
l = listen('127.0.0.1', 0, 9); say(l.getsockname()[1])
kept = [l.accept()[0] for _ in range({accepts})]
for c in kept[:3]: c.recv(10)
say('accepted')
if sys.stdin.readline():
    kept[3].recv(10)
    for c in kept: c.close()
    say('closed'); hold()"
    );
    let (mut server, port) = python("server", &code);
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
        let (server, clients) = server(4);
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

fn has_ended(record: &Record) -> bool {
    record.at("/finding/code") == "process_ended"
}

/// Who ended, and how its connections did.
fn ends(record: &Record) -> (u64, [u64; 4]) {
    let of = |name: &str| record.number(&format!("/finding/evidence/{name}")).unwrap();
    let ends = ["left_open", "closed_normally", "unread", "never_accepted"].map(of);
    (record.number("/finding/evidence/process/pid").unwrap(), ends)
}

#[test]
fn data_that_is_lost_with_a_process_is_told_once() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let mut ended = 0;
        let diagnosis = Diagnosis::during(namespace, || {
            let (server, clients) = server(4);
            kill(&server);
            ended = server.pid();
            // They close when there is nothing more to read.
            drop(clients);
        });
        let finding = diagnosis.only("process_ended");
        assert_eq!(finding.at("/finding/severity"), "warning", "{finding}");
        assert_eq!(ends(finding), (ended, [5, 3, 1, 1]), "{finding}");
        assert_eq!(diagnosis.status, 1);
        let told = tracer.wait_for("the end", has_ended);
        assert_eq!(ends(&told), (ended, [5, 3, 1, 1]), "{told}");
        let text = told.text("/finding/text").unwrap();
        let words = "3 closed normally, 1 reset with unread data, 1 never accepted";
        assert_eq!(text, format!("server[{ended}] has ended: {words}"));
        let trace = tracer.finish();
        let told = trace.records.iter().filter(|one| has_ended(one)).count();
        assert_eq!(told, 1, "{}", listing(&trace.records));
    });
}

/// Two connections that were answered, one of which has got another request, which follows the answer
/// at once: no clock of the kernel's tells which of the two came last.
#[test]
fn a_request_that_was_read_is_lost_with_the_process() {
    isolated(|namespace| {
        let mut ended = 0;
        let diagnosis = Diagnosis::during(namespace, || {
            let (mut server, port) = python(
                "server",
                "
l = listen('127.0.0.1', 0, 9); say(l.getsockname()[1])
kept = [l.accept()[0] for _ in range(2)]
for c in kept: c.recv(10); c.sendall(b'y')
kept[0].recv(10); say('read'); hold()",
            );
            let code = format!(
                "
k = [socket.create_connection(('127.0.0.1', {port})) for _ in range(2)]
for s in k: s.sendall(b'x'); s.recv(10)
k[0].sendall(b'x'); say('connected'); hold()"
            );
            let (clients, _) = python("clients", &code);
            assert_eq!(server.answer(), "read");
            ended = server.pid();
            // It has ended before its clients close.
            drop(server);
            drop(clients);
        });
        let finding = diagnosis.only("process_ended");
        assert_eq!(finding.at("/finding/severity"), "warning", "{finding}");
        let text = finding.text("/finding/text").unwrap();
        let words = "1 closed with a request unanswered, 1 closed normally";
        assert_eq!(text, format!("server[{ended}] has ended: {words}"));
    });
}

/// Who is asked about is told of, whatever becomes of its connections; a client in whose way
/// nothing was is not.
#[test]
fn a_process_that_drains_is_told_of_where_it_is_asked_about() {
    isolated(|namespace| {
        let (mut server, clients) = server(5);
        let of_server = Tracer::start(namespace, &["--pid", &server.pid().to_string()]);
        let all = Tracer::start(namespace, &[]);
        server.go();
        assert_eq!(server.answer(), "closed");
        // Its listener is open.
        kill(&server);
        kill(&clients);
        let told = of_server.wait_for("the end", has_ended);
        assert_eq!(told.at("/finding/severity"), "info", "{told}");
        let (pid, [_, normally, ..]) = ends(&told);
        assert_eq!((pid, normally), (server.pid(), 5), "{told}");
        all.wait_for("the end", has_ended);
        let trace = all.finish();
        let text = listing(&trace.records);
        assert!(!text.contains("clients["), "a client has ended: {text}");
        assert_eq!(of_server.finish().records.last().map(Record::kind), Some("finding"));
    });
}

/// Two workers of one listener, in a control group as Docker makes one, that ends with them.
#[test]
fn what_a_container_leaves_open_is_told_once_and_last() {
    isolated(|namespace| {
        let container = Container::make(7);
        let (mut master, port) = python(
            "server",
            "
say('started'); sys.stdin.readline()
l = listen('127.0.0.1', 0, 9); say(l.getsockname()[1])
child = os.fork(); c = l.accept()[0]; c.recv(10); say(child or os.getpid()); hold()",
        );
        assert_eq!(port, "started");
        // A socket belongs to the group in which it is made.
        container.adopt(master.pid());
        let asked = ["--container", &container.id[..20]];
        let tracer = Tracer::start(namespace, &asked);
        master.go();
        let port = master.answer();
        let code = format!(
            "
k = [socket.create_connection(('127.0.0.1', {port})) for _ in range(2)]
for s in k: s.sendall(b'x')
say('connected'); hold()"
        );
        let (clients, _) = python("clients", &code);
        let workers: Vec<u64> = (0..2).map(|_| master.answer().parse().unwrap()).collect();
        let child = workers.into_iter().find(|pid| *pid != master.pid()).unwrap();
        kill(&master);
        kill_process(Pid::from_raw(child as i32).unwrap(), Signal::KILL).unwrap();
        drop(clients);
        let told = tracer.wait_for("the end", has_ended);
        assert_eq!(told.at("/finding/evidence/group/container"), &*container.id, "{told}");
        let text = told.text("/finding/text").unwrap();
        let words = format!("container {} (server[", &container.id[..12]);
        assert!(text.starts_with(&words), "{text}");
        assert!(text.ends_with("and 1 more) has ended: 2 closed normally"), "{text}");
        let trace = tracer.finish();
        let findings = trace.records.iter().filter(|one| has_ended(one)).count();
        assert_eq!(findings, 1, "{}", listing(&trace.records));
        assert_eq!(trace.records.last().map(Record::kind), Some("finding"));
    });
}

#[test]
fn a_process_that_closes_has_not_ended() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let (mut server, clients) = server(4);
        server.go();
        assert_eq!(server.answer(), "closed");
        tracer.wait_for("the close", |one| one.is_step("ESTABLISHED", "FIN_WAIT1"));
        std::thread::sleep(Duration::from_millis(100));
        let trace = tracer.finish();
        assert!(trace.transitions().all(|one| !one.has("/tcp/at_exit")));
        drop(clients);
    });
}
