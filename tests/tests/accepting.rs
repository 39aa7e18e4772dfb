//! Connections that wait for accept(), that another process holds, or that are with themselves:
//! found with the process whose they are, and nothing where nothing is wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tracer_tests::{
    case::{is_traced_soon, python},
    diagnosis::Diagnosis,
    kernel,
    netns::{isolated, run},
    record::{Record, listing},
    remedy::succeeds,
    slowness::allowed,
    sockets::{self, Path, eventually},
    tracer::{Tracer, WITH_TRACEFS},
};

fn clients(port: u16, count: usize) -> Vec<TcpStream> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    (0..count).map(|_| TcpStream::connect(address).unwrap()).collect()
}

const DEAF: &str = "
l = listen('127.0.0.1', 9400); say('listening'); time.sleep(600)";

#[test]
fn who_does_not_accept_is_found_long_before_the_queue_is_full() {
    isolated(|namespace| {
        let (deaf, _) = python("deaf", DEAF);
        let _clients = clients(9400, 5);
        let diagnosis = Diagnosis::of(namespace, &["--for", "3s"]);
        let finding = diagnosis.only("accept_wait");
        kernel::names_functions(deaf.pid());
        let evidence = finding.at("/finding/evidence");
        assert_eq!(evidence["listener"]["processes"][0]["pid"], deaf.pid(), "{finding}");
        assert_eq!((&evidence["waiting"], &evidence["moves"]), (&5.into(), &false.into()));
        let function = evidence["listener"]["doing"]["waits"][0]["function"].as_str().unwrap();
        assert!(function.contains("nanosleep"), "{finding}");
        assert!(finding.text("/finding/text").unwrap().contains("which sleeps"), "{finding}");
        assert!(succeeds(finding, "/stack").contains("nanosleep"), "{finding}");
        assert_eq!(diagnosis.findings.len(), 1, "{}", listing(&diagnosis.findings));
        let pid = Pid::from_raw(deaf.pid() as i32).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        let stopped = Diagnosis::of(namespace, &["--for", "3s"]);
        let finding = stopped.only("accept_wait");
        assert!(finding.text("/finding/text").unwrap().contains("is stopped"), "{finding}");
        succeeds(finding, "kill -CONT");
    });
}

/// To an address whose SYNs are dropped: the connect() of the only thread takes two minutes.
#[test]
fn a_server_that_waits_for_its_own_connect_is_told_with_where_to() {
    isolated(|namespace| {
        let hook = "{ type filter hook input priority 0; }";
        run("nft", &["add", "table", "inet", "tests"]);
        run("nft", &["add", "chain", "inet", "tests", "input", hook]);
        run("nft", &["add", "rule", "inet", "tests", "input", "tcp", "dport", "5432", "drop"]);
        let (server, _) = python(
            "api",
            "
l = listen('127.0.0.1', 9400); say('listening')
while True: c, _ = l.accept(); c.recv(100); d = socket.create_connection(('127.0.0.1', 5432))",
        );
        kernel::names_functions(server.pid());
        let mut clients = clients(9400, 4);
        clients.iter_mut().for_each(|client| client.write_all(b"a question").unwrap());
        thread::sleep(Duration::from_secs(1));
        let diagnosis = Diagnosis::of(namespace, &["--for", "5s"]);
        let finding = diagnosis.only("accept_wait");
        let text = finding.text("/finding/text").unwrap();
        assert!(text.contains("waits for its connect() to 127.0.0.1:5432"), "{finding}");
    });
}

