//! A TCP socket at an address that the verifier knows nothing of: copied out by a helper.

use tracer_ebpf::Record;

use super::{AF_INET6, v4_mapped};
use crate::programs::{constants::constant, memory::probe};

const AF_INET: u16 = 2;
const IPPROTO_TCP: u16 = 6;
/// `include/uapi/linux/in.h`
pub(in crate::programs) const IPPROTO_MPTCP: u16 = 262;

macro_rules! read {
    ($base:expr, $field:ident) => {
        // SAFETY: integers, pointers as integers, and arrays of bytes.
        unsafe { probe($base, constant!(OFFSETS.$field)) }
    };
}

/// Address of the `struct sock` of a TCP socket.
#[derive(Clone, Copy)]
pub(in crate::programs) struct Probed {
    sk: u64,
    family: u16,
}

impl Probed {
    /// The socket of an open file (`struct file`) and the inode number; `None` where the file is
    /// no socket, or not one of TCP.
    ///
    /// Another thread may have closed the descriptor and opened something else in its place:
    /// only what is a socket by its inode is followed.
    #[inline(always)]
    pub(in crate::programs) fn of_file(file: u64) -> Option<(Self, u64)> {
        const S_IFMT: u16 = 0o170_000;
        const S_IFSOCK: u16 = 0o140_000;
        let inode: u64 = read!(file, file_inode)?;
        let mode: u16 = read!(inode, inode_mode)?;
        if mode & S_IFMT != S_IFSOCK {
            return None;
        }
        let socket: u64 = read!(file, file_private_data)?;
        Some((Self::of_socket(read!(socket, socket_sk)?)?, read!(inode, inode_ino)?))
    }

    /// The TCP socket that a `struct sock` is; of an MPTCP socket, its first subflow.
    #[inline(always)]
    pub(in crate::programs) fn of_socket(mut sk: u64) -> Option<Self> {
        let mut protocol: u16 = read!(sk, sk_protocol)?;
        if protocol == IPPROTO_MPTCP {
            sk = read!(sk, mptcp_first)?;
            protocol = read!(sk, sk_protocol)?;
        }
        let family: u16 = read!(sk, skc_family)?;
        if protocol != IPPROTO_TCP || (family != AF_INET && family != AF_INET6) {
            return None;
        }
        Some(Self { sk, family })
    }

    /// Address, ends and namespace: what filters look at.
    #[inline(always)]
    pub(in crate::programs) fn describe(self, record: &mut Record) {
        let Self { sk, family } = self;
        record.sk = sk;
        record.family = family;
        record.peer_port = u16::from_be(read!(sk, skc_dport).unwrap_or(0));
        record.local_port = u16::from_be(read!(sk, inet_sport).unwrap_or(0));
        record.netns = self.netns();
        if family == AF_INET6 {
            record.local_address = read!(sk, skc_v6_rcv_saddr).unwrap_or([0; 16]);
            record.peer_address = read!(sk, skc_v6_daddr).unwrap_or([0; 16]);
            record.interface = read!(sk, skc_bound_dev_if).unwrap_or(0);
        } else {
            record.local_address = v4_mapped(read!(sk, skc_rcv_saddr).unwrap_or(0));
            record.peer_address = v4_mapped(read!(sk, skc_daddr).unwrap_or(0));
        }
    }

    /// Address of the `struct sock`.
    #[inline(always)]
    pub(in crate::programs) fn address(self) -> u64 {
        self.sk
    }

    /// Inode number of the network namespace.
    #[inline(always)]
    pub(in crate::programs) fn netns(self) -> u32 {
        let net: u64 = read!(self.sk, skc_net).unwrap_or(0);
        read!(net, net_inum).unwrap_or(0)
    }

    /// The cookie, if the socket has got one: its first event has given it one.
    #[inline(always)]
    pub(in crate::programs) fn cookie(self) -> u64 {
        read!(self.sk, skc_cookie).unwrap_or(0)
    }

    /// The user: that of the acceptor, from accept() on.
    #[inline(always)]
    pub(in crate::programs) fn uid(self) -> u32 {
        read!(self.sk, sk_uid).unwrap_or(0)
    }

    /// The state, as the kernel numbers it.
    #[inline(always)]
    pub(in crate::programs) fn state(self) -> u8 {
        read!(self.sk, skc_state).unwrap_or(0)
    }
}
