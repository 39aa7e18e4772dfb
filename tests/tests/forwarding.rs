//! Which end of a proxy does not close, who does not answer a server that needs an answer for its own,
//! and that a half-close at work is nobody's fault.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    net::TcpStream,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::json;
use tracer_tests::{
    case::python,
    diagnosis::Diagnosis,
    fault::descriptors,
    leashed::Leashed,
    netns::{Namespace, isolated},
    nginx::Nginx,
    peer::Peer,
    record::{Record, listing},
    remedy::succeeds,
    sockets::eventually,
    tracer::Tracer,
};

/// A forwarder that passes a FIN on, as proxies do, or waits for both sides.
fn forward(passes_on: bool) -> String {
    let shut = if passes_on { "b.shutdown(1)" } else { "pass" };
    format!(
        "
l = listen('127.0.0.1', 9000); say('listening'); kept = []
def pump(a, b):
    while True:
        data = a.recv(65536)
        if not data: break
        b.sendall(data)
    {shut}
while True:
    a, _ = l.accept(); b = socket.create_connection(('127.0.0.1', 9001)); kept += [a, b]
    for pair in (a, b), (b, a): threading.Thread(target=pump, args=pair, daemon=True).start()"
    )
}

const BACKEND: &str = "
l = listen('127.0.0.1', 9001); say('listening'); kept = []
while True: c, _ = l.accept(); c.recv(100); c.sendall(b'answer'); kept.append(c)";
const CLIENT: &str = "
for i in range(5):
    k = socket.create_connection(('127.0.0.1', 9000)); k.sendall(b'question %d' % i); k.recv(100); k.close()
say('closed'); hold()";

fn forwarded(namespace: &Namespace, passes_on: bool, cause: &str) {
    let tracer = Tracer::start(namespace, &["--linger", "close-wait=1s"]);
    let (backend, _) = python("backend", BACKEND);
    let (proxy, _) = python("proxy", &forward(passes_on));
    let (_client, line) = python("client", CLIENT);
    assert_eq!(line, "closed");
    thread::sleep(Duration::from_millis(1_500));
    let diagnosis = Diagnosis::of(namespace, &[]);
    let leaks = diagnosis.all("close_wait_leak");
    let its =
        leaks.iter().find(|leak| leak.at("/finding/evidence/processes")[0]["pid"] == proxy.pid());
    let its = its.unwrap_or_else(|| panic!("{}", listing(&diagnosis.findings)));
    let evidence = its.at("/finding/evidence");
    assert_eq!((&evidence["cause"], &evidence["sockets"]), (&json!(cause), &json!(5)), "{its}");
    let side = &evidence["other_side"];
    assert_eq!(side["peers"][0]["peer"], json!({ "address": "127.0.0.1", "port": 9001 }), "{its}");
    assert_eq!(side["processes"][0]["pid"], backend.pid(), "{its}");
    let words = its.at("/finding/remedies").to_string();
    assert!(
        words.contains("half-close time-out") && !words.contains("must close() when"),
        "{words}"
    );
    let text = its.text("/finding/text").unwrap();
    assert!(text.contains(&format!("127.0.0.1:9001 (backend[{}])", backend.pid())), "{text}");
    let flag = tracer
        .wait_for("a flag", |one| one.kind() == "linger" && one.at("/process/pid") == proxy.pid());
    assert_eq!(flag.at("/cause/code"), cause, "{flag}");
    succeeds(its, "ss -K");
}

#[test]
fn of_a_proxy_that_passes_the_end_on_the_end_that_does_not_close_is_named() {
    isolated(|namespace| forwarded(namespace, true, "half_close_passed_on"));
}

#[test]
fn a_proxy_that_waits_for_both_sides_has_an_other_side_that_is_open() {
    isolated(|namespace| forwarded(namespace, false, "half_close_not_passed_on"));
}

/// A proxy whose client has closed its half and still gets data.
#[test]
fn a_half_close_at_work_is_well() {
    isolated(|namespace| {
        let (_backend, _) = python(
            "backend",
            "
l = listen('127.0.0.1', 9001); say('listening'); c, _ = l.accept()
while c.recv(100): pass
while True: c.sendall(b'more'); time.sleep(.1)",
        );
        let (_proxy, _) = python("proxy", &forward(true));
        let (_client, _) = python(
            "client",
            "
k = socket.create_connection(('127.0.0.1', 9000)); k.sendall(b'question'); k.shutdown(1); say('half-closed')
while k.recv(100): pass",
        );
        let diagnosis = Diagnosis::of(namespace, &["--for", "4s"]);
        assert!(diagnosis.findings.is_empty(), "{}", listing(&diagnosis.findings));
        assert_eq!(diagnosis.summary.number("/sending"), Some(2), "{}", diagnosis.summary);
    });
}

/// Answers nothing but the greetings, and those at once.
const SLOW: &str = "
l = listen('127.0.0.1', 9001); say('listening'); kept = []
def serve(c):
    while True:
        data = c.recv(4096)
        if not data: return
        if data.startswith(b'hello'): c.sendall(b'welcome')
while True:
    c, _ = l.accept(); kept.append(c); threading.Thread(target=serve, args=(c,), daemon=True).start()";
