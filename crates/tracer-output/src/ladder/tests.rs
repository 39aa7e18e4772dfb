//! Diagrams of whole connections, compared as text.

mod departures;
mod endings;
mod explained;
mod fixture;

use insta::assert_snapshot;

use self::fixture::{CLIENT, Fixture, MICROSECOND, MILLISECOND, SERVER, Wire};
use super::*;
use State::*;
use tracer_event::{
    close::Reason,
    fixtures,
    update::{Direction, Linger, Role, Segment, Source},
};

const EXPLAIN: Style = Style { explain: true, relative: false };
const PLAIN: Style = Style { explain: false, relative: false };
const RELATIVE: Style = Style { explain: false, relative: true };

/// A whole connection, both ends on this host, to the end of TIME_WAIT.
fn whole(width: usize, style: Style) -> String {
    let (mut fixture, mut wire) = Fixture::opened(width, style);
    wire.sent = [82, 4_998];
    fixture.now += 3 * MILLISECOND;
    fixture.shut(&mut wire);
    fixture.wait(60);
    fixture.now += 60_000 * MILLISECOND;
    fixture.step(&mut wire, CLIENT, Closed, Source::Timer, Some(Reason::Graceful));
    fixture.text()
}

#[test]
fn a_whole_connection_at_80_columns() {
    assert_snapshot!(whole(80, PLAIN));
}

#[test]
fn a_whole_connection_at_120_columns() {
    assert_snapshot!(whole(120, PLAIN));
}

#[test]
fn relative_numbers_count_from_the_initial_ones() {
    assert_snapshot!(whole(80, RELATIVE));
}

#[test]
fn a_whole_connection_explained_at_80_columns() {
    assert_snapshot!(whole(80, EXPLAIN));
}

#[test]
fn a_whole_connection_explained_at_120_columns() {
    assert_snapshot!(whole(120, EXPLAIN));
}

/// They are asked for at the first event, and known when the header is written.
#[test]
fn names_stand_in_the_header() {
    let mut fixture = Fixture::new(120, PLAIN);
    let names = Names::with(|_| Some("web.example".to_owned())).unwrap();
    fixture.ladder = fixture.ladder.with_names(Some(names));
    let mut wire = Wire::loopback();
    fixture.open(&mut wire);
    let server = wire.ends[SERVER].tuple.local;
    let named = || fixture.ladder.pen.names.as_ref().unwrap().named(server);
    while named() != "web.example:8080" {
        std::thread::yield_now();
    }
    fixture.shut(&mut wire);
    let text = fixture.text();
    let header = text.lines().find(|line| line.contains("curl")).unwrap();
    assert!(header.contains("web.example:42906") && header.contains("web.example:8080"), "{text}");
}

#[test]
fn nothing_is_wider_than_the_terminal() {
    for width in [40, 80, 100, 120, 200] {
        for style in [PLAIN, RELATIVE, EXPLAIN] {
            let text = whole(width, style);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
        }
    }
}

/// Only the server is on this host: what came before its last ACK is deduced.
#[test]
fn the_server_alone_and_the_network() {
    let mut fixture = Fixture::new(80, PLAIN);
    let mut wire = Wire::between("192.0.2.7:42906", "10.0.0.1:443");
    fixture.go_on(&mut wire, &[(SERVER, SynRecv), (SERVER, Established)]);
    wire.sent = [82, 4_998];
    wire.fins[CLIENT] = 1;
    fixture.go(&mut wire, SERVER, CloseWait);
    fixture.wait(60);
    // The ACK is no longer held back by now.
    fixture.now += 2_000 * MILLISECOND;
    fixture.fin(&mut wire, SERVER, LastAck);
    wire.acked[SERVER] = 1;
    fixture.close(&mut wire, SERVER, Reason::Graceful);
    assert_snapshot!(fixture.text());
}

