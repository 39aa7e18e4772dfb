//! Connections that end at once or never begin: refused, reset, disconnected, without a port.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{ErrorKind, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
};

use socket2::{Domain, Socket, Type};
use tracer_tests::{
    kernel_objects::attached_by,
    netns::{Namespace, isolated},
    record::Record,
    shown::shown,
    sockets::{self, End, Pair, Path, linger_zero, send, wait_for_end},
    tracer::{Trace, Tracer},
};

const OPENED: &str = "CLOSED SYN_SENT ESTABLISHED";
const ACCEPTED: &str = "LISTEN SYN_RECV ESTABLISHED";

/// Runs a scenario on a connection; checks both ends and that nothing else is told.
fn both_ends(
    scenario: impl Fn(&Tracer, Pair) + Sync,
    [client_story, server_story]: [&str; 2],
    [client_close, server_close]: [(&str, &str); 2],
) {
    shown(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let pair = Pair::over(Path::V4);
        let (client, server) = pair.ends();
        let listener = End::of(&pair.listener);
        scenario(&tracer, pair);
        let trace = tracer.finish();
        let [client, server, listener] =
            [client, server, listener].each_ref().map(|end| trace.life(end));
        client.is("client", client_story).closed(client_close.0, client_close.1);
        server.is("server", server_story).closed(server_close.0, server_close.1);
        trace.tells_only(&[&client, &server, &listener]);
    });
}

/// Else a reset that comes while the programs are being attached is not seen, but the end that it
/// causes is, and gets another reason.
#[test]
fn resets_are_seen_before_the_first_end_is() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let attached = attached_by(tracer.pid());
        let place = |wanted: &str| attached.iter().position(|name| name == wanted);
        let resets = ["send_reset", "receive_reset"].map(place);
        let main = place("set_state");
        assert!(main.is_some() && resets.iter().all(Option::is_some), "{attached:?}");
        assert!(resets.into_iter().all(|reset| reset < main), "{attached:?}");
        // It catches what the main program is not shown, and has to run after it.
        assert!(place("set_state_guard") > main, "{attached:?}");
        tracer.finish();
    });
}

#[test]
fn a_refused_connection_is_told_with_its_local_port() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let nobody = sockets::loopback(Path::V4, sockets::free_port());
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let error = socket.connect(&nobody.into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let cookie = sockets::cookie(&socket);
        let trace = tracer.finish();
        let told = trace.transitions().find(|record| record.peer() == Some(nobody)).unwrap();
        let local = told.local().unwrap();
        // net.ipv4.ip_local_port_range of a new namespace
        assert!((32768..=60999).contains(&local.port()), "no local port: {told}");
        let life = trace.life(&End { cookie, ordinal: 1, local, peer: nobody });
        life.is("client", "CLOSED SYN_SENT CLOSED").closed("refused", "peer");
    });
}

#[test]
fn a_reset_by_linger_zero_is_told_as_sent_and_as_received() {
    both_ends(
        |_, Pair { client, mut server, listener: _listener }| {
            linger_zero(&client);
            drop(client);
            wait_for_end(&mut server);
        },
        [&format!("{OPENED} CLOSED"), &format!("{ACCEPTED} CLOSED")],
        [("reset_sent_linger0", "local"), ("reset_received", "peer")],
    );
}

#[test]
fn a_close_with_unread_data_resets_the_connection() {
    both_ends(
        |_, Pair { client, mut server, listener: _listener }| {
            send(&mut server, &client, b"never read");
            drop(client);
            wait_for_end(&mut server);
        },
        [&format!("{OPENED} CLOSED"), &format!("{ACCEPTED} CLOSED")],
        [("reset_sent_unread_data", "local"), ("reset_received", "peer")],
    );
}

#[test]
fn a_reset_in_close_wait_is_told_on_both_ends() {
    both_ends(
        |tracer, Pair { client, server, listener: _listener }| {
            let end = End::of(&client);
            client.shutdown(std::net::Shutdown::Write).unwrap();
            tracer.wait_for_step(&end, "FIN_WAIT1", "FIN_WAIT2");
            linger_zero(&server);
            drop(server);
            wait_for_end(&mut { client });
        },
        [&format!("{OPENED} FIN_WAIT1 FIN_WAIT2 CLOSED"), &format!("{ACCEPTED} CLOSE_WAIT CLOSED")],
        [("reset_received", "local"), ("reset_sent_linger0", "peer")],
    );
}

