//! What the kernel half reports: one [`Record`] for each event and for each socket of a snapshot,
//! one [`Holder`] for each descriptor of a socket.

/// What a [`Record`] reports, in [`Record::kind`].
pub mod kind {
    /// `sock:inet_sock_set_state` with old ≠ new.
    pub const STATE: u8 = 1;
    /// The same, caught by the guard program because the kernel skipped the main one. Very
    /// rarely the main program has reported it too.
    pub const STATE_CAUGHT: u8 = 2;
    /// `tcp:tcp_receive_reset`: the kernel tears the connection down as by a received RST.
    pub const RESET_RECEIVED: u8 = 3;
    /// `tcp:tcp_send_reset`: an RST was sent.
    pub const RESET_SENT: u8 = 4;
    /// `tcp:tcp_retransmit_skb`, for segments that carry SYN or FIN.
    pub const RETRANSMIT: u8 = 5;
    /// `tcp:tcp_retransmit_synack`: a request socket sent its SYN+ACK again.
    pub const RETRANSMIT_SYNACK: u8 = 6;
    /// A full socket, seen by `iter/tcp`.
    pub const SOCKET: u8 = 7;
    /// A TIME_WAIT or FIN_WAIT2 minisocket (`struct inet_timewait_sock`), seen by `iter/tcp`.
    pub const TIME_WAIT_SOCKET: u8 = 8;
    /// A request socket (`struct request_sock`), seen by `iter/tcp`.
    pub const REQUEST_SOCKET: u8 = 9;
    /// End of one pass of `iter/tcp`: only the clocks are set.
    pub const END: u8 = 10;
    /// accept() or accept4() has returned the socket: its process and descriptor. No transition.
    pub const ACCEPTED: u8 = 11;
    /// `tcp:tcp_send_reset` without a socket: an RST was sent for a segment that is for none here.
    /// Addresses, ports, the namespace, the flags of that segment and the reason are set.
    pub const RESET_WITHOUT_SOCKET: u8 = 13;
    /// `tcp:tcp_destroy_sock`, where there are no cookies: what the address named is gone. Nothing
    /// but that, the namespace and the clocks are set.
    pub const DESTROYED: u8 = 12;
    /// A [`Program`](crate::Program), which is no `Record` and has this kind in the counters only.
    pub const PROGRAM: u8 = 14;
    /// One more than the largest.
    pub const LIMIT: u8 = 15;
}

/// Bits of [`Record::flags`].
pub mod flag {
    /// `SOCK_DEAD`: the last descriptor is closed, the kernel finishes alone (an orphan).
    pub const DEAD: u8 = 1 << 0;
    /// `SOCK_DONE`: the peer's FIN has been received.
    pub const DONE: u8 = 1 << 1;
    /// `SOCK_LINGER` with a linger time of zero: close() sends an RST.
    pub const LINGER_ZERO: u8 = 1 << 2;
    /// `sk_socket` is set: created by or accepted into a process.
    pub const HAS_SOCKET: u8 = 1 << 3;
    /// A subflow of an MPTCP connection.
    pub const MPTCP: u8 = 1 << 4;
    /// `TCP_REPAIR` is on: transitions are made by hand, nothing is sent.
    pub const REPAIR: u8 = 1 << 5;
    /// The keepalive timer (or that of an orphaned FIN_WAIT2) is armed: `timer_expires` is its.
    pub const SK_TIMER: u8 = 1 << 6;
    /// Pure classic-tracepoint record: only addresses, ports and states are known.
    pub const CLASSIC: u8 = 1 << 7;
}

/// [`Record::fd`] of what was seen before it had a descriptor.
pub const NO_DESCRIPTOR: u32 = u32::MAX;

