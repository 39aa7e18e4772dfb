//! Connections as the kernel reports them, and a ladder that draws them.

use std::net::IpAddr;

use jiff::tz::TimeZone;

use super::super::*;
use crate::stamps::Timestamps;
use State::*;
use tracer_event::{
    close::{Initiator, Reason},
    endpoint::{Endpoint, Tuple},
    fixtures,
    process::{Evidence, Owner},
    update::{
        Close, ConnectionSummary, Direction, Reset, Retransmit, Retransmitted, Role, Rst, Segment,
        Sequence, Source,
    },
};
use tracer_model::table::{self, Table};

pub(super) const CLOCK: WallClock = WallClock { lead: 1_700_000_000_000_000_000, now: 0 };
pub(super) const MICROSECOND: u64 = 1_000;
pub(super) const MILLISECOND: u64 = 1_000_000;
/// Initial sequence numbers of client and server; the server's first bytes overflow.
pub(super) const INITIAL: [u32; 2] = [1_000_000_000, u32::MAX - 1];

/// A connection as the kernel sees it at both ends.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) ends: [Subject; 2],
    pub(super) states: [State; 2],
    /// Payload sent by client and server.
    pub(super) sent: [u64; 2],
    /// Payload written, where that is more.
    pub(super) written: [u64; 2],
    /// FINs sent, and those acknowledged.
    pub(super) fins: [u64; 2],
    pub(super) acked: [u64; 2],
    /// What its initial numbers have more than [`INITIAL`].
    pub(super) shift: u32,
    /// No record has its numbers.
    pub(super) unreported: bool,
}

/// Index of an end.
pub(super) const CLIENT: usize = 0;
pub(super) const SERVER: usize = 1;

pub(super) fn subject(role: Role, local: &str, peer: &str, name: &str, pid: u32) -> Subject {
    let endpoint = |text: &str| {
        let (address, port) = text.rsplit_once(':').unwrap();
        let address: IpAddr = address.trim_matches(['[', ']']).parse().unwrap();
        Endpoint::new(address, port.parse().unwrap())
    };
    let process = fixtures::process(pid, name);
    Subject {
        tuple: Tuple { local: endpoint(local), peer: endpoint(peer), netns: 1 },
        owner: Some(Owner { process, evidence: Evidence::Connect, fd: None, others: 0 }),
        role: Some(role),
        ..fixtures::subject(pid.into())
    }
}

impl Wire {
    pub(super) fn between(client: &str, server: &str) -> Self {
        Self {
            ends: [
                subject(Role::Client, client, server, "curl", 4711),
                subject(Role::Server, server, client, "nginx", 900),
            ],
            states: [Closed, Listen],
            sent: [0; 2],
            written: [0; 2],
            fins: [0; 2],
            acked: [0; 2],
            shift: 0,
            unreported: false,
        }
    }

    pub(super) fn loopback() -> Self {
        Self::between("127.0.0.1:42906", "127.0.0.1:8080")
    }

    pub(super) fn sequence(&self, end: usize) -> Option<Sequence> {
        if self.unreported || matches!(self.states[end], Closed | Listen) {
            return None;
        }
        let other = 1 - end;
        let syn = u64::from(end == CLIENT);
        let acked = self.sent[end] + self.acked[end] + syn;
        let received = self.sent[other] + self.fins[other];
        let number =
            |end: usize, bytes: u64| INITIAL[end].wrapping_add(self.shift + 1 + bytes as u32);
        Some(Sequence {
            snd_una: number(end, acked - syn),
            snd_nxt: number(end, self.sent[end] + self.fins[end]),
            write_seq: number(end, self.written[end].max(self.sent[end]) + self.fins[end]),
            rcv_nxt: number(other, received),
            acked,
            received,
        })
    }
}

/// A ladder and a clock.
pub(super) struct Fixture {
    pub(super) ladder: Ladder,
    pub(super) now: u64,
    pub(super) out: Vec<u8>,
}

impl Fixture {
    pub(super) fn new(width: usize, style: Style) -> Self {
        let times = Times::new(Timestamps::Utc, TimeZone::UTC);
        let ladder = Ladder::new(style, Palette::PLAIN, Some(width), times);
        Self { ladder, now: 75_000_000 * MILLISECOND, out: Vec::new() }
    }

    /// With a connection that is open.
    pub(super) fn opened(width: usize, style: Style) -> (Self, Wire) {
        let (mut fixture, mut wire) = (Self::new(width, style), Wire::loopback());
        fixture.open(&mut wire);
        (fixture, wire)
    }

    pub(super) fn emit(&mut self, update: &Update<'_>) {
        self.ladder.update(update, CLOCK.into(), &mut self.out);
    }

