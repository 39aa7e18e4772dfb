//! Diagrams of whole connections, compared as text.

use std::net::IpAddr;

use insta::assert_snapshot;
use jiff::tz::TimeZone;

use super::*;
use crate::{
    model::{
        close::{Initiator, Reason},
        endpoint::{Endpoint, Tuple},
        owner::{Evidence, Owner, Process},
        update::{
            Close, Direction, Handshake, Linger, LingerStatus, Reset, Retransmit, Role, Segment,
            Sequence, Source, Story,
        },
    },
    sink::stamps::Timestamps,
};
use State::*;

const CLOCK: WallClock = WallClock { lead: 1_700_000_000_000_000_000, now: 0 };
const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
/// Initial sequence numbers of client and server; the server's first bytes overflow.
const INITIAL: [u32; 2] = [1_000_000_000, u32::MAX - 1];

/// A connection as the kernel sees it at both ends.
#[derive(Clone)]
struct Wire {
    ends: [Subject; 2],
    states: [State; 2],
    /// Payload sent by client and server.
    sent: [u64; 2],
    /// FINs sent, and those acknowledged.
    fins: [u64; 2],
    acked: [u64; 2],
}

/// Index of an end.
const CLIENT: usize = 0;
const SERVER: usize = 1;

fn subject(role: Role, local: &str, peer: &str, name: &[u8], pid: u32) -> Subject {
    let endpoint = |text: &str| {
        let (address, port) = text.rsplit_once(':').unwrap();
        let address: IpAddr = address.trim_matches(['[', ']']).parse().unwrap();
        Endpoint::new(address, port.parse().unwrap())
    };
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name);
    let process = Process { pid, comm, start_ns: 1 };
    Subject {
        cookie: Some(u64::from(pid)),
        ordinal: 1,
        tuple: Tuple { local: endpoint(local), peer: endpoint(peer), netns: 1 },
        uid: None,
        inode: None,
        cgroup: 0,
        owner: Some(Owner { process, evidence: Evidence::Connect, fd: None, others: 0 }),
        role: Some(role),
    }
}

impl Wire {
    fn between(client: &str, server: &str) -> Self {
        Self {
            ends: [
                subject(Role::Client, client, server, b"curl", 4711),
                subject(Role::Server, server, client, b"nginx", 900),
            ],
            states: [Closed, Listen],
            sent: [0; 2],
            fins: [0; 2],
            acked: [0; 2],
        }
    }

    fn loopback() -> Self {
        Self::between("127.0.0.1:42906", "127.0.0.1:8080")
    }

    fn sequence(&self, end: usize) -> Option<Sequence> {
        if matches!(self.states[end], Closed | Listen) {
            return None;
        }
        let other = 1 - end;
        let syn = u64::from(end == CLIENT);
        let acked = self.sent[end] + self.acked[end] + syn;
        let received = self.sent[other] + self.fins[other];
        let number = |end: usize, bytes: u64| INITIAL[end].wrapping_add(1 + bytes as u32);
        Some(Sequence {
            snd_una: number(end, acked - syn),
            write_seq: number(end, self.sent[end] + self.fins[end]),
            rcv_nxt: number(other, received),
            acked,
            received,
        })
    }
}

/// A ladder and a clock.
struct Scene {
    ladder: Ladder,
    now: u64,
    out: Vec<u8>,
}

impl Scene {
    fn new(width: usize, style: Style) -> Self {
        let times = Times::new(Timestamps::Utc, TimeZone::UTC);
        let ladder = Ladder::new(style, Palette::PLAIN, Some(width), times);
        Self { ladder, now: 75_000_000 * MILLISECOND, out: Vec::new() }
    }

    fn tell(&mut self, update: &Update<'_>) {
        self.ladder.update(update, CLOCK, &mut self.out);
    }

    /// One end enters a state, 20 µs after what was before.
    fn go(&mut self, wire: &mut Wire, end: usize, to: State) {
        self.step(wire, end, to, Source::Tracepoint, None);
    }

    fn close(&mut self, wire: &mut Wire, end: usize, reason: Reason) {
        self.step(wire, end, Closed, Source::Tracepoint, Some(reason));
    }

    fn step(
        &mut self,
        wire: &mut Wire,
        end: usize,
        to: State,
        source: Source,
        reason: Option<Reason>,
    ) {
        self.now += 20 * MICROSECOND;
        let close = reason.map(|reason| Close { reason, initiator: Some(Initiator::Local) });
        let sequence = wire.sequence(end).filter(|_| source == Source::Tracepoint);
        let transition = Transition {
            time: self.now,
            subject: wire.ends[end],
            from: wire.states[end],
            to,
            kernel: None,
            source,
            elapsed: None,
            handshake: None,
            // Told late, together with what follows it.
            sequence: if to == SynSent { handshaken(end) } else { sequence },
            close,
            orphaned: false,
        };
        self.tell(&Update::Transition(&transition));
        wire.states[end] = to;
        if let Some(close) = close {
            self.tell(&Update::Story(&story(self.now, wire.ends[end], close)));
        }
    }

