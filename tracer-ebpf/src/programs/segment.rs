//! A TCP segment that has arrived, in its `struct sk_buff`: who has sent it, and to which port.
//!
//! The headers lie at addresses that the verifier knows nothing of: a helper copies from them. No
//! more than the fixed headers is looked at, which the kernel has checked (`tcp_v4_rcv`).

use core::mem::MaybeUninit;

use tracer_ebpf::Record;

use super::{
    constants::constant,
    filter,
    memory::{probe, zeroed},
    sock::v4_mapped,
};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Where the addresses lie in the headers of IPv4 and IPv6 (RFC 791, RFC 8200).
const SOURCE_V4: u32 = 12;
const TARGET_V4: u32 = 16;
const SOURCE_V6: u32 = 8;
const TARGET_V6: u32 = 24;
/// Ports and flags in that of TCP (RFC 9293, section 3.1).
const SOURCE: u32 = 0;
const TARGET: u32 = 2;
const FLAGS: u32 = 13;

macro_rules! read {
    ($base:expr, $offset:expr) => {
        // SAFETY: integers, pointers as integers, and arrays of bytes.
        unsafe { probe($base, $offset) }
    };
}

/// Addresses of its parts.
#[derive(Clone, Copy)]
pub(super) struct Received {
    network: u64,
    transport: u64,
    device: u64,
    version: u8,
}

impl Received {
    /// The segment of a `struct sk_buff`; `None` where it cannot be read.
    #[inline(always)]
    pub(super) fn of(skb: u64) -> Option<Self> {
        let head: u64 = read!(skb, constant!(OFFSETS.skb_head))?;
        let network: u16 = read!(skb, constant!(OFFSETS.skb_network_header))?;
        let transport: u16 = read!(skb, constant!(OFFSETS.skb_transport_header))?;
        let device = read!(skb, constant!(OFFSETS.skb_dev))?;
        let network = head.wrapping_add(u64::from(network));
        let version = read!(network, 0).map(|first: u8| first >> 4)?;
        let transport = head.wrapping_add(u64::from(transport));
        (version == 4 || version == 6).then_some(Self { network, transport, device, version })
    }

    /// Whether it passes the filter.
    #[inline(never)]
    pub(super) fn passes(&self) -> bool {
        let mut identity = MaybeUninit::uninit();
        let identity = zeroed(&mut identity);
        self.describe(identity);
        filter::passes(identity)
    }

    /// The ends as this host sees them, the namespace and the interface.
    #[inline(always)]
    pub(super) fn describe(&self, record: &mut Record) {
        let Self { network, transport, device, version } = *self;
        record.peer_port = u16::from_be(read!(transport, SOURCE).unwrap_or(0));
        record.local_port = u16::from_be(read!(transport, TARGET).unwrap_or(0));
        let net: u64 = read!(device, constant!(OFFSETS.dev_net)).unwrap_or(0);
        record.netns = read!(net, constant!(OFFSETS.net_inum)).unwrap_or(0);
        record.interface = read!(device, constant!(OFFSETS.dev_ifindex)).unwrap_or(0);
        if version == 4 {
            record.family = AF_INET;
            record.peer_address = v4_mapped(read!(network, SOURCE_V4).unwrap_or(0));
            record.local_address = v4_mapped(read!(network, TARGET_V4).unwrap_or(0));
        } else {
            record.family = AF_INET6;
            record.peer_address = read!(network, SOURCE_V6).unwrap_or([0; 16]);
            record.local_address = read!(network, TARGET_V6).unwrap_or([0; 16]);
        }
    }

    /// Its flags.
    #[inline(always)]
    pub(super) fn flags(&self) -> u8 {
        read!(self.transport, FLAGS).unwrap_or(0)
    }
}
