//! What is reported of handshakes and retransmissions is what passes on the wire.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

use serde_json::Value;
use socket2::SockRef;
use tracer_tests::{
    capture::{Capture, Captured},
    netns::{Namespace, assign, isolated, run},
    record::Record,
    segment::flag::{ACK, FIN, SYN},
    shown::{note, shown},
    sockets::{self, End, Path, wait_for_end},
    tracer::{PATIENCE, Trace, Tracer},
};

const MILLISECOND: i64 = 1_000_000;

/// A connection's segments with these flags, from one port to another.
fn sent(captured: &[Captured], from: &End, flags: u8) -> Vec<Captured> {
    let wanted = |captured: &&Captured| {
        let segment = &captured.segment;
        segment.is(flags)
            && [segment.source, segment.target] == [from.local.port(), from.peer.port()]
    };
    captured.iter().filter(wanted).cloned().collect()
}

/// The initial sequence numbers of both ends are those of SYN and SYN+ACK; so are the counts of
/// their retransmissions. How many of SYN, SYN+ACK were sent.
fn handshakes_are(
    captured: &[Captured],
    [of_client, of_server]: [&Value; 2],
    [client, server]: &[End; 2],
) -> [usize; 2] {
    let syns = sent(captured, client, SYN);
    let answers = sent(captured, server, SYN | ACK);
    for syn in &syns {
        assert_eq!(of_client["local_isn"], syn.segment.sequence, "{of_client} {syns:?}");
        assert_eq!(of_server["peer_isn"], syn.segment.sequence, "{of_server} {syns:?}");
    }
    for answer in &answers {
        assert_eq!(of_server["local_isn"], answer.segment.sequence, "{of_server} {answers:?}");
        assert_eq!(of_client["peer_isn"], answer.segment.sequence, "{of_client} {answers:?}");
    }
    assert_eq!(of_client["syn_retransmits"], syns.len() - 1, "{of_client} {syns:?}");
    assert_eq!(of_server["syn_retransmits"], answers.len() - 1, "{of_server} {answers:?}");
    [syns.len(), answers.len()]
}

/// Each retransmission on the wire is told, in order, and no other.
fn retransmissions_are(captured: &[Captured], trace: &Trace, end: &End, flags: u8, name: &str) {
    let sent = sent(captured, end, flags);
    let told: Vec<&Record> = trace
        .records
        .iter()
        .filter(|record| record.kind() == "retransmit" && record.local() == Some(end.local))
        .filter(|record| record.at("/tcp/segment/type") == name)
        .collect();
    // A timer's retransmission may be as unseen as a change of state, and nothing shows that later.
    note((sent.len() - 1).saturating_sub(told.len()) as u64);
    assert_eq!(told.len(), sent.len() - 1, "{name}: told {told:?}, sent {sent:?}");
    for (index, (record, captured)) in told.iter().zip(&sent[1..]).enumerate() {
        assert_eq!(record.peer(), Some(end.peer), "{record}");
        assert_eq!(record.at("/tcp/segment/direction"), "sent", "{record}");
        assert_eq!(record.at("/tcp/segment/retransmit"), index + 1, "{record}");
        assert_eq!(record.at("/tcp/segment/sequence"), captured.segment.sequence, "{record}");
        let late = record.moment().since(captured.time).abs();
        assert!(late < 50 * MILLISECOND, "{late} ns from {captured:?}: {record}");
    }
}

/// Drops the first segments that arrive for a port, or from one, with these of the flags SYN, ACK
/// and FIN.
fn lose_first(count: usize, port: &str, number: u16, flags: &str) {
    let [number, count] = [number.to_string(), count.to_string()];
    let table = ["inet", "tests"];
    run("nft", &[&["add", "table"], &table[..]].concat());
    let hook = ["{", "type", "filter", "hook", "input", "priority", "0", ";", "}"];
    run("nft", &[&["add", "chain"], &table[..], &["input"], &hook[..]].concat());
    let segments = ["tcp", port, &number, "tcp", "flags", "&", "(syn | ack | fin)", "==", flags];
    let first = ["numgen", "inc", "mod", "65536", "<", &count, "drop"];
    run("nft", &[&["add", "rule"], &table[..], &["input"], &segments[..], &first[..]].concat());
}

