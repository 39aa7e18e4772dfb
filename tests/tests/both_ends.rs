//! `tracer pair`: two hosts, each with a tracer of its own, and a link between them that loses chosen
//! segments. What is said is what neither recording says alone, and of whom all is well nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    env, fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use serde_json::Value;
use tracer_lab::segment::flag;
use tracer_tests::{
    background::Background,
    case::Hosts,
    link::{ENDS, Link},
    netns::{Cable, Resident, inside, isolated, run},
    options::set_tcp,
    slowness::allowed,
    sockets::{self, eventually},
    tracer::{command, printed, program, refused},
};

/// After this time what has not arrived counts as lost.
const MARGIN: Duration = Duration::from_millis(1_300);

/// A recorder of a host.
fn record(hosts: &Hosts, host: usize, arguments: &[&str], file: &Path) -> Background {
    record_in(hosts.on(host, |namespace| namespace.inode), arguments, file)
}

/// Of the host with this namespace.
fn record_in(inode: u64, arguments: &[&str], file: &Path) -> Background {
    let inode = inode.to_string();
    let output = ["--netns", &inode, "--output", file.to_str().unwrap()];
    let recorder = Background::start(&mut command("", &[arguments, &output].concat()));
    eventually("a header", || fs::metadata(file).is_ok_and(|file| file.len() > 8));
    recorder
}

fn joined(files: &[&Path], options: &[&str]) -> String {
    printed(Command::new(program()).arg("pair").args(files).args(options))
}

fn lines(files: &[&Path], options: &[&str]) -> Vec<Value> {
    let text = joined(files, &[&["--format", "json"], options].concat());
    let schema = Command::new(program()).arg("schema").output().unwrap().stdout;
    let schema = jsonschema::validator_for(&serde_json::from_slice(&schema).unwrap()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        let mistakes: Vec<String> = schema.iter_errors(line).map(|one| one.to_string()).collect();
        assert!(mistakes.is_empty(), "{line}: {mistakes:?}");
    }
    let both = ["clock", "pair"].iter().all(|kind| lines.iter().any(|line| line["kind"] == *kind));
    if both && env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        keep_examples(&text);
    }
    lines
}

/// Puts the first line of each kind where the documents take their examples from.
fn keep_examples(text: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.jsonl");
    let begins = ["{\"kind\":\"clock\"", "{\"kind\":\"pair\""];
    let first = |begin: &&str| text.lines().find(|line| line.starts_with(begin));
    let there = fs::read_to_string(path).unwrap();
    let others = there.lines().filter(|line| !begins.iter().any(|one| line.starts_with(one)));
    fs::write(
        path,
        others.chain(begins.iter().filter_map(first)).collect::<Vec<_>>().join("\n") + "\n",
    )
    .unwrap();
}

/// What is proved of the connection to each port of the second host.
fn verdicts(lines: &[Value]) -> BTreeMap<u64, Vec<String>> {
    let pairs = lines.iter().filter(|line| line["kind"] == "pair");
    pairs.map(|line| (line["ends"][0]["peer"]["port"].as_u64().unwrap(), codes(line))).collect()
}

