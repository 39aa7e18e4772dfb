//! The sockets of the list: one row each, filtered, in an order, or in groups.

use std::{cmp::Reverse, fmt::Write as _, net::IpAddr, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::picture::ByState;
use crate::{
    model::{
        connection::{Connection, SocketId},
        endpoint::{Endpoint, Tuple},
        owner::{Owner, Process},
        state::State,
        update::{Role, Subject},
    },
    sink::{escape::escape, surroundings::Surroundings},
};

/// A socket, as the list shows it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which socket.
    pub id: SocketId,
    /// Which connection on it.
    pub ordinal: u32,
    /// Its state.
    pub state: State,
    /// When that was entered, nanoseconds of `CLOCK_MONOTONIC`.
    pub since: u64,
    /// It may have been entered earlier.
    pub at_least: bool,
    /// Both ends.
    pub tuple: Tuple,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// Number of its control group, 0 where not known.
    pub cgroup: u64,
    /// Which part it plays.
    pub role: Option<Role>,
    /// No process holds it any more.
    pub orphaned: bool,
    /// It has outlasted the threshold of its state.
    pub lingers: bool,
}

impl Row {
    /// Of a socket in the table.
    pub fn of(life: &Connection) -> Self {
        Self {
            id: life.id,
            ordinal: life.ordinal,
            state: life.state,
            since: life.since,
            at_least: !life.since_known,
            tuple: life.tuple,
            owner: life.owner(),
            cgroup: life.cgroup,
            role: life.role,
            orphaned: life.orphaned,
            lingers: life.doublings > 0,
        }
    }

    /// As others know it.
    pub fn subject(&self) -> Subject {
        Subject {
            cookie: self.id.cookie(),
            ordinal: self.ordinal,
            tuple: self.tuple,
            uid: None,
            inode: None,
            cgroup: self.cgroup,
            owner: self.owner,
            role: self.role,
        }
    }

    /// Its container.
    pub fn container(&self, surroundings: &dyn Surroundings) -> Option<Box<str>> {
        surroundings.cgroup(&self.subject())?.container.clone()
    }

    /// The far end; of a server's socket its address alone, since clients differ in their ports.
    fn far(&self) -> Option<Endpoint> {
        let Tuple { local, peer, .. } = self.tuple;
        let ephemeral = self.role == Some(Role::Server) || peer.port >= local.port;
        let far = if ephemeral { peer.with_port(0) } else { peer };
        (self.state != State::Listen).then_some(far)
    }

    /// What a filter is matched against.
    fn write(&self, surroundings: &dyn Surroundings, text: &mut String) {
        text.clear();
        // Writing to a String cannot fail.
        let _ = write!(text, "{} {} {}", self.state.name(), self.tuple.local, self.tuple.peer);
        if let Some(owner) = self.owner {
            let _ = write!(text, " {}[{}]", escape(owner.process.name()), owner.process.pid);
        }
        if let Some(container) = self.container(surroundings) {
            let _ = write!(text, " @{container}");
        }
        text.make_ascii_lowercase();
    }
}

/// By what the list is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// What waits for somebody first, oldest first.
    #[default]
    State,
    /// Longest in its state first.
    Age,
    /// Process.
    Process,
    /// This host's end.
    Local,
    /// The far end.
    Peer,
}

impl Order {
    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::State => Self::Age,
            Self::Age => Self::Process,
            Self::Process => Self::Local,
            Self::Local => Self::Peer,
            Self::Peer => Self::State,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Age => "age",
            Self::Process => "process",
            Self::Local => "local",
            Self::Peer => "peer",
        }
    }
}

/// By what the list is grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Process.
    Process,
    /// Far end.
    Peer,
    /// Container.
    Container,
    /// State.
    State,
}

impl Grouping {
    /// The next one, after the last none.
    pub fn next(grouping: Option<Self>) -> Option<Self> {
        match grouping {
            None => Some(Self::Process),
            Some(Self::Process) => Some(Self::Peer),
            Some(Self::Peer) => Some(Self::Container),
            Some(Self::Container) => Some(Self::State),
            Some(Self::State) => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Peer => "peer",
            Self::Container => "container",
            Self::State => "state",
        }
    }
}

/// What the sockets of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Name, number and start; `None` where no owner is known.
    Process(Option<([u8; 16], u32, u64)>),
    /// Address and, of a service, port.
    Peer(Option<(IpAddr, u16)>),
    /// Id or name.
    Container(Option<Box<str>>),
    /// State.
    State(State),
}

impl Key {
    fn of(row: &Row, grouping: Grouping, surroundings: &dyn Surroundings) -> Self {
        match grouping {
            Grouping::Process => {
                Self::Process(row.owner.map(|Owner { process: p, .. }| (p.comm, p.pid, p.start_ns)))
            }
            Grouping::Peer => Self::Peer(row.far().map(|far| (far.address(), far.port))),
            Grouping::Container => Self::Container(row.container(surroundings)),
            Grouping::State => Self::State(row.state),
        }
    }

