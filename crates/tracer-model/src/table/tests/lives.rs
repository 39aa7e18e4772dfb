//! The kernel's side: what it says of one socket, step by step.
//!
//! Sequences, flags and values are as measured on Linux 5.10 to 7.2. A [`Step`] is what an
//! application, the peer or a timer does; [`Life::apply`] emits the records that follow from it in
//! the state in which the socket is, and keeps the socket as the kernel would.

mod choices;
mod ends;
pub(super) mod opens;

use tracer_wire::{Record, flag, kind, segment};

use tracer_event::{endpoint::Endpoint, state::State};

pub(super) const MICROSECOND: u64 = 1_000;
pub(super) const MILLISECOND: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1_000_000_000;
/// When all lives begin.
pub(super) const START: u64 = 1_000 * SECOND;
/// `INITIAL_JIFFIES` on 64 bits (include/linux/jiffies.h): five minutes before 32 bits overflow.
const BOOT_JIFFIES: u64 = u32::MAX as u64 - 75_000;
/// When all processes were started.
pub(super) const STARTED: u64 = SECOND;
pub(super) const NETNS: u32 = 4_026_531_840;

/// Descriptor that accept() returns.
pub(super) const ACCEPTED_FD: u32 = 11;

/// What happens to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// bind() to a port.
    Bind,
    Listen,
    /// connect(): an address and a port are chosen, the port after the tracepoint.
    Connect,
    /// connect() without a free local port.
    ConnectWithoutPort,
    /// A SYN+ACK answers our SYN, or an ACK our crossed SYN.
    Established,
    /// A SYN crosses ours.
    CrossedSyn,
    /// A SYN comes to the listener: a request socket.
    Syn,
    /// The last ACK of the handshake comes: a child.
    Ack,
    /// A SYN with data and a Fast Open cookie comes: a child at once.
    FastOpenSyn,
    Accept,
    /// Data of that length comes.
    Receive(u32),
    Read,
    LingerZero,
    /// TCP_LINGER2, seconds.
    Linger2(i32),
    Repair,
    ShutdownWrite,
    Close,
    /// The listener of an un-accepted child is closed.
    ListenerClosed,
    /// connect() with AF_UNSPEC.
    Disconnect,
    /// `ss -K`.
    Kill,
    /// The peer acknowledges our FIN.
    FinAcked,
    /// The peer acknowledges our FIN and sends data after close().
    FinAckedWithData,
    PeerFin,
    PeerReset,
    /// Data comes after close(), the FIN not acknowledged.
    DataAfterClose,
    /// A timer or an ICMP message ends it.
    Fail(Failure),
    SynAgain,
    FinAgain,
    /// The timer of a full orphan in FIN_WAIT2 fires: the rest is left to a minisocket.
    OrphanTimer,
    /// The minisocket is gone: by its timer, an RST, or a new connection.
    Gone,
    /// A late segment comes to a minisocket in TIME_WAIT: it is armed again.
    LateSegment,
    /// Milliseconds pass.
    Wait(u64),
}

/// What ends a connection from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No answer: to the SYN, or to anything else.
    Unanswered,
    ZeroWindow,
    Keepalive,
    /// An ICMP message that ends a connect().
    Icmp(u16),
    /// An ICMP message was noted while nothing else came.
    NotedIcmp(u16),
}

/// What there is of it in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// In no table of the kernel: not connected (yet, or any more).
    Unhashed,
    Request,
    Full,
    Minisocket,
}

/// What the sequences depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    /// `CONFIG_HZ`.
    pub(super) hz: u64,
    /// Linux ≤ 6.12 announces children as raw copies of their listener.
    pub(super) raw_children: bool,
    /// Linux < 5.12 gives no cookies to tracing programs.
    pub(super) cookies: bool,
    /// The classic tracepoint: no BTF, no other hooks.
    pub(super) classic: bool,
}