/// At both looks its queue is empty, and another one's is not.
#[test]
fn a_queue_that_was_full_is_told_by_what_its_listener_has_dropped() {
    isolated(|namespace| {
        namespace.set("net/ipv4/tcp_syncookies", "0");
        let [guilty, other] = [(); 2].map(|()| sockets::listen(Path::V4));
        rustix::net::listen(&guilty, 1).unwrap();
        let [address, elsewhere] = [&guilty, &other].map(|one| one.local_addr().unwrap());
        let _waiting = TcpStream::connect(elsewhere).unwrap();
        let diagnosis = Diagnosis::during(namespace, || {
            let _taken = [(); 2].map(|()| TcpStream::connect(address).unwrap());
            TcpStream::connect_timeout(&address, Duration::from_millis(300)).unwrap_err();
            drop([(); 2].map(|()| sockets::accept(&guilty)));
        });
        let queue = diagnosis.evidence("accept_queue_full");
        assert_eq!(queue["listener"]["local"]["port"], address.port(), "{queue}");
        assert_eq!(queue["listener"]["queue"], 0, "{queue}");
        assert_eq!(queue["dropped"], 1, "{queue}");
    });
}

/// A server that has ended; its child has the listener, and knows nothing of it.
#[test]
fn an_inherited_listener_is_told_with_who_listened() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &["--linger", "established=1s"]);
        let (server, line) = python(
            "server",
            "
l = listen('127.0.0.1', 9400); pid = os.fork()
if pid == 0: time.sleep(600)
say(pid); sys.stdin.readline()",
        );
        let child: u64 = line.parse().unwrap();
        let listened = server.pid();
        server.close();
        let _clients = clients(9400, 4);
        let found = tracer.wait_for("the child", |one| one.at("/finding/code") == "accept_wait");
        let evidence = found.at("/finding/evidence");
        assert_eq!(evidence["listener"]["processes"][0]["pid"], child, "{found}");
        assert_eq!(evidence["listened"]["pid"], listened, "{found}");
        let pid = Pid::from_raw(child as i32).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
    });
}

/// Two workers of a port by SO_REUSEPORT, of which one accepts.
#[test]
fn workers_are_told_with_how_many_each_has_accepted() {
    isolated(|namespace| {
        let tracer = Tracer::launch(WITH_TRACEFS, &[namespace.netns]);
        let (deaf, _) = python(
            "deaf",
            "
l = listen('127.0.0.1', 9700, options=[(1, 15, 1)]); say('listening'); hold()",
        );
        let (busy, _) = python(
            "busy",
            "
l = listen('127.0.0.1', 9700, options=[(1, 15, 1)]); say('listening'); kept = []
while True: kept.append(l.accept())",
        );
        let _clients = clients(9700, 80);
        let found = tracer.wait_for("the share", |one| {
            one.at("/finding/code") == "accept_wait" && one.at("/finding/evidence/uneven") == true
        });
        let workers = found.at("/finding/evidence/workers");
        assert_eq!(
            (&workers[0]["pid"], &workers[1]["pid"]),
            (&busy.pid().into(), &deaf.pid().into())
        );
        let [most, least] = [0, 1].map(|at| workers[at]["accepted"].as_u64().unwrap());
        let waiting = found.number("/finding/evidence/waiting").unwrap();
        assert_eq!((most + waiting, least), (80, 0), "{found}");
        tracer.finish();
    });
}