    fn open(&mut self, wire: &mut Wire) {
        self.go(wire, CLIENT, SynSent);
        self.go(wire, CLIENT, Established);
        self.go(wire, SERVER, SynRecv);
        self.go(wire, SERVER, Established);
    }

    /// The FIN of an end, up to its arrival.
    fn fin(&mut self, wire: &mut Wire, end: usize, to: State) {
        self.go(wire, end, to);
        wire.fins[end] = 1;
    }

    /// The client closes, then the server.
    fn shut(&mut self, wire: &mut Wire) {
        self.fin(wire, CLIENT, FinWait1);
        self.go(wire, SERVER, CloseWait);
        self.fin(wire, SERVER, LastAck);
        wire.acked[CLIENT] = 1;
        self.go(wire, CLIENT, FinWait2);
        self.go(wire, CLIENT, TimeWait);
        wire.acked[SERVER] = 1;
        self.close(wire, SERVER, Reason::Graceful);
    }

    fn again(&mut self, wire: &Wire, end: usize, segment: Segment, ordinal: u32) {
        let state = if segment == Segment::SynAck { SynRecv } else { wire.states[end] };
        self.tell(&Update::Retransmit(&Retransmit {
            time: self.now,
            subject: wire.ends[end],
            state,
            segment,
            ordinal,
            sequence: Some(INITIAL[end]),
        }));
    }

    fn reset(&mut self, wire: &Wire, end: usize, direction: Direction) {
        let Wire { ends, states, .. } = wire;
        let (time, subject, state) = (self.now, ends[end], states[end]);
        self.tell(&Update::Reset(&Reset { time, subject, state, direction }));
    }

    /// Time passes, and nothing more is to be read.
    fn wait(&mut self, milliseconds: u64) {
        self.now += milliseconds * MILLISECOND;
        let moment = Moment { now: self.now, sockets: 1 };
        self.ladder.pause(&moment, CLOCK, &mut self.out);
    }