/// A socket at one moment.
///
/// Values are the kernel's own unless said; what a mode, kernel or hook cannot know is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub time_ns: u64,
    /// `jiffies_64`.
    pub jiffies: u64,
    /// Address of the `struct sock`; it names the socket while it lives and is reused at once.
    pub sk: u64,
    /// Socket cookie, 0 where none could be had.
    pub cookie: u64,
    /// Address of the `struct sock` of the listener that a half-open connection is with, a new
    /// one came from, or one that nobody has accepted waits in the queue of; 0 where this kernel
    /// does not say.
    pub listener: u64,
    /// Id of the socket's cgroup in the default hierarchy.
    pub cgroup_id: u64,
    /// Inode number of the socket's file.
    pub inode: u64,
    /// `tcp_sock.bytes_acked`: counts the SYN of the active side and an acknowledged FIN.
    pub bytes_acked: u64,
    /// `tcp_sock.bytes_received`: counts the peer's FIN.
    pub bytes_received: u64,
    /// Jiffy at which the timer of a snapshot record fires, 0 for none.
    pub timer_expires: u64,
    /// Start of the process in `pid`, nanoseconds of `CLOCK_BOOTTIME`: a pid alone may be
    /// reused.
    pub start_ns: u64,
    /// IPv6 address, or an IPv4 one in its v4-mapped form.
    pub local_address: [u8; 16],
    /// The same for the peer.
    pub peer_address: [u8; 16],
    /// Command name of the thread in `pid`, NUL-padded; bytes that anybody may choose. In a
    /// snapshot it and `start_ns` hold [`Timers`](crate::Timers).
    pub comm: [u8; 16],
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Owner's user id (`sk_uid`).
    pub uid: u32,
    /// Process (thread group) on this CPU. It is the acting one in a few transitions only.
    pub pid: u32,
    /// First unacknowledged sequence number.
    pub snd_una: u32,
    /// Next sequence number to send.
    pub snd_nxt: u32,
    /// End of what the application wrote (a FIN included).
    pub write_seq: u32,
    /// Next sequence number expected from the peer.
    pub rcv_nxt: u32,
    /// Next sequence number the application will read.
    pub copied_seq: u32,
    /// Eight times the smoothed round-trip time, microseconds.
    pub srtt_us: u32,
    /// Retransmitted segments over the life of the connection, SYN and FIN included.
    pub total_retrans: u32,
    /// Length of a listener's accept queue. At ESTABLISHED → FIN_WAIT1 `tcp_sock.snd_wl1`, see
    /// [`Record::peer_spoke_last`].
    pub accept_queue: u32,
    /// Limit of a listener's accept queue.
    pub accept_backlog: u32,
    /// How long the kernel keeps an orphan in FIN_WAIT2, jiffies: `tcp_sock.linger2`, or else the
    /// namespace's `tcp_fin_timeout`; 0 where neither is known. Negative: it is reset at once.
    pub linger2: i32,
    /// Sequence number of the segment of a retransmission. Of a listener in a snapshot how much it
    /// has dropped (`sk_drops`: connections without room, and segments that make none), of another
    /// full socket there, and where a state changes, what [`Sent`](crate::Sent) says, as in `fd`.
    pub segment_seq: u32,
    /// Local port, host order.
    pub local_port: u16,
    /// Peer's port, host order.
    pub peer_port: u16,
    /// `sk_err`, an errno.
    pub error: u16,
    /// `sk_err_soft`: an error that did not end the connection yet, such as an ICMP message.
    pub soft_error: u16,
    /// See [`kind`].
    pub kind: u8,
    /// State left, or for hooks that change none the present one.
    pub old_state: u8,
    /// State entered; for a minisocket its sub-state.
    pub new_state: u8,
    /// See [`flag`].
    pub flags: u8,
    /// `sk_shutdown`: 1 no more receiving, 2 no more sending.
    pub shutdown: u8,
    /// Retransmissions of the oldest segment without an answer; SYN+ACKs of a request socket.
    pub retransmits: u8,
    /// Of a listener in a snapshot `rskq_defer_accept`, which is not 0 where `TCP_DEFER_ACCEPT` is
    /// set.
    pub defer_accept: u8,
    /// `icsk_pending`: which timer `timer_expires` is of (`include/net/inet_connection_sock.h`).
    pub timer: u8,
    /// Flags of a segment, see [`segment`](crate::segment): of the one that is sent again, of the
    /// one that an RST without a socket answers, of the SYN or FIN that leaves with a change of
    /// state (none where it has to wait); of a request socket in a snapshot ACK where the client
    /// has acknowledged the SYN+ACK.
    pub segment_flags: u8,
    /// Of the newest ICMP error that waits in `sk_error_queue` when SYN_SENT ends: `ee_origin`, 0
    /// where there is none.
    pub icmp_origin: u8,
    /// Its `ee_type`.
    pub icmp_type: u8,
    /// Its `ee_code`.
    pub icmp_code: u8,
    /// Its `ee_errno`, all of which are below 256.
    pub icmp_errno: u8,
    /// `enum sk_rst_reason` of a sent reset, where the kernel reports it.
    pub reset_reason: u8,
    /// 1 where the thread in `pid` has begun to end (`PF_EXITING`): it closes what it held.
    pub exiting: u8,
    /// Zero.
    pub reserved: u8,
    /// Descriptor that accept() returned, [`NO_DESCRIPTOR`] where it has not got one yet; of other
    /// kinds zero.
    pub fd: u32,
    /// Low half of the jiffy at which the last acknowledgement came (`tcp_sock.rcv_tstamp`); of a
    /// request socket in a snapshot milliseconds since its SYN+ACK was first sent.
    pub last_ack: u32,
    /// Low half of the jiffy at which data was last sent, retransmissions included
    /// (`tcp_sock.lsndtime`), 0 where none was.
    pub last_sent: u32,
    /// Low half of the jiffy at which data last came (`icsk_ack.lrcvtime`), 0 where none did.
    pub last_received: u32,
    /// User stack of the connect() or accept() that made the socket: its number in the map of
    /// stacks plus one, 0 where none was asked for, or what `bpf_get_stackid` failed with.
    pub stack: i32,
    /// `sk_bound_dev_if`: number of the interface that the socket is bound to, 0 for none. To that
    /// of a link-local address it always is.
    pub interface: u32,
}