impl Kernel {
    pub(super) const NEW: Self =
        Self { hz: 250, raw_children: false, cookies: true, classic: false };
    pub(super) const OLD: Self = Self { raw_children: true, ..Self::NEW };
    /// 5.10.
    pub(super) const WITHOUT_COOKIES: Self = Self { cookies: false, ..Self::OLD };
    pub(super) const CLASSIC: Self = Self { classic: true, ..Self::WITHOUT_COOKIES };
}

/// A socket and what has been reported of it.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// The present values.
    pub(super) socket: Record,
    pub(super) shape: Shape,
    pub(super) now: u64,
    kernel: Kernel,
    ends: ([u8; 16], [u8; 16]),
    bound: bool,
    connects: u16,
    emitted: Vec<Record>,
}

impl Life {
    /// A socket on 10.0.0.1, cookie `cookie`, whose peer is on 10.0.0.2.
    pub(super) fn new(cookie: u64) -> Self {
        let socket = Record {
            cookie,
            sk: 0xffff_8880_0000_0000 + cookie * 0x1000,
            netns: NETNS,
            uid: 1_000,
            pid: 100 + cookie as u32,
            start_ns: STARTED,
            inode: 50_000 + cookie,
            flags: flag::HAS_SOCKET,
            local_address: address("0.0.0.0"),
            peer_address: address("0.0.0.0"),
            old_state: State::Closed as u8,
            ..Record::EMPTY
        };
        Self {
            socket,
            shape: Shape::Unhashed,
            now: START,
            kernel: Kernel::NEW,
            ends: (address("10.0.0.1"), address("10.0.0.2")),
            bound: false,
            connects: 0,
            emitted: Vec::new(),
        }
    }

    pub(super) fn on(mut self, kernel: Kernel) -> Self {
        self.kernel = kernel;
        self
    }

    pub(super) fn state(&self) -> State {
        State::from_kernel(self.socket.old_state).unwrap()
    }

    /// Port of a passive socket and of the peer.
    pub(super) fn with_ports(mut self, local: u16, peer: u16) -> Self {
        (self.socket.local_port, self.socket.peer_port) = (local, peer);
        self.bound = local != 0;
        self
    }

    /// Whether it has been announced as a copy of its listener only.
    pub(super) fn is_raw_child(&self) -> bool {
        self.kernel.raw_children && self.state() == State::SynRecv && self.connects == 0
    }

    /// The socket that stays with the process when a minisocket has taken its connection over.
    pub(super) fn left_to_the_process(&self) -> Self {
        let mut rest = self.clone();
        rest.shape = Shape::Unhashed;
        rest.socket.sk -= 0x800;
        rest.socket.old_state = State::Closed as u8;
        rest.forget_connection();
        rest
    }

    /// Other ends than those that all lives have.
    pub(super) fn between(mut self, local: [u8; 16], peer: [u8; 16]) -> Self {
        self.ends = (local, peer);
        self
    }

    pub(super) fn jiffies_at(&self, time: u64) -> u64 {
        BOOT_JIFFIES + (time - START) / (SECOND / self.kernel.hz)
    }

    /// What it looks like at `time`, if `iter/tcp` shows it.
    pub(super) fn seen(&self, time: u64) -> Option<Record> {
        let (kind, state) = match self.shape {
            Shape::Unhashed => return None,
            Shape::Full => (kind::SOCKET, self.socket.old_state),
            Shape::Request => (kind::REQUEST_SOCKET, tracer_wire::state::NEW_SYN_RECV),
            Shape::Minisocket => (kind::TIME_WAIT_SOCKET, tracer_wire::state::TIME_WAIT),
        };
        let known = if self.shape == Shape::Full { self.socket } else { self.minisocket() };
        let mut seen = Record {
            kind,
            time_ns: time,
            jiffies: self.jiffies_at(time),
            old_state: state,
            new_state: if kind == kind::REQUEST_SOCKET { state } else { self.socket.old_state },
            pid: 0,
            ..known
        };
        self.strip(&mut seen);
        Some(seen)
    }

