//! The only place that reads `struct sock` and its relatives.

mod departure;
mod icmp;
mod probed;
mod request;

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{tcp_sock, tcp_timewait_sock},
    helpers::generated::{
        bpf_get_socket_cookie, bpf_skc_to_tcp_sock, bpf_skc_to_tcp_timewait_sock,
    },
};
use tracer_ebpf::{Offsets, Record, flag, state};

pub(super) use self::probed::{IPPROTO_MPTCP, Probed};
use super::{
    constants::constant,
    filter::Port,
    memory::{follow, load, probe},
};

const AF_INET6: u16 = 10;
const SOCK_DEAD: u64 = 1 << 0;
const SOCK_DONE: u64 = 1 << 1;
const SOCK_LINGER: u64 = 1 << 4;
const ICSK_TIME_RETRANS: u8 = 1;

macro_rules! offset {
    ($field:ident) => {
        constant!(OFFSETS.$field)
    };
}

/// What every kind of TCP socket begins with (`struct sock_common`).
#[derive(Clone, Copy)]
pub(super) struct Common(*const u8);

/// A full TCP socket (`struct tcp_sock`, which begins with `struct sock`).
#[derive(Clone, Copy)]
pub(super) struct Full(*const u8);

impl Common {
    /// From a tracepoint's or iterator's BTF-typed `sock` or `sock_common` argument.
    #[inline(always)]
    pub(super) fn new(pointer: *const c_void) -> Option<Self> {
        if pointer.is_null() { None } else { Some(Self(pointer.cast())) }
    }

    /// The full TCP socket; `None` for other protocols (MPTCP and SCTP fire the same tracepoint),
    /// minisockets and request sockets.
    #[inline(always)]
    pub(super) fn full(self) -> Option<Full> {
        // SAFETY: the helper takes any sock_common and tests the type itself.
        let tcp: *mut tcp_sock = unsafe { bpf_skc_to_tcp_sock(self.0.cast_mut().cast()) };
        if tcp.is_null() { None } else { Some(Full(tcp.cast_const().cast())) }
    }

    #[inline(always)]
    pub(super) fn address(self) -> u64 {
        self.0 as u64
    }

    #[inline(always)]
    pub(super) fn state(self) -> u8 {
        // SAFETY: BTF-typed pointer, u8 member.
        unsafe { load(self.0, offset!(skc_state)) }
    }

    /// Inode number of the network namespace.
    #[inline(always)]
    pub(super) fn netns(self) -> u32 {
        // SAFETY: BTF-typed pointers and the members' own widths.
        unsafe { load(follow(self.0, offset!(skc_net)), offset!(net_inum)) }
    }

    /// The cookie if somebody asked for it before, else 0.
    #[inline(always)]
    pub(super) fn present_cookie(self) -> u64 {
        // SAFETY: BTF-typed pointer, atomic64_t member.
        unsafe { load(self.0, offset!(skc_cookie)) }
    }

    /// The cookie, generated if the socket has none yet and this kernel can.
    #[inline(always)]
    pub(super) fn cookie(self) -> u64 {
        let present = self.present_cookie();
        if present == 0 && constant!(SETTINGS.has_cookie_helper) == 1 {
            // SAFETY: the tracing variant of the helper takes a BTF-typed sock_common.
            return unsafe { bpf_get_socket_cookie(self.0.cast_mut().cast()) };
        }
        present
    }

