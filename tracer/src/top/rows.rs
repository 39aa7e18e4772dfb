//! The sockets of the list: one row each, filtered, sorted or grouped.

use std::{cmp::Reverse, fmt::Write as _, net::IpAddr, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use tracer_event::{
    endpoint::{Endpoint, Tuple},
    enricher::Context,
    escape::escape,
    process::Process,
    state::State,
    update::Subject,
};
use tracer_model::{
    connection::{Connection, SocketId},
    filter::Facts,
    socket,
    time_wait::Ticks,
};
use tracer_wire::{Record, kind};

/// One value for each [`State::index`].
pub(super) type ByState<T> = [T; State::COUNT];

/// When sockets from before the trace entered their states, and whether that may have been earlier,
/// as the kernel's timers have shown it at the beginning.
pub(super) type Before = HashMap<SocketId, (u64, bool), RandomState>;

/// What the timers in the records of a snapshot say of ages, as `tracer sockets` does.
pub(super) fn before(records: &[Record], ticks: Ticks) -> Before {
    let entered = |record: &Record| {
        let age = socket::age(record, ticks)?;
        let at_least = record.kind == kind::SOCKET;
        Some((SocketId::of(record), (record.time_ns.saturating_sub(age), at_least)))
    };
    records.iter().filter_map(entered).collect()
}

/// A socket, as the list shows it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: SocketId,
    pub(super) subject: Subject,
    pub(super) container: Option<Arc<str>>,
    pub(super) state: State,
    /// When the state was entered, nanoseconds of `CLOCK_MONOTONIC`; or earlier, if `at_least`.
    pub(super) since: u64,
    pub(super) at_least: bool,
    /// No process holds it any more.
    pub(super) orphaned: bool,
    /// It has outlasted the threshold of its state.
    pub(super) lingers: bool,
}

impl Row {
    pub(super) fn of(life: &Connection, before: &Before, context: Context<'_>) -> Self {
        let subject = life.subject();
        let known = (life.since, false);
        let first_seen = || before.get(&life.id).copied().unwrap_or((u64::MAX, true));
        let (since, at_least) = if life.since_known() { known } else { first_seen() };
        let group = context.enricher.cgroup(&subject);
        Self {
            id: life.id,
            subject,
            container: group.and_then(|group| group.container.clone()),
            state: life.state,
            since: since.min(life.since),
            at_least,
            orphaned: life.is_orphaned(),
            lingers: life.doublings > 0,
        }
    }

    /// What a filter is asked about it.
    pub(super) fn facts(&self, now: u64) -> Facts<'_> {
        let age = now.saturating_sub(self.since);
        Facts::in_state(&self.subject, self.state, None).with_age(age, self.at_least)
    }

    /// Which connection on which socket.
    pub(super) fn key(&self) -> (SocketId, u32) {
        (self.id, self.subject.ordinal)
    }

    /// The peer's end; of a server's socket its address alone, since clients differ in their ports.
    fn peer(&self) -> Option<(IpAddr, u16)> {
        let peer = self.subject.peer_service();
        (self.state != State::Listen).then_some((peer.address(), peer.port))
    }

    /// What a filter is matched against.
    fn write(&self, text: &mut String) {
        let Tuple { local, peer, .. } = self.subject.tuple;
        text.clear();
        // Writing to a String cannot fail.
        let _ = write!(text, "{} {local} {peer}", self.state.name());
        if let Some(owner) = self.subject.owner {
            let _ = write!(text, " {}[{}]", escape(owner.process.name()), owner.process.pid);
        }
        if let Some(container) = &self.container {
            let _ = write!(text, " @{container}");
        }
        text.make_ascii_lowercase();
    }
}

/// By what the list is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// Stuck sockets first, then by who has to act; the oldest first.
    #[default]
    State,
    Age,
    Process,
    Local,
    Peer,
}

impl Order {
    const ALL: [Self; 5] = [Self::State, Self::Age, Self::Process, Self::Local, Self::Peer];

    pub(super) fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }

    pub(super) fn name(self) -> &'static str {
        ["state", "age", "process", "local", "peer"][self as usize]
    }
}

/// By what the list is grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grouping {
    Process,
    Peer,
    Container,
    State,
}

impl Grouping {
    const ALL: [Self; 4] = [Self::Process, Self::Peer, Self::Container, Self::State];

    /// The one after `grouping`; after the last one none.
    pub(super) fn next(grouping: Option<Self>) -> Option<Self> {
        Self::ALL.get(grouping.map_or(0, |grouping| grouping as usize + 1)).copied()
    }

    pub(super) fn name(self) -> &'static str {
        ["process", "peer", "container", "state"][self as usize]
    }
}

/// What the sockets of a group have in common; `None` where they lack it. Groups are sorted by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    /// Name, number and start.
    Process(Option<([u8; 16], u32, u64)>),
    /// Address and, of a service, port.
    Peer(Option<(IpAddr, u16)>),
    Container(Option<Arc<str>>),
    State(State),
}

