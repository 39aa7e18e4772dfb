//! Filters: what matches is told completely, nothing else is told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use tracer_tests::{
    netns::isolated,
    peer::Peer,
    record::listing,
    shown::shown,
    sockets::{self, End, Path, read_to_end},
    tracer::{Trace, Tracer},
};

const PEER: &str = env!("CARGO_BIN_EXE_peer");
const CLIENT: &str = "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)";
const SERVER: &str = "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED";

/// The connections of the scene.
const PLAIN: usize = 0;
const OTHER_ADDRESS: usize = 1;
const IPV6: usize = 2;
const MAPPED: usize = 3;

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Client,
    Server,
}
use Side::{Client, Server};

/// Both sides of a connection.
fn both(connection: usize) -> [(usize, Side); 2] {
    [(connection, Client), (connection, Server)]
}

/// A listener and the address at which clients look for it, for each connection.
fn listeners() -> [(TcpListener, SocketAddr); 4] {
    let at = |address: &str| {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    };
    let dual = sockets::listen(Path::DualStack);
    let mapped = sockets::loopback(Path::V4, dual.local_addr().unwrap().port());
    [at("127.0.0.1"), at("127.0.0.2"), at("::1"), (dual, mapped)]
}

/// Connects, and closes so that the tracepoint shows all of it: half-closed by the client.
fn one_connection(listener: &TcpListener, address: SocketAddr) -> [End; 2] {
    let client = TcpStream::connect(address).unwrap();
    let server = sockets::accept(listener);
    let ends = [&client, &server].map(End::of);
    close(client, server);
    ends
}

fn close(mut client: TcpStream, mut server: TcpStream) {
    client.shutdown(Shutdown::Write).unwrap();
    read_to_end(&mut server);
    drop(server);
    read_to_end(&mut client);
}

/// Traces all connections with the options that `options` makes of the listeners' ports.
fn scene(options: impl FnOnce([u16; 4]) -> String + Send) -> (Trace, Vec<[End; 2]>) {
    isolated(|namespace| {
        let listeners = listeners();
        let options = options(listeners.each_ref().map(|(_, address)| address.port()));
        let tracer = Tracer::start(namespace, &options.split_whitespace().collect::<Vec<_>>());
        let ends = listeners.iter().map(|(listener, at)| one_connection(listener, *at)).collect();
        (tracer.finish(), ends)
    })
}

/// Checks that these ends are told completely, and no others.
fn tells(options: impl FnOnce([u16; 4]) -> String + Send, wanted: &[(usize, Side)]) {
    let (trace, ends) = scene(options);
    for (connection, ends) in ends.iter().enumerate() {
        for (end, side) in ends.iter().zip([Client, Server]) {
            if !wanted.contains(&(connection, side)) {
                is_silent(&trace, end);
            } else if side == Client {
                trace.life(end).is("client", CLIENT);
            } else {
                trace.life(end).is("server", SERVER);
            }
        }
    }
}

fn is_silent(trace: &Trace, end: &End) {
    let told: Vec<_> = trace.records.iter().filter(|record| end.is_told_by(record)).collect();
    assert!(told.is_empty(), "not asked for:{}", listing(told));
}

#[test]
fn without_a_filter_everything_is_told() {
    tells(
        |_| String::new(),
        &[both(PLAIN), both(OTHER_ADDRESS), both(IPV6), both(MAPPED)].concat(),
    );
}

#[test]
fn port_is_of_either_end() {
    tells(|ports| format!("--port {}", ports[PLAIN]), &both(PLAIN));
}

#[test]
fn several_ports_are_alternatives() {
    tells(
        |ports| format!("--port {},{}", ports[PLAIN], ports[IPV6]),
        &[both(PLAIN), both(IPV6)].concat(),
    );
}

#[test]
fn local_port_is_of_this_end() {
    tells(|ports| format!("--local-port {}", ports[MAPPED]), &[(MAPPED, Server)]);
}

#[test]
fn remote_port_is_of_the_far_end() {
    tells(|ports| format!("--remote-port {}", ports[IPV6]), &[(IPV6, Client)]);
}

#[test]
fn different_conditions_must_all_hold() {
    tells(|ports| format!("-4 --port {},{}", ports[PLAIN], ports[IPV6]), &both(PLAIN));
    tells(|ports| format!("-6 --port {}", ports[PLAIN]), &[]);
}

#[test]
fn an_address_is_of_either_end() {
    tells(|_| "--address 127.0.0.2".to_owned(), &both(OTHER_ADDRESS));
}

#[test]
fn addresses_are_networks() {
    let all_ipv4 = [both(PLAIN), both(OTHER_ADDRESS), both(MAPPED)].concat();
    tells(|_| "--address 127.0.0.0/8".to_owned(), &all_ipv4);
    let two = [both(OTHER_ADDRESS), both(IPV6)].concat();
    tells(|_| "--address 127.0.0.2,::1/128".to_owned(), &two);
}

