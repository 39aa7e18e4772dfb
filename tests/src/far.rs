//! The peer of one connection over a [`Wire`]: does only what it is told.

use crate::{
    segment::{
        Segment,
        flag::{ACK, FIN, RST, SYN},
    },
    wire::Wire,
};

const FIRST: u32 = 1_000_000;
const WINDOW: u16 = 50_000;

/// One end of a connection, played by the test.
#[derive(Clone, Debug)]
pub struct Far<'a> {
    wire: &'a Wire,
    /// Its port.
    pub port: u16,
    /// The port of the kernel's end.
    pub kernel: u16,
    /// Next sequence number to send.
    pub next: u32,
    /// Next sequence number expected.
    pub expected: u32,
    /// The window that it offers.
    pub window: u16,
    /// The segment that came last.
    pub last: Segment,
}

impl<'a> Far<'a> {
    /// Waits for a SYN to a port, without answering it.
    #[track_caller]
    pub fn called(wire: &'a Wire, port: u16) -> Self {
        let last = wire.receive("a SYN", |segment| segment.is(SYN) && segment.target == port);
        let (kernel, expected) = (last.source, last.sequence.wrapping_add(last.length()));
        Self { wire, port, kernel, next: FIRST, expected, window: WINDOW, last }
    }

    /// An end that has done nothing yet.
    pub fn new(wire: &'a Wire, port: u16, kernel: u16) -> Self {
        let last = Segment::default();
        Self { wire, port, kernel, next: FIRST, expected: 0, window: WINDOW, last }
    }

    /// Connects to a listener.
    #[track_caller]
    pub fn calling(wire: &'a Wire, port: u16, kernel: u16) -> Self {
        let mut far = Self::new(wire, port, kernel);
        far.half_open();
        far.send(ACK);
        far
    }

    /// Sends a SYN and waits for the answer, without acknowledging it.
    #[track_caller]
    pub fn half_open(&mut self) {
        self.send(SYN);
        self.wait_for("a SYN+ACK", SYN | ACK);
    }

    /// Answers a SYN and waits for the end of the handshake.
    #[track_caller]
    pub fn answer(&mut self) {
        self.send(SYN | ACK);
        self.wait_for("an ACK", ACK);
    }

    /// Waits for the kernel's FIN and takes note of it.
    #[track_caller]
    pub fn wait_for_fin(&mut self) {
        self.wait_for("a FIN", FIN | ACK);
    }

    /// Waits for a segment with these flags and takes note of it.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, flags: u8) {
        let (port, kernel) = (self.port, self.kernel);
        self.last = self.wire.receive(what, |segment| {
            segment.is(flags) && segment.target == port && segment.source == kernel
        });
        self.expected = self.last.sequence.wrapping_add(self.last.length());
    }

    /// Sends a segment without data.
    pub fn send(&mut self, flags: u8) {
        self.send_data(flags, b"");
    }

    /// Sends a segment.
    pub fn send_data(&mut self, flags: u8, data: &[u8]) {
        let segment = Segment {
            source: self.port,
            target: self.kernel,
            sequence: self.next,
            acknowledgement: if flags & ACK == 0 { 0 } else { self.expected },
            flags,
            window: self.window,
            data: data.to_vec(),
        };
        self.next = self.next.wrapping_add(segment.length());
        self.wire.send(&segment);
    }

    /// Breaks off.
    pub fn reset(&mut self) {
        self.send(RST | ACK);
    }

    /// Sends a FIN that does not acknowledge the kernel's.
    pub fn cross_fin(&mut self) {
        let expected = self.expected;
        self.expected = self.last.sequence;
        self.send(FIN | ACK);
        self.expected = expected;
    }
}
