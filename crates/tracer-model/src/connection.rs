//! One life of a socket: from CLOSED (or the moment it was first seen) to its real end.
//!
//! There may be millions: what is known is packed, and what only some sockets have takes no room
//! in the others.

mod dwell;
mod held;
mod marks;
mod opening;
mod ownership;
mod past;
mod phase;
mod traffic;

use tracer_wire::{Holder, Record, flag};

use self::{
    held::Held,
    marks::{Mark, Marks},
    opening::Opening,
    past::Past,
    phase::Phase,
};
pub use self::{held::Processes, opening::handshake, traffic::Traffic};

use tracer_event::linger::CloseWaitCause;
use tracer_event::{
    close::{Close, Initiator},
    endpoint::Tuple,
    process::Owner,
    stack::Creator,
    state::State,
    update::{Handshake, Role, Subject},
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
    /// Both ends.
    pub tuple: Tuple,
    /// Which connection on this socket, from 1.
    pub ordinal: u32,
    /// Present state.
    pub state: State,
    /// When it was entered, nanoseconds of `CLOCK_MONOTONIC`.
    pub since: u64,
    /// Which part it plays.
    pub role: Option<Role>,
    /// Number of its control group, 0 where it is not known.
    pub cgroup: u64,
    /// Who sent the first FIN.
    pub first_fin: Option<Initiator>,
    /// The state change told last, as the kernel numbers states.
    pub last_edge: (u8, u8),
    /// The snapshot that has shown it last, modulo 256.
    pub shown: u8,
    /// How often the threshold of its state was doubled for the age at which lingering is reported
    /// next; 0 until it is raised.
    pub doublings: u8,
    /// Milliseconds plus one for which no data had moved when it left ESTABLISHED; 0 where that is
    /// not known.
    idle: u32,
    marks: Marks,
    past: Past,
    owner: Option<Held>,
    /// User id of the owner, or [`NO_UID`].
    uid: u32,
    /// Inode number of the socket's file, 0 for none.
    inode: u32,
    opening: Option<Opening>,
    phase: Phase,
}

const MILLISECOND: u64 = 1_000_000;
/// `INVALID_UID` of the kernel.
const NO_UID: u32 = u32::MAX;

impl Connection {
    /// A socket that is first seen with this record.
    pub fn new(record: &Record, state: State, since: Option<u64>) -> Self {
        Self {
            id: SocketId::of(record),
            tuple: Tuple::of(record),
            ordinal: 1,
            state,
            since: since.unwrap_or(record.time_ns),
            role: None,
            cgroup: 0,
            first_fin: None,
            last_edge: (0, 0),
            shown: 0,
            doublings: 0,
            idle: 0,
            marks: Marks::default().with(Mark::SinceKnown, since.is_some()),
            past: Past::default(),
            owner: None,
            uid: NO_UID,
            inode: 0,
            opening: None,
            phase: Phase::full(),
        }
    }

    /// A socket whose life begins with this record, as the `ordinal`th on it.
    pub fn born(record: &Record, state: State, ordinal: u32) -> Self {
        let new = Self::new(record, state, Some(record.time_ns));
        Self { marks: new.marks.with(Mark::Born, true), ordinal, ..new }
    }

    /// Takes over what the record of a full socket says.
    ///
    /// A closing socket has lost part of it; what is known stays known.
    pub fn absorb(&mut self, record: &Record) {
        if let Phase::Full { progress, .. } = &mut self.phase {
            progress.note(self.state, record);
            self.absorb_ends(record);
            self.note_left(record);
        }
        self.absorb_inode(record);
        if record.cgroup_id != 0 {
            self.cgroup = record.cgroup_id;
        }
        if !record.has(flag::CLASSIC) {
            self.uid = record.uid;
        }
        if record.has(flag::DEAD) {
            self.orphan();
        }
    }

    /// It leaves ESTABLISHED after so many nanoseconds without data, and may have waited for an answer.
    pub fn set_idle(&mut self, idle: Option<u64>, awaits: bool) {
        self.marks.set(Mark::Awaits, awaits);
        let milliseconds = |ns| u32::try_from(ns / MILLISECOND).unwrap_or(u32::MAX - 1) + 1;
        self.idle = idle.map_or(0, milliseconds);
    }

