//! The only place that reads `struct sock` and its relatives.

mod common;
mod departure;
mod group;
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
use tracer_wire::{Offsets, Record, Timers, flag, state};

use self::common::{describe_peer_and_addresses, netns};
pub(super) use self::probed::{IPPROTO_MPTCP, Probed};
use super::{
    constants::{constant, load, offset},
    filter::Port,
    memory::{Address, Memory, Typed},
};

const SOCK_DEAD: u64 = 1 << 0;
const SOCK_DONE: u64 = 1 << 1;
const SOCK_KEEPOPEN: u64 = 1 << 3;
const SOCK_LINGER: u64 = 1 << 4;
const ICSK_TIME_RETRANS: u8 = 1;

/// What every kind of TCP socket begins with (`struct sock_common`).
#[derive(Clone, Copy)]
pub(super) struct Common(Typed);

/// A full TCP socket (`struct tcp_sock`, which begins with `struct sock`).
#[derive(Clone, Copy)]
pub(super) struct Full(Typed);

impl Common {
    /// From a tracepoint's or iterator's BTF-typed `sock` or `sock_common` argument.
    #[inline(always)]
    pub(super) fn new(pointer: *const c_void) -> Option<Self> {
        Typed::new(pointer).map(Self)
    }

    /// The full TCP socket; `None` for other protocols (MPTCP and SCTP fire the same tracepoint),
    /// minisockets and request sockets.
    #[inline(always)]
    pub(super) fn full(self) -> Option<Full> {
        // SAFETY: the helper takes any sock_common and tests the type itself.
        let tcp: *mut tcp_sock = unsafe { bpf_skc_to_tcp_sock(self.0.pointer()) };
        Typed::new(tcp).map(Full)
    }

    #[inline(always)]
    pub(super) fn address(self) -> u64 {
        self.0.address()
    }

    #[inline(always)]
    pub(super) fn state(self) -> u8 {
        self.0.load(offset!(skc_state))
    }

    /// Inode number of the network namespace.
    #[inline(always)]
    pub(super) fn netns(self) -> u32 {
        netns(self.0)
    }

    /// The cookie, generated if the socket has none yet and this kernel can.
    #[inline(always)]
    pub(super) fn cookie(self) -> u64 {
        let present = self.0.load(offset!(skc_cookie));
        if present == 0 && constant!(SETTINGS.has_cookie_helper) == 1 {
            // SAFETY: the tracing variant of the helper takes a BTF-typed sock_common.
            return unsafe { bpf_get_socket_cookie(self.0.pointer()) };
        }
        present
    }

    /// The same of an argument of a hook. The verifier trusts such a pointer (since 6.2), and for each
    /// pointer that is read through one it looks through all names of the kernel, four times: a
    /// millisecond, on each way that leads there. What helpers return it does not trust so.
    #[inline(always)]
    fn netns_of_argument(self) -> u32 {
        if constant!(SETTINGS.reads_addresses) == 1 {
            netns(Address(self.address()))
        } else {
            self.netns()
        }
    }

    /// Addresses, peer's port, namespace: what `sock_common` holds of any socket.
    #[inline(always)]
    pub(super) fn describe(self, record: &mut Record) {
        self.describe_ends(record);
        record.netns = self.netns_of_argument();
    }

    /// All of it but the namespace.
    ///
    /// The local port is `skc_num` here, which a closing full socket has lost already.
    #[inline(always)]
    fn describe_ends(self, record: &mut Record) {
        record.sk = self.address();
        record.local_port = self.0.load(offset!(skc_num));
        let family = self.0.load(offset!(skc_family));
        describe_peer_and_addresses(self.0, family, record);
    }

