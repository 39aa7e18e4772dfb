//! Situations that people have reported, made small: in each, `tracer diagnose` says what is wrong
//! and whose it is, so does the live trace, and nobody else is named.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, thread, time::Duration};

use serde_json::Value;
use tracer_tests::{
    case::Hosts,
    diagnosis::Diagnosis,
    kernel::{count_in, ss},
    owners::{owners, owners_by_ss},
    peer::Peer,
    record::{Record, listing},
    shown::seen,
};

/// The processes that a finding names, wherever in its evidence.
fn named(record: &Record) -> BTreeSet<u64> {
    fn collect(value: &Value, into: &mut BTreeSet<u64>) {
        match value {
            Value::Object(fields) => {
                into.extend(fields.get("pid").and_then(Value::as_u64));
                fields.values().for_each(|field| collect(field, into));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
            _ => {}
        }
    }
    let mut pids = BTreeSet::new();
    collect(record.at("/finding/evidence"), &mut pids);
    pids
}

/// The only finding that is not mere information.
#[track_caller]
fn only<'a>(diagnosis: &'a Diagnosis, code: &str) -> &'a Record {
    let serious = |finding: &&Record| finding.at("/finding/severity") != "info";
    let serious: Vec<&Record> = diagnosis.findings.iter().filter(serious).collect();
    assert_eq!(serious.len(), 1, "{code}: {}", listing(&diagnosis.findings));
    assert_eq!(serious[0].at("/finding/code"), code, "{}", serious[0]);
    assert_eq!(diagnosis.status, 1);
    serious[0]
}

/// A process is named by none of these, in no way.
#[track_caller]
#[expect(single_use_lifetimes, reason = "anonymous lifetimes in impl Trait are unstable")]
fn assert_innocent<'a>(peer: &Peer, name: &str, records: impl IntoIterator<Item = &'a Record>) {
    for record in records {
        assert!(!named(record).contains(&peer.pid()), "{name} is named: {record}");
        assert!(!record.to_string().contains(&format!("{name}[")), "{name} is named: {record}");
    }
}

/// Servers that listen with IPPROTO_MPTCP, as Go does by default since 1.24: one accepts nothing,
/// one leaks what it accepts.
#[test]
fn mptcp_sockets_have_their_owners() {
    let hosts = Hosts::connected();
    let (server, _) = hosts.start(
        0,
        "gopher",
        "
l = listen(SERVER, 9201, 4, 262); m = listen(SERVER, 9100, 64, 262); kept = []; say('listening')
while True: kept.append(m.accept()[0])",
    );
    let (_clients, _) = hosts.start(
        1,
        "clients",
        "
kept = [socket.create_connection((SERVER, 9201)) for _ in range(5)]
for i in range(3): s = socket.socket(); s.setblocking(False); s.connect_ex((SERVER, 9201)); kept.append(s)
for i in range(24):
    s = socket.socket(2, 1, 262 if i % 2 else 6); s.connect((SERVER, 9100)); s.sendall(b'x')
    s.close() if i < 18 else kept.append(s)
say('connected'); hold()",
    );
    hosts.is_traced_soon(0, "accept_queue_full");
    let diagnosis = hosts.diagnose(0, "3s");
    let queue = diagnosis.only("accept_queue_full");
    assert_eq!(named(queue), BTreeSet::from([server.pid()]), "{queue}");
    let leak = diagnosis.evidence("close_wait_leak");
    assert_eq!(leak["sockets"], hosts.on(0, |_| count_in("close-wait")), "{leak}");
    assert_eq!(leak["processes"][0]["pid"], server.pid(), "{leak}");
    let (ours, theirs) = hosts.on(0, |namespace| (owners(namespace), owners_by_ss()));
    assert_eq!(ours, theirs);
    let open = ours.values().filter(|owner| **owner == Some(server.pid())).count();
    assert!(open >= 24 + 2, "both listeners and all that was accepted: {ours:?}");
}

/// Two workers share a port by SO_REUSEPORT; one accepts nothing.
fn reuseport(hosts: &Hosts) -> (Peer, Peer, Peer) {
    let (deaf, _) = hosts.start(
        0,
        "deaf",
        "
l = listen('127.0.0.1', 9400, options=[(1, 15, 1)]); say('listening'); hold()",
    );
    let (innocent, _) = hosts.start(
        0,
        "innocent",
        "
l = listen('127.0.0.1', 9400, options=[(1, 15, 1)]); say('listening')
def serve(c):
    while c.recv(10): pass
    c.close()
while True: threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()",
    );
    let (clients, _) = hosts.start(
        0,
        "clients",
        "
kept = []
for _ in range(30): s = socket.create_connection(('127.0.0.1', 9400)); s.sendall(b'x'); kept.append(s)
say('connected'); sys.stdin.readline(); del s; kept.clear(); say('closed'); hold()",
    );
    (deaf, innocent, clients)
}

