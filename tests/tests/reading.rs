//! Servers that do not read what their clients have sent: found with who should, and nothing where
//! somebody is about to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tracer_tests::{case::python, diagnosis::Diagnosis, kernel, netns::isolated, remedy::succeeds};

/// Three clients that ask, and wait for what they have asked.
fn clients() -> Vec<TcpStream> {
    let ask = |()| {
        let mut client = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], 9_000))).unwrap();
        client.write_all(b"a question").unwrap();
        client
    };
    [(); 3].into_iter().map(ask).collect()
}

/// Its first answer is its last: the descriptor is not registered again.
const ONE_SHOT: &str = "
import select
l = listen('127.0.0.1', 9000); say('listening'); e = select.epoll(); kept = {}; e.register(l, select.EPOLLIN)
while True:
    for fd, _ in e.poll():
        if fd == l.fileno():
            c, _ = l.accept(); kept[c.fileno()] = c
            e.register(c, select.EPOLLIN | select.EPOLLONESHOT)
        else: kept[fd].recv(100); kept[fd].sendall(b'an answer')";

#[test]
fn what_an_event_loop_has_lost_is_told() {
    isolated(|namespace| {
        let (server, _) = python("one-shot", ONE_SHOT);
        kernel::names_functions(server.pid());
        let mut clients = clients();
        for client in &mut clients {
            client.read_exact(&mut [0; 9]).unwrap();
            client.write_all(b"another question").unwrap();
        }
        let diagnosis = Diagnosis::of(namespace, &["--for", "6s"]);
        let unread = diagnosis.only("not_reading");
        assert_eq!(unread.at("/finding/severity"), "warning", "{unread}");
        let evidence = unread.at("/finding/evidence");
        assert_eq!(evidence["processes"][0]["pid"], server.pid(), "{unread}");
        assert_eq!((&evidence["sockets"], &evidence["unread_bytes"]), (&3.into(), &48.into()));
        assert!(succeeds(unread, "/stack").contains("poll"), "{unread}");
    });
}

/// A thread for each connection, which waits for something else before it reads.
const LOCKED: &str = "
lock = threading.Lock(); lock.acquire(); kept = []
def serve(c): lock.acquire(); c.recv(100)
l = listen('127.0.0.1', 9000); say('listening')
while True: threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()";

#[test]
fn threads_that_wait_before_they_read_are_told() {
    isolated(|namespace| {
        let (server, _) = python("locked", LOCKED);
        kernel::names_functions(server.pid());
        let _clients = clients();
        let diagnosis = Diagnosis::of(namespace, &["--for", "6s"]);
        let unread = diagnosis.only("not_reading");
        let evidence = unread.at("/finding/evidence");
        assert_eq!(evidence["processes"][0]["pid"], server.pid(), "{unread}");
        assert_eq!(evidence["sockets"], 3, "{unread}");
        assert!(succeeds(unread, "/stack").contains("futex"), "{unread}");
    });
}

/// Reads what it is asked, and takes its time.
const SLOW: &str = "
def serve(c):
    while c.recv(100): time.sleep(600)
l = listen('127.0.0.1', 9000); say('listening')
while True: threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()";

#[test]
fn a_stopped_server_is_told_and_one_that_has_read_is_not() {
    isolated(|namespace| {
        let (server, _) = python("slow", SLOW);
        let mut clients = clients();
        let quiet = Diagnosis::of(namespace, &["--for", "6s"]);
        assert!(quiet.all("not_reading").is_empty(), "{:?}", quiet.findings);
        kill_process(Pid::from_raw(server.pid() as i32).unwrap(), Signal::STOP).unwrap();
        for client in &mut clients {
            client.write_all(b"are you there?").unwrap();
        }
        let diagnosis = Diagnosis::of(namespace, &["--for", "6s"]);
        let unread = diagnosis.only("not_reading");
        assert_eq!(unread.at("/finding/evidence/halted"), "stopped", "{unread}");
        succeeds(unread, "kill -CONT");
    });
}