    /// Fills in a TIME_WAIT or FIN_WAIT2 minisocket.
    ///
    /// The helper compares `sk_prot` with TCP's own, for which MPTCP has put in another: what came
    /// from an MPTCP listener is read by address. Where that may not be, the kernel's word for both
    /// sub-states is TIME_WAIT.
    #[inline(always)]
    pub(super) fn describe_time_wait(self, record: &mut Record) {
        self.describe_ends(record);
        record.cookie = self.cookie();
        // SAFETY: the helper takes any sock_common and tests the type itself.
        let minisocket: *mut tcp_timewait_sock =
            unsafe { bpf_skc_to_tcp_timewait_sock(self.0.pointer()) };
        if let Some(minisocket) = Typed::new(minisocket) {
            record.netns = netns(minisocket);
            record.new_state = minisocket.load(offset!(tw_substate));
            // unsigned long is 64 bits on every architecture whose BPF JIT has the features used
            // here.
            record.timer_expires = minisocket.load(offset!(tw_timer_expires));
            record.rcv_nxt = minisocket.load(offset!(tw_rcv_nxt));
            record.snd_nxt = minisocket.load(offset!(tw_snd_nxt));
            return;
        }
        record.netns = self.netns_of_argument();
        if constant!(SETTINGS.reads_addresses) == 1 {
            let minisocket = Address(self.address());
            let state = minisocket.load(offset!(tw_substate));
            record.new_state = if state == 0 { state::TIME_WAIT } else { state };
            record.timer_expires = minisocket.load(offset!(tw_timer_expires));
        }
    }
}

impl Full {
    /// Addresses, ports and namespace: what filters look at.
    #[inline(always)]
    pub(super) fn describe_identity(self, record: &mut Record) {
        Common(self.0).describe_ends(record);
        record.netns = netns(self.0);
        // skc_num is 0 already in X → CLOSE.
        record.local_port = u16::from_be(self.0.load(offset!(inet_sport)));
    }

    /// The peer's port.
    #[inline(always)]
    pub(super) fn peer_port(self) -> Port {
        Port::new(u16::from_be(self.0.load(offset!(skc_dport))))
    }

