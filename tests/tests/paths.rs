//! What two hosts have of each other when neither is at fault alone: an address on which nobody listens,
//! and a path that loses what is large.

use std::{thread, time::Duration};

use serde_json::json;
use tracer_tests::{case::Hosts, kernel::lacks, remedy::succeeds};

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