#[test]
fn data_that_arrives_after_close_is_answered_with_a_reset() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let Pair { client, mut server, listener } = Pair::far_apart(namespace);
        let ends = [&client, &server].map(End::of);
        server.write_all(b"on its way").unwrap();
        drop(client);
        tracer.wait_for_step(&ends[1], "CLOSE_WAIT", "CLOSED");
        let trace = tracer.finish();
        let [client, server] = ends.map(|end| trace.life(&end));
        client
            .is("client", &format!("{OPENED} FIN_WAIT1 CLOSED"))
            .closed("reset_sent_data_after_close", "local");
        server
            .is("server", &format!("{ACCEPTED} CLOSE_WAIT CLOSED"))
            .closed("reset_received", "peer");
        trace.tells_only(&[&client, &server, &trace.life(&End::of(&listener))]);
    });
}

/// No tracepoint shows the end of the minisocket; that its peer got an RST does.
#[test]
fn data_for_an_orphan_in_fin_wait2_ends_it() {
    both_ends(
        |tracer, Pair { client, mut server, listener: _listener }| {
            let ends = [&client, &server].map(End::of);
            drop(client);
            tracer.wait_for_step(&ends[0], "FIN_WAIT2", "FIN_WAIT2");
            server.write_all(b"too late").unwrap();
            tracer.wait_for_step(&ends[1], "CLOSE_WAIT", "CLOSED");
        },
        [
            &format!("{OPENED} FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) CLOSED(inferred)"),
            &format!("{ACCEPTED} CLOSE_WAIT CLOSED"),
        ],
        [("reset_sent_data_after_close", "local"), ("reset_received", "peer")],
    );
}

#[test]
fn a_connection_that_was_never_accepted_is_reset_with_its_listener() {
    shown(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let listener = sockets::listen(Path::V4);
        let (listener_end, address) = (End::of(&listener), listener.local_addr().unwrap());
        let mut client = TcpStream::connect(address).unwrap();
        let client_end = End::of(&client);
        drop(listener);
        wait_for_end(&mut client);
        let trace = tracer.finish();
        let mut others = trace.transitions().filter(|r| r.peer() == Some(client_end.local));
        // Without cookies it is told by its addresses.
        let cookie = others.find_map(Record::cookie).unwrap_or_default();
        let server = End { cookie, ordinal: 1, local: address, peer: client_end.local };
        let (client, server) = (trace.life(&client_end), trace.life(&server));
        client.is("client", &format!("{OPENED} CLOSED")).closed("reset_received", "peer");
        server.is("server", &format!("{ACCEPTED} CLOSED")).closed("reset_sent_unaccepted", "local");
        trace.tells_only(&[&client, &server, &trace.life(&listener_end)]);
    });
}

/// Connects until the few ports of the namespace are used up; what the last try told.
fn exhausted(namespace: &Namespace) -> (Trace, u64, SocketAddr) {
    let tracer = Tracer::start(namespace, &[]);
    let listener = sockets::listen(Path::V4);
    // After the listener, which would take one of them.
    namespace.set("net/ipv4/ip_local_port_range", "40000 40003");
    let pairs: Vec<_> = (0..4).map(|_| sockets::connect(&listener, Path::V4)).collect();
    let address = listener.local_addr().unwrap();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let error = socket.connect(&address.into()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    let cookie = sockets::cookie(&socket);
    drop(pairs);
    (tracer.finish(), cookie, address)
}

#[test]
fn a_connect_without_a_free_local_port_is_told_as_that() {
    isolated(|namespace| {
        let (trace, cookie, peer) = exhausted(namespace);
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let life = trace.life(&End { cookie, ordinal: 1, local, peer });
        life.is("client", "CLOSED SYN_SENT CLOSED").closed("no_local_port", "local");
    });
}

#[test]
fn a_socket_that_is_disconnected_and_connects_again_lives_twice() {
    shown(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let listener = sockets::listen(Path::V4);
        let address = listener.local_addr().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.connect(&address.into()).unwrap();
        let mut first_server = sockets::accept(&listener);
        let ends = [End::of(&socket), End::of(&first_server)];
        rustix::net::connect_unspec(&socket).unwrap();
        wait_for_end(&mut first_server);
        socket.connect(&address.into()).unwrap();
        let second_server = sockets::accept(&listener);
        let again = [End::of(&socket).again(2), End::of(&second_server)];
        assert_eq!(ends[0].cookie, again[0].cookie);
        assert_ne!(ends[0].local, again[0].local, "the test needs another port");
        let trace = tracer.finish();
        let [first, first_server] = ends.map(|end| trace.life(&end));
        let [second, second_server] = again.map(|end| trace.life(&end));
        first.is("client", &format!("{OPENED} CLOSED")).closed("disconnected", "local");
        first_server.is("server", &format!("{ACCEPTED} CLOSED")).closed("reset_received", "peer");
        second.is("client", OPENED);
        second_server.is("server", ACCEPTED);
        let listener = trace.life(&End::of(&listener));
        trace.tells_only(&[&first, &first_server, &second, &second_server, &listener]);
    });
}
