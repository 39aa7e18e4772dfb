//! A TCP socket at an address that the verifier knows nothing of: copied out by a helper.

use tracer_wire::Record;

use super::common::{AF_INET6, describe_peer_and_addresses, netns};
use crate::programs::{
    constants::offset,
    memory::{Address, Memory},
};

const AF_INET: u16 = 2;
const IPPROTO_TCP: u16 = 6;
/// `include/uapi/linux/in.h`
pub(in crate::programs) const IPPROTO_MPTCP: u16 = 262;

/// Address of the `struct sock` of a TCP socket.
#[derive(Clone, Copy)]
pub(in crate::programs) struct Probed {
    pub(super) sk: Address,
    family: u16,
}

impl Probed {
    /// The socket of an open file (`struct file`) and the inode number; `None` where the file is
    /// no socket, or not one of TCP.
    ///
    /// Another thread may have closed the descriptor and opened something else in its place:
    /// only what is a socket by its inode is followed.
    #[inline(always)]
    pub(in crate::programs) fn of_file(file: Address) -> Option<(Self, u64)> {
        const S_IFMT: u16 = 0o170_000;
        const S_IFSOCK: u16 = 0o140_000;
        let inode = file.follow(offset!(file_inode));
        if inode.load::<u16>(offset!(inode_mode)) & S_IFMT != S_IFSOCK {
            return None;
        }
        let socket = file.follow(offset!(file_private_data));
        Some((Self::of_socket(socket.follow(offset!(socket_sk)))?, inode.load(offset!(inode_ino))))
    }

    /// The TCP socket that a `struct sock` is; of an MPTCP socket, its first subflow.
    #[inline(always)]
    pub(in crate::programs) fn of_socket(mut sk: Address) -> Option<Self> {
        let mut protocol: u16 = sk.load(offset!(sk_protocol));
        if protocol == IPPROTO_MPTCP {
            sk = sk.follow(offset!(mptcp_first));
            protocol = sk.load(offset!(sk_protocol));
        }
        let family: u16 = sk.load(offset!(skc_family));
        let is_tcp = protocol == IPPROTO_TCP && (family == AF_INET || family == AF_INET6);
        is_tcp.then_some(Self { sk, family })
    }

    /// Address, ends and namespace: what filters look at.
    #[inline(always)]
    pub(in crate::programs) fn describe(self, record: &mut Record) {
        record.sk = self.address();
        record.local_port = u16::from_be(self.sk.load(offset!(inet_sport)));
        record.netns = self.netns();
        describe_peer_and_addresses(self.sk, self.family, record);
    }

    /// Address of the `struct sock`.
    #[inline(always)]
    pub(in crate::programs) fn address(self) -> u64 {
        self.sk.0
    }

    /// Inode number of the network namespace.
    #[inline(always)]
    pub(in crate::programs) fn netns(self) -> u32 {
        netns(self.sk)
    }

    /// The cookie, if the socket has got one: its first event has given it one.
    #[inline(always)]
    pub(in crate::programs) fn cookie(self) -> u64 {
        self.sk.load(offset!(skc_cookie))
    }

    /// The user: that of the acceptor, from accept() on.
    #[inline(always)]
    pub(in crate::programs) fn uid(self) -> u32 {
        self.sk.load(offset!(sk_uid))
    }

    /// The state, as the kernel numbers it.
    #[inline(always)]
    pub(in crate::programs) fn state(self) -> u8 {
        self.sk.load(offset!(skc_state))
    }
}
