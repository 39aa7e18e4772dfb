//! One life of a socket: from CLOSED (or the moment it was first seen) to its real end.

use tracer_ebpf::{Holder, Record, flag};

use super::{
    close::Initiator,
    endpoint::Tuple,
    owner::Owner,
    progress::Progress,
    state::State,
    update::{Handshake, Role, Sequence, Subject},
};

/// Identity of a socket: its cookie, or where there is none the address of its `struct sock`.
///
/// The two cannot meet: cookies count from 1, kernel addresses have the highest bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketId(u64);

impl SocketId {
    /// Identity of the socket in a record.
    pub fn of(record: &Record) -> Self {
        Self(if record.cookie == 0 { record.sk } else { record.cookie })
    }

    /// Identity of the socket that a descriptor is of.
    pub fn held(holder: &Holder) -> Self {
        Self(if holder.cookie == 0 { holder.sk } else { holder.cookie })
    }

    /// Identity of a socket that had no cookie yet, by its address.
    pub fn without_cookie(record: &Record) -> Self {
        Self(record.sk)
    }

    /// The cookie, if the identity is one.
    pub fn cookie(self) -> Option<u64> {
        (self.0 >> 63 == 0).then_some(self.0)
    }
}

/// What the model remembers of a socket.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Identity.
    pub id: SocketId,
    /// Which connection on this socket, from 1.
    pub ordinal: u32,
    /// Both ends.
    pub tuple: Tuple,
    /// Present state.
    pub state: State,
    /// When it was entered, nanoseconds of `CLOCK_MONOTONIC`.
    pub since: u64,
    /// False where the state was entered before the tracer looked: `since` is when it did.
    pub since_known: bool,
    /// Which part it plays.
    pub role: Option<Role>,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// All descriptors of it that the last look at them has shown, if more than the owner's one.
    pub holders: Box<[Owner]>,
    /// User id of the owner.
    pub uid: Option<u32>,
    /// Inode number of the socket's file, 0 for none.
    pub inode: u64,
    /// Number of its control group, 0 where it is not known.
    pub cgroup: u64,
    /// Who sent the first FIN.
    pub first_fin: Option<Initiator>,
    /// `tcp_receive_reset` fired.
    pub reset_received: bool,
    /// No process holds the socket any more.
    pub orphaned: bool,
    /// `CLOSED → SYN_SENT` is held back until the local port is known.
    pub unannounced: bool,
    /// When a reset was received, until the transition that follows from it.
    pub reset_at: Option<u64>,
    /// Retransmissions told of in the present state.
    pub retransmits: u16,
    /// When the life began, where that was seen.
    pub began: Option<u64>,
    /// Nanoseconds spent in the states that were left, by [`State::index`].
    pub spent: [u64; State::COUNT],
    /// Part of `spent` was before the tracer looked.
    pub spent_at_least: bool,
    /// The state change told last, as the kernel numbers states.
    pub last_edge: (u8, u8),
    /// What is known of the handshake.
    pub handshake: Option<Handshake>,
    /// Counters at the end of the full socket.
    pub traffic: Option<Traffic>,
    /// When the kernel is expected to remove the minisocket.
    pub removal: u64,
    /// Jiffy for which the minisocket's timer is armed, as far as known.
    pub timer: u64,
    /// The snapshot that has shown it last.
    pub shown: u32,
    /// The last snapshot did not show it although it should have.
    pub missing: bool,
    /// Whether data still moves although it is being closed.
    pub progress: Progress,
    /// Time without progress at which lingering is told next, nanoseconds; `None` until it is
    /// raised.
    pub next_linger: Option<u64>,
}

impl Connection {
    /// A socket that begins its life, or is first seen, with this record.
    pub fn new(record: &Record, state: State, since: Option<u64>) -> Self {
        Self {
            id: SocketId::of(record),
            ordinal: 1,
            tuple: Tuple::of(record),
            state,
            since: since.unwrap_or(record.time_ns),
            since_known: since.is_some(),
            role: None,
            owner: None,
            holders: Box::default(),
            uid: None,
            inode: 0,
            cgroup: 0,
            first_fin: None,
            reset_received: false,
            orphaned: false,
            reset_at: None,
            retransmits: 0,
            began: None,
            spent: [0; State::COUNT],
            spent_at_least: false,
            last_edge: (0, 0),
            handshake: None,
            traffic: None,
            removal: 0,
            timer: 0,
            shown: 0,
            missing: false,
            unannounced: false,
            progress: Progress::default(),
            next_linger: None,
        }
    }