    /// The end of it as the connection knows it.
    pub fn closed(&self, close: Close) -> Close {
        Close { idle: self.idle(), awaited: self.marks.has(Mark::Awaits), ..close }
    }

    /// For how long no data had moved when it left ESTABLISHED, nanoseconds.
    pub fn idle(&self) -> Option<u64> {
        self.idle.checked_sub(1).map(|milliseconds| u64::from(milliseconds) * MILLISECOND)
    }

    /// Whether the SYN or FIN of the present state has left this host, where that is known.
    pub fn left(&self) -> Option<bool> {
        match self.phase {
            Phase::Full { left, .. } => left,
            Phase::Mini { .. } => None,
        }
    }

    /// The event shows whether the SYN or FIN has left; `None` where it does not.
    pub fn set_left(&mut self, known: Option<bool>) {
        if let (Phase::Full { left, .. }, Some(_)) = (&mut self.phase, known) {
            *left = known;
        }
    }

    /// What waited when the state was entered may have been sent since.
    pub fn note_left(&mut self, record: &Record) {
        match self.state {
            _ if record.has(flag::CLASSIC) => {}
            State::SynSent if !self.is_unannounced() && record.snd_nxt != record.snd_una => {
                self.set_left(Some(true));
            }
            State::FinWait1 | State::Closing | State::LastAck => {
                self.set_left(Some(record.snd_nxt == record.write_seq));
            }
            _ => {}
        }
    }

    /// A minisocket keeps its ends.
    fn absorb_ends(&mut self, record: &Record) {
        if record.local_port != 0 {
            self.tuple.local.port = record.local_port;
        }
        if self.tuple.peer.port != 0 && !self.tuple.local.is_unspecified() {
            return;
        }
        let seen = Tuple::of(record);
        if self.tuple.peer.port == 0 && seen.peer.port != 0 {
            self.tuple.peer = seen.peer;
        }
        if self.tuple.local.is_unspecified() {
            self.tuple.local = seen.local.with_port(self.tuple.local.port);
        }
    }

    /// Takes over what accept() says of the socket itself.
    pub fn accepted(&mut self, record: &Record) {
        self.absorb_inode(record);
        self.uid = record.uid;
        self.past.accept(record.time_ns);
    }

    /// Whether accept() has returned it at `time` or later.
    pub fn is_accepted_since(&self, time: u64) -> bool {
        self.past.accepted().is_some_and(|accepted| accepted >= time)
    }

    /// Inodes of sockets have 32 bits (`get_next_ino`).
    fn absorb_inode(&mut self, record: &Record) {
        if let Ok(inode @ 1..) = u32::try_from(record.inode) {
            self.inode = inode;
        }
    }

    /// `tcp_receive_reset` fired.
    pub fn receive_reset(&mut self, time: u64) {
        if let Some(rare) = self.phase.rare_mut() {
            let rare = rare.get_or_insert_default();
            (rare.reset_received, rare.reset_at) = (true, Some(time));
        }
    }

    /// Whether `tcp_receive_reset` has fired.
    pub fn reset_received(&self) -> bool {
        self.phase.rare().is_some_and(|rare| rare.reset_received)
    }

    /// Takes the time at which it fired: from now on it counts as reported.
    pub fn take_reset(&mut self) -> Option<u64> {
        self.phase.rare_mut()?.as_mut()?.reset_at.take()
    }

    /// A segment was retransmitted: how often one was in this state.
    pub fn retransmitted(&mut self) -> u32 {
        let Phase::Full { segments, .. } = &mut self.phase else { return 0 };
        *segments = segments.saturating_add(1);
        u32::from(*segments)
    }

    /// Notes whether a snapshot has not shown it although it should have; whether the one before
    /// had not either.
    pub fn note_missing(&mut self, missing: bool) -> bool {
        match &mut self.phase {
            Phase::Full { missing: noted, .. } | Phase::Mini { missing: noted, .. } => {
                std::mem::replace(noted, missing)
            }
        }
    }

