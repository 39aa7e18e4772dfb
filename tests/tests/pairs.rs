//! The two ends of a connection are known to belong together by their initial sequence numbers:
//! where networks have the same addresses, and through NAT.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    io::{Cursor, Read as _},
    net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream},
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};
use tracer_tests::{
    kernel::ss,
    netns::{Cable, inside, run},
    slowness::allowed,
    sockets::{self, End, own_port},
    tracer::{Tracer, command, printed, read_all, wait},
};

/// Tracers of one port of a network in all namespaces: as lines, as diagrams, and one that says
/// when all is over.
struct Tracers {
    formats: Vec<(Child, thread::JoinHandle<String>)>,
    json: Tracer,
}

impl Tracers {
    fn of(network: &str, port: u16) -> Self {
        let port = port.to_string();
        let start = |format: &str| {
            let arguments = ["--format", format, "--port", &port, "--address", network];
            let mut child = command("", &arguments).stdout(Stdio::piped()).spawn().unwrap();
            let mut out = child.stdout.take().unwrap();
            // The first line comes when the programs are attached.
            let mut first = [0];
            out.read_exact(&mut first).unwrap();
            (child, read_all(Cursor::new(first).chain(out)))
        };
        let formats = ["text", "ladder"].into_iter().map(start).collect();
        Self { formats, json: Tracer::launch("", &["--port", &port, "--address", network]) }
    }

    /// The lines and the diagrams.
    fn finish(self) -> [String; 2] {
        let texts: Vec<String> = self
            .formats
            .into_iter()
            .map(|(mut child, text)| {
                kill_process(Pid::from_child(&child), Signal::INT).unwrap();
                assert!(wait(&mut child).success());
                text.join().unwrap()
            })
            .collect();
        texts.try_into().unwrap()
    }
}

fn listen(cable: &Cable, port: u16) -> TcpListener {
    let address = SocketAddr::from(([10, 0, 0, 2], port));
    inside(&cable.ends[1].namespace(), |_| TcpListener::bind(address).unwrap())
}

fn connect(cable: &Cable, from: u16, to: SocketAddr) -> TcpStream {
    inside(&cable.ends[0].namespace(), |_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([10, 0, 0, 1], from)).into()).unwrap();
        socket.connect(&to.into()).unwrap();
        socket.into()
    })
}

/// The client closes, then the server.
fn close(tracers: &Tracers, client: TcpStream, server: TcpStream) {
    let [here, there] = [End::of(&client), End::of(&server)];
    drop(client);
    tracers.json.wait_for_step(&there, "ESTABLISHED", "CLOSE_WAIT");
    drop(server);
    tracers.json.wait_for_step(&there, "LAST_ACK", "CLOSED");
    tracers.json.wait_for_step(&here, "FIN_WAIT2", "TIME_WAIT");
}

/// The marks of all lines that enter a state.
fn marks<'a>(lines: &'a str, state: &str) -> Vec<&'a str> {
    let enters = format!("→ {state} ");
    let mut marks: Vec<&str> =
        lines.lines().filter(|line| line.contains(&enters)).map(|line| &line[17..19]).collect();
    marks.sort_unstable();
    marks
}

/// What the lines and diagrams are of two connections with the same four numbers of address and
/// port, of which only one is closed.
fn two_at_once(port: u16) -> [String; 2] {
    let cables = [Cable::lay(), Cable::lay()];
    let tracers = Tracers::of("10.0.0.0/24", port);
    let listeners = cables.each_ref().map(|cable| listen(cable, port));
    let clients = cables
        .each_ref()
        .map(|cable| connect(cable, 41_000, SocketAddr::from(([10, 0, 0, 2], port))));
    let servers = listeners.each_ref().map(sockets::accept);
    let ([client, other_client], [server, other_server]) = (clients, servers);
    close(&tracers, client, server);
    let texts = tracers.finish();
    drop((other_client, other_server));
    texts
}

#[test]
fn connections_of_overlapping_networks_are_told_apart() {
    // Marks are two characters: those of two connections are the same once in a thousand.
    let texts = [own_port(1), own_port(2)].map(two_at_once);
    for [lines, diagrams] in &texts {
        let closes = ["FIN_WAIT1", "CLOSE_WAIT", "FIN_WAIT2", "LAST_ACK", "TIME_WAIT"];
        let of_closed: BTreeSet<&str> =
            closes.iter().flat_map(|state| marks(lines, state)).collect();
        assert_eq!(of_closed.len(), 1, "{lines}");
        assert_eq!(marks(lines, "SYN_SENT").len(), 2, "{lines}");
        assert_eq!(marks(lines, "SYN_SENT"), marks(lines, "SYN_RECV"), "{lines}");
        assert_eq!(
            marks(lines, "SYN_SENT"),
            marks(lines, "ESTABLISHED")[..].iter().step_by(2).copied().collect::<Vec<_>>(),
            "{lines}"
        );
        let numbers: BTreeSet<&str> =
            diagrams.split("━━ #").skip(1).filter_map(|block| block.split(' ').next()).collect();
        assert_eq!(numbers.len(), 2, "{diagrams}");
        assert!(!diagrams.contains("network"), "an end was not found: {diagrams}");
        let closed: BTreeSet<&str> = diagrams
            .split("━━ #")
            .skip(1)
            .filter(|block| block.contains(" FIN "))
            .filter_map(|block| block.split(' ').next())
            .collect();
        assert_eq!(closed.len(), 1, "{diagrams}");
    }
    let apart = |[lines, _]: &[String; 2]| {
        let marks = marks(lines, "SYN_SENT");
        marks[0] != marks[1]
    };
    assert!(texts.iter().any(apart), "{}", texts[0][0]);
}