/// Connections that wait in the queue of a port's listeners, by `ss`.
fn queued(hosts: &Hosts, port: u16) -> u64 {
    hosts.on(0, |_| {
        let text = ss(&["-Htln", &format!("sport = :{port}")]);
        let queues =
            text.lines().map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>());
        queues.map(Result::unwrap).sum()
    })
}

#[test]
fn clients_wait_for_the_worker_that_accepts_nothing_until_they_give_up() {
    let hosts = Hosts::connected();
    let (deaf, innocent, mut clients) = reuseport(&hosts);
    hosts.is_traced_soon(0, "accept_wait");
    let diagnosis = hosts.diagnose(0, "5s");
    let waiting = only(&diagnosis, "accept_wait");
    assert_eq!(named(waiting), BTreeSet::from([deaf.pid()]), "{waiting}");
    let queue = waiting.number("/finding/evidence/listener/queue");
    assert_eq!(queue, Some(queued(&hosts, 9400)), "{waiting}");
    assert_innocent(&innocent, "innocent", &diagnosis.findings);
    let tracer = hosts.trace(0, &["--linger", "close-wait=2s"]);
    clients.go();
    assert_eq!(clients.answer(), "closed");
    let diagnosis = hosts.diagnose(0, "3s");
    let leak = only(&diagnosis, "close_wait_leak");
    assert_eq!(leak.at("/finding/evidence/cause"), "never_accepted", "{leak}");
    assert_eq!(named(leak), BTreeSet::from([deaf.pid()]), "{leak}");
    assert_eq!(leak.number("/finding/evidence/sockets"), Some(queued(&hosts, 9400)), "{leak}");
    assert_innocent(&innocent, "innocent", &diagnosis.findings);
    let flag = tracer.wait_for("a flag", |record| record.kind() == "linger");
    assert_eq!(flag.at("/cause/code"), "never_accepted", "{flag}");
    let trace = tracer.finish();
    let flags = trace.records.iter().filter(|record| record.kind() == "linger");
    for flag in flags {
        let text = flag.to_string();
        assert!(!text.contains(&format!("\"pid\":{}", innocent.pid())), "{flag}");
    }
    let findings = trace.records.iter().filter(|record| record.kind() == "finding");
    assert_innocent(&innocent, "innocent", findings);
}

/// A server forks in the middle of a request; the child inherits the connection that the server
/// closes.
#[test]
fn a_child_holds_what_its_parent_has_closed() {
    let hosts = Hosts::connected();
    let (mut server, _) = hosts.start(
        0,
        "parent",
        "
l = listen('127.0.0.1', 9300, 9); say('listening'); c, _ = l.accept(); c.recv(100)
child = os.fork()
if child == 0:
    l.close(); open('/proc/self/comm', 'w').write('heir'); parent = os.getppid()
    while os.getppid() == parent: time.sleep(.2)
    os._exit(0)
c.sendall(b'answer'); c.close(); say(child); hold()",
    );
    let (client, _) = hosts.start(
        0,
        "client",
        "
s = socket.create_connection(('127.0.0.1', 9300)); s.sendall(b'?'); s.recv(10); say('answered'); s.recv(10)",
    );
    let child: u64 = server.answer().parse().unwrap();
    hosts.is_traced_soon(0, "closed_but_held");
    let diagnosis = hosts.diagnose(0, "6s");
    let held = only(&diagnosis, "closed_but_held");
    let evidence = held.at("/finding/evidence");
    assert_eq!(evidence["processes"][0]["pid"], child, "{held}");
    let text = held.text("/finding/text").unwrap();
    assert!(text.contains(&format!("heir[{child}]")) && text.contains("FIN"), "{text}");
    assert_innocent(&client, "client", &diagnosis.findings);
}

/// A load balancer checks a server by connect and RST, ten times a second.
#[test]
fn health_checks_by_rst_are_no_problem() {
    seen(checked_by_rst);
}

fn checked_by_rst() {
    let hosts = Hosts::connected();
    let (_server, _) = hosts.start(
        0,
        "server",
        "
l = listen('127.0.0.1', 8801, 50); say('listening')
while True: l.accept()[0].close()",
    );
    let (_checker, _) = hosts.start(
        0,
        "balancer",
        "
say('checking')
while True:
    s = socket.create_connection(('127.0.0.1', 8801)); s.setsockopt(1, 13, b'\\1\\0\\0\\0\\0\\0\\0\\0'); s.close(); time.sleep(.1)",
    );
    let tracer = hosts.trace(0, &["--problems"]);
    thread::sleep(Duration::from_secs(4));
    let trace = tracer.finish();
    let few = trace.records.iter().take(4);
    assert!(trace.records.is_empty(), "{} records:{}", trace.records.len(), listing(few));
    let diagnosis = hosts.diagnose(0, "4s");
    assert_eq!((diagnosis.status, diagnosis.findings.len()), (0, 0), "{:?}", diagnosis.findings);
}
