//! Handshake and orderly teardown, both ends.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;
use tracer_tests::{
    netns::Namespace,
    shown::shown,
    sockets::{self, End, Pair, Path, close_client_first},
    tracer::{Trace, Tracer},
};

/// How an end begins that connects, and one that is connected to.
const ACTIVE: &str = "CLOSED SYN_SENT ";
const PASSIVE: &str = "LISTEN SYN_RECV ";
const CLIENT: &str = "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 FIN_WAIT2(CLOSED) \
                      TIME_WAIT(inferred)";
/// The same where the last acknowledgement arrives while close() still has the socket: then the
/// kernel keeps all of it (`tcp_rcv_state_process`, `sock_owned_by_user`).
const KEPT: &str = "CLOSED SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT(CLOSED)";
const SERVER: &str = "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED";

struct Traced {
    trace: Trace,
    listener: End,
    client: End,
    server: End,
}

/// A connection from before its listener to after it, closed by the client.
fn connection_over(path: Path, namespace: &Namespace) -> Traced {
    let tracer = Tracer::start(namespace, &[]);
    let pair = Pair::over(path);
    let (client, server) = pair.ends();
    let listener = close_client_first(&tracer, pair);
    tracer.wait_for_step(&client, "FIN_WAIT2", "TIME_WAIT");
    let end = End::of(&listener);
    drop(listener);
    let trace = tracer.finish();
    trace.stays_in(namespace);
    Traced { trace, listener: end, client, server }
}

fn is_complete(traced: &Traced) {
    let Traced { trace, listener, client, server } = traced;
    let [client, server, listener] = [client, server, listener].map(|end| trace.life(end));
    client.is_one_of("client", &[CLIENT, KEPT]);
    server.is("server", SERVER).closed("graceful", "peer");
    listener.is("listener", "CLOSED LISTEN CLOSED");
    trace.tells_only(&[&client, &server, &listener]);
    if client.story() == CLIENT {
        assert_eq!(client.step("FIN_WAIT2", "FIN_WAIT2").at("/tcp/orphaned"), true);
    }
    handshakes_agree(client.handshake(), server.handshake());
}

/// Each end's initial sequence number is the other one's peer's.
fn handshakes_agree(client: &Value, server: &Value) {
    for handshake in [client, server] {
        for field in ["duration_ns", "rtt_ns"] {
            assert!(handshake[field].as_u64().is_some_and(|time| time > 0), "{handshake}");
        }
        for field in ["local_isn", "peer_isn"] {
            assert!(handshake[field].is_u64(), "{handshake}");
        }
        assert_eq!(handshake["syn_retransmits"], 0, "{handshake}");
    }
    assert_eq!(client["local_isn"], server["peer_isn"]);
    assert_eq!(client["peer_isn"], server["local_isn"]);
}

#[test]
fn both_ends_of_an_ipv4_connection_are_told_completely() {
    shown(|namespace| is_complete(&connection_over(Path::V4, namespace)));
}

#[test]
fn both_ends_of_an_ipv6_connection_are_told_completely() {
    shown(|namespace| {
        let traced = connection_over(Path::V6, namespace);
        assert!(traced.client.local.is_ipv6());
        is_complete(&traced);
    });
}

#[test]
fn an_ipv4_client_of_an_ipv6_listener_has_one_spelling_on_both_ends() {
    shown(|namespace| {
        let traced = connection_over(Path::DualStack, namespace);
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(traced.client.local.ip(), localhost);
        is_complete(&traced);
        let Traced { trace, client, server, .. } = traced;
        let about = |record: &&_| client.is_told_by(record) || server.is_told_by(record);
        for record in trace.transitions().filter(about) {
            for field in ["/network/local/address", "/network/peer/address"] {
                assert_eq!(record.at(field), "127.0.0.1", "{record}");
            }
            assert_eq!(record.at("/network/type"), "ipv4", "{record}");
        }
    });
}

/// Its listener stays.
#[test]
fn the_server_can_close_first() {
    shown(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let pair = Pair::over(Path::V4);
        let (client_end, server_end) = pair.ends();
        let Pair { listener, client, server } = pair;
        drop(server);
        tracer.wait_for_step(&server_end, "FIN_WAIT1", "FIN_WAIT2");
        drop(client);
        tracer.wait_for_step(&server_end, "FIN_WAIT2", "TIME_WAIT");
        let trace = tracer.finish();
        let ends = [client_end, server_end, End::of(&listener)];
        let [client, server, listener] = ends.each_ref().map(|end| trace.life(end));
        client
            .is("client", "CLOSED SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSED")
            .closed("graceful", "peer");
        let [whole, kept] = [CLIENT, KEPT].map(|story| story.replace(ACTIVE, PASSIVE));
        server.is_one_of("server", &[&whole, &kept]);
        listener.is("listener", "CLOSED LISTEN");
        trace.tells_only(&[&client, &server, &listener]);
    });
}

#[test]
fn syn_sent_carries_the_local_port_even_before_the_connection_is_made() {
    shown(|namespace| {
        let tracer = Tracer::start(namespace, &["--state", "syn-sent"]);
        let listener = sockets::listen(Path::V4);
        let streams: Vec<_> = (0..20).map(|_| sockets::connect(&listener, Path::V4)).collect();
        let trace = tracer.finish();
        for (client, _) in &streams {
            trace.life(&End::of(client)).is("client", "CLOSED SYN_SENT ESTABLISHED");
        }
        assert_eq!(trace.transitions().count(), 40);
    });
}