/// One thread serves all, and another one waits for a lock. A question that begins with `c` it
/// computes for ever, for one with `w` it waits in an event loop of its own, as execSync() of node.
const BLOCKED: &str = "
import select
idle = threading.Lock(); idle.acquire(); threading.Thread(target=idle.acquire, daemon=True).start()
l = listen('127.0.0.1', 9000); say('listening'); e = select.epoll(); kept = {}; e.register(l, select.EPOLLIN)
while True:
    for fd, _ in e.poll():
        if fd == l.fileno(): c, _ = l.accept(); kept[c.fileno()] = c; e.register(c, select.EPOLLIN); continue
        asked = kept[fd].recv(100)
        while asked[:1] == b'c': pass
        if asked[:1] == b'w': r, w = os.pipe(); own = select.epoll(); own.register(r, select.EPOLLIN); own.poll()
        kept[fd].sendall(b'an answer')";

/// Clients that it has answered ask again, while it is at work on what the last one has asked.
fn blocked_by(question: &[u8], check: impl Fn(u64, &Diagnosis) + Send + Sync) {
    isolated(|namespace| {
        let (server, _) = python("blocked", BLOCKED);
        kernel::names_functions(server.pid());
        let mut clients = clients();
        for client in &mut clients {
            client.read_exact(&mut [0; 9]).unwrap();
        }
        clients[0].write_all(question).unwrap();
        thread::sleep(Duration::from_millis(200));
        for client in &mut clients[1..] {
            client.write_all(b"another question").unwrap();
        }
        thread::sleep(Duration::from_secs(1));
        check(server.pid(), &Diagnosis::of(namespace, &["--for", "6s"]));
    });
}

#[test]
fn an_event_loop_that_computes_beside_an_idle_thread_is_told() {
    blocked_by(b"compute", |pid, diagnosis| {
        let unread = diagnosis.only("not_reading");
        let evidence = unread.at("/finding/evidence");
        assert_eq!(evidence["processes"][0]["pid"], pid, "{unread}");
        assert_eq!(evidence["sockets"], 2, "{unread}");
        let doing = &evidence["doing"];
        let percent = |name: &str| doing[name].as_u64().unwrap();
        assert!(percent("cpu_percent") + percent("ready_percent") >= 90, "{unread}");
    });
}

#[test]
fn an_event_loop_that_waits_in_another_one_is_told() {
    blocked_by(b"wait", |pid, diagnosis| {
        let unread = diagnosis.only("not_reading");
        let evidence = unread.at("/finding/evidence");
        assert_eq!(evidence["processes"][0]["pid"], pid, "{unread}");
        assert_eq!(evidence["sockets"], 2, "{unread}");
    });
}

/// A client that reads later what its server says unasked is not told, unless it is stopped.
#[test]
fn a_client_that_is_stopped_is_told() {
    isolated(|namespace| {
        let (client, _) = python(
            "consumer",
            "
l = listen('127.0.0.1', 9000)
s = socket.create_connection(('127.0.0.1', 9000)); c, _ = l.accept(); l.close()
if os.fork() == 0: s.close(); c.sendall(b'news'); hold(); os._exit(0)
c.close(); say('connected'); hold()",
        );
        let quiet = Diagnosis::of(namespace, &["--for", "5s"]);
        assert!(quiet.all("not_reading").is_empty(), "{:?}", quiet.findings);
        kill_process(Pid::from_raw(client.pid() as i32).unwrap(), Signal::STOP).unwrap();
        let diagnosis = Diagnosis::of(namespace, &["--for", "3s"]);
        let unread = diagnosis.only("not_reading");
        assert_eq!(unread.at("/finding/evidence/halted"), "stopped", "{unread}");
        assert_eq!(unread.at("/finding/evidence/processes/0/pid"), client.pid(), "{unread}");
        succeeds(unread, "kill -CONT");
    });
}