    /// One end enters a state, 20 µs after what was before.
    pub(super) fn go(&mut self, wire: &mut Wire, end: usize, to: State) {
        self.step(wire, end, to, Source::Tracepoint, None);
    }

    /// The same, one after the other.
    pub(super) fn go_on(&mut self, wire: &mut Wire, steps: &[(usize, State)]) {
        steps.iter().for_each(|&(end, to)| self.go(wire, end, to));
    }

    pub(super) fn close(&mut self, wire: &mut Wire, end: usize, reason: Reason) {
        self.step(wire, end, Closed, Source::Tracepoint, Some(reason));
    }

    pub(super) fn step(
        &mut self,
        wire: &mut Wire,
        end: usize,
        to: State,
        source: Source,
        reason: Option<Reason>,
    ) {
        self.now += 20 * MICROSECOND;
        let close = reason.map(|reason| Close::new(reason, Some(Initiator::Local)));
        let sequence = wire.sequence(end).filter(|_| source == Source::Tracepoint);
        let from = wire.states[end];
        let transition = Transition {
            source,
            // Reported late, together with what follows it.
            sequence: if to == SynSent { syn(wire, end) } else { sequence },
            sent: matches!(to, SynSent | FinWait1 | LastAck)
                .then_some(wire.written[end] <= wire.sent[end]),
            close,
            // Nothing else leads from a state to itself.
            orphaned: from == to,
            ..Transition::new(wire.ends[end], self.now, from, to)
        };
        self.emit(&Update::Transition(&transition));
        wire.states[end] = to;
        if let Some(close) = close {
            self.emit(&Update::Connection(&connection(self.now, wire.ends[end], close)));
        }
    }

    pub(super) fn open(&mut self, wire: &mut Wire) {
        self.go_on(wire, &[(CLIENT, SynSent), (CLIENT, Established)]);
        self.go_on(wire, &[(SERVER, SynRecv), (SERVER, Established)]);
    }

    /// The FIN of an end, up to its arrival.
    pub(super) fn fin(&mut self, wire: &mut Wire, end: usize, to: State) {
        self.go(wire, end, to);
        wire.fins[end] = 1;
    }

    /// The client closes, then the server.
    pub(super) fn shut(&mut self, wire: &mut Wire) {
        self.fin(wire, CLIENT, FinWait1);
        self.go(wire, SERVER, CloseWait);
        self.fin(wire, SERVER, LastAck);
        wire.acked[CLIENT] = 1;
        self.go(wire, CLIENT, FinWait2);
        self.go(wire, CLIENT, TimeWait);
        wire.acked[SERVER] = 1;
        self.close(wire, SERVER, Reason::Graceful);
    }

    pub(super) fn retransmit(&mut self, wire: &Wire, end: usize, segment: Segment, ordinal: u32) {
        let state = if segment == Segment::SynAck { SynRecv } else { wire.states[end] };
        self.emit(&Update::Retransmit(&Retransmit {
            time: self.now,
            subject: wire.ends[end],
            state,
            segment: Retransmitted::new(segment, ordinal, Some(INITIAL[end])),
        }));
    }

    pub(super) fn reset(&mut self, wire: &Wire, end: usize, direction: Direction) {
        let Wire { ends, states, .. } = wire;
        let (time, subject, state) = (self.now, ends[end], states[end]);
        self.emit(&Update::Reset(&Reset { time, subject, state, segment: Rst::new(direction) }));
    }

    /// Time passes, and nothing more is to be read.
    pub(super) fn wait(&mut self, milliseconds: u64) {
        self.now += milliseconds * MILLISECOND;
        let table = &Table::new(table::Options::default());
        let moment = Tick { now: self.now, read_until: self.now, sockets: Some(table.len()) };
        self.ladder.pause(&moment, CLOCK.into(), &mut self.out);
    }

    /// All that has been written, without the status line.
    pub(super) fn text(mut self) -> String {
        self.ladder.draw(u64::MAX, CLOCK, &mut self.out);
        let text = String::from_utf8(self.out).unwrap();
        let lines = text.lines().map(|line| line.rsplit("\x1b[K").next().unwrap_or(line));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Of a SYN_SENT that was held back for its port; a bound socket's has none.
fn syn(wire: &Wire, end: usize) -> Option<Sequence> {
    let Wire { shift, unreported, .. } = *wire;
    let wire = Wire { states: [Established; 2], shift, unreported, ..Wire::loopback() };
    wire.sequence(end).filter(|_| end == CLIENT).map(|handshaken| handshaken.of_syn())
}

pub(super) fn connection(time: u64, subject: Subject, close: Close) -> ConnectionSummary {
    let over = fixtures::connection(subject, time, close.reason);
    ConnectionSummary { close: Some(close), ..over }
}