    /// Addresses, peer's port, namespace: what `sock_common` holds of any socket.
    ///
    /// The local port is `skc_num` here, which a closing full socket has lost already.
    #[inline(always)]
    pub(super) fn describe(self, record: &mut Record) {
        record.sk = self.address();
        // SAFETY: BTF-typed pointer and the members' own widths.
        unsafe {
            record.family = load(self.0, offset!(skc_family));
            record.peer_port = u16::from_be(load(self.0, offset!(skc_dport)));
            record.local_port = load(self.0, offset!(skc_num));
            record.netns = self.netns();
            if record.family == AF_INET6 {
                record.local_address = address_v6(self.0, offset!(skc_v6_rcv_saddr));
                record.peer_address = address_v6(self.0, offset!(skc_v6_daddr));
                if offset!(skc_bound_dev_if) != Offsets::ABSENT {
                    record.interface = load(self.0, offset!(skc_bound_dev_if));
                }
            } else {
                record.local_address = v4_mapped(load(self.0, offset!(skc_rcv_saddr)));
                record.peer_address = v4_mapped(load(self.0, offset!(skc_daddr)));
            }
        }
    }

    /// Fills in a TIME_WAIT or FIN_WAIT2 minisocket.
    ///
    /// The helper compares `sk_prot` with TCP's own, for which MPTCP has put in another: what came
    /// from an MPTCP listener is read by address. Where that may not be, the kernel's word for both
    /// sub-states is TIME_WAIT.
    #[inline(always)]
    pub(super) fn describe_time_wait(self, record: &mut Record) {
        self.describe(record);
        record.cookie = self.cookie();
        // SAFETY: the helper takes any sock_common and tests the type itself.
        let tw: *mut tcp_timewait_sock =
            unsafe { bpf_skc_to_tcp_timewait_sock(self.0.cast_mut().cast()) };
        if !tw.is_null() {
            let tw = tw.cast_const().cast::<u8>();
            // SAFETY: BTF-typed pointer and the members' own widths; unsigned long is 64 bits on
            // every architecture that has the BPF JIT features used here.
            unsafe {
                record.new_state = load(tw, offset!(tw_substate));
                record.timer_expires = load(tw, offset!(tw_timer_expires));
                record.rcv_nxt = load(tw, offset!(tw_rcv_nxt));
                record.snd_nxt = load(tw, offset!(tw_snd_nxt));
            }
        } else if constant!(SETTINGS.reads_addresses) == 1 {
            // SAFETY: integers.
            unsafe {
                record.new_state =
                    probe(self.address(), offset!(tw_substate)).unwrap_or(state::TIME_WAIT);
                record.timer_expires =
                    probe(self.address(), offset!(tw_timer_expires)).unwrap_or(0);
            }
        }
    }
}

impl Full {
    /// Addresses, ports and namespace: what filters look at.
    #[inline(always)]
    pub(super) fn describe_identity(self, record: &mut Record) {
        Common(self.0).describe(record);
        // SAFETY: BTF-typed pointer, __be16 member. skc_num is 0 already in X → CLOSE.
        record.local_port = u16::from_be(unsafe { load(self.0, offset!(inet_sport)) });
    }

    /// The peer's port.
    #[inline(always)]
    pub(super) fn peer_port(self) -> Port {
        // SAFETY: BTF-typed pointer, __be16 member.
        Port::new(u16::from_be(unsafe { load(self.0, offset!(skc_dport)) }))
    }

    /// The local port, or those that the socket may still get: connect() tells SYN_SENT before one
    /// is chosen (`inet_hash_connect`; IP_LOCAL_PORT_RANGE can only narrow the range).
    #[inline(always)]
    pub(super) fn local_port(self) -> Port {
        let range = offset!(net_local_ports);
        // SAFETY: BTF-typed pointers and the members' own widths.
        unsafe {
            let port = u16::from_be(load(self.0, offset!(inet_sport)));
            if port != 0 || range == Offsets::ABSENT {
                return Port::new(port);
            }
            let net = follow(self.0, offset!(skc_net));
            let limits: u32 = load(net, range);
            if offset!(net_local_ports_lock) == Offsets::ABSENT {
                Port::among(limits as u16, (limits >> 16) as u16)
            } else {
                Port::among(limits as u16, load::<u32>(net, range + 4) as u16)
            }
        }
    }

