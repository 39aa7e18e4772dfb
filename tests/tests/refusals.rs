//! RSTs that this host sends for want of a socket: from whom, to which port.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    process::Command,
};

use tracer_tests::{
    far::Far,
    netns::isolated,
    record::{Record, listing},
    segment::flag::{ACK, FIN, RST, SYN},
    sockets::{Path, free_port, loopback},
    tracer::{Trace, Tracer, command, printed},
    wire::{HERE, THERE, Wire},
};

/// Connects where nobody listens; what connect() says.
fn refused(path: Path, port: u16) {
    let error = TcpStream::connect(loopback(path, port)).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
}

fn is_without_socket(record: &Record) -> bool {
    record.kind() == "reset" && record.has("/socket") && record.at("/socket").is_null()
}

fn without_socket(trace: &Trace) -> Vec<&Record> {
    trace.records.iter().filter(|record| is_without_socket(record)).collect()
}

/// Whether this kernel shows them; where it does not, the trace must say so.
fn is_shown(trace: &Trace) -> bool {
    let degraded = trace.hello.at("/degraded").as_array().unwrap();
    !degraded.iter().any(|one| one["feature"] == "resets without a socket")
}

/// RSTs that the namespace has sent (`TcpOutRsts`).
fn sent_resets() -> usize {
    let table = fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut lines = table.lines().filter(|line| line.starts_with("Tcp:"));
    let names = lines.next().unwrap().split(' ');
    let values = lines.next().unwrap().split(' ');
    let mut columns = names.zip(values);
    columns.find(|(name, _)| *name == "OutRsts").unwrap().1.parse().unwrap()
}

#[test]
fn a_refused_syn_is_told_at_the_host_that_refuses_it() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let port = free_port();
        for path in [Path::V4, Path::V6] {
            refused(path, port);
            refused(path, port);
        }
        let sent = sent_resets();
        assert_eq!(sent, 4);
        let trace = tracer.finish();
        if !is_shown(&trace) {
            return;
        }
        let told = without_socket(&trace);
        assert_eq!(told.len(), sent, "{}", listing(told));
        for (index, record) in told.iter().enumerate() {
            let path = if index < 2 { Path::V4 } else { Path::V6 };
            assert_eq!(record.local(), Some(loopback(path, port)), "{record}");
            let client = record.peer().unwrap();
            assert_eq!(client.ip(), loopback(path, 0).ip(), "{record}");
            let is_of = |other: &&Record| {
                other.is_step("SYN_SENT", "CLOSED") && other.local() == Some(client)
            };
            assert!(trace.transitions().any(|other| is_of(&other)), "nobody's: {record}");
            assert_eq!(record.number("/network/netns"), Some(namespace.inode), "{record}");
            assert_eq!(record.at("/tcp/segment/type"), "RST", "{record}");
            assert_eq!(record.at("/tcp/segment/direction"), "sent", "{record}");
            assert_eq!(record.at("/tcp/segment/answers"), "SYN", "{record}");
            assert_eq!(record.at("/tcp/state"), "CLOSED", "{record}");
            assert!(record.at("/process").is_null(), "{record}");
        }
    });
}

#[test]
fn filters_apply_to_what_has_no_socket() {
    isolated(|namespace| {
        let [wanted, other] = [free_port(), free_port()];
        assert_ne!(wanted, other);
        let wanted_port = wanted.to_string();
        // No RST without a socket is anybody's.
        let own = fs::read_to_string("/proc/self/comm").unwrap();
        let filters: [(&[&str], usize); 6] = [
            (&["--port", &wanted_port], 2),
            (&["--local-port", &wanted_port], 2),
            (&["--remote-port", &wanted_port], 0),
            (&["-6", "--local-port", &wanted_port], 1),
            (&["--address", "127.0.0.0/8", "--local-port", &wanted_port], 1),
            (&["--comm", own.trim_end()], 0),
        ];
        let tracers = filters.map(|(options, _)| Tracer::start(namespace, options));
        for port in [wanted, other] {
            refused(Path::V4, port);
            refused(Path::V6, port);
        }
        for (tracer, (options, expected)) in tracers.into_iter().zip(filters) {
            let trace = tracer.finish();
            if is_shown(&trace) {
                let told = without_socket(&trace);
                assert_eq!(told.len(), expected, "{options:?}: {}", listing(told));
            }
        }
    });
}

/// From a host that is not this one, and what is no SYN.
#[test]
fn what_an_rst_answers_is_told() {
    isolated(|namespace| {
        let Ok(wire) = Wire::new(namespace) else {
            println!("there is no TUN device");
            return;
        };
        let tracer = Tracer::start(namespace, &[]);
        let flags = [(SYN, "SYN"), (SYN | ACK, "SYN+ACK"), (ACK, "ACK"), (FIN | ACK, "FIN")];
        for (index, (flags, _)) in flags.into_iter().enumerate() {
            let mut far = Far::new(&wire, 7000 + u16::try_from(index).unwrap(), 81);
            far.send(flags);
            let back = wire.receive("an RST", |segment| segment.flags & RST != 0);
            assert_eq!([back.source, back.target], [81, far.port]);
        }
        let trace = tracer.finish();
        if !is_shown(&trace) {
            return;
        }
        let told = without_socket(&trace);
        assert_eq!(told.len(), flags.len(), "{}", listing(told));
        for (index, (record, (_, answered))) in told.iter().zip(flags).enumerate() {
            assert_eq!(record.at("/tcp/segment/answers"), answered, "{record}");
            assert_eq!(record.local(), Some(SocketAddr::from((HERE, 81))), "{record}");
            let port = 7000 + u16::try_from(index).unwrap();
            assert_eq!(record.peer(), Some(SocketAddr::from((THERE, port))), "{record}");
        }
    });
}

/// Text and ladder have it, and a replay has it as the live trace had.
#[test]
fn a_refusal_is_shown_and_replayed() {
    isolated(|namespace| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace");
        let file = path.to_str().unwrap();
        let port = free_port();
        let tracer = Tracer::start(namespace, &["--local-port", &port.to_string()]);
        refused(Path::V4, port);
        let trace = tracer.finish();
        if !is_shown(&trace) {
            return;
        }
        let lines = [&trace.hello].into_iter().chain(&trace.records).chain([&trace.summary]);
        fs::write(&path, lines.map(|record| format!("{record}\n")).collect::<String>()).unwrap();
        let replayed =
            |options: &[&str]| printed(&mut command("", &[&["replay", file], options].concat()));
        let text = replayed(&["--format", "text"]);
        let line = text.lines().find(|line| line.contains("nobody listens on this port"));
        assert!(line.is_some_and(|line| line.contains(&format!(":{port}"))), "{text}");
        let again = replayed(&["--format", "json"]);
        let reset = again.lines().find(|line| line.contains("\"kind\":\"reset\"")).unwrap();
        let reset: serde_json::Value = serde_json::from_str(reset).unwrap();
        assert_eq!(reset, without_socket(&trace)[0].value);
        let ladder = replayed(&["--format", "ladder"]);
        let solid = |line: &str, label: &str| line.contains(label) && line.contains('─');
        for label in [" SYN ", " RST "] {
            assert!(ladder.lines().any(|line| solid(line, label)), "{label}: {ladder}");
        }
        assert!(ladder.contains("nobody listens"), "{ladder}");
        let none = Command::new(tracer_tests::tracer::program())
            .args(["replay", file, "--netns", "1", "--format", "json"])
            .output()
            .unwrap();
        let none = String::from_utf8(none.stdout).unwrap();
        assert!(!none.contains("\"kind\":\"reset\""), "{none}");
    });
}