    /// What it is a key of.
    pub fn grouping(&self) -> Grouping {
        match self {
            Self::Process(_) => Grouping::Process,
            Self::Peer(_) => Grouping::Peer,
            Self::Container(_) => Grouping::Container,
            Self::State(_) => Grouping::State,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        match self {
            Self::Process(None) => "(no process)".into(),
            Self::Process(Some((comm, pid, start_ns))) => {
                let process = Process { comm: *comm, pid: *pid, start_ns: *start_ns };
                format!("{}[{pid}]", escape(process.name()))
            }
            Self::Peer(None) => "(listeners)".into(),
            Self::Peer(Some((address, 0))) => address.to_string(),
            Self::Peer(Some((address, port))) => Endpoint::new(*address, *port).to_string(),
            Self::Container(None) => "(no container)".into(),
            Self::Container(Some(id)) => id.to_string(),
            Self::State(state) => state.name().into(),
        }
    }
}

/// Sockets with something in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What they have in common.
    pub key: Key,
    /// How many are in each state.
    pub counts: ByState<u32>,
    /// Since when the oldest that lingers, or else the oldest, has been in its state.
    pub since: u64,
    /// How many linger.
    pub lingering: u32,
}

impl Group {
    /// How many sockets.
    pub fn total(&self) -> u32 {
        self.counts.iter().sum()
    }
}

/// What of the sockets is listed, and how.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Words that must all be in a row's text.
    pub filter: String,
    /// Only sockets of this group.
    pub within: Option<Key>,
    /// By what to sort.
    pub order: Order,
    /// The other way round.
    pub reversed: bool,
}

impl Selection {
    /// Indices of the rows to be listed, in order.
    pub fn list(&self, rows: &[Row], surroundings: &dyn Surroundings) -> Vec<u32> {
        let filter = self.filter.to_ascii_lowercase();
        let words: Vec<&str> = filter.split_whitespace().collect();
        let mut text = String::new();
        let mut wants = |row: &Row| {
            let within = |key: &Key| Key::of(row, key.grouping(), surroundings) == *key;
            self.within.as_ref().is_none_or(within)
                && (words.is_empty() || {
                    row.write(surroundings, &mut text);
                    words.iter().all(|word| text.contains(word))
                })
        };
        let mut listed: Vec<u32> = (0..rows.len())
            .filter(|&index| wants(&rows[index]))
            .map(|index| index as u32)
            .collect();
        self.sort(rows, &mut listed);
        listed
    }

    fn sort(&self, rows: &[Row], listed: &mut [u32]) {
        let row = |index: &u32| &rows[*index as usize];
        let end = |end: Endpoint| (end.address(), end.port);
        match self.order {
            Order::State => listed.sort_by_key(|i| (rank(row(i)), row(i).since)),
            Order::Age => listed.sort_by_key(|i| row(i).since),
            Order::Process => listed.sort_by_cached_key(|i| {
                let process = row(i).owner.map(|owner| owner.process);
                let process = process.map(|process| (process.comm, process.pid));
                (process.is_none(), process, row(i).since)
            }),
            Order::Local => listed.sort_by_cached_key(|i| end(row(i).tuple.local)),
            Order::Peer => listed.sort_by_cached_key(|i| end(row(i).tuple.peer)),
        }
        if self.reversed {
            listed.reverse();
        }
    }

    /// The listed sockets in groups.
    pub fn groups(
        &self,
        rows: &[Row],
        listed: &[u32],
        grouping: Grouping,
        surroundings: &dyn Surroundings,
    ) -> Vec<Group> {
        let mut groups: HashMap<Key, Group, RandomState> = HashMap::default();
        for row in listed.iter().map(|&index| &rows[index as usize]) {
            let key = Key::of(row, grouping, surroundings);
            let group = groups.entry(key).or_insert_with_key(|key| Group {
                key: key.clone(),
                counts: [0; State::COUNT],
                since: u64::MAX,
                lingering: 0,
            });
            group.counts[row.state.index()] += 1;
            group.lingering += u32::from(row.lingers);
            if row.state != State::Listen {
                group.since = group.since.min(row.since);
            }
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by(|one, other| one.key.cmp(&other.key));
        let waiting = |group: &Group| group.counts[State::CloseWait.index()];
        match self.order {
            Order::State => {
                groups.sort_by_key(|group| Reverse((waiting(group), group.total())));
            }
            Order::Age => groups.sort_by_key(|group| group.since),
            Order::Process | Order::Local | Order::Peer => {}
        }
        if self.reversed {
            groups.reverse();
        }
        groups
    }
}

/// What needs somebody first: lingering, then by who is to act.
fn rank(row: &Row) -> (bool, u8) {
    let rank = match row.state {
        State::CloseWait => 0,
        State::SynSent => 1,
        State::SynRecv => 2,
        State::FinWait1 => 3,
        State::LastAck => 4,
        State::Closing => 5,
        State::FinWait2 => 6,
        State::Established => 7,
        State::TimeWait => 8,
        State::Listen => 9,
        State::Closed => 10,
    };
    (!row.lingers, rank)
}

/// Rows that may be shared.
pub type Rows = Arc<Vec<Row>>;