/// Two links with the same addresses, and the same ports: the interfaces tell them apart.
#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn link_local_addresses_carry_their_interface() {
    let port = own_port(4);
    let cable = Cable::lay();
    for name in ["left", "right"] {
        cable.add(name, ["fe80::1/64", "fe80::2/64"]);
    }
    let end = |last: u16, port, index| {
        SocketAddr::from(SocketAddrV6::new([0xfe80, 0, 0, 0, 0, 0, 0, last].into(), port, 0, index))
    };
    let listener = inside(&cable.ends[1].namespace(), |_| {
        TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).unwrap()
    });
    let tracers = Tracers::of("fe80::/64", port);
    // Names are those of the first look; before it an interface has its number.
    thread::sleep(allowed(Duration::from_secs(3)));
    let (clients, shown) = inside(&cable.ends[0].namespace(), |_| {
        let clients = [c"left", c"right"].map(|name| {
            // SAFETY: a string with its end.
            let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
            let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
            socket.bind(&end(1, 41_000, index).into()).unwrap();
            socket.connect(&end(2, port, index).into()).unwrap();
            TcpStream::from(socket)
        });
        (clients, ss(&["-tnH", "state", "established"]))
    });
    let servers = [(); 2].map(|()| sockets::accept(&listener));
    let ([client, other_client], [server, other_server]) = (clients, servers);
    let list = |zone: &str| {
        let address = format!("fe80::1%{zone}");
        let arguments = ["sockets", "--address", &address, "--port", &port.to_string()];
        printed(&mut command("", &arguments))
    };
    for (zone, other) in [("left", "right"), ("right", "left")] {
        let local = format!("[fe80::1]%{zone}:41000");
        assert!(shown.contains(&local), "ss writes it in another way: {shown}");
        let listed = list(zone);
        assert!(listed.contains(&local) && !listed.contains(&format!("%{other}")), "{listed}");
    }
    close(&tracers, client, server);
    let told = tracers.json.so_far();
    let addresses: BTreeSet<&str> =
        told.iter().filter_map(|record| record.text("/network/local/address")).collect();
    let expected =
        ["fe80::1%left", "fe80::1%right", "fe80::2%left", "fe80::2%right"].into_iter().collect();
    assert_eq!(addresses, expected);
    let [lines, diagrams] = tracers.finish();
    let drawn: BTreeSet<&str> = diagrams
        .split("━━ #")
        .skip(1)
        .filter(|block| block.contains(" FIN "))
        .filter_map(|block| block.split(' ').next())
        .collect();
    assert_eq!(drawn.len(), 1, "{diagrams}");
    assert!(!diagrams.contains("network"), "an end was not found: {diagrams}");
    assert!(lines.contains("[fe80::1]%left:41000"), "{lines}");
    assert_eq!(marks(&lines, "SYN_SENT"), marks(&lines, "SYN_RECV"), "{lines}");
    drop((other_client, other_server));
}

/// As kube-proxy does: the client knows an address that no host has.
#[test]
fn both_ends_of_a_connection_through_nat_belong_together() {
    let port = own_port(3);
    let cable = Cable::lay();
    inside(&cable.ends[0].namespace(), |_| {
        run("ip", &["route", "add", "10.96.0.0/16", "via", "10.0.0.2"]);
        let rules = format!(
            "table ip tracer_test {{\n chain output {{\n type nat hook output priority -100;\n \
             ip daddr 10.96.0.1 tcp dport 80 dnat to 10.0.0.2:{port}\n }}\n}}"
        );
        run("nft", &[&rules]);
    });
    let listener = listen(&cable, port);
    // The client's connection is to port 80; its own port is in both.
    let tracers = Tracers::of("10.0.0.0/24", own_port(5));
    let client = connect(&cable, own_port(5), SocketAddr::from(([10, 96, 0, 1], 80)));
    let server = sockets::accept(&listener);
    close(&tracers, client, server);
    let [lines, diagrams] = tracers.finish();
    let states = ["SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT1", "CLOSE_WAIT", "LAST_ACK"];
    let all: BTreeSet<&str> = states.iter().flat_map(|state| marks(&lines, state)).collect();
    assert_eq!(all.len(), 1, "{lines}");
    assert!(lines.contains("10.96.0.1:80") && marks(&lines, "SYN_RECV").len() == 1, "{lines}");
    let numbers = diagrams.matches("━━ #1 ").count();
    assert_eq!(diagrams.matches("━━ #").count(), numbers, "{diagrams}");
    assert!(!diagrams.contains("network"), "an end was not found: {diagrams}");
}