    /// Takes over what a record tells of the socket itself.
    ///
    /// A closing socket has lost part of it; what is known stays known.
    pub fn absorb(&mut self, record: &Record) {
        if record.local_port != 0 && self.tuple.local.port != record.local_port {
            self.tuple.local.port = record.local_port;
        }
        let seen = Tuple::of(record);
        if self.tuple.peer.port == 0 && seen.peer.port != 0 {
            self.tuple.peer = seen.peer;
        }
        if self.tuple.local.is_unspecified() {
            self.tuple.local = seen.local.with_port(self.tuple.local.port);
        }
        if record.inode != 0 {
            self.inode = record.inode;
        }
        if record.cgroup_id != 0 {
            self.cgroup = record.cgroup_id;
        }
        if !record.has(flag::CLASSIC) {
            self.uid = Some(record.uid);
        }
        self.orphaned |= record.has(flag::DEAD);
        self.progress.note(self.state, record);
    }

    /// Since when nothing has happened: the present state was entered, or data was last seen to
    /// have moved in it.
    pub fn idle_since(&self) -> u64 {
        self.progress.since(self.since)
    }

    /// Who holds a descriptor of it, as far as known: nobody holds an orphan.
    pub fn holding(&self) -> Vec<Owner> {
        match (self.orphaned, self.holders.is_empty()) {
            (true, _) => Vec::new(),
            (false, false) => self.holders.to_vec(),
            (false, true) => self.owner.filter(|owner| owner.fd.is_some()).into_iter().collect(),
        }
    }

    /// Whether these are its ends once its local port is known: it has not connected before.
    pub fn may_get(&self, ends: &Tuple) -> bool {
        let Tuple { local: _, peer, netns } = self.tuple;
        self.unannounced && self.ordinal == 1 && (peer, netns) == (ends.peer, ends.netns)
    }

    /// What updates say of the socket.
    pub fn subject(&self) -> Subject {
        Subject {
            cookie: self.id.cookie(),
            ordinal: self.ordinal,
            tuple: self.tuple,
            uid: self.uid,
            inode: (self.inode != 0).then_some(self.inode),
            cgroup: self.cgroup,
            owner: self.owner,
            role: self.role,
        }
    }

    /// Time spent in the present state until `time`, where its beginning is known.
    pub fn elapsed(&self, time: u64) -> Option<u64> {
        self.since_known.then(|| time.saturating_sub(self.since))
    }

    /// Enters a state.
    pub fn enter(&mut self, state: State, time: u64) {
        match (self.state, state) {
            (State::Established | State::SynRecv, State::FinWait1) => {
                self.first_fin = Some(Initiator::Local);
            }
            (State::Established | State::SynRecv, State::CloseWait) => {
                self.first_fin = Some(Initiator::Peer);
            }
            _ => {}
        }
        if self.state == state {
            // FIN_WAIT2 goes on as a minisocket.
            return;
        }
        self.spent[self.state.index()] += time.saturating_sub(self.since);
        self.spent_at_least |= !self.since_known;
        self.state = state;
        self.since = time;
        self.retransmits = 0;
        (self.removal, self.timer) = (0, 0);
        self.since_known = true;
        self.progress.start_over();
        self.next_linger = None;
    }
}

/// What went over a connection, payload only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Sent and acknowledged, bytes.
    pub sent: u64,
    /// Received, bytes.
    pub received: u64,
    /// Retransmitted segments.
    pub retransmits: u32,
}

impl Traffic {
    /// From the counters of a full socket: those of bytes include SYN and FIN
    /// (`tcp_snd_una_update`, `tcp_rcv_nxt_update`).
    pub fn of(record: &Record, role: Option<Role>, fin_sent: bool) -> Option<Self> {
        if record.has(flag::CLASSIC) {
            return None;
        }
        let syn = u64::from(role == Some(Role::Client) && record.bytes_acked > 0);
        let fin = u64::from(fin_sent && record.fin_acknowledged());
        Some(Self {
            sent: record.bytes_acked.saturating_sub(syn + fin),
            received: record.bytes_received.saturating_sub(u64::from(record.has(flag::DONE))),
            retransmits: record.total_retrans,
        })
    }
}

/// What the kernel knows of the handshake at `→ ESTABLISHED`; `elapsed` is the time since the
/// SYN.
pub fn handshake(record: &Record, role: Option<Role>, elapsed: Option<u64>) -> Handshake {
    let server = role == Some(Role::Server);
    let Some(sequence) = Sequence::of(record) else {
        return Handshake {
            duration_ns: elapsed.filter(|_| role == Some(Role::Client)),
            rtt_ns: None,
            syn_retransmits: None,
            local_isn: None,
            peer_isn: None,
        };
    };
    let rtt_ns = (record.srtt_us != 0).then(|| u64::from(record.srtt_us >> 3) * 1_000);
    Handshake {
        duration_ns: if server { rtt_ns } else { elapsed },
        rtt_ns,
        syn_retransmits: Some(record.total_retrans),
        local_isn: Some(sequence.local_initial(role.unwrap_or(Role::Client))),
        peer_isn: sequence.peer_initial(),
    }
}
