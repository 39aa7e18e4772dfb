//! Configuration that the user half gives the kernel half before it is loaded.
//!
//! All of it becomes frozen `.rodata`: the verifier takes the values for constants, folds the
//! offsets into plain loads and removes the branches of whatever is switched off.

/// Ranges of ports that one filter list can hold in the kernel; longer lists are left to the user
/// half.
pub const MAX_PORTS: usize = 8;

/// Levels of control groups that are looked at in the kernel.
pub const GROUP_DEPTH: u32 = 16;

/// A struct member whose offset is looked up in the running kernel's BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name of the struct.
    pub container: &'static str,
    /// Member, with dots into nested structs.
    pub path: &'static str,
    /// False where a kernel may lack it and the tracer still works.
    pub required: bool,
    /// The offset is counted in bits: the member may be a bit-field.
    pub bits: bool,
}

macro_rules! offsets {
    ($($(#[$doc:meta])* $field:ident = $container:literal $path:literal $($option:ident)*;)+) => {
        /// Offsets of struct members in bytes (in bits for those marked `bits`).
        ///
        /// They differ between versions and between two builds of one version.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Offsets {
            $(
                #[doc = concat!("`", $container, ".", $path, "`")]
                $(#[$doc])*
                pub $field: u32,
            )+
        }

        impl Offsets {
            /// How many members there are.
            pub const COUNT: usize = [$($path),+].len();

            /// The members, in the order of the fields.
            pub const MEMBERS: [Member; Self::COUNT] = [$(
                offsets!(@options Member {
                    container: $container, path: $path, required: true, bits: false,
                }, $($option)*),
            )+];

            /// From one offset for each of [`Self::MEMBERS`].
            pub const fn from_array(offsets: [u32; Self::COUNT]) -> Self {
                let [$($field),+] = offsets;
                Self { $($field),+ }
            }
        }
    };
    (@options $member:expr, optional) => { Member { required: false, ..$member } };
    (@options $member:expr, optional bits) => { Member { required: false, bits: true, ..$member } };
    (@options $member:expr,) => { $member };
}

offsets! {
    skc_daddr = "sock_common" "skc_daddr";
    skc_rcv_saddr = "sock_common" "skc_rcv_saddr";
    skc_dport = "sock_common" "skc_dport";
    skc_num = "sock_common" "skc_num";
    skc_family = "sock_common" "skc_family";
    skc_state = "sock_common" "skc_state";
    skc_net = "sock_common" "skc_net";
    skc_v6_daddr = "sock_common" "skc_v6_daddr" optional;
    skc_bound_dev_if = "sock_common" "skc_bound_dev_if" optional;
    skc_v6_rcv_saddr = "sock_common" "skc_v6_rcv_saddr" optional;
    skc_cookie = "sock_common" "skc_cookie";
    skc_listener = "sock_common" "skc_listener" optional;
    net_inum = "net" "ns.inum" optional;
    net_tcp_fin_timeout = "net" "ipv4.sysctl_tcp_fin_timeout" optional;
    /// Two `int`s until 6.7, whose lock is the next member here; since then one `u32`, the upper
    /// limit in its upper half.
    net_local_ports = "net" "ipv4.ip_local_ports.range" optional;
    net_local_ports_lock = "net" "ipv4.ip_local_ports.lock" optional;
    skc_flags = "sock_common" "skc_flags";
    sk_shutdown = "sock" "sk_shutdown";
    sk_err = "sock" "sk_err";
    sk_err_soft = "sock" "sk_err_soft" optional;
    sk_error_queue_length = "sock" "sk_error_queue.qlen" optional;
    sk_error_queue_last = "sock" "sk_error_queue.prev" optional;
    sk_socket = "sock" "sk_socket";
    sk_uid = "sock" "sk_uid" optional;
    sk_lingertime = "sock" "sk_lingertime" optional;
    sk_cgroup = "sock" "sk_cgrp_data.cgroup" optional;
    sk_ack_backlog = "sock" "sk_ack_backlog" optional;
    sk_max_ack_backlog = "sock" "sk_max_ack_backlog" optional;
    sk_drops = "sock" "sk_drops.counter" optional;
    sk_timer_expires = "sock" "sk_timer.expires" optional;
    sk_timer_pprev = "sock" "sk_timer.entry.pprev" optional;
    sk_protocol = "sock" "sk_protocol" optional;
    socket_inode_ino = "socket_alloc" "vfs_inode.i_ino" optional;
    socket_file = "socket" "file" optional;
    socket_sk = "socket" "sk" optional;
    file_inode = "file" "f_inode" optional;
    file_private_data = "file" "private_data" optional;
    inode_ino = "inode" "i_ino" optional;
    inode_mode = "inode" "i_mode" optional;
    cgroup_kn = "cgroup" "kn" optional;
    kernfs_id = "kernfs_node" "id" optional;
    kernfs_parent = "kernfs_node" "parent" optional;
    kernfs_parent_rcu = "kernfs_node" "__parent" optional;
    inet_sport = "inet_sock" "inet_sport";
    /// Present where `iter/tcp` locks each socket while it is shown (5.15).
    iterator_batch = "bpf_tcp_iter_state" "batch" optional;
    accept_queue_head =
        "inet_connection_sock" "icsk_accept_queue.rskq_accept_head" optional;
    defer_accept = "inet_connection_sock" "icsk_accept_queue.rskq_defer_accept" optional;
    icsk_retransmits = "inet_connection_sock" "icsk_retransmits";
    icsk_backoff = "inet_connection_sock" "icsk_backoff" optional;
    icsk_probes_out = "inet_connection_sock" "icsk_probes_out" optional;
    icsk_rto = "inet_connection_sock" "icsk_rto" optional;
    icsk_user_timeout = "inet_connection_sock" "icsk_user_timeout" optional;
    icsk_pending = "inet_connection_sock" "icsk_pending" optional;
    /// Until 6.18.
    icsk_timeout = "inet_connection_sock" "icsk_timeout" optional;
    icsk_retransmit_timer_expires = "inet_connection_sock" "icsk_retransmit_timer.expires" optional;
    /// Where the retransmission timer moved into `struct sock`.
    tcp_retransmit_timer_expires = "sock" "tcp_retransmit_timer.expires" optional;
    snd_una = "tcp_sock" "snd_una";
    snd_nxt = "tcp_sock" "snd_nxt";
    write_seq = "tcp_sock" "write_seq";
    snd_wl1 = "tcp_sock" "snd_wl1";
    snd_wnd = "tcp_sock" "snd_wnd";
    snd_cwnd = "tcp_sock" "snd_cwnd";
    packets_out = "tcp_sock" "packets_out";
    sacked_out = "tcp_sock" "sacked_out";
    lost_out = "tcp_sock" "lost_out";
    retrans_out = "tcp_sock" "retrans_out";
    mss_cache = "tcp_sock" "mss_cache";
    fastopen_connect = "tcp_sock" "fastopen_connect" optional bits;
    rcv_nxt = "tcp_sock" "rcv_nxt";
    copied_seq = "tcp_sock" "copied_seq";
    srtt_us = "tcp_sock" "srtt_us" optional;
    total_retrans = "tcp_sock" "total_retrans" optional;
    data_segs_out = "tcp_sock" "data_segs_out" optional;
    dsack_dups = "tcp_sock" "dsack_dups" optional;
    bytes_acked = "tcp_sock" "bytes_acked";
    bytes_received = "tcp_sock" "bytes_received";
    rcv_tstamp = "tcp_sock" "rcv_tstamp" optional;
    lsndtime = "tcp_sock" "lsndtime" optional;
    lrcvtime = "inet_connection_sock" "icsk_ack.lrcvtime" optional;
    retrans_stamp = "tcp_sock" "retrans_stamp" optional;
    keepalive_time = "tcp_sock" "keepalive_time" optional;
    keepalive_intvl = "tcp_sock" "keepalive_intvl" optional;
    keepalive_probes = "tcp_sock" "keepalive_probes" optional;
    linger2 = "tcp_sock" "linger2" optional;
    is_mptcp = "tcp_sock" "is_mptcp" optional;
    sent_queue = "tcp_sock" "tsorted_sent_queue" optional;
    mptcp_first = "mptcp_sock" "first" optional;
    repair = "tcp_sock" "repair" optional bits;
    tw_substate = "inet_timewait_sock" "tw_substate" optional;
    tw_timer_expires = "inet_timewait_sock" "tw_timer.expires" optional;
    tw_rcv_nxt = "tcp_timewait_sock" "tw_rcv_nxt" optional;
    tw_snd_nxt = "tcp_timewait_sock" "tw_snd_nxt" optional;
    request_num_retrans = "request_sock" "num_retrans" optional;
    request_snt_isn = "tcp_request_sock" "snt_isn" optional;
    request_snt_synack = "tcp_request_sock" "snt_synack" optional;
    request_acked = "inet_request_sock" "acked" optional bits;
    request_next = "request_sock" "dl_next" optional;
    request_sk = "request_sock" "sk" optional;
    request_timer_expires = "request_sock" "rsk_timer.expires" optional;
    skb_prev = "sk_buff" "prev" optional;
    skb_dev = "sk_buff" "dev" optional;
    skb_head = "sk_buff" "head" optional;
    skb_network_header = "sk_buff" "network_header" optional;
    skb_transport_header = "sk_buff" "transport_header" optional;
    dev_net = "net_device" "nd_net.net" optional;
    dev_ifindex = "net_device" "ifindex" optional;
    exterr_errno = "sock_exterr_skb" "ee.ee_errno" optional;
    exterr_origin = "sock_exterr_skb" "ee.ee_origin" optional;
    exterr_type = "sock_exterr_skb" "ee.ee_type" optional;
    exterr_code = "sock_exterr_skb" "ee.ee_code" optional;
    skb_cb = "sk_buff" "cb" optional;
    skb_cb_seq = "tcp_skb_cb" "seq" optional;
    skb_cb_tcp_flags = "tcp_skb_cb" "tcp_flags" optional;
    task_tgid = "task_struct" "tgid" optional;
    task_pid = "task_struct" "pid" optional;
    task_flags = "task_struct" "flags" optional;
    task_group_leader = "task_struct" "group_leader" optional;
    task_start_boottime = "task_struct" "start_boottime" optional;
    task_comm = "task_struct" "comm" optional;
    task_files = "task_struct" "files" optional;
    task_real_parent = "task_struct" "real_parent" optional;
    task_mm = "task_struct" "mm" optional;
    mm_exe_file = "mm_struct" "exe_file" optional;
    file_dentry = "file" "f_path.dentry" optional;
    dentry_parent = "dentry" "d_parent" optional;
    dentry_name = "dentry" "d_name.name" optional;
    files_fdt = "files_struct" "fdt" optional;
    fdt_fd = "fdtable" "fd" optional;
    fdt_max_fds = "fdtable" "max_fds" optional;
}

impl Offsets {
    /// The value of a member that the kernel does not have.
    pub const ABSENT: u32 = u32::MAX;
    /// Nothing resolved.
    pub const NONE: Self = Self::from_array([Self::ABSENT; Self::COUNT]);
}

/// What this kernel can do and what is asked of the programs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// 1 where `bpf_get_socket_cookie` may be called in tracing programs (5.12).
    pub has_cookie_helper: u32,
    /// 1 where `bpf_probe_read_kernel` may be called: not under lockdown=confidentiality.
    pub reads_addresses: u32,
    /// 1 where `tcp:tcp_send_reset` has the reason as third argument, which shows Linux 6.10 or later.
    pub has_reset_reason: u32,
    /// 1 where the user stack of each connect() and accept() is asked for.
    pub stacks: u32,
    /// 1 where retransmissions of data are asked for, which can be many.
    pub retransmitted_data: u32,
}

/// Ports from `first` to `last`; none where `last` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

/// The filters that can be decided in the kernel. Zero means "any" throughout.
///
/// An end that is not known yet (port 0, unspecified address) passes, unless the namespace's range
/// of local ports says that it cannot become a wanted one: the user half decides again on the
/// completed tuple.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Masks of the network that one of the addresses lies in: two halves, network byte order.
    pub mask: [u64; 2],
    /// The network, in the same form (v4-mapped for IPv4).
    pub network: [u64; 2],
    /// Ports of either end.
    pub ports: [PortRange; MAX_PORTS],
    /// Local ports.
    pub local_ports: [PortRange; MAX_PORTS],
    /// Peer's ports.
    pub peer_ports: [PortRange; MAX_PORTS],
    /// Inode number of the network namespace.
    pub netns: u32,
    /// 4 or 6, of the normalised address.
    pub ip_version: u32,
    /// Number of the control group to which the socket belongs, or to one below.
    pub cgroup: u64,
}