#[test]
fn the_client_alone_closes_first() {
    let mut fixture = Fixture::new(80, PLAIN);
    let client = "[2001:db8:85a3:1111:2222:8a2e:370:7334]:42906";
    let mut wire = Wire::between(client, "[2001:db8:85a3:1111:2222:8a2e:370:1]:443");
    fixture.go_on(&mut wire, &[(CLIENT, SynSent), (CLIENT, Established)]);
    fixture.fin(&mut wire, CLIENT, FinWait1);
    wire.acked[CLIENT] = 1;
    fixture.go(&mut wire, CLIENT, FinWait2);
    wire.fins[SERVER] = 1;
    fixture.go(&mut wire, CLIENT, TimeWait);
    assert_snapshot!(fixture.text());
}

#[test]
fn a_refused_connection() {
    let mut fixture = Fixture::new(80, EXPLAIN);
    let mut wire = Wire::loopback();
    fixture.go(&mut wire, CLIENT, SynSent);
    fixture.now += 40 * MICROSECOND;
    fixture.reset(&wire, CLIENT, Direction::Received);
    fixture.close(&mut wire, CLIENT, Reason::Refused);
    assert_snapshot!(fixture.text());
}

/// The sender's event comes after its change of state, and after its life.
#[test]
fn a_reset_with_unread_data() {
    let (mut fixture, mut wire) = Fixture::opened(80, EXPLAIN);
    wire.sent = [82, 0];
    fixture.close(&mut wire, SERVER, Reason::ResetSentUnreadData);
    fixture.reset(&wire, SERVER, Direction::Sent);
    fixture.reset(&wire, CLIENT, Direction::Received);
    fixture.close(&mut wire, CLIENT, Reason::ResetReceived);
    assert_snapshot!(fixture.text());
}

#[test]
fn a_half_close_carries_data_on() {
    let (mut fixture, mut wire) = Fixture::opened(80, EXPLAIN);
    wire.sent = [82, 0];
    fixture.fin(&mut wire, CLIENT, FinWait1);
    fixture.go(&mut wire, SERVER, CloseWait);
    fixture.now += 40 * MILLISECOND;
    wire.acked[CLIENT] = 1;
    fixture.go(&mut wire, CLIENT, FinWait2);
    fixture.wait(60);
    fixture.now += 5_000 * MILLISECOND;
    wire.sent[SERVER] = 70_000;
    fixture.fin(&mut wire, SERVER, LastAck);
    fixture.go(&mut wire, CLIENT, TimeWait);
    wire.acked[SERVER] = 1;
    fixture.close(&mut wire, SERVER, Reason::Graceful);
    assert_snapshot!(fixture.text());
}

#[test]
fn a_simultaneous_close() {
    let (mut fixture, mut wire) = Fixture::opened(80, EXPLAIN);
    fixture.go_on(&mut wire, &[(CLIENT, FinWait1), (SERVER, FinWait1)]);
    wire.fins = [1, 1];
    fixture.go_on(&mut wire, &[(CLIENT, Closing), (SERVER, Closing)]);
    wire.acked = [1, 1];
    fixture.go_on(&mut wire, &[(CLIENT, TimeWait), (SERVER, TimeWait)]);
    assert_snapshot!(fixture.text());
}

#[test]
fn a_simultaneous_open() {
    let mut fixture = Fixture::new(80, EXPLAIN);
    let mut wire = Wire::loopback();
    wire.ends[SERVER].role = Some(Role::Client);
    wire.states = [Closed, Closed];
    fixture.go_on(&mut wire, &[(CLIENT, SynSent), (SERVER, SynSent), (CLIENT, SynRecv)]);
    fixture.go_on(&mut wire, &[(SERVER, SynRecv), (CLIENT, Established), (SERVER, Established)]);
    assert_snapshot!(fixture.text());
}

