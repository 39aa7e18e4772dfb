//! Servers that do not read what their clients have sent: found with who should, and nothing where
//! somebody is about to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
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