/// Where the fields of the classic tracepoint's record lie, from the tracefs `format` file.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordLayout {
    /// `const void * skaddr`
    pub skaddr: u32,
    /// `int oldstate`
    pub oldstate: u32,
    /// `int newstate`
    pub newstate: u32,
    /// `__u16 sport`, host order
    pub sport: u32,
    /// `__u16 dport`, host order
    pub dport: u32,
    /// `__u16 family`
    pub family: u32,
    /// `__u16 protocol` (`__u8` before 5.6: `protocol_size`)
    pub protocol: u32,
    /// Bytes of `protocol`.
    pub protocol_size: u32,
    /// `__u8 saddr[4]`
    pub saddr: u32,
    /// `__u8 daddr[4]`
    pub daddr: u32,
    /// `__u8 saddr_v6[16]`
    pub saddr_v6: u32,
    /// `__u8 daddr_v6[16]`
    pub daddr_v6: u32,
}

crate::plain!(Offsets, Settings, Filter, RecordLayout);

const _: () = assert!(size_of::<Offsets>() == 4 * Offsets::COUNT);
const _: () = assert!(size_of::<Settings>() == 20);
const _: () = assert!(size_of::<Filter>() == 4 * 8 + 3 * 4 * MAX_PORTS + 8 + 8);
const _: () = assert!(size_of::<RecordLayout>() == 12 * 4);
