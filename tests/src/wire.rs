//! A TCP peer that sends whatever segment a test wants: the peer of a TUN device.
//!
//! The kernel's end of the device has the address [`HERE`]; whatever it sends to [`THERE`] is read
//! from the device instead of answered by another kernel.

use std::{
    cell::RefCell,
    io,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use tracer_lab::tun::Tun;

use crate::{
    netns::{Namespace, run},
    segment::{Segment, icmp_unreachable},
    slowness::allowed,
};

/// The kernel's address.
pub const HERE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// The address of the test.
pub const THERE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);

const NAME: &str = "wire0";
/// How long a segment that must come may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// A TUN device of the namespace.
#[derive(Debug)]
pub struct Wire {
    tun: Tun,
    log: RefCell<Vec<Segment>>,
}

impl Wire {
    /// Makes the device, in the calling thread's namespace.
    pub fn new(namespace: &Namespace) -> io::Result<Self> {
        let tun = Tun::new(NAME)?;
        namespace.set(&format!("net/ipv6/conf/{NAME}/disable_ipv6"), "1");
        run("ip", &["address", "add", &format!("{HERE}/24"), "dev", NAME]);
        run("ip", &["link", "set", NAME, "up"]);
        Ok(Self { tun, log: RefCell::default() })
    }

    /// Sends a segment to the kernel.
    pub fn send(&self, segment: &Segment) {
        self.write(&segment.packet(THERE, HERE));
    }

    /// Answers a segment with the ICMP message "destination unreachable".
    pub fn unreachable(&self, code: u8, segment: &Segment) {
        self.write(&icmp_unreachable(code, THERE, HERE, &segment.packet(HERE, THERE)));
    }

    fn write(&self, packet: &[u8]) {
        self.tun.write(packet).expect("the device takes the packet");
    }

    /// Waits for a segment of the kernel; passes over others.
    #[track_caller]
    pub fn receive(&self, what: &str, wanted: impl Fn(&Segment) -> bool) -> Segment {
        let mut others = Vec::new();
        let deadline = Instant::now() + allowed(PATIENCE);
        while let Some(segment) = self.next(deadline) {
            if wanted(&segment) {
                return segment;
            }
            others.push(segment);
        }
        panic!("the kernel does not send {what}, but {others:?}");
    }

    /// What the kernel sends within a time.
    pub fn listen(&self, time: Duration) -> Vec<Segment> {
        let deadline = Instant::now() + time;
        std::iter::from_fn(|| self.next(deadline)).collect()
    }

    fn next(&self, deadline: Instant) -> Option<Segment> {
        loop {
            let rest = deadline.checked_duration_since(Instant::now())?;
            let packet = self.tun.read(rest).expect("a packet");
            if let Some(segment) = packet.and_then(|packet| Segment::parse(&packet)) {
                self.log.borrow_mut().push(segment.clone());
                return Some(segment);
            }
        }
    }

    /// All that the kernel has sent until now.
    pub fn log(&self) -> Vec<Segment> {
        self.listen(Duration::from_millis(1));
        self.log.borrow().clone()
    }
}
