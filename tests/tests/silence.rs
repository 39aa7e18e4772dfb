//! Who is silent, since when, and when the kernel gives up; who does not read; and connections that
//! are used once. What is well is not accused.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tracer_tests::{
    case::{Hosts, python},
    clock::Moment,
    diagnosis::Diagnosis,
    kernel::count_in,
    netns::isolated,
    peer::Peer,
    record::{Record, listing},
    remedy::{run_command, succeeds},
    sockets::eventually,
    tracer::{Tracer, sockets},
};

/// Seconds in a number of nanoseconds.
fn seconds(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}")) / 1e9
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn a_host_that_is_gone_is_told_with_the_bytes_and_when_the_kernel_gives_up() {
    let hosts = Hosts::connected();
    let link = hosts.link();
    let (mut server, _) = hosts.start(
        0,
        "sessions",
        "
l = listen('10.89.0.1', 5999); say('listening'); k = [l.accept()[0] for _ in range(6)]
k[1].setsockopt(1, 9, 1); say('accepted'); sys.stdin.readline(); k[0].sendall(b'r' * 20000)
try: k[0].recv(1)
except OSError as error: say('error', error.errno)
hold()",
    );
    let (_clients, _) = hosts.start(
        1,
        "clients",
        "
k = [socket.create_connection(('10.89.0.1', 5999)) for _ in range(6)]; say('connected'); hold()",
    );
    assert_eq!(server.answer(), "accepted");
    thread::sleep(Duration::from_millis(200));
    link.cut();
    let begun = Instant::now();
    server.go();
    thread::sleep(Duration::from_secs(3));
    let diagnosis = hosts.diagnose(0, "1s");
    let dead = diagnosis.only("dead_peer");
    assert_eq!(diagnosis.findings.len(), 1, "{}", listing(&diagnosis.findings));
    hosts.is_traced_soon(0, "dead_peer");
    assert_eq!((dead.at("/finding/severity"), diagnosis.status), (&json!("warning"), 1));
    let evidence = dead.at("/finding/evidence");
    assert_eq!(evidence["unanswered"], "data", "{dead}");
    assert_eq!(evidence["unacknowledged_bytes"], 20_000);
    assert_eq!(evidence["processes"][0]["pid"], server.pid());
    assert_eq!(evidence["peers"][0]["peer"]["address"], "10.89.0.2");
    assert_eq!(evidence["limit"], json!({ "setting": "tcp_retries2", "value": 15 }));
    assert_eq!((&evidence["idle"]["probed"], &evidence["idle"]["never"]), (&json!(1), &json!(4)));
    let probe = seconds(&evidence["idle"]["probe_in_ns"]);
    assert!((7_000.0..7_200.0).contains(&probe), "two hours by default: {probe}");
    let silent = seconds(&evidence["unanswered_ns"]);
    assert!((2.0..begun.elapsed().as_secs_f64()).contains(&silent), "{silent}");
    let left = seconds(&evidence["gives_up_in_ns"]);
    assert!((800.0..1_100.0).contains(&left), "{left}");
    let text = dead.text("/finding/text").unwrap();
    assert!(text.starts_with("10.89.0.2 is silent: 20,000 bytes unacknowledged for "), "{text}");
    let plain = run_command(dead, "/dev/tcp/");
    assert_eq!(plain.status.code(), Some(124), "no answer either: {plain:?}");
    succeeds(dead, "ss -K");
    assert_eq!(server.answer(), "error 103", "ECONNABORTED");
    assert_eq!(hosts.on(0, |_| count_in("established")), 0);
}

