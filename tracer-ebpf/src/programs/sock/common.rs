//! What `struct sock_common` holds, however its memory is read.

use tracer_wire::Record;

use crate::programs::{
    constants::offset,
    memory::{Memory, v4_mapped},
};

pub(super) const AF_INET6: u16 = 10;

/// Inode number of the network namespace of a `struct sock_common`.
#[inline(always)]
pub(super) fn netns(socket: impl Memory) -> u32 {
    socket.follow(offset!(skc_net)).load(offset!(net_inum))
}

/// Addresses and peer's port of a `struct sock_common`.
#[inline(always)]
pub(super) fn describe_peer_and_addresses(socket: impl Memory, family: u16, record: &mut Record) {
    record.peer_port = u16::from_be(socket.load(offset!(skc_dport)));
    if family == AF_INET6 {
        record.local_address = socket.ipv6(offset!(skc_v6_rcv_saddr));
        record.peer_address = socket.ipv6(offset!(skc_v6_daddr));
        record.interface = socket.load(offset!(skc_bound_dev_if));
    } else {
        record.local_address = v4_mapped(socket.load(offset!(skc_rcv_saddr)));
        record.peer_address = v4_mapped(socket.load(offset!(skc_daddr)));
    }
}