    /// What is left of a socket in a minisocket or is there already in a request.
    fn minisocket(&self) -> Record {
        let Record { sk, cookie, netns, timer_expires, .. } = self.socket;
        let Record { local_address, local_port, peer_address, peer_port, .. } = self.socket;
        let known = Record { sk, cookie, netns, timer_expires, ..Record::EMPTY };
        Record { local_address, local_port, peer_address, peer_port, ..known }
    }

    /// Takes a step, a millisecond after the one before; what is reported of it.
    pub(super) fn apply(&mut self, step: Step) -> Vec<Record> {
        self.now += MILLISECOND;
        match step {
            Step::Bind => (self.socket.local_port, self.bound) = (7_000, true),
            Step::Accept => self.accept(),
            Step::Receive(bytes) => {
                self.socket.rcv_nxt = self.socket.rcv_nxt.wrapping_add(bytes);
                self.socket.bytes_received += u64::from(bytes);
            }
            Step::Read => self.socket.copied_seq = self.socket.rcv_nxt,
            Step::LingerZero => self.socket.flags |= flag::LINGER_ZERO,
            Step::Linger2(seconds) => self.socket.linger2 = seconds * self.kernel.hz as i32,
            Step::Repair => self.socket.flags |= flag::REPAIR,
            Step::SynAgain => self.retransmit(segment::SYN, kind::RETRANSMIT),
            Step::FinAgain => self.retransmit(segment::FIN | segment::ACK, kind::RETRANSMIT),
            Step::Wait(milliseconds) => self.now += milliseconds * MILLISECOND,
            Step::Listen
            | Step::Connect
            | Step::ConnectWithoutPort
            | Step::Established
            | Step::CrossedSyn
            | Step::Syn
            | Step::Ack
            | Step::FastOpenSyn => self.open(step),
            _ => self.end(step),
        }
        std::mem::take(&mut self.emitted)
    }

    /// The tracepoint: it fires before the state is written.
    fn change(&mut self, to: State) {
        if self.state() != to {
            self.emit(kind::STATE, |record| {
                record.new_state = to as u8;
                record.segment_flags = match to {
                    State::SynSent => segment::SYN,
                    State::FinWait1 | State::LastAck => segment::FIN,
                    _ => 0,
                };
            });
            self.socket.old_state = to as u8;
        }
    }

    fn emit(&mut self, kind: u8, change: impl FnOnce(&mut Record)) {
        self.now += 10 * MICROSECOND;
        if self.kernel.classic && kind != kind::STATE {
            return;
        }
        let jiffies = self.jiffies_at(self.now);
        let mut record = Record { kind, time_ns: self.now, jiffies, ..self.socket };
        change(&mut record);
        self.strip(&mut record);
        self.emitted.push(record);
    }

    /// Takes away what this mode or kernel cannot know.
    fn strip(&self, record: &mut Record) {
        if !self.kernel.cookies {
            record.cookie = 0;
        }
        if self.kernel.classic && record.kind == kind::STATE {
            let Record { time_ns, jiffies, sk, local_address, peer_address, .. } = *record;
            let Record { kind, old_state, new_state, local_port, peer_port, .. } = *record;
            let known =
                Record { time_ns, jiffies, sk, local_address, peer_address, ..Record::EMPTY };
            let flags = flag::CLASSIC;
            *record = Record { kind, old_state, new_state, local_port, peer_port, flags, ..known };
        }
    }

    fn accept(&mut self) {
        self.socket.flags |= flag::HAS_SOCKET;
        self.socket.inode = 60_000 + self.socket.cookie;
        self.emit(kind::ACCEPTED, |record| record.fd = ACCEPTED_FD);
    }

    fn retransmit(&mut self, segment_flags: u8, kind: u8) {
        self.socket.retransmits += 1;
        self.socket.total_retrans += 1;
        self.emit(kind, |record| {
            record.segment_flags = segment_flags;
            record.segment_seq = record.snd_una;
        });
    }
}

pub(super) fn address(text: &str) -> [u8; 16] {
    let endpoint = Endpoint::new(text.parse().unwrap(), 0);
    match endpoint.address() {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        std::net::IpAddr::V6(v6) => v6.octets(),
    }
}