/// What was told and what passed.
struct Observed {
    trace: Trace,
    captured: Vec<Captured>,
    ends: [End; 2],
}

/// How many of SYN, SYN+ACK and the client's FIN were sent over a connection over `lo`, closed by
/// the client, then by the server; all told of them is right.
fn counted(path: Path, prepare: impl Fn(&TcpListener) + Sync) -> [usize; 3] {
    shown(|namespace| {
        let capture = Capture::start("lo");
        let tracer = Tracer::start(namespace, &[]);
        let listener = sockets::listen(path);
        prepare(&listener);
        let (client, mut server) = sockets::connect(&listener, path);
        let ends = [&client, &server].map(End::of);
        drop(client);
        wait_for_end(&mut server);
        drop(server);
        tracer.wait_for_step(&ends[0], "FIN_WAIT2", "TIME_WAIT");
        let captured = capture.finish(Ipv4Addr::LOCALHOST);
        Observed { trace: tracer.finish(), captured, ends }.is_right()
    })
}

impl Observed {
    /// How many of SYN, SYN+ACK and the client's FIN were sent; all told of them is right.
    fn is_right(&self) -> [usize; 3] {
        let Self { trace, captured, ends } = self;
        let [client, server] = ends;
        let told = [client, server].map(|end| trace.life(end).handshake());
        let [syns, answers] = handshakes_are(captured, told, ends);
        retransmissions_are(captured, trace, client, SYN, "SYN");
        retransmissions_are(captured, trace, server, SYN | ACK, "SYN+ACK");
        for end in ends {
            retransmissions_are(captured, trace, end, FIN | ACK, "FIN");
        }
        [syns, answers, sent(captured, client, FIN | ACK).len()]
    }
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}

#[test]
fn a_connection_over_ipv4_is_told_as_on_the_wire() {
    assert_eq!(counted(Path::V4, |_| ()), [1, 1, 1]);
}

#[test]
fn a_connection_over_ipv6_is_told_as_on_the_wire() {
    assert_eq!(counted(Path::V6, |_| ()), [1, 1, 1]);
}

#[test]
fn a_dual_stack_connection_is_told_as_on_the_wire() {
    assert_eq!(counted(Path::DualStack, |_| ()), [1, 1, 1]);
}

#[test]
fn lost_syns_are_told_as_often_as_they_are_sent_again() {
    let [syns, ..] = counted(Path::V4, |listener| lose_first(2, "dport", port(listener), "syn"));
    assert_eq!(syns, 3);
}

#[test]
fn a_lost_syn_ack_is_told_as_often_as_it_is_sent_again() {
    let [_, answers, _] =
        counted(Path::V6, |listener| lose_first(1, "sport", port(listener), "(syn | ack)"));
    // The server's timer and the client's next SYN both make it send again.
    assert!(answers > 1, "{answers} SYN+ACKs");
}

/// The retransmissions of a FIN are counted apart from those of the SYN.
#[test]
fn lost_fins_are_told_as_often_as_they_are_sent_again() {
    let [syns, _, fins] = counted(Path::V4, |listener| {
        lose_first(1, "dport", port(listener), "syn");
        lose_first(2, "dport", port(listener), "(fin | ack)");
    });
    assert_eq!(syns, 2);
    assert!(fins > 2, "{fins} FINs");
}

/// Addresses of the two ends of a pair of interfaces.
const HERE: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 2);
const HERE_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x98, 0, 0, 0, 0, 0, 1);
const THERE_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x98, 0, 0, 0, 0, 0, 2);
/// Their name, in both namespaces.
const CABLE: &str = "cable0";

fn plug_in(namespace: &Namespace, v4: Ipv4Addr, v6: Ipv6Addr) {
    namespace.set(&format!("net/ipv6/conf/{CABLE}/accept_ra"), "0");
    run("ip", &["link", "set", CABLE, "up"]);
    assign(&format!("{v4}/24"), CABLE);
    assign(&format!("{v6}/64"), CABLE);
}