    /// All that has been written, without the status line.
    fn text(mut self) -> String {
        self.ladder.draw(u64::MAX, CLOCK, &mut self.out);
        let text = String::from_utf8(self.out).unwrap();
        let lines = text.lines().map(|line| line.rsplit("\x1b[K").next().unwrap_or(line));
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn handshaken(end: usize) -> Option<Sequence> {
    let mut wire = Wire::loopback();
    wire.states = [Established; 2];
    wire.sequence(end)
}

fn story(time: u64, subject: Subject, close: Close) -> Story {
    Story {
        time,
        subject,
        began: None,
        spent: [0; State::COUNT],
        at_least: false,
        handshake: None::<Handshake>,
        bytes_sent: None,
        bytes_received: None,
        retransmits: None,
        close,
        source: Source::Tracepoint,
    }
}

const EXPLAIN: Style = Style { explain: true, relative: false };
const PLAIN: Style = Style { explain: false, relative: false };
const RELATIVE: Style = Style { explain: false, relative: true };

/// A whole connection, both ends on this host, to the end of TIME_WAIT.
fn whole(width: usize, style: Style) -> String {
    let mut scene = Scene::new(width, style);
    let mut wire = Wire::loopback();
    scene.open(&mut wire);
    wire.sent = [82, 4_998];
    scene.now += 3 * MILLISECOND;
    scene.shut(&mut wire);
    scene.wait(60);
    scene.now += 60_000 * MILLISECOND;
    scene.step(&mut wire, CLIENT, Closed, Source::Timer, Some(Reason::Graceful));
    scene.text()
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
    let mut scene = Scene::new(80, PLAIN);
    let mut wire = Wire::between("192.0.2.7:42906", "10.0.0.1:443");
    scene.go(&mut wire, SERVER, SynRecv);
    scene.go(&mut wire, SERVER, Established);
    wire.sent = [82, 4_998];
    wire.fins[CLIENT] = 1;
    scene.go(&mut wire, SERVER, CloseWait);
    scene.wait(60);
    // The ACK is no longer held back by now.
    scene.now += 2_000 * MILLISECOND;
    scene.fin(&mut wire, SERVER, LastAck);
    wire.acked[SERVER] = 1;
    scene.close(&mut wire, SERVER, Reason::Graceful);
    assert_snapshot!(scene.text());
}

#[test]
fn the_client_alone_closes_first() {
    let mut scene = Scene::new(80, PLAIN);
    let client = "[2001:db8:85a3:1111:2222:8a2e:370:7334]:42906";
    let mut wire = Wire::between(client, "[2001:db8:85a3:1111:2222:8a2e:370:1]:443");
    scene.go(&mut wire, CLIENT, SynSent);
    scene.go(&mut wire, CLIENT, Established);
    scene.fin(&mut wire, CLIENT, FinWait1);
    wire.acked[CLIENT] = 1;
    scene.go(&mut wire, CLIENT, FinWait2);
    wire.fins[SERVER] = 1;
    scene.go(&mut wire, CLIENT, TimeWait);
    assert_snapshot!(scene.text());
}

#[test]
fn a_refused_connection() {
    let mut scene = Scene::new(80, EXPLAIN);
    let mut wire = Wire::loopback();
    scene.go(&mut wire, CLIENT, SynSent);
    scene.now += 40 * MICROSECOND;
    scene.reset(&wire, CLIENT, Direction::Received);
    scene.close(&mut wire, CLIENT, Reason::Refused);
    assert_snapshot!(scene.text());
}

/// The sender's event comes after its change of state, and after its life.
#[test]
fn a_reset_with_unread_data() {
    let mut scene = Scene::new(80, EXPLAIN);
    let mut wire = Wire::loopback();
    scene.open(&mut wire);
    wire.sent = [82, 0];
    scene.close(&mut wire, SERVER, Reason::ResetSentUnreadData);
    scene.reset(&wire, SERVER, Direction::Sent);
    scene.reset(&wire, CLIENT, Direction::Received);
    scene.close(&mut wire, CLIENT, Reason::ResetReceived);
    assert_snapshot!(scene.text());
}

#[test]
fn a_half_close_carries_data_on() {
    let mut scene = Scene::new(80, EXPLAIN);
    let mut wire = Wire::loopback();
    scene.open(&mut wire);
    wire.sent = [82, 0];
    scene.fin(&mut wire, CLIENT, FinWait1);
    scene.go(&mut wire, SERVER, CloseWait);
    scene.now += 40 * MILLISECOND;
    wire.acked[CLIENT] = 1;
    scene.go(&mut wire, CLIENT, FinWait2);
    scene.wait(60);
    scene.now += 5_000 * MILLISECOND;
    wire.sent[SERVER] = 70_000;
    scene.fin(&mut wire, SERVER, LastAck);
    scene.go(&mut wire, CLIENT, TimeWait);
    wire.acked[SERVER] = 1;
    scene.close(&mut wire, SERVER, Reason::Graceful);
    assert_snapshot!(scene.text());
}

#[test]
fn a_simultaneous_close() {
    let mut scene = Scene::new(80, EXPLAIN);
    let mut wire = Wire::loopback();
    scene.open(&mut wire);
    scene.go(&mut wire, CLIENT, FinWait1);
    scene.go(&mut wire, SERVER, FinWait1);
    wire.fins = [1, 1];
    scene.go(&mut wire, CLIENT, Closing);
    scene.go(&mut wire, SERVER, Closing);
    wire.acked = [1, 1];
    scene.go(&mut wire, CLIENT, TimeWait);
    scene.go(&mut wire, SERVER, TimeWait);
    assert_snapshot!(scene.text());
}

#[test]
fn a_simultaneous_open() {
    let mut scene = Scene::new(80, EXPLAIN);
    let mut wire = Wire::loopback();
    wire.ends[SERVER].role = Some(Role::Client);
    wire.states = [Closed, Closed];
    scene.go(&mut wire, CLIENT, SynSent);
    scene.go(&mut wire, SERVER, SynSent);
    scene.go(&mut wire, CLIENT, SynRecv);
    scene.go(&mut wire, SERVER, SynRecv);
    scene.go(&mut wire, CLIENT, Established);
    scene.go(&mut wire, SERVER, Established);
    assert_snapshot!(scene.text());
}

#[test]
fn a_syn_and_a_syn_ack_sent_again() {
    let mut scene = Scene::new(80, EXPLAIN);
    let mut wire = Wire::between("10.0.0.1:42906", "192.0.2.7:443");
    scene.go(&mut wire, CLIENT, SynSent);
    for ordinal in 1..3 {
        scene.now += 1_000 * MILLISECOND;
        scene.again(&wire, CLIENT, Segment::Syn, ordinal);
        scene.wait(60);
    }
    scene.close(&mut wire, CLIENT, Reason::ConnectTimeout);
    let mut other = Wire::between("192.0.2.7:42907", "10.0.0.1:80");
    scene.now += 1_000 * MILLISECOND;
    scene.again(&other, SERVER, Segment::SynAck, 1);
    scene.wait(60);
    scene.go(&mut other, SERVER, SynRecv);
    scene.go(&mut other, SERVER, Established);
    assert_snapshot!(scene.text());
}

/// Nothing is known of its past, and not who has connected.
#[test]
fn a_socket_found_by_snapshot() {
    let mut scene = Scene::new(80, PLAIN);
    let mut wire = Wire::between("10.0.0.1:42906", "192.0.2.7:443");
    wire.states[CLIENT] = Established;
    wire.ends[CLIENT].role = None;
    wire.ends[CLIENT].owner = None;
    wire.sent = [82, 4_998];
    scene.fin(&mut wire, CLIENT, FinWait1);
    wire.acked[CLIENT] = 1;
    scene.step(&mut wire, CLIENT, FinWait2, Source::Snapshot, None);
    scene.step(&mut wire, CLIENT, Closed, Source::Inferred, Some(Reason::Unknown));
    assert_snapshot!(scene.text());
}

#[test]
fn two_connections_at_once_in_blocks() {
    let mut scene = Scene::new(80, PLAIN);
    let mut wires = [Wire::loopback(), Wire::between("127.0.0.1:42907", "127.0.0.1:8080")];
    for wire in &mut wires {
        scene.go(wire, CLIENT, SynSent);
    }
    for wire in &mut wires {
        scene.go(wire, CLIENT, Established);
        scene.go(wire, SERVER, SynRecv);
        scene.go(wire, SERVER, Established);
    }
    scene.wait(60);
    for wire in &mut wires {
        scene.shut(wire);
    }
    scene.wait(60);
    assert_snapshot!(scene.text());
}

#[test]
fn a_flag_on_close_wait_stands_in_its_diagram() {
    let mut scene = Scene::new(80, PLAIN);
    let mut wire = Wire::loopback();
    scene.open(&mut wire);
    scene.fin(&mut wire, CLIENT, FinWait1);
    scene.go(&mut wire, SERVER, CloseWait);
    scene.wait(60);
    let age = 30_000 * MILLISECOND;
    scene.now += age;
    let linger = Linger {
        time: scene.now,
        subject: wire.ends[SERVER],
        state: CloseWait,
        age,
        idle: age,
        at_least: false,
        threshold: age,
        status: LingerStatus::Raised,
        orphaned: false,
        holders: Vec::new(),
    };
    scene.tell(&Update::Linger(&[linger]));
    assert_snapshot!(scene.text());
}

/// The same ends again while the server's old socket is in TIME_WAIT: another diagram.
#[test]
fn a_reused_pair_of_ends_begins_a_new_diagram() {
    let mut scene = Scene::new(80, PLAIN);
    let mut wire = Wire::loopback();
    scene.open(&mut wire);
    scene.shut(&mut wire);
    let mut next = Wire::loopback();
    scene.open(&mut next);
    let text = scene.text();
    assert_eq!(text.matches("━━ #").count(), 2, "{text}");
    assert!(text.contains("━━ #2 ━━"), "{text}");
}

/// Two namespaces: the only candidate is the far end; one of several may be another's.
#[test]
fn ends_in_two_namespaces_are_paired_where_only_one_can_be_meant() {
    let blocks = |servers: u32| {
        let mut scene = Scene::new(80, PLAIN);
        let mut client = Wire::between("10.0.0.1:42906", "10.0.0.2:80");
        for netns in 0..servers {
            let mut server = client.clone();
            server.ends[SERVER].tuple.netns = 10 + netns;
            scene.go(&mut server, SERVER, SynRecv);
            scene.go(&mut server, SERVER, Established);
        }
        scene.go(&mut client, CLIENT, SynSent);
        scene.text().matches("━━ #").count()
    };
    assert_eq!(blocks(1), 1);
    assert_eq!(blocks(2), 3);
}

/// However many come and go, nothing is kept of those that are over.
#[test]
fn what_is_over_is_forgotten() {
    let mut scene = Scene::new(80, PLAIN);
    for port in 1_000..1_100 {
        let mut wire = Wire::between(&format!("127.0.0.1:{port}"), "127.0.0.1:8080");
        scene.open(&mut wire);
        scene.shut(&mut wire);
        scene.step(&mut wire, CLIENT, Closed, Source::Timer, Some(Reason::Graceful));
        scene.wait(60);
    }
    assert_eq!(scene.ladder.pairs.len(), 0);
}