/// Asks the slow one before it answers, and logs each request to somebody who never answers.
const SERVER: &str = "
l = listen('127.0.0.1', 9000); say('listening'); log = socket.create_connection(('127.0.0.1', 9002))
def serve(c):
    request = c.recv(1000); log.sendall(request); b = socket.create_connection(('127.0.0.1', 9001))
    b.sendall(b'hello'); b.recv(100); time.sleep(.02); b.sendall(b'select ' + request); b.recv(100); c.close()
while True: c, _ = l.accept(); threading.Thread(target=serve, args=(c,), daemon=True).start()";
/// Logs each request, and forgets its client.
const FORGETFUL: &str = "
l = listen('127.0.0.1', 9000); say('listening'); log = socket.create_connection(('127.0.0.1', 9002)); kept = []
while True: c, _ = l.accept(); log.sendall(c.recv(1000)); kept.append(c)";
const LOG: &str = "
l = listen('127.0.0.1', 9002); say('listening'); c, _ = l.accept()
while c.recv(4096): pass";
/// Gives up, five times.
const IMPATIENT: &str = "
for i in range(5):
    k = socket.create_connection(('127.0.0.1', 9000)); k.sendall(b'GET /%d HTTP/1.0\\r\\n\\r\\n' % i)
    time.sleep(.2); k.close()
say('closed'); hold()";

/// The only leak that is told when the clients of the server on port 9000 have given up.
fn given_up(namespace: &Namespace, server: u64) -> Record {
    let (_client, line) = python("client", IMPATIENT);
    assert_eq!(line, "closed");
    thread::sleep(Duration::from_millis(1_500));
    let diagnosis = Diagnosis::of(namespace, &[]);
    let leak = diagnosis.only("close_wait_leak");
    let evidence = leak.at("/finding/evidence");
    assert_eq!((&evidence["sockets"], &evidence["growth_per_minute"]), (&json!(5), &json!(0.0)));
    assert_eq!(evidence["processes"][0]["pid"], server, "{leak}");
    leak.clone()
}

fn waits_for(leak: &Record, slow: &Peer) {
    let evidence = leak.at("/finding/evidence");
    assert_eq!(evidence["cause"], "awaits_answer", "{leak}");
    let side = &evidence["other_side"];
    assert_eq!(side["processes"][0]["pid"], slow.pid(), "{leak}");
    let unanswered = side["unanswered_ns"].as_u64().unwrap();
    assert!((2_000_000_000..30_000_000_000).contains(&unanswered), "{leak}");
    let text = leak.text("/finding/text").unwrap();
    let words = format!("waits for 127.0.0.1:9001 (slow[{}]) to answer", slow.pid());
    assert!(text.contains(&words) && !text.contains("leak"), "{text}");
    assert!(!leak.at("/finding/remedies").to_string().contains("ss -K"), "{leak}");
    assert!(succeeds(leak, "/stack").contains("/proc/"), "{leak}");
}

#[test]
fn a_server_that_waits_for_an_answer_is_not_said_to_leak() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &["--linger", "close-wait=1s"]);
        let (slow, _) = python("slow", SLOW);
        let (_log, _) = python("log", LOG);
        let (server, _) = python("server", SERVER);
        waits_for(&given_up(namespace, server.pid()), &slow);
        let of_server =
            |one: &Record| one.kind() == "linger" && one.at("/process/pid") == server.pid();
        let flag = tracer.wait_for("a flag", of_server);
        assert_eq!(flag.at("/cause/code"), "awaits_answer", "{flag}");
    });
}

#[test]
fn nginx_that_is_told_to_ignore_its_clients_waits_for_its_server() {
    isolated(|namespace| {
        let directory = tempfile::tempdir().unwrap();
        let (slow, _) = python("slow", SLOW);
        let more = "proxy_ignore_client_abort on; proxy_read_timeout 12s;";
        let location = format!("{more} proxy_pass http://127.0.0.1:9001;");
        let nginx = Nginx::alone(directory.path(), 9_000, &location);
        waits_for(&given_up(namespace, nginx.master()), &slow);
        eventually("proxy_read_timeout ends the wait", || descriptors("nginx").is_empty());
    });
}

#[test]
fn haproxy_waits_for_its_server_until_timeout_server() {
    isolated(|namespace| {
        let directory = tempfile::tempdir().unwrap();
        let (slow, _) = python("slow", SLOW);
        let configuration = directory.path().join("haproxy.cfg");
        let text = "defaults\n mode http\n timeout connect 5s\n timeout client 1h\n timeout server 12s\n\
                    listen all\n bind 127.0.0.1:9000\n server one 127.0.0.1:9001\n";
        fs::write(&configuration, text).unwrap();
        let mut command = Command::new("haproxy");
        command.args(["-db", "-q", "-f"]).arg(&configuration).stdin(Stdio::null());
        let haproxy = Leashed::start(command.stderr(Stdio::null()));
        eventually("haproxy listens", || TcpStream::connect("127.0.0.1:9000").is_ok());
        waits_for(&given_up(namespace, u64::from(haproxy.id())), &slow);
        eventually("timeout server ends the wait", || descriptors("haproxy").is_empty());
    });
}

/// Whoever logs each request has asked nobody.
#[test]
fn a_server_that_forgets_its_clients_leaks() {
    isolated(|namespace| {
        let (_log, _) = python("log", LOG);
        let (server, _) = python("server", FORGETFUL);
        let leak = given_up(namespace, server.pid());
        assert_eq!(leak.at("/finding/evidence/cause"), "held", "{leak}");
    });
}
