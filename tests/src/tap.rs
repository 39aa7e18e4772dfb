//! All segments of a network namespace, on whatever interface, as a packet socket sees them: also
//! on interfaces that are made later.

use std::{
    io::ErrorKind,
    mem::MaybeUninit,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::AsRawFd as _,
    time::Duration,
};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tracer_lab::options::set;

use crate::segment::Segment;

/// What a burst takes that nobody reads meanwhile, bytes.
const BUFFER: i32 = 256 << 20;
/// Longest packet of IPv4.
const LONGEST: usize = 1 << 16;

/// A segment on an interface.
#[derive(Clone, Debug)]
pub struct Tapped {
    /// Whether it left this kernel; otherwise it arrived. On `lo` each one does both.
    pub is_sent: bool,
    /// Who has sent it.
    pub from: SocketAddrV4,
    /// To whom.
    pub to: SocketAddrV4,
    /// The segment.
    pub segment: Segment,
}

/// A socket that keeps all packets of its namespace.
#[derive(Debug)]
pub struct Tap(Socket);

impl Tap {
    /// In the calling thread's namespace.
    pub fn open() -> Self {
        let all = Protocol::from(i32::from((libc::ETH_P_ALL as u16).to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(all)).expect("root");
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER).expect("root");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time-out");
        Self(socket)
    }

    /// All segments until now, in their order.
    pub fn finish(self) -> Vec<Tapped> {
        let mut packet = vec![MaybeUninit::uninit(); LONGEST];
        let mut all = Vec::new();
        loop {
            match self.0.recv_from(&mut packet) {
                Ok((length, address)) => {
                    // SAFETY: the kernel has written so many bytes.
                    let bytes = unsafe { packet[..length].assume_init_ref() };
                    all.extend(read(bytes, &address));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("the packet socket: {error}"),
            }
        }
        assert_eq!(self.dropped(), 0, "the buffer was too small");
        all
    }

    fn dropped(&self) -> u32 {
        // SAFETY: zero is a value of both numbers.
        let mut statistics: libc::tpacket_stats = unsafe { std::mem::zeroed() };
        let mut length = size_of_val(&statistics) as libc::socklen_t;
        // SAFETY: the option fills in as much as the length says.
        let result = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        };
        assert_eq!(result, 0, "statistics of a packet socket");
        statistics.tp_drops
    }
}

fn read(packet: &[u8], address: &SockAddr) -> Option<Tapped> {
    let segment = Segment::parse(packet)?;
    let at = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
    // SAFETY: a packet socket's addresses are of this type.
    let link = unsafe { &*address.as_ptr().cast::<libc::sockaddr_ll>() };
    Some(Tapped {
        is_sent: link.sll_pkttype == libc::PACKET_OUTGOING,
        from: SocketAddrV4::new(at(12)?, segment.source),
        to: SocketAddrV4::new(at(16)?, segment.target),
        segment,
    })
}