    /// The local port, or those that the socket may still get: connect() enters SYN_SENT before one
    /// is chosen (`inet_hash_connect`; IP_LOCAL_PORT_RANGE can only narrow the range).
    #[inline(always)]
    pub(super) fn local_port(self) -> Port {
        let range = offset!(net_local_ports);
        let port = u16::from_be(self.0.load(offset!(inet_sport)));
        if port != 0 || range == Offsets::ABSENT {
            return Port::new(port);
        }
        let net = self.0.follow(offset!(skc_net));
        let limits: u32 = net.load(range);
        if offset!(net_local_ports_lock) == Offsets::ABSENT {
            Port::among(limits as u16, (limits >> 16) as u16)
        } else {
            Port::among(limits as u16, net.load::<u32>(range + 4) as u16)
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
        let tcp = self.0;
        load!(
            record, tcp;
            snd_una, snd_nxt, write_seq, rcv_nxt, copied_seq, srtt_us, total_retrans, bytes_acked,
            bytes_received, linger2
        );
        record.last_ack = tcp.load(offset!(rcv_tstamp));
        record.last_sent = tcp.load(offset!(lsndtime));
        record.last_received = tcp.load(offset!(lrcvtime));
        if record.linger2 == 0 {
            // As tcp_fin_time() does.
            record.linger2 = tcp.follow(offset!(skc_net)).load(offset!(net_tcp_fin_timeout));
        }
        record.retransmits = tcp.load(offset!(icsk_retransmits));
        record.shutdown = tcp.load(offset!(sk_shutdown));
        record.error = tcp.load::<u32>(offset!(sk_err)) as u16;
        record.soft_error = tcp.load::<u32>(offset!(sk_err_soft)) as u16;
        record.flags = self.flags();
        record.uid = tcp.load(offset!(sk_uid));
    }

    /// Cgroup and file: far from the socket itself, and therefore expensive.
    #[inline(always)]
    pub(super) fn describe_owner(self, record: &mut Record) {
        let node = self.0.follow(offset!(sk_cgroup)).follow(offset!(cgroup_kn));
        record.cgroup_id = node.load(offset!(kernfs_id));
        let file = self.0.follow(offset!(sk_socket)).follow(offset!(socket_file));
        record.inode = file.follow(offset!(file_inode)).load(offset!(inode_ino));
    }

    #[inline(always)]
    fn flags(self) -> u8 {
        let sk_flags: u64 = self.0.load(offset!(skc_flags));
        let mut flags = 0;
        if sk_flags & SOCK_DEAD != 0 {
            flags |= flag::DEAD;
        }
        if sk_flags & SOCK_DONE != 0 {
            flags |= flag::DONE;
        }
        if sk_flags & SOCK_LINGER != 0
            && offset!(sk_lingertime) != Offsets::ABSENT
            && self.0.load::<u64>(offset!(sk_lingertime)) == 0
        {
            flags |= flag::LINGER_ZERO;
        }
        if !self.0.follow(offset!(sk_socket)).is_null() {
            flags |= flag::HAS_SOCKET;
        }
        if self.0.load::<u8>(offset!(is_mptcp)) != 0 {
            flags |= flag::MPTCP;
        }
        if self.0.bit(offset!(repair)) {
            flags |= flag::REPAIR;
        }
        flags
    }

    /// The listener that this socket, in its first event, has been copied from.
    ///
    /// The child is still that raw copy where its list of sent segments is concerned
    /// (`tcp_create_openreq_child` initialises it only after `inet_csk_clone_lock`); a listener's is
    /// empty, that is, leads to itself.
    #[inline(always)]
    pub(super) fn copied_from(self) -> u64 {
        let queue = offset!(sent_queue);
        if queue == Offsets::ABSENT {
            return 0;
        }
        self.0.follow(queue).address().wrapping_sub(u64::from(queue))
    }

    /// What only a snapshot needs: the inode number of a socket of the kernel, as MPTCP's subflows
    /// have: it is their MPTCP socket's.
    #[inline(always)]
    pub(super) fn describe_inode(self, record: &mut Record) {
        let socket = self.0.follow(offset!(sk_socket));
        if record.inode == 0 && !socket.is_null() && constant!(SETTINGS.reads_addresses) == 1 {
            // The inode follows the socket (struct socket_alloc).
            record.inode = Address(socket.address()).load(offset!(socket_inode_ino));
        }
    }

    /// What only a snapshot needs: what decides when the kernel gives up.
    #[inline(always)]
    pub(super) fn describe_timers(self, record: &mut Record) {
        let tcp = self.0;
        let timers = Timers {
            user_timeout: tcp.load(offset!(icsk_user_timeout)),
            keepalive_time: tcp.load(offset!(keepalive_time)),
            keepalive_intvl: tcp.load(offset!(keepalive_intvl)),
            rto: tcp.load(offset!(icsk_rto)),
            retrans_stamp: tcp.load(offset!(retrans_stamp)),
            backoff: tcp.load(offset!(icsk_backoff)),
            probes_out: tcp.load(offset!(icsk_probes_out)),
            keepalive_probes: tcp.load(offset!(keepalive_probes)),
            keepalive: u8::from(tcp.load::<u64>(offset!(skc_flags)) & SOCK_KEEPOPEN != 0),
        };
        timers.put(record);
    }

    /// What was sent, see [`tracer_wire::Sent`].
    #[inline(always)]
    pub(super) fn describe_sent(self, record: &mut Record) {
        record.segment_seq = self.0.load(offset!(data_segs_out));
        record.fd = self.0.load(offset!(dsack_dups));
    }

    /// What only the end needs, see [`Record::peer_spoke_last`].
    #[inline(always)]
    pub(super) fn describe_last_word(self, record: &mut Record) {
        record.accept_queue = self.0.load(offset!(snd_wl1));
    }

    /// What only a snapshot needs, of a listener: what it has dropped.
    #[inline(always)]
    pub(super) fn describe_drops(self, record: &mut Record) {
        record.segment_seq = self.0.load(offset!(sk_drops));
    }

    /// What only a snapshot needs: accept queue and pending timer.
    #[inline(always)]
    pub(super) fn describe_queue_and_timer(self, record: &mut Record) {
        record.accept_queue = self.0.load(offset!(sk_ack_backlog));
        record.accept_backlog = self.0.load(offset!(sk_max_ack_backlog));
        record.defer_accept = self.0.load(offset!(defer_accept));
        record.timer = self.0.load(offset!(icsk_pending));
        if record.timer >= ICSK_TIME_RETRANS {
            // Wherever this kernel keeps it: at most one of these members is present.
            record.timer_expires = self.0.load::<u64>(offset!(icsk_timeout))
                | self.0.load::<u64>(offset!(icsk_retransmit_timer_expires))
                | self.0.load::<u64>(offset!(tcp_retransmit_timer_expires));
        } else if !self.0.follow(offset!(sk_timer_pprev)).is_null() {
            record.timer_expires = self.0.load(offset!(sk_timer_expires));
            record.flags |= flag::SK_TIMER;
        }
    }
}