fn codes(pair: &Value) -> Vec<String> {
    let verdicts = pair["verdicts"].as_array().unwrap().iter();
    verdicts.map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

fn listen(hosts: &Hosts, port: u16) -> TcpListener {
    let address = SocketAddr::new(ENDS[1].parse().unwrap(), port);
    hosts.on(1, |_| TcpListener::bind(address).unwrap())
}

fn connect(hosts: &Hosts, port: u16) -> (TcpStream, TcpStream) {
    let listener = listen(hosts, port);
    let address = listener.local_addr().unwrap();
    let client = hosts.on(0, |_| TcpStream::connect(address).unwrap());
    (client, sockets::accept(&listener))
}

/// What is lost, by the port of the server.
fn lose(link: &Link) {
    link.lose(|from, segment| match (from, segment.source.min(segment.target)) {
        (0, 1002) => segment.flags & flag::FIN != 0,
        (0, 1003) => segment.flags & flag::RST != 0,
        (1, 1004) => segment.is(flag::SYN | flag::ACK),
        (1, 1005) => !segment.data.is_empty(),
        _ => false,
    });
}

/// What is sent and lost; what is to be held until the end.
fn live(hosts: &Hosts) -> Vec<TcpStream> {
    let (mut client, mut server) = connect(hosts, 1001);
    client.write_all(b"question").unwrap();
    server.read_exact(&mut [0; 8]).unwrap();
    drop(client);
    sockets::wait_for_end(&mut server);
    drop(server);
    let (unclosed, held) = connect(hosts, 1002);
    let (reset, unaware) = connect(hosts, 1003);
    sockets::linger_zero(&reset);
    drop((unclosed, reset));
    let unanswered = listen(hosts, 1004);
    let address = unanswered.local_addr().unwrap();
    let patience = Duration::from_millis(2_500);
    hosts.on(0, |_| TcpStream::connect_timeout(&address, patience).unwrap_err());
    let (waiting, mut answering) = connect(hosts, 1005);
    answering.write_all(&[b'x'; 100]).unwrap();
    drop(answering);
    vec![held, unaware, waiting]
}

#[test]
fn both_ends_prove_what_was_lost_between_them() {
    let hosts = Hosts::connected();
    let link = hosts.link();
    let directory = tempfile::tempdir().unwrap();
    let files: [PathBuf; 2] = ["a.rec", "b.json"].map(|name| directory.path().join(name));
    // Both forms.
    let recorders = [
        record(&hosts, 0, &["record"], &files[0]),
        record(&hosts, 1, &["--format", "json"], &files[1]),
    ];
    lose(&link);
    let held = live(&hosts);
    // So much must pass until it is lost, and not under way.
    thread::sleep(allowed(MARGIN));
    for recorder in recorders {
        recorder.finish();
    }
    drop(held);
    check(&files.each_ref().map(PathBuf::as_path));
}

/// What is said of these two recordings.
fn check(files: &[&Path; 2]) {
    let all = lines(files, &["--all"]);
    let found = verdicts(&all);
    let expected: [(u64, &[&str]); 5] = [
        (1001, &[]),
        (1002, &["fin_lost"]),
        (1003, &["reset_lost"]),
        (1004, &["syn_ack_lost"]),
        (1005, &["data_lost"]),
    ];
    let expected =
        expected.map(|(port, codes)| (port, codes.iter().map(|&code| code.to_owned()).collect()));
    assert_eq!(found, BTreeMap::from(expected), "{all:#?}");
    // One host has one clock, and each handshake takes 40 ms there and back.
    let clock = &all[0];
    let (ahead, within) =
        (clock["ahead_ns"].as_i64().unwrap(), clock["within_ns"].as_i64().unwrap());
    assert!(ahead.abs() <= within && within <= 25_000_000, "{clock}");
    // The order of the recordings does not matter, and one is no pair.
    assert_eq!(verdicts(&lines(&[files[1], files[0]], &["--all"])), found);
    assert!(lines(&[files[0], files[0]], &[]).iter().all(|line| line["kind"] == "clock"));
    let text = joined(files, &[]);
    for words in [
        "a.rec's FIN never reached b.json",
        "a.rec reset the connection",
        "and b.json never heard of it",
        "the answer left b.json and did not arrive: SYN+ACK retransmitted",
        "the answer left b.json and did not arrive: 100 bytes",
        "10.89.0.1:",
        "shown: 4",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains(":1001"), "{text}");
}

/// Closes a socket without a word, as a host does that loses its power.
fn forget(stream: TcpStream) {
    set_tcp(&stream, libc::TCP_REPAIR, 1);
    drop(stream);
}

/// The same recording of a host whose kernel was started a moment before.
fn boot_again(from: &Path, to: &Path) {
    let text = fs::read_to_string(from).unwrap();
    let (hello, rest) = text.split_once('\n').unwrap();
    let mut hello: Value = serde_json::from_str(hello).unwrap();
    hello["monotonic_ns"] = 1.into();
    hello["host"]["boot_id"] = "another".into();
    fs::write(to, format!("{hello}\n{rest}")).unwrap();
}

#[test]
fn a_host_that_does_not_know_the_connection_any_more_has_forgotten_it_or_was_rebooted() {
    let hosts = Hosts::connected();
    let _link = hosts.link();
    let directory = tempfile::tempdir().unwrap();
    let [a, b, rebooted] = ["a.json", "b.json", "c.json"].map(|name| directory.path().join(name));
    let here = record(&hosts, 0, &["--format", "json"], &a);
    let (mut client, server) = connect(&hosts, 1001);
    forget(server);
    // It has recorded nothing of what was before.
    let there = record(&hosts, 1, &["--format", "json"], &b);
    client.write_all(b"are you there?").unwrap();
    assert!(client.read(&mut [0; 1]).is_err());
    drop(client);
    here.finish();
    there.finish();
    assert_eq!(
        verdicts(&lines(&[&a, &b], &[])),
        BTreeMap::from([(1001, vec!["peer_forgot".into()])])
    );
    // The same of a host whose clock says that it was started a moment before.
    boot_again(&b, &rebooted);
    assert_eq!(
        verdicts(&lines(&[&a, &rebooted], &[])),
        BTreeMap::from([(1001, vec!["peer_rebooted".into()])])
    );
}

/// What is proved of all connections, without those of which nothing is to be said.
fn proved(files: &[&Path]) -> Vec<Vec<String>> {
    let pairs = lines(files, &[]).into_iter().filter(|line| line["kind"] == "pair");
    pairs.map(|line| codes(&line)).collect()
}

/// On the first host, 10.96.0.1:80 is port 1001 of the second, and others are its own ports.
fn translate(hosts: &Hosts) {
    let server = ENDS[1];
    hosts.on(0, |_| {
        run("ip", &["route", "add", "10.96.0.0/16", "via", server, "dev", "slow0"]);
        let rules = format!(
            "table ip tracer_test {{\n\
             chain to {{\ntype nat hook output priority -100;\n\
             ip daddr 10.96.0.1 tcp dport 80 dnat to {server}:1001\n}}\n\
             chain from {{\ntype nat hook postrouting priority 100;\n\
             ip daddr {server} tcp dport 1001 masquerade to :30000-30099\n}}\n}}"
        );
        run("nft", &[&rules]);
    });
}

/// The server's host knows other addresses and ports than the client's, and the numbers are the same.
#[test]
fn through_nat_the_ends_are_joined_and_what_was_lost_is_proved() {
    let hosts = Hosts::connected();
    let link = hosts.link();
    translate(&hosts);
    let [client, server] = ENDS;
    let directory = tempfile::tempdir().unwrap();
    let [a, b] = ["a.json", "b.json"].map(|name| directory.path().join(name));
    let here = record(&hosts, 0, &["--format", "json"], &a);
    let there = record(&hosts, 1, &["--format", "json"], &b);
    let listener = listen(&hosts, 1001);
    let address = SocketAddr::from(([10, 96, 0, 1], 80));
    let connect = || {
        let client = hosts.on(0, |_| TcpStream::connect(address).unwrap());
        (client, sockets::accept(&listener))
    };
    let (whole, mut ended) = connect();
    drop(whole);
    sockets::wait_for_end(&mut ended);
    drop(ended);
    link.lose(|from, segment| from == 0 && segment.flags & flag::FIN != 0);
    let (unclosed, held) = connect();
    let seen = held.peer_addr().unwrap();
    assert!(seen.ip().to_string() == client && (30_000..30_100).contains(&seen.port()), "{seen}");
    drop(unclosed);
    thread::sleep(allowed(MARGIN));
    here.finish();
    there.finish();
    drop(held);
    assert_eq!(proved(&[&a, &b]), [["fin_lost"]]);
    let text = joined(&[&a, &b], &["--all"]);
    assert!(text.contains("in both recordings: 2 connections"), "{text}");
    let rewritten = format!("addresses are rewritten: b.json sees {seen} → {server}:1001");
    assert!(text.contains(&rewritten), "{rewritten}: {text}");
}

#[test]
fn syns_that_come_to_nothing_on_a_host_that_others_reach_were_lost() {
    let hosts = Hosts::connected();
    let link = hosts.link();
    let directory = tempfile::tempdir().unwrap();
    let [a, b] = ["a.json", "b.json"].map(|name| directory.path().join(name));
    let here = record(&hosts, 0, &["--format", "json"], &a);
    let there = record(&hosts, 1, &["--format", "json"], &b);
    let listener = listen(&hosts, 1006);
    let address = listener.local_addr().unwrap();
    let client = hosts.on(0, |_| TcpStream::connect(address).unwrap());
    let held = (client, sockets::accept(&listener));
    link.lose(|_, segment| segment.flags & flag::SYN != 0);
    // The SYN is retransmitted after one second and after three.
    let patience = Duration::from_millis(3_500);
    hosts.on(0, |_| TcpStream::connect_timeout(&address, patience).unwrap_err());
    here.finish();
    there.finish();
    drop(held);
    assert_eq!(proved(&[&a, &b]), [["syn_lost"]]);
}

/// A host that loses its power, and is there again with the same addresses.
#[test]
fn a_host_that_was_made_anew_is_said_to_have_forgotten_the_connection() {
    let before = Cable::lay();
    let inode = |end: &Resident| inside(&end.namespace(), |namespace| namespace.inode);
    let directory = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a.json", "b.json", "c.json"].map(|name| directory.path().join(name));
    let format = ["--format", "json"];
    let here = record_in(inode(&before.ends[0]), &format, &a);
    let there = record_in(inode(&before.ends[1]), &format, &b);
    let [own, lost] = before.ends.each_ref().map(Resident::namespace);
    let listener = inside(&lost, |_| TcpListener::bind("10.0.0.2:1001").unwrap());
    let mut client = inside(&own, |_| TcpStream::connect("10.0.0.2:1001").unwrap());
    let server = sockets::accept(&listener);
    there.finish();
    let Cable { ends: [own, lost] } = before;
    inside(&lost.namespace(), |_| run("ip", &["link", "delete", "cable"]));
    forget(server);
    drop((listener, lost));
    let after = Cable { ends: [own, isolated(|_| Resident::settle())] };
    after.add("cable", ["10.0.0.1/24", "10.0.0.2/24"]);
    let there = record_in(inode(&after.ends[1]), &format, &c);
    client.write_all(b"are you there?").unwrap();
    assert!(client.read(&mut [0; 1]).is_err());
    drop(client);
    here.finish();
    there.finish();
    assert_eq!(proved(&[&a, &c]), [["peer_forgot"]]);
    // Here both have one kernel. With one of its own, the host has another boot.
    boot_again(&c, &c);
    assert_eq!(proved(&[&a, &b, &c]), [["peer_rebooted"]]);
}

#[test]
fn a_recording_that_is_none_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "no recording\n").unwrap();
    let name = file.path().to_str().unwrap();
    let errors = refused(Command::new(program()).args(["pair", name, name]));
    assert!(errors.contains(name), "{errors}");
}
