//! MPTCP: what listens with it, as services in Go do, is told like any other socket, whether its
//! clients speak it or not. Compared with `ss`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
};

use socket2::{Domain, Protocol, Socket, Type};
use tracer_tests::{
    kernel::{self, lacks},
    netns::{Namespace, isolated, run},
    record::Record,
    sockets::{Path, eventually, loopback},
    tracer::{Tracer, WITH_TRACEFS, command, listed},
};

/// `include/uapi/linux/in.h`
const IPPROTO_MPTCP: i32 = 262;
const PATHS: [Path; 3] = [Path::V4, Path::V6, Path::DualStack];

/// A socket of MPTCP, or of TCP.
fn socket(domain: Domain, mptcp: bool) -> Socket {
    let protocol = if mptcp { Protocol::from(IPPROTO_MPTCP) } else { Protocol::TCP };
    Socket::new(domain, Type::STREAM, Some(protocol)).expect("a socket")
}

/// Runs a test where the kernel has MPTCP.
fn with_mptcp(test: impl FnOnce(&Namespace) + Send) {
    isolated(|namespace| {
        if !std::path::Path::new("/proc/sys/net/mptcp/enabled").exists() {
            lacks("MPTCP");
        }
        namespace.set("net/mptcp/enabled", "1");
        test(namespace);
    });
}

/// Sockets in all situations: of one server that takes what comes, and one that takes nothing.
struct Scene {
    listeners: Vec<Socket>,
    kept: Vec<TcpStream>,
    /// Some connections are half open.
    half_open: bool,
}

fn listen(path: Path, backlog: i32) -> Socket {
    let (domain, address) = match path {
        Path::V4 => (Domain::IPV4, "127.0.0.1:0"),
        Path::V6 => (Domain::IPV6, "[::1]:0"),
        Path::DualStack => (Domain::IPV6, "[::]:0"),
    };
    let listener = socket(domain, true);
    if path == Path::DualStack {
        listener.set_only_v6(false).expect("a dual-stack socket");
    }
    let address: SocketAddr = address.parse().expect("an address");
    listener.bind(&address.into()).expect("a bound socket");
    listener.listen(backlog).expect("a listener");
    listener
}

fn port(socket: &Socket) -> u16 {
    let address = socket.local_addr().expect("an address");
    address.as_socket().expect("an IP address").port()
}

fn connect(path: Path, port: u16, mptcp: bool) -> TcpStream {
    let domain = if path == Path::V6 { Domain::IPV6 } else { Domain::IPV4 };
    let client = socket(domain, mptcp);
    client.connect(&loopback(path, port).into()).expect("a connection");
    let mut client = TcpStream::from(client);
    // Of an MPTCP connection the server knows only with the first data.
    client.write_all(b"x").expect("sent bytes");
    client
}

/// Lets the kernel wait for the first data, so that connections stay half open; whether it does for
/// MPTCP.
fn defer(listener: &Socket) -> bool {
    tracer_lab::options::set_tcp(listener, libc::TCP_DEFER_ACCEPT, 60).is_ok()
}

impl Scene {
    fn set(path: Path) -> Self {
        let mut scene = Self { listeners: Vec::new(), kept: Vec::new(), half_open: false };
        let (taking, deaf, deferring) = (listen(path, 64), listen(path, 8), listen(path, 8));
        for mptcp in [true, false] {
            let mut ends = Vec::new();
            for _ in 0..4 {
                let client = connect(path, port(&taking), mptcp);
                let (server, _) = taking.accept().expect("a connection to accept");
                ends.push((client, TcpStream::from(server)));
            }
            let [open, half, left, over] = <[_; 4]>::try_from(ends).expect("four");
            scene.kept.extend([open.0, open.1]);
            // FIN_WAIT2, held, and CLOSE_WAIT.
            half.0.shutdown(Shutdown::Write).expect("a half-close");
            scene.kept.extend([half.0, half.1]);
            // Closed at one end.
            scene.kept.push(left.1);
            // TIME_WAIT.
            end(over);
            scene.kept.push(connect(path, port(&deaf), mptcp));
        }
        scene.half_open = defer(&deferring);
        if scene.half_open {
            let address = loopback(path, port(&deferring));
            let connect = |_| TcpStream::connect(address).expect("a connection");
            scene.kept.extend((0..3).map(connect));
        }
        scene.listeners = vec![taking, deaf, deferring];
        scene
    }
}