/// A server that accepts after a while measures how long clients waited.
#[test]
fn the_time_until_accept_is_measured() {
    isolated(|namespace| {
        let tracer = Tracer::launch(WITH_TRACEFS, &[namespace.netns]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        thread::sleep(Duration::from_millis(300));
        let server = sockets::accept(&listener);
        drop(client);
        drop(server);
        let port = listener.local_addr().unwrap().port();
        let is_server = move |one: &Record| {
            one.kind() == "connection" && one.number("/network/local/port") == Some(port.into())
        };
        let ended = tracer.wait_for("the server's end", is_server);
        let wait = ended.number("/tcp/accept_wait_ns").unwrap();
        let longest = allowed(Duration::from_secs(2));
        assert!((300_000_000..longest.as_nanos()).contains(&wait.into()), "{ended}");
        let trace = tracer.finish();
        let client = trace.records.iter().find(|one| {
            one.kind() == "connection" && one.number("/network/peer/port") == Some(port.into())
        });
        assert!(client.unwrap().at("/tcp/accept_wait_ns").is_null());
    });
}

#[test]
fn a_child_that_holds_what_its_parent_has_closed_is_found() {
    isolated(|namespace| {
        let (_server, line) = python(
            "server",
            "
l = listen('127.0.0.1', 9300); say('listening')
c, _ = l.accept(); c.recv(100); pid = os.fork()
if pid == 0: l.close(); hold(); os._exit(0)
c.sendall(b'answer'); c.close(); hold()",
        );
        assert_eq!(line, "listening");
        let (client, _) = python(
            "client",
            "
s = socket.create_connection(('127.0.0.1', 9300)); s.sendall(b'?'); s.recv(10); say('answered'); s.recv(10)",
        );
        kernel::names_functions(client.pid());
        let diagnosis = Diagnosis::of(namespace, &["--for", "5s"]);
        let finding = diagnosis.only("closed_but_held");
        let evidence = finding.at("/finding/evidence");
        let child = evidence["processes"][0]["pid"].as_u64().unwrap();
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap();
        let parent = evidence["closed_by"]["pid"].as_u64().unwrap();
        assert!(status.contains(&format!("PPid:\t{parent}\n")), "{finding}");
        // It may serve it, for all that is known.
        assert_eq!(finding.at("/finding/severity"), "info", "{finding}");
        assert!(succeeds(finding, "ls -l").contains("socket:["), "{finding}");
        assert_eq!(diagnosis.findings.len(), 1, "{}", listing(&diagnosis.findings));
    });
}

/// A child for each connection, which answers, closes and ends; the parent never closes its copies.
const FORKS: &str = "
import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); kept = []
l = listen('127.0.0.1', 9700); say('listening')
while True:
    c, _ = l.accept(); kept.append(c)
    if os.fork() == 0: c.recv(100); c.sendall(b'answer'); os._exit(0)";

#[test]
fn a_parent_that_keeps_what_its_children_have_answered_is_found() {
    isolated(|namespace| {
        let (server, _) = python("forks", FORKS);
        kernel::names_functions(server.pid());
        let (_clients, _) = python(
            "clients",
            "
def ask():
    s = socket.create_connection(('127.0.0.1', 9700)); s.sendall(b'?')
    while s.recv(10): pass
def always():
    for _ in range(60): threading.Thread(target=ask, daemon=True).start(); time.sleep(.4)
threading.Thread(target=always, daemon=True).start(); time.sleep(2); say('waiting'); hold()",
        );
        let diagnosis = Diagnosis::of(namespace, &["--for", "6s"]);
        let left = diagnosis.only("left_open");
        let evidence = left.at("/finding/evidence");
        assert_eq!(evidence["processes"][0]["pid"], server.pid(), "{left}");
        assert!(
            evidence["sockets"].as_u64() > Some(5) && evidence["newly_answered"].as_u64() > Some(2)
        );
        assert_eq!(left.at("/finding/severity"), "warning", "{left}");
        assert!(succeeds(left, "/stack").contains("accept"), "{left}");
        assert_eq!(diagnosis.findings.len(), 1, "{}", listing(&diagnosis.findings));
    });
}

/// Servers whose children serve what they have accepted: by a loop of their own, by poll(), as
/// inetd does, and while they work.
#[test]
fn children_that_serve_are_not_told() {
    const SERVE: [&str; 5] = [
        "c.recv(100); c.sendall(b'a'); c.recv(100)",
        "c.recv(100); c.sendall(b'a'); p = select.poll(); p.register(c); p.unregister(c); p.register(c, 1); p.poll()",
        "c.recv(100); c.sendall(b'a'); e = select.epoll(); e.register(c, 1); e.poll()",
        "os.dup2(c.fileno(), 0); os.dup2(0, 1); c.close(); os.read(0, 9); os.write(1, b'a'); time.sleep(20)",
        "c.recv(100); time.sleep(20)",
    ];
    isolated(|namespace| {
        let mut all = Vec::new();
        for (serve, port) in SERVE.iter().zip(9500..) {
            let code = format!(
                "
import select
l = listen('127.0.0.1', {port}); say('listening')
c, _ = l.accept(); pid = os.fork()
if pid == 0:
    l.close()
    {serve}
    os._exit(0)
c.close(); hold(); os.kill(pid, 9)"
            );
            all.push(python("forking", &code).0);
            let client = format!(
                "
s = socket.create_connection(('127.0.0.1', {port})); s.sendall(b'?'); say('asked'); s.recv(9); s.recv(9)"
            );
            all.push(python("asking", &client).0);
        }
        let diagnosis = Diagnosis::of(namespace, &["--for", "5s"]);
        assert!(diagnosis.findings.is_empty(), "{}", listing(&diagnosis.findings));
    });
}

