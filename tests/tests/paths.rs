//! What two hosts have of each other when neither is at fault alone: an address on which nobody listens,
//! and a path that loses what is large.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tracer_tests::{
    case::Hosts, kernel::lacks, link::Link, record::Record, remedy::succeeds, slowness::allowed,
};

/// As a program in a container, or a database with its default.
#[test]
fn a_server_that_listens_on_another_address_is_named() {
    let hosts = Hosts::connected();
    let (server, _) =
        hosts.start(0, "server", "l = listen('127.0.0.1', 8080); say('listening'); hold()");
    let code = "
say('begins')
for _ in range(60):
    try: socket.create_connection((SERVER, 8080))
    except ConnectionRefusedError: time.sleep(.1)
hold()";
    let (_client, _) = hosts.start(1, "client", code);
    let diagnosis = hosts.diagnose(0, "2s");
    if diagnosis.hello.to_string().contains("resets without a socket") {
        lacks("resets without a socket");
    }
    let found = diagnosis.only("listens_elsewhere");
    let text = found.text("/finding/text").unwrap();
    let words = format!(": server[{}] listens on 127.0.0.1:8080 only", server.pid());
    assert!(
        text.contains("to connect to 10.0.0.1:8080 refused") && text.ends_with(&words),
        "{text}"
    );
    let evidence = found.at("/finding/evidence");
    assert!(evidence["attempts"].as_u64() >= Some(3), "{found}");
    assert_eq!(evidence["peers"][0]["peer"]["address"], "10.0.0.2", "{found}");
    assert!(succeeds(found, "ss -tlnp").contains("127.0.0.1:8080"), "{found}");
    assert!(hosts.diagnose(1, "2s").all("listens_elsewhere").is_empty(), "the client's side");
}

/// As a tunnel does whose ICMP messages are dropped.
#[test]
fn a_path_that_drops_full_sized_segments_is_asked_about() {
    let hosts = Hosts::connected();
    let link = hosts.link();
    link.lose(|_, segment| segment.data.len() > 1_200);
    let (_server, _) = hosts.start(
        0,
        "upload",
        "
l = listen('10.89.0.1', 8080); say('listening')
def serve(c):
    while data := c.recv(65536): c.sendall(b'x')
while True: c, _ = l.accept(); threading.Thread(target=serve, args=(c,), daemon=True).start()",
    );
    let (mut client, _) = hosts.start(
        1,
        "client",
        "
k = [socket.create_connection(('10.89.0.1', 8080)) for _ in range(4)]
def ask(one): one.sendall(b'small'); assert one.recv(1)
for one in k: ask(one)
for one in k[1:]: one.sendall(b'z' * 20000)
say('sent')
def chat():
    while True: ask(k[0]); time.sleep(.1)
threading.Thread(target=chat, daemon=True).start()
for one in k[1:]: assert one.recv(1)
say('answered'); hold()",
    );
    thread::sleep(Duration::from_secs(4));
    let diagnosis = hosts.diagnose(1, "1s");
    let dead = diagnosis.only("dead_peer");
    let evidence = dead.at("/finding/evidence");
    assert_eq!((&evidence["sockets"], &evidence["answering"]), (&json!(3), &json!(1)), "{dead}");
    assert_eq!(evidence["black_hole"], true, "{dead}");
    let text = dead.text("/finding/text").unwrap();
    assert!(
        text.contains("10.89.0.1:8080 answers on 1 other") && !text.contains("silent"),
        "{text}"
    );
    succeeds(dead, "tcp_mtu_probing");
    assert_eq!(client.answer(), "answered", "smaller segments have arrived");
}

/// Of the data that the first host sends one segment in this many.
const EACH: u64 = 20;

/// A link that loses that much, as a radio link, a bad cable or a policer does.
fn lossy(hosts: &Hosts) -> Link {
    let link = hosts.link();
    let sent = AtomicU64::new(0);
    link.lose(move |from, segment| {
        from == 0
            && !segment.data.is_empty()
            && sent.fetch_add(1, Ordering::Relaxed).is_multiple_of(EACH)
    });
    link
}

/// The evidence of `retransmissions` over the link, as far as it has to be right.
fn lost(found: &Record) -> &serde_json::Value {
    let evidence = found.at("/finding/evidence");
    assert_eq!(evidence["peers"][0]["peer"]["address"], "10.89.0.2", "{found}");
    let number = |name: &str| evidence[name].as_u64().expect("a number");
    let of_each = number("segments") / (number("retransmitted") - number("duplicates"));
    assert!((EACH / 2..=EACH * 3 / 2).contains(&of_each), "{found}");
    evidence
}