/// Ends a connection, the client first.
fn end((client, mut server): (TcpStream, TcpStream)) {
    drop(client);
    let _ = server.read_to_end(&mut Vec::new());
}

/// State and holders by cookie.
type Sockets = BTreeMap<u64, (String, BTreeSet<(u64, u64)>)>;

fn by_ss() -> Sockets {
    let of =
        |(known, holders): (kernel::Known, _)| (known.cookie, (known.state.to_owned(), holders));
    kernel::held().into_iter().map(of).collect()
}

fn by_tracer(namespace: &Namespace) -> Sockets {
    let of = |record: Record| {
        let processes = record.at("/processes").as_array().cloned().unwrap_or_default();
        let holder = |one: &serde_json::Value| Some((one["pid"].as_u64()?, one["fd"].as_u64()?));
        let state = record.text("/tcp/state").expect("a state").to_owned();
        let cookie = record.cookie().expect("a cookie");
        (cookie, (state, processes.iter().filter_map(holder).collect()))
    };
    listed(namespace).into_iter().map(of).collect()
}

/// What one says and the other does not.
fn differences(ours: &Sockets, theirs: &Sockets) -> Vec<String> {
    let cookies: BTreeSet<&u64> = ours.keys().chain(theirs.keys()).collect();
    let differ = cookies.into_iter().filter(|cookie| ours.get(cookie) != theirs.get(cookie));
    differ
        .map(|cookie| format!("tracer {:?}, ss {:?}", ours.get(cookie), theirs.get(cookie)))
        .collect()
}

#[test]
fn a_look_shows_what_ss_shows() {
    with_mptcp(|namespace| {
        let scenes = PATHS.map(Scene::set);
        let mut last = Vec::new();
        eventually("the same as ss", || {
            let theirs = by_ss();
            last = differences(&by_tracer(namespace), &theirs);
            if !last.is_empty() {
                println!("{last:#?}");
            }
            last.is_empty()
        });
        let half_open = scenes.iter().any(|scene| scene.half_open);
        let states: BTreeSet<String> = by_ss().into_values().map(|(state, _)| state).collect();
        for state in ["LISTEN", "ESTABLISHED", "FIN_WAIT2", "CLOSE_WAIT", "TIME_WAIT"] {
            assert!(states.contains(state), "no {state} to compare: {states:?}");
        }
        assert_eq!(states.contains("SYN_RECV"), half_open, "{states:?}");
        // What nobody has got is named by its listener.
        for record in listed(namespace) {
            let waits =
                record.at("/tcp/unaccepted") == true || record.at("/tcp/state") == "SYN_RECV";
            if waits {
                assert_eq!(
                    record.number("/process/pid"),
                    Some(std::process::id().into()),
                    "{record}"
                );
                assert_eq!(record.at("/process/evidence"), "listener", "{record}");
            }
        }
        drop(scenes);
    });
}

#[test]
fn events_tell_states_and_owners_as_ss_does() {
    with_mptcp(|namespace| {
        let options = [namespace.netns, "--linger", "none"];
        let tracer = Tracer::launch(WITH_TRACEFS, &options);
        let scenes = PATHS.map(Scene::set);
        let minisockets = || {
            let theirs = by_ss();
            let is_over = |state: &str| state == "TIME_WAIT";
            theirs.values().filter(|(state, _)| is_over(state)).count()
        };
        eventually("TIME_WAIT of each that is over", || minisockets() >= PATHS.len());
        // Looks go on meanwhile: what they do not show is told as over.
        std::thread::sleep(std::time::Duration::from_secs(3));
        let theirs = by_ss();
        let trace = tracer.finish();
        let mut states: BTreeMap<u64, &str> = BTreeMap::new();
        let mut owners: BTreeMap<u64, u64> = BTreeMap::new();
        for record in trace.transitions() {
            let cookie = record.cookie().expect("a cookie");
            states.insert(cookie, record.text("/tcp/to").expect("a state"));
            if let Some(pid) = record.number("/process/pid") {
                owners.insert(cookie, pid);
            }
        }
        states.retain(|_, state| *state != "CLOSED");
        for (cookie, (state, holders)) in &theirs {
            if state == "SYN_RECV" {
                continue;
            }
            assert_eq!(states.get(cookie), Some(&&**state), "socket {cookie}");
            if let Some((pid, _)) = holders.first() {
                assert_eq!(owners.get(cookie), Some(pid), "socket {cookie} in {state}");
            }
        }
        let strangers: Vec<_> =
            states.iter().filter(|(one, _)| !theirs.contains_key(one)).collect();
        assert!(strangers.is_empty(), "told, and not there: {strangers:?}");
        drop(scenes);
    });
}