#[test]
fn a_retransmitted_syn_and_syn_ack() {
    let mut fixture = Fixture::new(80, EXPLAIN);
    let mut wire = Wire::between("10.0.0.1:42906", "192.0.2.7:443");
    fixture.go(&mut wire, CLIENT, SynSent);
    for ordinal in 1..3 {
        fixture.now += 1_000 * MILLISECOND;
        fixture.retransmit(&wire, CLIENT, Segment::Syn, ordinal);
        fixture.wait(60);
    }
    fixture.close(&mut wire, CLIENT, Reason::ConnectTimeout);
    let mut other = Wire::between("192.0.2.7:42907", "10.0.0.1:80");
    fixture.now += 1_000 * MILLISECOND;
    fixture.retransmit(&other, SERVER, Segment::SynAck, 1);
    fixture.wait(60);
    fixture.go_on(&mut other, &[(SERVER, SynRecv), (SERVER, Established)]);
    assert_snapshot!(fixture.text());
}

/// Nothing is known of its past, and not who has connected.
#[test]
fn a_socket_found_by_snapshot() {
    let mut fixture = Fixture::new(80, PLAIN);
    let mut wire = Wire::between("10.0.0.1:42906", "192.0.2.7:443");
    wire.states[CLIENT] = Established;
    wire.ends[CLIENT].role = None;
    wire.ends[CLIENT].owner = None;
    wire.sent = [82, 4_998];
    fixture.fin(&mut wire, CLIENT, FinWait1);
    wire.acked[CLIENT] = 1;
    fixture.step(&mut wire, CLIENT, FinWait2, Source::Snapshot, None);
    fixture.step(&mut wire, CLIENT, Closed, Source::Inferred, Some(Reason::Unknown));
    assert_snapshot!(fixture.text());
}

#[test]
fn two_connections_at_once_in_blocks() {
    let mut fixture = Fixture::new(80, PLAIN);
    let other = Wire::between("127.0.0.1:42907", "127.0.0.1:8080");
    let mut wires = [Wire::loopback(), Wire { shift: 500, ..other }];
    for wire in &mut wires {
        fixture.go(wire, CLIENT, SynSent);
    }
    for wire in &mut wires {
        fixture.go_on(wire, &[(CLIENT, Established), (SERVER, SynRecv), (SERVER, Established)]);
    }
    fixture.wait(60);
    for wire in &mut wires {
        fixture.shut(wire);
    }
    fixture.wait(60);
    assert_snapshot!(fixture.text());
}

#[test]
fn a_flag_on_close_wait_stands_in_its_diagram() {
    let (mut fixture, mut wire) = Fixture::opened(80, PLAIN);
    fixture.fin(&mut wire, CLIENT, FinWait1);
    fixture.go(&mut wire, SERVER, CloseWait);
    fixture.wait(60);
    let age = 30_000 * MILLISECOND;
    fixture.now += age;
    let linger = Linger {
        time: fixture.now,
        subject: wire.ends[SERVER],
        age,
        idle: None,
        threshold: age,
        ..fixtures::linger(1, CloseWait)
    };
    fixture.emit(&Update::Linger(&[linger]));
    assert_snapshot!(fixture.text());
}

/// The same ends again while the server's old socket is in TIME_WAIT: another diagram.
#[test]
fn a_reused_pair_of_ends_begins_a_new_diagram() {
    let (mut fixture, mut wire) = Fixture::opened(80, PLAIN);
    fixture.shut(&mut wire);
    let mut next = Wire::loopback();
    fixture.open(&mut next);
    let text = fixture.text();
    assert_eq!(text.matches("━━ #").count(), 2, "{text}");
    assert!(text.contains("━━ #2 ━━"), "{text}");
}