    /// Everything about a full socket except its cookie, whose owner depends on the moment.
    #[inline(always)]
    pub(super) fn describe(self, record: &mut Record) {
        self.describe_connection(record);
        self.describe_owner(record);
    }

    /// The same without [`Self::describe_owner`].
    #[inline(always)]
    pub(super) fn describe_connection(self, record: &mut Record) {
        self.describe_identity(record);
        self.describe_tcp(record);
        record.flags = self.flags();
        // SAFETY: BTF-typed pointer, a struct of one u32.
        record.uid = unsafe { load(self.0, offset!(sk_uid)) };
    }

    /// Sequence numbers, counters, errors, timers.
    #[inline(always)]
    fn describe_tcp(self, record: &mut Record) {
        let tcp = self.0;
        // SAFETY: BTF-typed pointer and the members' own widths.
        unsafe {
            record.snd_una = load(tcp, offset!(snd_una));
            record.snd_nxt = load(tcp, offset!(snd_nxt));
            record.write_seq = load(tcp, offset!(write_seq));
            record.rcv_nxt = load(tcp, offset!(rcv_nxt));
            record.copied_seq = load(tcp, offset!(copied_seq));
            record.srtt_us = load(tcp, offset!(srtt_us));
            record.total_retrans = load(tcp, offset!(total_retrans));
            record.bytes_acked = load(tcp, offset!(bytes_acked));
            record.bytes_received = load(tcp, offset!(bytes_received));
            record.last_ack = load(tcp, offset!(rcv_tstamp));
            record.linger2 = load(tcp, offset!(linger2));
            if record.linger2 == 0 {
                // As tcp_fin_time() does.
                record.linger2 = load(follow(tcp, offset!(skc_net)), offset!(net_tcp_fin_timeout));
            }
            record.retransmits = load(tcp, offset!(icsk_retransmits));
            record.probes = load(tcp, offset!(icsk_probes_out));
            record.shutdown = load(tcp, offset!(sk_shutdown));
            record.error = load::<u32>(tcp, offset!(sk_err)) as u16;
            record.soft_error = load::<u32>(tcp, offset!(sk_err_soft)) as u16;
        }
    }

    /// Cgroup and file: far from the socket itself, and therefore dear.
    #[inline(always)]
    pub(super) fn describe_owner(self, record: &mut Record) {
        // SAFETY: BTF-typed pointers; what is behind NULL reads as zero.
        unsafe {
            let node = follow(follow(self.0, offset!(sk_cgroup)), offset!(cgroup_kn));
            record.cgroup_id = load(node, offset!(kernfs_id));
            let file = follow(follow(self.0, offset!(sk_socket)), offset!(socket_file));
            record.inode = load(follow(file, offset!(file_inode)), offset!(inode_ino));
        }
    }

    #[inline(always)]
    fn flags(self) -> u8 {
        // SAFETY: BTF-typed pointer and the members' own widths.
        unsafe {
            let sk_flags: u64 = load(self.0, offset!(skc_flags));
            let mut flags = 0;
            if sk_flags & SOCK_DEAD != 0 {
                flags |= flag::DEAD;
            }
            if sk_flags & SOCK_DONE != 0 {
                flags |= flag::DONE;
            }
            if sk_flags & SOCK_LINGER != 0
                && offset!(sk_lingertime) != Offsets::ABSENT
                && load::<u64>(self.0, offset!(sk_lingertime)) == 0
            {
                flags |= flag::LINGER_ZERO;
            }
            if !follow(self.0, offset!(sk_socket)).is_null() {
                flags |= flag::HAS_SOCKET;
            }
            if load::<u8>(self.0, offset!(is_mptcp)) != 0 {
                flags |= flag::MPTCP;
            }
            if self.bit(offset!(repair)) {
                flags |= flag::REPAIR;
            }
            flags
        }
    }