impl Record {
    /// Whether a bit of [`flag`] is set.
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Everything that was sent has been acknowledged, our FIN included.
    pub const fn fin_acknowledged(&self) -> bool {
        self.snd_una == self.write_seq
    }

    /// Whether the peer has sent data since it acknowledged what this end sent last, at ESTABLISHED →
    /// FIN_WAIT1. SND.WL1 is the number of the last segment that acknowledged something new or changed
    /// the window (`tcp_ack_update_window`): an acknowledgement behind all of the peer's data has
    /// RCV.NXT for its number. The times of both are no help: they are told in jiffies.
    pub const fn peer_spoke_last(&self) -> bool {
        let is_acknowledged = self.snd_una == self.write_seq;
        is_acknowledged && self.bytes_received > 0 && self.accept_queue != self.rcv_nxt
    }

    /// Whether a client, when it leaves ESTABLISHED, waits for an answer: it has sent last. What it has
    /// received in the same jiffy may be the answer.
    pub const fn awaits(&self) -> bool {
        // The SYN counts.
        let has_sent = self.bytes_acked > 1;
        let sent_last = self.last_sent.wrapping_sub(self.last_received) as i32 > 0;
        has_sent && (self.bytes_received == 0 || sent_last)
    }

    /// What a listener of a snapshot has dropped since `earlier`, modulo 2³²; 0 also where this
    /// kernel does not say.
    pub const fn dropped_since(&self, earlier: Option<&Self>) -> u32 {
        let before = match earlier {
            Some(earlier) => earlier.segment_seq,
            None => 0,
        };
        self.segment_seq.wrapping_sub(before)
    }

    /// Received bytes that the application has not read, the peer's FIN not counted.
    pub const fn unread_bytes(&self) -> u32 {
        let fin = self.has(flag::DONE) as i32;
        let unread = self.rcv_nxt.wrapping_sub(self.copied_seq) as i32 - fin;
        if unread > 0 { unread as u32 } else { 0 }
    }
}