/// Lets a segment of ours pass the cable each 30 ms or so: a bucket that one empties, and into
/// which a kilobyte flows each second.
fn slow_down() {
    let bucket = ["tbf", "rate", "8kbit", "burst", "100", "latency", "5s"];
    run("tc", &[&["qdisc", "add", "dev", CABLE, "root"], &bucket[..]].concat());
}

/// What the server takes for the round-trip time is the time from its SYN+ACK to the client's ACK.
fn rtt_is(captured: &[Captured], handshake: &Value, [client, server]: &[End; 2]) {
    let answer = &sent(captured, server, SYN | ACK)[0];
    let ack = &sent(captured, client, ACK)[0];
    let on_the_wire = ack.time.since(answer.time);
    // One in a thousand is a whole number of milliseconds, as those of SYN cookies.
    let Some(rtt) = handshake["rtt_ns"].as_i64() else { return };
    println!("told {rtt} ns, on the wire {on_the_wire} ns");
    assert!(on_the_wire > 20 * MILLISECOND, "the test needs a slow client: {on_the_wire} ns");
    let difference = (rtt - on_the_wire).abs();
    assert!(difference < on_the_wire / 2, "told {rtt} ns, on the wire {on_the_wire} ns");
}

/// Clients in a namespace of their own, at the peer of the cable: tells its thread, and connects
/// to the addresses that it is sent from when the cable is laid.
fn clients_far_away(
    is_there: &Sender<i32>,
    addresses: Receiver<SocketAddr>,
) -> (Vec<TcpStream>, Trace) {
    isolated(move |namespace| {
        let tracer = Tracer::start(namespace, &[]);
        is_there.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
        let mut addresses = addresses.into_iter().peekable();
        assert!(addresses.peek().is_some());
        plug_in(namespace, THERE, THERE_V6);
        slow_down();
        let connect = |address| TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        let clients = addresses.map(connect).collect();
        (clients, tracer.finish())
    })
}

/// Takes one connection, and tells the clients where.
fn serve(address: IpAddr, clients: &Sender<SocketAddr>) -> TcpStream {
    let listener = TcpListener::bind((address, 0)).unwrap();
    SockRef::from(&listener).set_read_timeout(Some(PATIENCE)).unwrap();
    clients.send(listener.local_addr().unwrap()).unwrap();
    sockets::accept(&listener)
}

/// Two namespaces and a cable; each has a tracer of its own. All that passes here does so in
/// softirqs, by a timer.
#[test]
fn both_ends_of_a_cable_are_told_as_on_the_wire() {
    shown(|namespace| {
        let (is_there, there) = mpsc::channel();
        let (to_clients, addresses) = mpsc::channel();
        let far_away = thread::spawn(move || clients_far_away(&is_there, addresses));
        let other = there.recv().unwrap().to_string();
        let far_end = ["peer", "name", CABLE, "netns", &other];
        run("ip", &[&["link", "add", CABLE, "type", "veth"], &far_end[..]].concat());
        plug_in(namespace, HERE, HERE_V6);
        let capture = Capture::start(CABLE);
        let tracer = Tracer::start(namespace, &[]);
        let servers = [HERE.into(), HERE_V6.into()].map(|address| serve(address, &to_clients));
        drop(to_clients);
        let (clients, of_clients) = far_away.join().unwrap();
        let captured = capture.finish(THERE);
        let of_servers = tracer.finish();
        // Of another thread.
        note(of_clients.unseen());
        for (client, server) in clients.iter().zip(&servers) {
            let ends = [End::of(client), End::of(server)];
            let told = [of_clients.life(&ends[0]), of_servers.life(&ends[1])];
            let told = told.map(|life| life.handshake());
            assert_eq!(handshakes_are(&captured, told, &ends), [1, 1]);
            rtt_is(&captured, told[1], &ends);
        }
    });
}