impl Key {
    fn of(row: &Row, grouping: Grouping) -> Self {
        match grouping {
            Grouping::Process => {
                let process = row.subject.owner.map(|owner| owner.process);
                Self::Process(process.map(|process| (process.comm, process.pid, process.start_ns)))
            }
            Grouping::Peer => Self::Peer(row.peer()),
            Grouping::Container => Self::Container(row.container.clone()),
            Grouping::State => Self::State(row.state),
        }
    }

    pub(super) fn grouping(&self) -> Grouping {
        match self {
            Self::Process(_) => Grouping::Process,
            Self::Peer(_) => Grouping::Peer,
            Self::Container(_) => Grouping::Container,
            Self::State(_) => Grouping::State,
        }
    }

    pub(super) fn text(&self) -> String {
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
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) key: Key,
    pub(super) counts: ByState<u32>,
    /// When the oldest socket that does not listen entered its state; `u64::MAX` without one.
    pub(super) since: u64,
    /// One of them may have entered it earlier.
    pub(super) at_least: bool,
    /// How many have outlasted the threshold of their state.
    pub(super) lingering: u32,
}

impl Group {
    pub(super) fn total(&self) -> u32 {
        self.counts.iter().sum()
    }
}

/// Which sockets are listed, and in which order.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// Words that must all be in a row's text.
    pub(super) filter: String,
    /// Only sockets of this group.
    pub(super) within: Option<Key>,
    pub(super) order: Order,
    pub(super) reversed: bool,
}

impl Selection {
    /// Indices of the rows to be listed, in order.
    pub(super) fn list(&self, rows: &[Row]) -> Vec<u32> {
        let filter = self.filter.to_ascii_lowercase();
        let words: Vec<&str> = filter.split_whitespace().collect();
        let mut text = String::new();
        let mut wants = |row: &Row| {
            let within = |key: &Key| Key::of(row, key.grouping()) == *key;
            self.within.as_ref().is_none_or(within)
                && (words.is_empty() || {
                    row.write(&mut text);
                    words.iter().all(|word| text.contains(word))
                })
        };
        let mut listed: Vec<u32> =
            (0..).zip(rows).filter(|(_, row)| wants(row)).map(|(index, _)| index).collect();
        let row = |index: &u32| &rows[*index as usize];
        let end = |end: Endpoint| (end.address(), end.port);
        match self.order {
            Order::State => listed.sort_by_key(|i| (urgency(row(i)), row(i).since)),
            Order::Age => listed.sort_by_key(|i| row(i).since),
            Order::Process => listed.sort_by_cached_key(|i| {
                let owner = row(i).subject.owner;
                let process = owner.map(|owner| (owner.process.comm, owner.process.pid));
                (process.is_none(), process, row(i).since)
            }),
            Order::Local => listed.sort_by_cached_key(|i| end(row(i).subject.tuple.local)),
            Order::Peer => listed.sort_by_cached_key(|i| end(row(i).subject.tuple.peer)),
        }
        if self.reversed {
            listed.reverse();
        }
        listed
    }

    /// The listed sockets in groups.
    pub(super) fn groups(&self, rows: &[Row], listed: &[u32], grouping: Grouping) -> Vec<Group> {
        let mut groups: HashMap<Key, Group, RandomState> = HashMap::default();
        for row in listed.iter().map(|&index| &rows[index as usize]) {
            let key = Key::of(row, grouping);
            let group = groups.entry(key).or_insert_with_key(|key| Group {
                key: key.clone(),
                counts: [0; State::COUNT],
                since: u64::MAX,
                at_least: false,
                lingering: 0,
            });
            group.counts[row.state.index()] += 1;
            group.lingering += u32::from(row.lingers);
            if row.state != State::Listen {
                group.since = group.since.min(row.since);
                group.at_least |= row.at_least;
            }
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by(|one, other| one.key.cmp(&other.key));
        match self.order {
            Order::State => groups.sort_by_key(|group| {
                Reverse((group.counts[State::CloseWait.index()], group.total()))
            }),
            Order::Age => groups.sort_by_key(|group| group.since),
            Order::Process | Order::Local | Order::Peer => {}
        }
        if self.reversed {
            groups.reverse();
        }
        groups
    }
}

/// The states by who has to act: first those that wait for this host's programs.
const BY_URGENCY: ByState<State> = [
    State::CloseWait,
    State::SynSent,
    State::SynRecv,
    State::FinWait1,
    State::LastAck,
    State::Closing,
    State::FinWait2,
    State::Established,
    State::TimeWait,
    State::Listen,
    State::Closed,
];

/// Where a row stands in the order by state.
fn urgency(row: &Row) -> (bool, Option<usize>) {
    (!row.lingers, BY_URGENCY.iter().position(|state| *state == row.state))
}

/// Rows that both threads have.
pub(super) type Rows = Arc<Vec<Row>>;
