//! A TCP segment that has arrived, in its `struct sk_buff`: who has sent it, and to which port.
//!
//! The headers lie at addresses that the verifier knows nothing of: a helper copies from them. No
//! more than the fixed headers is looked at, which the kernel has checked (`tcp_v4_rcv`).

use tracer_wire::Record;

use super::{
    constants::offset,
    filter,
    memory::{Address, Memory, v4_mapped},
};

/// Where the addresses lie in the headers of IPv4 and IPv6 (RFC 791, RFC 8200).
const SOURCE_V4: u32 = 12;
const TARGET_V4: u32 = 16;
const SOURCE_V6: u32 = 8;
const TARGET_V6: u32 = 24;
/// Ports and flags in that of TCP (RFC 9293, section 3.1).
const SOURCE: u32 = 0;
const TARGET: u32 = 2;
const FLAGS: u32 = 13;

/// Addresses of its parts.
#[derive(Clone, Copy)]
pub(super) struct Received {
    network: Address,
    transport: Address,
    device: Address,
    version: u8,
}

impl Received {
    /// The segment of a `struct sk_buff`; `None` where it cannot be read.
    #[inline(always)]
    pub(super) fn of(skb: Address) -> Option<Self> {
        let head: u64 = skb.load(offset!(skb_head));
        let header = |offset| Address(head.wrapping_add(u64::from(skb.load::<u16>(offset))));
        let network = header(offset!(skb_network_header));
        let transport = header(offset!(skb_transport_header));
        let device = skb.follow(offset!(skb_dev));
        let version = network.load::<u8>(0) >> 4;
        (version == 4 || version == 6).then_some(Self { network, transport, device, version })
    }

    /// Whether it passes the filter.
    #[inline(never)]
    pub(super) fn passes(&self) -> bool {
        filter::passes_described(|record| self.describe(record))
    }

    /// The ends as this host sees them, the namespace and the interface.
    #[inline(always)]
    pub(super) fn describe(&self, record: &mut Record) {
        let Self { network, transport, device, version } = *self;
        record.peer_port = u16::from_be(transport.load(SOURCE));
        record.local_port = u16::from_be(transport.load(TARGET));
        record.netns = device.follow(offset!(dev_net)).load(offset!(net_inum));
        record.interface = device.load(offset!(dev_ifindex));
        if version == 4 {
            record.peer_address = v4_mapped(network.load(SOURCE_V4));
            record.local_address = v4_mapped(network.load(TARGET_V4));
        } else {
            record.peer_address = network.ipv6(SOURCE_V6);
            record.local_address = network.ipv6(TARGET_V6);
        }
    }

    /// Its flags.
    #[inline(always)]
    pub(super) fn flags(&self) -> u8 {
        self.transport.load(FLAGS)
    }
}