    /// When the counters of a socket that can still move data were last seen.
    pub fn looked(&self) -> u64 {
        match &self.phase {
            Phase::Full { progress, .. } => progress.looked(),
            Phase::Mini { .. } => 0,
        }
    }

    /// Since when nothing has happened: the present state was entered, or data was last seen to
    /// have moved in it.
    pub fn idle_since(&self) -> u64 {
        match &self.phase {
            Phase::Full { progress, .. } => progress.since(self.since),
            Phase::Mini { moved, .. } => self.since.max(*moved),
        }
    }

    /// A minisocket has taken over, with the counters of the full socket where they are known.
    pub fn become_minisocket(&mut self, traffic: Option<Traffic>) {
        self.orphan();
        self.phase = self.phase.mini(traffic);
    }

    /// Whether a minisocket has taken over.
    #[inline]
    pub fn is_minisocket(&self) -> bool {
        matches!(self.phase, Phase::Mini { .. })
    }

    /// The kernel is expected to remove the minisocket at `time`, whose timer is armed for the
    /// jiffy `timer`.
    pub fn set_removal(&mut self, time: u64, timer: u64) {
        if !self.is_minisocket() {
            self.phase = self.phase.mini(None);
        }
        if let Phase::Mini { removal, timer: armed, .. } = &mut self.phase {
            (*removal, *armed) = (time, timer as u16);
        }
    }

    /// Whether the minisocket's timer is known to be armed for a jiffy or the one before or after.
    pub fn is_armed_for(&self, timer: u64) -> bool {
        match self.phase {
            Phase::Full { .. } | Phase::Mini { removal: 0, .. } => false,
            Phase::Mini { timer: armed, .. } => {
                (timer as u16).wrapping_sub(armed).wrapping_add(1) <= 2
            }
        }
    }

    /// When the kernel is expected to remove the minisocket; 0 where that is not known.
    pub fn removal(&self) -> u64 {
        match self.phase {
            Phase::Full { .. } => 0,
            Phase::Mini { removal, .. } => removal,
        }
    }

    /// Counters at the end of the full socket, where a minisocket has followed.
    pub fn traffic(&self) -> Option<Traffic> {
        match self.phase {
            Phase::Mini { counted: true, sent, received, retransmits, .. } => {
                Some(Traffic { sent, received, retransmits })
            }
            _ => None,
        }
    }

    /// The handshake is complete.
    pub fn complete(&mut self, handshake: &Handshake) {
        self.opening = Some(Opening::new(handshake));
    }

    /// What is known of the handshake.
    pub fn handshake(&self) -> Option<Handshake> {
        let mut before = None;
        let mut stays = self.past.spent(self.since).chain([(self.state, 0)]);
        let stay = stays.find_map(|(state, spent)| {
            let stay = before.replace(spent);
            if state == State::Established { stay } else { None }
        });
        self.opening.map(|opening| opening.handshake(stay))
    }

    /// The states that it has passed since its beginning, which was not seen.
    pub fn set_beginning(&mut self, steps: &[State]) {
        let role = match steps.first() {
            Some(State::SynRecv) => Some(Role::Server),
            Some(State::SynSent) => Some(Role::Client),
            _ => None,
        };
        self.role = self.role.or(role);
        self.first_fin = self.first_fin.or_else(|| {
            steps.iter().find_map(|step| match step {
                State::FinWait1 => Some(Initiator::Local),
                State::CloseWait => Some(Initiator::Peer),
                _ => None,
            })
        });
    }

    /// Whether these are its ends once its local port is known: it has not connected before.
    pub fn may_get(&self, ends: &Tuple) -> bool {
        let Tuple { local: _, peer, netns } = self.tuple;
        self.is_unannounced() && self.ordinal == 1 && (peer, netns) == (ends.peer, ends.netns)
    }

    /// What updates say of the socket.
    #[inline]
    pub fn subject(&self) -> Subject {
        Subject {
            cookie: self.id.cookie(),
            ordinal: self.ordinal,
            tuple: self.tuple,
            uid: (self.uid != NO_UID).then_some(self.uid),
            inode: (self.inode != 0).then_some(u64::from(self.inode)),
            cgroup: self.cgroup,
            owner: self.owner(),
            role: self.role,
        }
    }
}