/// What is predicted happens: by TCP_USER_TIMEOUT, and by the number of retransmissions.
#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn the_kernel_gives_up_when_it_was_said() {
    let hosts = Hosts::connected();
    let link = hosts.link();
    hosts.on(0, |namespace| namespace.set("net/ipv4/tcp_retries2", "5"));
    let serve = |name, port: u16, options: &str| {
        let code = format!(
            "
l = listen('10.89.0.1', {port}); say('listening'); k, _ = l.accept(); {options}
say('accepted'); sys.stdin.readline(); k.sendall(b'data')
try: k.recv(1)
except OSError as error: say(*divmod(time.time_ns(), 10**9))
hold()"
        );
        hosts.start(0, name, &code).0
    };
    let mut servers =
        [serve("patient", 5001, "pass"), serve("hasty", 5002, "k.setsockopt(6, 18, 9000)")];
    let (_clients, _) = hosts.start(
        1,
        "clients",
        "
k = [socket.create_connection(('10.89.0.1', port)) for port in (5001, 5002)]; say('connected'); hold()",
    );
    for server in &mut servers {
        assert_eq!(server.answer(), "accepted");
    }
    thread::sleep(Duration::from_millis(200));
    link.cut();
    servers.iter_mut().for_each(Peer::go);
    thread::sleep(Duration::from_secs(3));
    let diagnosis = hosts.diagnose(0, "1s");
    let found = diagnosis.all("dead_peer");
    assert_eq!(found.len(), 2, "{}", listing(&diagnosis.findings));
    for (server, setting) in servers.iter_mut().zip(["tcp_retries2", "user_timeout"]) {
        let is_its =
            |one: &&&Record| one.at("/finding/evidence/processes")[0]["pid"] == server.pid();
        let finding = found.iter().find(is_its).unwrap();
        assert_eq!(finding.at("/finding/evidence/limit/setting"), setting, "{finding}");
        let left = finding.number("/finding/evidence/gives_up_in_ns").unwrap();
        let answer = server.answer();
        let (second, rest) = answer.split_once(' ').unwrap();
        let happened = Moment::of_unix(second.parse().unwrap(), rest.parse().unwrap());
        let late = happened.since(finding.moment() + Duration::from_nanos(left));
        assert!(late.abs() < 700_000_000, "{late} ns: {finding}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn a_fin_and_keepalive_probes_without_an_answer_are_told() {
    let hosts = Hosts::connected();
    let link = hosts.link();
    let (mut closing, _) = hosts.start(
        0,
        "closing",
        "
l = listen('10.89.0.1', 5001); say('listening'); k, _ = l.accept(); say('accepted')
sys.stdin.readline(); k.close(); say('closed'); hold()",
    );
    let (mut probing, _) = hosts.start(
        0,
        "probing",
        "
l = listen('10.89.0.1', 5002); say('listening'); k, _ = l.accept()
for option in (1, 9, 1), (6, 4, 1), (6, 5, 1), (6, 6, 30): k.setsockopt(*option)
say('accepted'); hold()",
    );
    let (_clients, _) = hosts.start(
        1,
        "clients",
        "
k = [socket.create_connection(('10.89.0.1', port)) for port in (5001, 5002)]; say('connected'); hold()",
    );
    for server in [&mut closing, &mut probing] {
        assert_eq!(server.answer(), "accepted");
    }
    thread::sleep(Duration::from_millis(200));
    link.cut();
    closing.go();
    assert_eq!(closing.answer(), "closed");
    thread::sleep(Duration::from_secs(4));
    let diagnosis = hosts.diagnose(0, "1s");
    let found = diagnosis.all("dead_peer");
    let of = |what: &str| {
        let one = found.iter().find(|one| one.at("/finding/evidence/unanswered") == what);
        one.unwrap_or_else(|| panic!("{what}: {}", listing(&diagnosis.findings)))
    };
    let fin = of("fin");
    assert_eq!(fin.at("/finding/severity"), "info", "nobody waits: {fin}");
    assert_eq!(fin.at("/finding/evidence/states"), &json!({ "FIN_WAIT1": 1 }));
    assert_eq!(fin.at("/finding/evidence/limit/setting"), "tcp_orphan_retries");
    assert_eq!(fin.at("/finding/evidence/listener/processes")[0]["pid"], closing.pid(), "{fin}");
    let probes = of("keepalive_probes");
    assert_eq!(probes.at("/finding/evidence/processes")[0]["pid"], probing.pid());
    // Thirty probes, a second apart.
    let left = seconds(probes.at("/finding/evidence/gives_up_in_ns"));
    assert!((15.0..30.0).contains(&left), "{probes}");
    succeeds(fin, "ss -K");
    assert_eq!(hosts.on(0, |_| count_in("fin-wait-1")), 0);
}

#[test]
fn clients_that_do_not_read_are_told_with_what_waits_for_them() {
    let hosts = Hosts::connected();
    let (server, _) = hosts.start(
        0,
        "answers",
        "
l = listen(SERVER, 8555); say('listening')
def answer(c):
    c.settimeout(1)
    try: c.sendall(b'x' * 8_000_000)
    except OSError: pass
    c.close()
while True: threading.Thread(target=answer, args=(l.accept()[0],), daemon=True).start()",
    );
    let (_clients, _) = hosts.start(
        1,
        "clients",
        "
k = [socket.create_connection((SERVER, 8555)) for _ in range(20)]; say('connected'); hold()",
    );
    let tracer = hosts.trace(0, &["--linger", "fin-wait1=2s"]);
    thread::sleep(Duration::from_secs(4));
    let diagnosis = hosts.diagnose(0, "1s");
    let stuck = diagnosis.only("peer_not_reading");
    assert_eq!(diagnosis.findings.len(), 1, "{}", listing(&diagnosis.findings));
    assert_eq!(stuck.at("/finding/severity"), "warning", "{stuck}");
    let evidence = stuck.at("/finding/evidence");
    assert_eq!((&evidence["sockets"], &evidence["fins_waiting"]), (&json!(20), &json!(20)));
    assert_eq!(evidence["orphans"], 20, "{stuck}");
    assert!(evidence["unsent_bytes"].as_u64() > Some(20 * 10_000), "{stuck}");
    assert_eq!(evidence["listener"]["processes"][0]["pid"], server.pid(), "{stuck}");
    let closed = seconds(&evidence["closed_ns"]);
    assert!((3.0..20.0).contains(&closed), "{closed}");
    let text = stuck.text("/finding/text").unwrap();
    assert!(text.contains("10.0.0.2 does not read") && text.contains("no FIN is sent"), "{text}");
    hosts.is_traced_soon(0, "peer_not_reading");
    let flag = tracer.wait_for("a flag", |record| record.kind() == "linger");
    let cause = (flag.text("/cause/code"), flag.text("/cause/segment"));
    assert_eq!(cause, (Some("not_sent"), Some("FIN")), "{flag}");
    succeeds(stuck, "ss -K");
    assert_eq!(hosts.on(0, |_| count_in("fin-wait-1")), 0);
}

#[test]
fn who_does_not_read_is_named_where_it_is_on_this_host() {
    isolated(|namespace| {
        let (reader, _) = python(
            "reader",
            "
l = listen('127.0.0.1', 9000); say('listening'); k, _ = l.accept(); hold()",
        );
        let (writer, _) = python(
            "writer",
            "
k = socket.create_connection(('127.0.0.1', 9000)); k.setblocking(False)
try:
    while True: k.send(b'x' * 65536)
except BlockingIOError: say('full')
hold()",
        );
        thread::sleep(Duration::from_secs(4));
        let diagnosis = Diagnosis::of(namespace, &[]);
        let stuck = diagnosis.only("peer_not_reading");
        let evidence = stuck.at("/finding/evidence");
        assert_eq!(evidence["processes"][0]["pid"], writer.pid(), "{stuck}");
        assert_eq!(evidence["readers"][0]["pid"], reader.pid(), "{stuck}");
        assert!(evidence["unread_bytes"].as_u64() > Some(65_536), "{stuck}");
        let stack = succeeds(stuck, "/stack");
        assert!(stack.contains("read"), "it waits for standard input: {stack}");
        succeeds(stuck, "ss -K");
        eventually("ended", || count_in("established") == 0);
    });
}

/// A server for one exchange a connection, and a client that makes one after each such pause.
fn exchanges(every: f64) -> [Peer; 2] {
    let (server, _) = python(
        "server",
        "
l = listen('127.0.0.1', 4096); say('listening')
while True: c, _ = l.accept(); c.recv(100); c.sendall(b'ok'); c.recv(1); c.close()",
    );
    [server, client(every)]
}

fn client(every: f64) -> Peer {
    let code = format!(
        "
say('begun')
while True:
    s = socket.create_connection(('127.0.0.1', 4096)); s.sendall(b'GET'); s.recv(10); s.close(); time.sleep({every})"
    );
    python("client", &code).0
}

#[test]
fn a_connection_for_each_exchange_is_told_and_the_ports_that_it_takes() {
    isolated(|namespace| {
        namespace.set("net/ipv4/tcp_tw_reuse", "0");
        namespace.set("net/ipv4/ip_local_port_range", "20000 20999");
        let [_server, client] = exchanges(0.02);
        let diagnosis = Diagnosis::of(namespace, &["--for", "3s"]);
        let churn = diagnosis.only("churn");
        let evidence = churn.at("/finding/evidence");
        assert_eq!(evidence["pid"], client.pid(), "{churn}");
        assert_eq!((&evidence["bytes_sent"], &evidence["bytes_received"]), (&json!(3), &json!(2)));
        let text = churn.text("/finding/text").unwrap();
        assert!(text.contains("client[") && text.contains("127.0.0.1:4096"), "{text}");
        Tracer::start(namespace, &[])
            .wait_for("churn", |record| record.at("/finding/code") == "churn");
        let rate = evidence["rate_per_second"].as_f64().unwrap();
        assert!((5.0..50.0).contains(&rate), "{churn}");
        let ports = &evidence["ports"];
        assert_eq!(ports["size"], 1_000, "{churn}");
        // More than there are, unless the machine is very slow.
        assert!(ports["minutes_left"].is_number() == (rate * 60.0 > 1_000.0), "{churn}");
        if ports["minutes_left"].is_number() {
            assert_eq!(churn.at("/finding/severity"), "warning");
            assert!(succeeds(churn, "tcp_tw_reuse").contains("= 1"), "{churn}");
        }
    });
}

/// Each of them opens too few to be told.
#[test]
fn the_connections_of_workers_are_told_together() {
    isolated(|namespace| {
        let [_server, first] = exchanges(0.4);
        let [second, third] = [0.12; 2].map(client);
        let diagnosis = Diagnosis::of(namespace, &["--for", "5s"]);
        let churn = diagnosis.only("churn");
        let evidence = churn.at("/finding/evidence");
        // One of the two that open more.
        let busy = [&second, &third].map(|one| json!(one.pid()));
        assert!(busy.contains(&evidence["pid"]), "{churn}, not {}", first.pid());
        assert_eq!(evidence["other_processes"], 2, "{churn}");
        let text = churn.text("/finding/text").unwrap();
        assert!(text.contains("] and 2 more of that name open "), "{text}");
    });
}

/// A few exchanges a second, and a reader that is slow but reads.
#[test]
fn what_is_well_is_not_accused() {
    isolated(|namespace| {
        let _exchanges = exchanges(0.2);
        let (_slow, _) = python(
            "slow",
            "
l = listen('127.0.0.1', 9100); say('listening'); k, _ = l.accept()
while True: k.recv(100_000); time.sleep(.2)",
        );
        let (_writer, _) = python(
            "writer",
            "
k = socket.create_connection(('127.0.0.1', 9100)); say('connected')
while True: k.sendall(b'x' * 65536)",
        );
        let diagnosis = Diagnosis::of(namespace, &["--for", "5s"]);
        assert!(diagnosis.findings.is_empty(), "{}", listing(&diagnosis.findings));
        assert_eq!(diagnosis.status, 0);
    });
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn sockets_show_how_long_they_are_idle_and_what_ends_them() {
    isolated(|namespace| {
        let (server, _) = python(
            "server",
            "
l = listen('127.0.0.1', 9000); say('listening'); k, _ = l.accept()
for option in (1, 9, 1), (6, 4, 60), (6, 6, 4), (6, 18, 30_000): k.setsockopt(*option)
say('accepted'); hold()",
        );
        let (_client, _) = python(
            "client",
            "
k = socket.create_connection(('127.0.0.1', 9000)); say('connected'); hold()",
        );
        let mut server = server;
        assert_eq!(server.answer(), "accepted");
        thread::sleep(Duration::from_millis(1_200));
        let list = |format: &str| sockets(namespace, &["--format", format]);
        let text = list("text");
        assert!(text.lines().next().unwrap().contains(" IDLE "), "{text}");
        let lines = list("json");
        let sockets: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |name: &str| {
            let is_its = |one: &&Value| {
                one["tcp"]["state"] == "ESTABLISHED" && one["process"]["name"] == name
            };
            &sockets.iter().find(is_its).unwrap_or_else(|| panic!("{name}: {lines}"))["tcp"]
        };
        let (server, client) = (of("server"), of("client"));
        let idle = seconds(&server["idle_ns"]);
        assert!((1.0..20.0).contains(&idle), "{server}");
        // The interval is the namespace's.
        let keepalive = json!({ "time_ns": 60_000_000_000_u64, "interval_ns": 75_000_000_000_u64, "probes": 4 });
        assert_eq!(server["keepalive"], keepalive);
        assert_eq!(server["user_timeout_ns"], 30_000_000_000_u64);
        assert_eq!(
            (&client["keepalive"], &client["user_timeout_ns"]),
            (&Value::Null, &Value::Null)
        );
        let listener = sockets.iter().find(|one| one["tcp"]["state"] == "LISTEN").unwrap();
        assert_eq!(listener["tcp"]["idle_ns"], Value::Null);
    });
}