/// A descriptor of a TCP socket, one for each (descriptor table, descriptor).
///
/// One of an MPTCP socket is reported as of its first subflow; the others have the same inode number.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Cookie of the socket.
    pub cookie: u64,
    /// Address of the `struct sock`.
    pub sk: u64,
    /// Inode number of the socket's file.
    pub inode: u64,
    /// Start of the process, nanoseconds of `CLOCK_BOOTTIME`: a pid alone may be reused.
    pub start_ns: u64,
    /// Process (thread group).
    pub pid: u32,
    /// Descriptor number.
    pub fd: u32,
    /// Inode number of the socket's network namespace.
    pub netns: u32,
    /// Thread in whose descriptor table it is: of the table that the threads of a process share its
    /// first one.
    pub tid: u32,
    /// Command name of the process, NUL-padded.
    pub comm: [u8; 16],
}

/// Components of a program's path that are reported.
pub const PATH_DEPTH: usize = 16;
/// Bytes of each, the NUL behind it included; longer ones are cut.
pub const PATH_NAME: usize = 64;

/// Program and parent of a process, reported before the first event that it acts in: it may be gone
/// before anybody can look at it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Start of the process, nanoseconds of `CLOCK_BOOTTIME`.
    pub start_ns: u64,
    /// Process (thread group).
    pub pid: u32,
    /// Its parent, 0 where that is not known.
    pub parent: u32,
    /// Command name of the parent, ended by a NUL, behind which anything may stand.
    pub parent_comm: [u8; 16],
    /// Path of the executable file in its file system, the last component first, each ended by a
    /// NUL, behind which anything may stand. Behind the root, whose name is `/`, and where nothing
    /// could be read, they are empty.
    pub names: [[u8; PATH_NAME]; PATH_DEPTH],
}

/// Counted on each CPU, apart for each [`kind`] of record. The kernel never interrupts a program with
/// itself; where two programs count one kind, an increment may be lost to the one that interrupts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events that the program had to handle, before any filter.
    pub seen: u64,
    /// Records put into the ring buffer.
    pub submitted: u64,
    /// Records lost because the ring buffer was full.
    pub ring_full: u64,
}

/// How many events of its CPU the main program remembers for the guard, a power of two.
///
/// One is enough unless a softirq comes between the two programs: then as many as it brings.
pub const NOTES: usize = 32;

/// What the main program has handled on a CPU, for the guard.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handled {
    /// Addresses of the `struct sock`, 0 once the guard has seen it.
    pub sk: [u64; NOTES],
    /// `old << 8 | new`.
    pub edge: [u32; NOTES],
    /// How many notes were made, modulo 2³²; the next one goes there modulo [`NOTES`].
    pub next: u32,
    /// Zero.
    pub reserved: u32,
    /// Address of the `struct sock` that the guard has not found at once.
    pub wanted: u64,
}

crate::plain!(Record, Holder, Program, Counters, Handled);

const _: () = assert!(size_of::<Record>() == 11 * 8 + 3 * 16 + 20 * 4 + 4 * 2 + 16);
const _: () = assert!(size_of::<Holder>() == 64);
const _: () = assert!(size_of::<Program>() == 32 + PATH_NAME * PATH_DEPTH);
const _: () = assert!(size_of::<Counters>() == 24);
const _: () = assert!(size_of::<Handled>() == 12 * NOTES + 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_spoke_last_shows_in_what_acknowledged_what() {
        // A request of 77 bytes from 100 on, an answer from 500 to 600.
        let ends = Record {
            snd_una: 600,
            write_seq: 600,
            rcv_nxt: 177,
            bytes_received: 77,
            ..Record::EMPTY
        };
        let of = |record: Record, snd_wl1| Record { accept_queue: snd_wl1, ..record };
        assert!(of(ends, 100).peer_spoke_last(), "the request acknowledges the answer before it");
        assert!(!of(ends, 177).peer_spoke_last(), "the answer is acknowledged behind the request");
        assert!(
            !of(Record { snd_una: 500, ..ends }, 100).peer_spoke_last(),
            "an answer is on its way"
        );
        let none = Record { rcv_nxt: 100, bytes_received: 0, ..ends };
        assert!(!of(none, 99).peer_spoke_last(), "nothing was requested");
    }
}