/// Beside a path on which all is well.
#[test]
fn segments_that_a_path_loses_are_counted_by_peer() {
    let hosts = Hosts::connected();
    let _link = lossy(&hosts);
    let (server, _) = hosts.start(
        0,
        "server",
        "
l = listen('0.0.0.0', 8080); say('listening')
def serve(c):
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True: c.sendall(b'x' * 1000); time.sleep(.01)
while True: c, _ = l.accept(); threading.Thread(target=serve, args=(c,), daemon=True).start()",
    );
    let (_client, _) = hosts.start(
        1,
        "client",
        "
def take(c):
    while c.recv(65536): pass
for server in 4 * ['10.89.0.1'] + 2 * [SERVER]:
    c = socket.create_connection((server, 8080))
    threading.Thread(target=take, args=(c,), daemon=True).start()
say('connected'); hold()",
    );
    thread::sleep(Duration::from_secs(1));
    let diagnosis = hosts.diagnose(0, "4s");
    let found = diagnosis.only("retransmissions");
    let text = found.text("/finding/text").unwrap();
    assert!(text.contains("to 10.89.0.2 were lost") && text.contains("on 4 connections"), "{text}");
    assert_eq!(found.at("/finding/severity"), "warning", "{found}");
    let evidence = lost(found);
    assert!(evidence["others"]["segments"].as_u64() > Some(100), "{found}");
    assert_eq!(evidence["others"]["retransmitted"], 0, "{found}");
    assert_eq!(evidence["processes"][0]["pid"], server.pid(), "{found}");
    assert!(succeeds(found, "tc -s qdisc show").contains("dropped 0"), "{found}");
    assert!(succeeds(found, "ip -s -s link show").contains("slow0"), "{found}");
    assert!(hosts.diagnose(1, "2s").all("retransmissions").is_empty(), "the client's side");
    hosts.is_traced_soon(0, "retransmissions");
}

/// As most are that HTTP makes.
#[test]
fn segments_that_short_connections_lose_are_counted() {
    let hosts = Hosts::connected();
    let _link = lossy(&hosts);
    let (server, _) = hosts.start(
        0,
        "server",
        "
l = listen('10.89.0.1', 8080); say('listening')
def serve(c): c.recv(100); c.sendall(b'x' * 10000); c.close()
while True: c, _ = l.accept(); threading.Thread(target=serve, args=(c,), daemon=True).start()",
    );
    let (_client, _) = hosts.start(
        1,
        "client",
        "
def ask():
    while True:
        c = socket.create_connection(('10.89.0.1', 8080)); c.sendall(b'?')
        while c.recv(65536): pass
        c.close()
for _ in range(8): threading.Thread(target=ask, daemon=True).start()
say('asking'); hold()",
    );
    let diagnosis = hosts.diagnose(0, "4s");
    let found = diagnosis.only("retransmissions");
    assert_eq!(lost(found)["processes"][0]["pid"], server.pid(), "{found}");
    assert!(hosts.diagnose(1, "2s").all("retransmissions").is_empty(), "the client's side");
}

/// As behind a firewall or NAT that has lost one direction of its entry.
#[test]
fn a_way_that_is_lost_in_one_direction_is_told_at_the_end_that_is_not_heard() {
    let hosts = Hosts::connected();
    let link = hosts.link();
    link.lose(|from, segment| from == 0 && !segment.data.is_empty());
    let (server, _) = hosts.start(
        0,
        "server",
        "
l = listen('10.89.0.1', 8080); say('listening')
def serve(c):
    while data := c.recv(100): c.sendall(b'answer')
while True: c, _ = l.accept(); threading.Thread(target=serve, args=(c,), daemon=True).start()",
    );
    let (_client, _) = hosts.start(
        1,
        "client",
        "
k = [socket.create_connection(('10.89.0.1', 8080)) for _ in range(3)]
say('connected')
while True:
    for one in k: one.sendall(b'ask')
    time.sleep(.5)",
    );
    let deadline = Instant::now() + allowed(Duration::from_secs(40));
    let found = loop {
        let diagnosis = hosts.diagnose(0, "1s");
        match diagnosis.all("dead_peer").first() {
            Some(found) => break (*found).clone(),
            None => {
                assert!(Instant::now() < deadline, "six retransmissions take some fifteen seconds");
            }
        }
    };
    let evidence = found.at("/finding/evidence");
    assert_eq!(evidence["unanswered"], "one_way", "{found}");
    assert_eq!(evidence["sockets"], 3, "{found}");
    assert_eq!(evidence["processes"][0]["pid"], server.pid(), "{found}");
    let text = found.text("/finding/text").unwrap();
    assert!(text.starts_with("10.89.0.2 sends, but acknowledges nothing: "), "{text}");
}