/// A connection between two namespaces, and another one between two that have the same addresses;
/// the FIN of one is not drawn in the other's diagram.
#[test]
fn ends_in_namespaces_with_the_same_addresses_are_paired_by_their_initial_numbers() {
    let mut fixture = Fixture::new(80, PLAIN);
    let mut wires = [10, 20].map(|netns| {
        let mut wire = Wire::between("10.0.0.1:42906", "10.0.0.2:80");
        wire.shift = netns;
        wire.ends[CLIENT].tuple.netns = netns;
        wire.ends[SERVER].tuple.netns = netns + 1;
        wire
    });
    for wire in &mut wires {
        fixture.go_on(wire, &[(CLIENT, SynSent), (CLIENT, Established)]);
    }
    for wire in wires.iter_mut().rev() {
        fixture.go(wire, SERVER, SynRecv);
    }
    for wire in &mut wires {
        fixture.go(wire, SERVER, Established);
    }
    fixture.wait(60);
    let [first, _] = &mut wires;
    fixture.shut(first);
    let text = fixture.text();
    let blocks: Vec<&str> = text.split("━━ #").skip(1).collect();
    // Two that are opened, and the first again.
    assert_eq!(blocks.len(), 3, "{text}");
    assert!(blocks[2].starts_with("1 ") && blocks[2].contains("CLOSE_WAIT"), "{text}");
    assert!(!blocks[1].contains("FIN"), "{text}");
    let drawn = blocks[1].matches("ESTABLISHED").count();
    assert_eq!(drawn, 2, "both ends in one diagram: {text}");
}

/// Addresses translated in between: each end has the other by another name.
#[test]
fn ends_on_both_sides_of_nat_share_a_diagram() {
    let mut fixture = Fixture::new(80, PLAIN);
    let mut wire = Wire::between("10.0.0.1:42906", "10.96.0.1:80");
    let server = Wire::between("10.0.0.1:42906", "172.17.0.9:8080").ends[SERVER];
    wire.ends[SERVER] = Subject { tuple: Tuple { netns: 9, ..server.tuple }, ..server };
    fixture.open(&mut wire);
    fixture.shut(&mut wire);
    let text = fixture.text();
    assert_eq!(text.matches("━━ #").count(), 1, "{text}");
    assert!(text.contains("LAST_ACK") && text.contains("TIME_WAIT"), "{text}");
}

/// Before the numbers are known addresses count, but within one namespace only.
#[test]
fn addresses_pair_ends_of_one_namespace_only() {
    let blocks = |netns: u32| {
        let mut fixture = Fixture::new(80, PLAIN);
        let mut wire = Wire::between("10.0.0.1:42906", "10.0.0.2:80");
        fixture.retransmit(&wire, SERVER, Segment::SynAck, 1);
        wire.ends[CLIENT].tuple.netns = netns;
        wire.unreported = true;
        fixture.go(&mut wire, CLIENT, SynSent);
        fixture.text().matches("━━ #").count()
    };
    assert_eq!((blocks(1), blocks(2)), (1, 2));
}

/// Connections whose end is never reported, as with a filter, do not fill the memory.
#[test]
fn what_never_ends_is_forgotten_in_the_end() {
    let mut fixture = Fixture::new(80, PLAIN);
    for number in 0..REMEMBERED as u32 + 10 {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
        let mut wire = Wire::between(&format!("{address}:1000"), "192.0.2.1:80");
        fixture.go(&mut wire, CLIENT, SynSent);
        if number % 1_000 == 0 {
            fixture.wait(60);
        }
    }
    fixture.wait(60);
    assert!(fixture.ladder.pairs.len() < 1_000, "{}", fixture.ladder.pairs.len());
}

/// However many come and go, nothing is kept of those that are over.
#[test]
fn what_is_over_is_forgotten() {
    let mut fixture = Fixture::new(80, PLAIN);
    for port in 1_000..1_100 {
        let mut wire = Wire::between(&format!("127.0.0.1:{port}"), "127.0.0.1:8080");
        fixture.open(&mut wire);
        fixture.shut(&mut wire);
        fixture.step(&mut wire, CLIENT, Closed, Source::Timer, Some(Reason::Graceful));
        fixture.wait(60);
    }
    assert_eq!(fixture.ladder.pairs.len(), 0);
}