#[test]
fn a_socket_that_is_connected_to_itself_is_found_and_its_port_reserved() {
    isolated(|namespace| {
        namespace.set("net/ipv4/ip_local_port_range", "39990 40010");
        namespace.set("net/ipv4/ip_local_reserved_ports", "8080");
        let (client, _) = python(
            "client",
            "
while True:
    s = socket.socket()
    try: s.connect(('127.0.0.1', 40000)); break
    except OSError: s.close()
say('connected'); hold()",
        );
        is_traced_soon(namespace, "self_connect");
        let diagnosis = Diagnosis::of(namespace, &[]);
        let finding = diagnosis.only("self_connect");
        assert_eq!((diagnosis.status, diagnosis.findings.len()), (1, 1), "{finding}");
        assert_eq!(finding.at("/finding/evidence/processes/0/pid"), client.pid(), "{finding}");
        let text = finding.text("/finding/text").unwrap();
        assert!(text.contains("itself") && text.contains("40000"), "{text}");
        assert!(TcpListener::bind("127.0.0.1:40000").is_err(), "the server cannot start");
        succeeds(finding, "ip_local_reserved_ports");
        let reserved = fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap();
        assert_eq!(reserved.trim(), "8080,40000");
        succeeds(finding, "ss -K");
        eventually("the server can start", || TcpListener::bind("127.0.0.1:40000").is_ok());
    });
}

#[test]
fn clients_that_say_nothing_are_found_with_their_listener() {
    isolated(|namespace| {
        let (server, _) = python(
            "patient",
            "
l = listen('127.0.0.1', 8900, options=[(6, 9, 60)]); say('listening'); l.accept()",
        );
        let tracer = Tracer::start(namespace, &["--linger", "syn-recv=2s"]);
        let _clients = clients(8900, 6);
        let diagnosis = Diagnosis::of(namespace, &["--for", "3s"]);
        let finding = diagnosis.only("deferred_accept");
        assert_eq!(finding.at("/finding/evidence/half_open"), 6, "{finding}");
        let words = format!("listener 127.0.0.1:8900, patient[{}]?", server.pid());
        let text = finding.text("/finding/text").unwrap();
        assert!(text.contains("TCP_DEFER_ACCEPT") && text.contains("half-open"), "{text}");
        assert!(text.ends_with(&words), "{text}");
        assert_eq!(succeeds(finding, "syn-recv").matches("127.0.0.1:8900").count(), 6);
        let flag = tracer.wait_for("a flag", |record| record.kind() == "linger");
        assert_eq!(flag.at("/cause/code"), "no_data", "{flag}");
    });
}

/// A busy server with one thread, whose clients wait for a moment each.
#[test]
fn a_queue_that_moves_is_not_told() {
    isolated(|namespace| {
        let (_server, _) = python(
            "server",
            "
l = listen('127.0.0.1', 9600); say('listening')
while True: c, _ = l.accept(); time.sleep(.05); c.sendall(b'a'); c.close()",
        );
        let (_clients, _) = python(
            "clients",
            "
def ask():
    while True: s = socket.create_connection(('127.0.0.1', 9600)); s.recv(9); s.recv(9); s.close()
for _ in range(8): threading.Thread(target=ask, daemon=True).start()
say('asking'); hold()",
        );
        let diagnosis = Diagnosis::of(namespace, &["--for", "4s"]);
        assert!(diagnosis.all("accept_wait").is_empty(), "{}", listing(&diagnosis.findings));
    });
}
