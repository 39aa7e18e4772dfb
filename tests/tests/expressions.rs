//! The language of filters: on the same sockets it gives those that `ss` gives.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use serde_json::Value;
use tracer_tests::{
    kernel::ss,
    netns::{assign, isolated, run},
    record::listing,
    sockets::{self, End, Path, eventually},
    tracer::{Tracer, command},
};

/// Both ends of a socket.
type Line = ((IpAddr, u16), (IpAddr, u16));

/// Sockets of many states, ports and addresses; they live as long as this.
struct Sockets {
    _listeners: Vec<TcpListener>,
    _streams: Vec<TcpStream>,
    _opening: OwnedFd,
}

impl Sockets {
    fn make() -> Self {
        assign("193.233.7.90/24", "lo");
        assign("2001:db8::1/64", "lo");
        // What is sent there comes back and is nobody's: the SYN stays without an answer.
        run("ip", &["route", "add", "192.0.2.0/24", "dev", "lo"]);
        let at =
            ["127.0.0.1:22", "193.233.7.90:80", "[2001:db8::1]:443", "[::]:8080", "0.0.0.0:8443"];
        let listeners = at.map(|address| TcpListener::bind(address).unwrap());
        let to = [
            "127.0.0.1:22",
            "193.233.7.90:80",
            "[2001:db8::1]:443",
            "127.0.0.1:8080",
            "[::1]:8080",
            "127.0.0.2:8443",
        ];
        let mut streams = Vec::new();
        for address in to {
            let address: SocketAddr = address.parse().unwrap();
            let listener =
                listeners.iter().find(|one| one.local_addr().unwrap().port() == address.port());
            // One stays as it is, one is closed by the client, of one the server closes first.
            for closed in [None, Some(Shutdown::Write), Some(Shutdown::Both)] {
                let client = TcpStream::connect(address).unwrap();
                let server = sockets::accept(listener.unwrap());
                match closed {
                    None => streams.extend([client, server]),
                    Some(Shutdown::Write) => {
                        client.shutdown(Shutdown::Write).unwrap();
                        streams.extend([client, server]);
                    }
                    Some(_) => {
                        drop(server);
                        drop(client);
                    }
                }
            }
        }
        Self { _listeners: listeners.into(), _streams: streams, _opening: opening() }
    }
}

/// A connection that nobody answers.
fn opening() -> OwnedFd {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None);
    let socket = socket.unwrap();
    let to: SocketAddr = "192.0.2.1:443".parse().unwrap();
    assert!(connect(&socket, &to).is_err(), "connected");
    socket
}

fn end(address: &str, port: Option<u16>) -> (IpAddr, u16) {
    (address.parse::<IpAddr>().unwrap().to_canonical(), port.unwrap_or(0))
}

/// What `ss` shows for a filter.
fn by_ss(words: &[&str]) -> BTreeSet<Line> {
    let text = ss(&[&["-t", "-a", "-n", "-H"], words].concat());
    let end = |text: &str| {
        let (address, port) = text.rsplit_once(':').unwrap();
        let address = match address.trim_matches(['[', ']']) {
            "*" => "::",
            address => address,
        };
        end(address, port.parse().ok())
    };
    // The state is left out where one only is asked for.
    let line = |line: &str| {
        let mut ends = line.split_whitespace().filter(|word| word.contains(':'));
        (end(ends.next().unwrap()), end(ends.next().unwrap()))
    };
    text.lines().map(line).collect()
}