#[test]
fn ipv4_takes_in_mapped_addresses() {
    tells(|_| "-4".to_owned(), &[both(PLAIN), both(OTHER_ADDRESS), both(MAPPED)].concat());
}

#[test]
fn ipv6_leaves_mapped_addresses_out() {
    tells(|_| "-6".to_owned(), &both(IPV6));
}

#[test]
fn state_is_left_or_entered() {
    let (trace, ends) = scene(|_| "--state close-wait,time-wait".to_owned());
    for [client, server] in &ends {
        assert_eq!(trace.life(client).story(), "FIN_WAIT2 TIME_WAIT(CLOSED)");
        assert_eq!(trace.life(server).story(), "ESTABLISHED CLOSE_WAIT LAST_ACK");
    }
    assert_eq!(trace.transitions().count(), 3 * ends.len());
}

#[test]
fn pid_is_of_the_owner_of_a_client() {
    shown(|namespace| {
        let tracer = Tracer::start(namespace, &["--pid", &std::process::id().to_string()]);
        let (mut server, address) = Peer::server(PEER, "depot");
        let mut stream = TcpStream::connect(address).unwrap();
        let (client_end, server_end) = (End::of(&stream), server.end());
        stream.shutdown(Shutdown::Write).unwrap();
        server.close();
        read_to_end(&mut stream);
        let trace = tracer.finish();
        let client = trace.life(&client_end);
        client.is("client", CLIENT);
        is_silent(&trace, &server_end);
        trace.tells_only(&[&client]);
    });
}

#[test]
fn pid_is_of_the_owner_of_a_server() {
    shown(|namespace| {
        let mut server = Peer::start(PEER, "depot", &["later", "127.0.0.1:0"]);
        let tracer = Tracer::start(namespace, &["--pid", &server.pid().to_string()]);
        server.go();
        let address = server.answer().parse().unwrap();
        let (client, client_end) = Peer::client(PEER, "courier", address);
        let server_end = server.end();
        client.close();
        tracer.wait_for_step(&server_end, "ESTABLISHED", "CLOSE_WAIT");
        server.close();
        let trace = tracer.finish();
        let life = trace.life(&server_end);
        life.is("server", SERVER);
        is_silent(&trace, &client_end);
        let listens =
            trace.transitions().find(|record| record.is_step("CLOSED", "LISTEN")).unwrap();
        let (cookie, peer) = (listens.cookie().unwrap(), listens.peer().unwrap());
        let listener = End { cookie, peer, ..server_end };
        trace.tells_only(&[&life, &trace.life(&listener)]);
    });
}

/// A connection between two processes, of which `name` is asked for: judges what is told, and of
/// the ends of client and server.
fn by_name(name: &str, judge: impl Fn(&Trace, [&End; 2]) + Sync) {
    shown(|namespace| {
        // A name that nobody has when the trace starts would be remarked upon.
        let _namesake = Peer::crowd(PEER, name, 0);
        let tracer = Tracer::start(namespace, &["--comm", name]);
        let (mut server, address) = Peer::server(PEER, "depot");
        let (client, client_end) = Peer::client(PEER, "courier", address);
        let server_end = server.end();
        // The server's FIN first, so that its own TIME_WAIT has to be inferred.
        server.close();
        client.close();
        judge(&tracer.finish(), [&client_end, &server_end]);
    });
}

#[test]
fn comm_is_of_the_owner_of_a_client() {
    by_name("courier", |trace, [client, server]| {
        trace.life(client).is("client", "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED");
        is_silent(trace, server);
    });
}

#[test]
fn comm_is_of_the_owner_of_a_server() {
    by_name("depot", |trace, [client, server]| {
        let story = trace.life(server).story();
        // With its FIN acknowledged early or late:
        let (early, late) =
            ("FIN_WAIT2 FIN_WAIT2(CLOSED) TIME_WAIT(inferred)", "FIN_WAIT2 TIME_WAIT(CLOSED)");
        let begin = "LISTEN SYN_RECV ESTABLISHED FIN_WAIT1";
        let expected = [early, late].map(|end| format!("{begin} {end}"));
        assert!(expected.contains(&story), "{story}");
        is_silent(trace, client);
    });
}

/// connect() tells `CLOSED → SYN_SENT` before it chooses a local port.
#[test]
fn a_port_that_connect_chooses_is_told_from_the_first_step() {
    for (wanted, told) in [(40_000, true), (39_999, false)] {
        let (trace, ends) = isolated(|namespace| {
            namespace.set("net/ipv4/ip_local_port_range", "40000 40000");
            let listener = TcpListener::bind(("127.0.0.1", 80)).unwrap();
            let options = format!("--local-port {wanted}");
            let tracer = Tracer::start(namespace, &options.split(' ').collect::<Vec<_>>());
            let ends = one_connection(&listener, listener.local_addr().unwrap());
            (tracer.finish(), ends)
        });
        if told {
            trace.life(&ends[0]).is("client", CLIENT);
        } else {
            is_silent(&trace, &ends[0]);
        }
        is_silent(&trace, &ends[1]);
    }
}