    /// A bit-field: load its byte, pick its bit. False where the kernel lacks it.
    #[inline(always)]
    unsafe fn bit(self, bit: u32) -> bool {
        if bit == Offsets::ABSENT {
            return false;
        }
        // SAFETY: the byte lies in the struct, as the bit does.
        let byte: u8 = unsafe { load(self.0, bit / 8) };
        (byte >> (bit % 8)) & 1 == 1
    }

    /// The listener that this socket, in its first event, has been copied from.
    ///
    /// The child is still that raw copy where its list of sent segments is concerned
    /// (`tcp_create_openreq_child` makes it anew only after `inet_csk_clone_lock`); a listener's is
    /// empty, that is, leads to itself.
    #[inline(always)]
    pub(super) fn copied_from(self) -> u64 {
        let queue = offset!(sent_queue);
        if queue == Offsets::ABSENT {
            return 0;
        }
        // SAFETY: BTF-typed pointer; a pointer, which is not followed.
        let next = unsafe { follow(self.0, queue) };
        (next as u64).wrapping_sub(u64::from(queue))
    }

    /// What only a snapshot needs: the inode number of a socket of the kernel, as MPTCP's subflows
    /// have: it is their MPTCP socket's.
    #[inline(always)]
    pub(super) fn describe_inode(self, record: &mut Record) {
        // SAFETY: BTF-typed pointer.
        let socket = unsafe { follow(self.0, offset!(sk_socket)) };
        if record.inode == 0 && !socket.is_null() && constant!(SETTINGS.reads_addresses) == 1 {
            // SAFETY: an integer; the inode follows the socket (struct socket_alloc).
            record.inode = unsafe { probe(socket as u64, offset!(socket_inode_ino)) }.unwrap_or(0);
        }
    }

    /// What only a snapshot needs: accept queue and pending timer.
    #[inline(always)]
    pub(super) fn describe_queue_and_timer(self, record: &mut Record) {
        // SAFETY: BTF-typed pointer and the members' own widths.
        unsafe {
            record.accept_queue = load(self.0, offset!(sk_ack_backlog));
            record.accept_backlog = load(self.0, offset!(sk_max_ack_backlog));
            if record.new_state == state::LISTEN {
                record.probes = load(self.0, offset!(defer_accept));
            }
            record.timer = load(self.0, offset!(icsk_pending));
            if record.timer >= ICSK_TIME_RETRANS {
                record.timer_expires = self.retransmit_expires();
            } else if !follow(self.0, offset!(sk_timer_pprev)).is_null() {
                record.timer_expires = load(self.0, offset!(sk_timer_expires));
                record.flags |= flag::SK_TIMER;
            }
        }
    }

    /// The retransmission timer's jiffy, wherever this kernel keeps it.
    #[inline(always)]
    unsafe fn retransmit_expires(self) -> u64 {
        // SAFETY: BTF-typed pointer, unsigned long members; at most one of them is present.
        unsafe {
            load::<u64>(self.0, offset!(icsk_timeout))
                | load::<u64>(self.0, offset!(icsk_retransmit_timer_expires))
                | load::<u64>(self.0, offset!(tcp_retransmit_timer_expires))
        }
    }
}

#[inline(always)]
unsafe fn address_v6(base: *const u8, offset: u32) -> [u8; 16] {
    // in6_addr is an array of four u32: the verifier takes loads of that width only.
    // SAFETY: the caller's.
    unsafe {
        let words: [u32; 4] = [
            load(base, offset),
            load(base, offset + 4),
            load(base, offset + 8),
            load(base, offset + 12),
        ];
        core::mem::transmute(words)
    }
}

#[inline(always)]
pub(super) fn v4_mapped(address: u32) -> [u8; 16] {
    let words: [u32; 4] = [0, 0, 0xffff_u32.to_be(), address];
    // SAFETY: sixteen bytes either way.
    unsafe { core::mem::transmute(words) }
}