/// What `tracer sockets` shows for it.
fn by_tracer(netns: &str, words: &[&str]) -> BTreeSet<Line> {
    let options = ["sockets", "--format", "json", "--netns", netns];
    let output = command("", &[&options, words].concat()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {errors}");
    let line = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let of = |one: &Value| {
            let port = one["port"].as_u64().map(|port| port as u16);
            end(one["address"].as_str().unwrap(), port)
        };
        (of(&value["network"]["local"]), of(&value["network"]["peer"]))
    };
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| line.contains(r#""kind":"socket""#)).map(line).collect()
}

/// The examples of ss(8) that are of TCP's states, ports and addresses, and what its text says
/// can be written otherwise.
const FILTERS: [&str; 44] = [
    "",
    "state established ( dport = :ssh or sport = :ssh )",
    "state fin-wait-1 ( sport = :http or sport = :https ) dst 193.233.7/24",
    "state fin-wait-2 ( sport = :http or dport = :http ) dst 193.233.7/24",
    "state established",
    "state close-wait",
    "state fin-wait-2",
    "state time-wait",
    "state syn-sent",
    "state listening",
    "state connected",
    "state synchronized",
    "state bucket",
    "state big",
    "state all",
    "state established state time-wait",
    "state connected exclude established",
    "exclude listening",
    "exclude listening exclude time-wait",
    "sport = :443",
    "sport = 443",
    "sport == :443",
    "sport eq :443",
    "sport != :443",
    "dport ne :22",
    "sport >= :8080",
    "sport > :8080",
    "dport < :1024",
    "dport le :80",
    "src 127.0.0.1",
    "src 127.0.0.0/8",
    "dst 193.233.7/24",
    "dst = 193.233.7.90:80",
    "src 193.233.7.90:http",
    "dst [2001:db8::1]:443",
    "dst 2001:db8::/32",
    "src *:8080",
    "not dst 127.0.0.0/8",
    "! ( sport = :22 or dport = :22 )",
    "sport = :22 or sport = :80 and dst 127.0.0.1",
    "dst 127.0.0.1 sport = :80 or sport = :22",
    "sport = :80 or ! sport = :80 and dst 127.0.0.1",
    "dst 192.0.2.1",
    "src 0.0.0.0",
];

#[test]
fn filters_give_the_sockets_that_ss_gives() {
    isolated(|namespace| {
        let _sockets = Sockets::make();
        let netns = namespace.inode.to_string();
        eventually("TIME_WAIT", || by_ss(&["state", "time-wait"]).len() >= 6);
        let mut nonempty = 0;
        for filter in FILTERS {
            let words: Vec<&str> = filter.split_whitespace().collect();
            let (expected, found) = (by_ss(&words), by_tracer(&netns, &words));
            assert_eq!(found, expected, "{filter}");
            nonempty += usize::from(!expected.is_empty());
        }
        assert!(nonempty >= 38, "only {nonempty} filters that give anything");
    });
}

#[test]
fn a_range_is_decided_in_the_kernel_and_the_rest_here() {
    isolated(|namespace| {
        let listener = TcpListener::bind("127.0.0.1:8080").unwrap();
        let other = TcpListener::bind("127.0.0.1:9090").unwrap();
        let filter =
            ["dport", "8000-8999", "and", "not", "comm", "nobody", "and", "role", "client"];
        let tracer = Tracer::start(namespace, &filter);
        let mut ends = Vec::new();
        for listener in [&listener, &other] {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let server = sockets::accept(listener);
            ends.push([&client, &server].map(End::of));
        }
        let trace = tracer.finish();
        let [[wanted, its_server], others] = [&ends[0], &ends[1]];
        assert!(trace.life(wanted).story().starts_with("CLOSED SYN_SENT ESTABLISHED"));
        for end in [its_server, &others[0], &others[1]] {
            let told: Vec<_> =
                trace.records.iter().filter(|record| end.is_told_by(record)).collect();
            assert!(told.is_empty(), "not asked for:{}", listing(told));
        }
    });
}

#[test]
fn a_namespace_has_a_name_a_path_and_processes() {
    let name = format!("tracer-test-{}", std::process::id());
    run("ip", &["netns", "add", &name]);
    let path = format!("/run/netns/{name}");
    let found = tracer_tests::netns::inside(std::path::Path::new(&path), |namespace| {
        run("ip", &["link", "set", "lo", "up"]);
        let _listener = sockets::listen(Path::V4);
        let resident = tracer_tests::netns::Resident::settle();
        let inode = namespace.inode.to_string();
        let all = by_tracer(&inode, &[]);
        let pid = resident.pid().to_string();
        [name.as_str(), &path, &pid].map(|netns| (all.len(), by_tracer(netns, &[]) == all))
    });
    run("ip", &["netns", "delete", &name]);
    assert_eq!(found, [(1, true); 3]);
}

#[test]
fn a_mistake_is_pointed_at() {
    let output = command("", &["sockets", "sport", "=", ":htp"]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(output.status.code(), Some(2));
    assert!(lines[0].starts_with("tracer: filter: expected a port"), "{errors}");
    assert_eq!(lines[1..], ["  sport = :htp", "          ^^^^"]);
}