/// Clients that have come and gone, of a server that keeps what it accepts, and of one that accepts
/// nothing: each finding and each flag has a name for its subject.
#[test]
fn findings_name_the_process() {
    with_mptcp(|namespace| {
        let (keeper, deaf) = (listen(Path::V4, 64), listen(Path::V4, 2));
        let mut kept = Vec::new();
        let mut waiting = Vec::new();
        for number in 0..6 {
            let client = connect(Path::V4, port(&keeper), number % 2 == 0);
            kept.push(keeper.accept().expect("a connection to accept").0);
            drop(client);
        }
        // One more than the backlog fit; the next one finds no room.
        waiting.extend((0..3).map(|_| connect(Path::V4, port(&deaf), false)));
        let output = command("", &["diagnose", "--for", "1s", namespace.netns]).output();
        let text =
            String::from_utf8(output.expect("live tests need nsenter").stdout).expect("text");
        assert!(!text.contains("that can be seen"), "{text}");
        let pid = format!("[{}]", std::process::id());
        let queue = text.lines().find(|line| line.contains("accept queue of listener"));
        assert!(queue.is_some_and(|line| line.contains(&pid)), "{text}");
        let leak = text.lines().find(|line| line.contains("does not"));
        assert!(leak.is_some_and(|line| line.contains(&pid)), "{text}");
        drop((kept, waiting));
    });
}

/// A later subflow is opened by a worker of the kernel: it belongs to who holds the first.
#[test]
fn later_subflows_belong_to_the_same_process() {
    with_mptcp(|namespace| {
        for address in ["10.9.0.1/32", "10.9.0.2/32"] {
            run("ip", &["addr", "add", address, "dev", "lo"]);
        }
        run("ip", &["mptcp", "limits", "set", "subflow", "2", "add_addr_accepted", "2"]);
        run("ip", &["mptcp", "endpoint", "add", "10.9.0.2", "dev", "lo", "subflow"]);
        let tracer = Tracer::launch(WITH_TRACEFS, &[namespace.netns, "--linger", "none"]);
        let listener = socket(Domain::IPV4, true);
        let address = SocketAddr::from(([10, 9, 0, 1], 0));
        listener.bind(&address.into()).expect("a bound socket");
        listener.listen(8).expect("a listener");
        let address = SocketAddr::from(([10, 9, 0, 1], port(&listener)));
        let client = socket(Domain::IPV4, true);
        client.connect(&address.into()).expect("a connection");
        let mut client = TcpStream::from(client);
        client.write_all(b"x").expect("sent bytes");
        let (server, _) = listener.accept().expect("a connection to accept");
        let mut server = TcpStream::from(server);
        server.write_all(b"y").expect("sent bytes");
        // Each end may open some.
        eventually("a second subflow, the same as by ss", || {
            let theirs = by_ss();
            let established = theirs.values().filter(|(state, _)| state == "ESTABLISHED");
            established.count() >= 4 && differences(&by_tracer(namespace), &theirs).is_empty()
        });
        drop((client, server));
        let trace = tracer.finish();
        let begun = |record: &&Record| record.is_step("CLOSED", "SYN_SENT");
        let begun: Vec<&Record> = trace.transitions().filter(begun).collect();
        assert!(begun.len() >= 2, "{begun:?}");
        let own = Some(u64::from(std::process::id()));
        for record in begun {
            let pid = record.number("/process/pid");
            let is_first = record.peer() == Some(address)
                && record.local().is_some_and(|local| local.ip() == address.ip());
            assert_eq!(pid, own.filter(|_| is_first), "{record}");
        }
    });
}
