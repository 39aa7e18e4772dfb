//! The two snapshots, prepared for questions: sockets with their holders, by identity, listeners.

use std::{cell::OnceCell, collections::BTreeMap, net::IpAddr, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use tracer_wire::{Holder, Record};

use super::{Baseline, Input, common::each_once, ends::Ends};
use crate::{
    cause::halt,
    connection::{Connection, SocketId},
    filter::Facts,
    listeners::Listeners,
    ports, socket,
};
use tracer_event::{
    activity::WaitKind,
    container::Cgroup,
    endpoint::{Endpoint, Tuple},
    finding::{Finding, Listener, PortUse, Problem, Program, Service, Severity, Status},
    host::{Counters, NetFacts},
    process::{Executable, Owner, Process},
    socket::Socket,
    state::State,
    update::Subject,
};

const MINUTE: f64 = 60e9;

/// Name and container of a process: the workers of a server are alike, and so is what they do wrong.
pub(super) type Kin = ([u8; 16], Option<Arc<str>>);

/// A socket of the last snapshot. There may be millions: [`Comparison::socket`] says the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    /// As the kernel reports it.
    pub record: &'a Record,
    /// Its state.
    pub state: State,
    /// The same socket at the first snapshot.
    pub earlier: Option<&'a Record>,
    /// The same socket at the younger one.
    pub recent: Option<&'a Record>,
}

impl Seen<'_> {
    /// Both ends.
    pub(super) fn tuple(&self) -> Tuple {
        Tuple::of(self.record)
    }
}

/// Finds what is wrong in one respect.
pub(super) type Detector = fn(&Comparison<'_>) -> Vec<Finding>;

/// The two snapshots, and what has been found so far.
pub(super) struct Comparison<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) seen: Vec<Seen<'a>>,
    /// What the detectors that come earlier in the list have found.
    pub(super) found: Vec<Finding>,
    holders: HashMap<SocketId, Vec<Owner>, RandomState>,
    listeners: Listeners<'a>,
    /// Nothing is asked about in particular, but perhaps a namespace.
    all: bool,
    ports: OnceCell<Vec<PortUse>>,
    ends: OnceCell<Ends>,
    local: OnceCell<HashSet<(u32, IpAddr), RandomState>>,
    closed: OnceCell<HashMap<SocketId, &'a Connection, RandomState>>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(input: &'a Input<'a>) -> Self {
        let of = |baseline: &'a Baseline| -> HashMap<SocketId, &'a Record, RandomState> {
            let records = baseline.look.snapshot.records.iter();
            records.map(|record| (SocketId::of(record), record)).collect()
        };
        let (earlier, recent) = (of(input.first), of(input.recent));
        let records = &input.last.snapshot.records;
        let see = |record: &'a Record| {
            let (id, state) = (SocketId::of(record), State::from_kernel(record.new_state)?);
            let [earlier, recent] = [&earlier, &recent].map(|known| known.get(&id).copied());
            Some(Seen { record, state, earlier, recent })
        };
        let filter = input.filter;
        Self {
            input,
            seen: records.iter().filter_map(see).collect(),
            found: Vec::new(),
            holders: holders(&input.last.snapshot.holders),
            listeners: Listeners::among(records),
            all: *filter == filter.of_namespace(),
            ports: OnceCell::new(),
            ends: OnceCell::new(),
            local: OnceCell::new(),
            closed: OnceCell::new(),
        }
    }

    /// Sockets of the last snapshot that are in a state.
    pub(super) fn seen_in(&self, state: State) -> impl Iterator<Item = &Seen<'a>> {
        self.seen.iter().filter(move |seen| seen.state == state)
    }

    /// All that the last snapshot says of a socket, with those who hold it.
    pub(super) fn socket(&self, seen: &Seen<'_>) -> Socket {
        let holders = self.holders(seen.record).to_vec();
        let mut socket = socket::in_state(seen.record, seen.state, self.input.ticks, holders);
        let guess = || self.listeners.guess(seen.record, |record| self.holders(record));
        socket.subject.owner = socket.subject.owner.or_else(guess);
        socket
    }

    /// The other end of a socket, if it is on this host.
    pub(super) fn peer(&self, seen: &Seen<'_>) -> Option<&Seen<'a>> {
        let records = || self.seen.iter().map(|seen| seen.record).collect::<Vec<_>>();
        let ends = || Ends::of(&records());
        self.seen.get(self.ends.get_or_init(ends).peer(seen.record)?)
    }

    /// The life of a socket that has been closed at one end, which says who has closed it.
    pub(super) fn closed(&self, record: &Record) -> Option<&'a Connection> {
        let closing = [State::FinWait1, State::Closing, State::LastAck, State::CloseWait];
        let lives = || closing.into_iter().flat_map(|state| self.lives(state)).collect();
        self.closed.get_or_init(lives).get(&SocketId::of(record)).copied()
    }

    /// Ephemeral ports in use, as the last snapshot shows them.
    pub(super) fn ports(&self) -> &[PortUse] {
        let Input { last, ticks, .. } = self.input;
        self.ports.get_or_init(|| ports::usage(&last.snapshot.records, &last.host, *ticks))
    }

    /// Time between the snapshots, nanoseconds.
    pub(super) fn elapsed(&self) -> u64 {
        self.now().saturating_sub(self.input.first.begun())
    }

    /// When the last snapshot was.
    pub(super) fn now(&self) -> u64 {
        self.input.last.snapshot.begun
    }

    /// What a difference between the snapshots is in a minute.
    pub(super) fn per_minute(&self, difference: i64) -> f64 {
        difference as f64 * MINUTE / self.elapsed().max(1) as f64
    }

    /// How many namespaces were looked at; of a filter, those that have something of it.
    pub(super) fn namespaces(&self) -> usize {
        let snapshot = &self.input.last.snapshot;
        if self.all {
            return snapshot.namespaces.len();
        }
        let wanted = self.seen.iter().filter(|seen| self.wants_seen(seen));
        wanted.map(|seen| seen.record.netns).collect::<HashSet<u32, RandomState>>().len()
    }

    pub(super) fn states(&self) -> BTreeMap<State, u64> {
        let mut states = BTreeMap::new();
        for seen in self.seen.iter().filter(|seen| self.wants_seen(seen)) {
            *states.entry(seen.state).or_default() += 1;
        }
        states
    }

    /// Whether a socket of the last snapshot is asked about.
    pub(super) fn wants_seen(&self, seen: &Seen<'_>) -> bool {
        match self.all {
            true => self.wants_namespace(seen.record.netns),
            false => self.wants(&self.socket(seen)),
        }
    }

    /// Whether everything in a namespace is asked about.
    pub(super) fn wants_namespace(&self, netns: u32) -> bool {
        self.all && self.input.filter.netns().is_none_or(|wanted| wanted == netns)
    }

    /// Whether what happened to a socket is asked about.
    pub(super) fn wants_subject(&self, subject: &Subject) -> bool {
        self.input.filter.may_want(&Facts::of(subject), self.input.enricher)
    }

    /// Whether a socket with which something is wrong is asked about.
    pub(super) fn wants(&self, socket: &Socket) -> bool {
        self.input.filter.may_want(&Facts::from(socket).with_problem(), self.input.enricher)
    }

    /// A finding of now.
    pub(super) fn finding(&self, severity: Severity, netns: u32, problem: Problem) -> Finding {
        let host = &self.input.last.host;
        let away = netns != host.home;
        // A way into its namespace if that is not the tracer's own.
        let entry = away.then(|| host.entry(netns, problem.processes())).flatten();
        Finding { time: self.now(), severity, status: Status::Raised, netns, entry, problem }
    }

    /// The settings and counters of a namespace.
    pub(super) fn facts(&self, netns: u32) -> Option<&NetFacts> {
        self.input.last.host.namespaces.get(&netns)
    }

    /// What was counted in a namespace between the snapshots.
    pub(super) fn counted(&self, netns: u32) -> Counters {
        let first = self.input.first.look.host.namespaces.get(&netns);
        match (first, self.facts(netns)) {
            (Some(first), Some(last)) => last.counters.since(first.counters),
            _ => Counters::default(),
        }
    }

    /// Whether an address is one of a namespace, as far as its sockets show.
    pub(super) fn is_local(&self, netns: u32, address: IpAddr) -> bool {
        let all = || self.seen.iter().map(|seen| (seen.record.netns, seen.tuple().local.address()));
        let known = self.local.get_or_init(|| all().collect());
        known.contains(&(netns, address)) || self.input.last.host.local.contains(&(netns, address))
    }

    /// The listeners that take connections to an address.
    pub(super) fn listeners_of(&self, netns: u32, to: Endpoint) -> Vec<&'a Record> {
        self.listeners.at(netns, to)
    }

    /// The listeners on a port, whatever their addresses, that are asked about.
    pub(super) fn listeners_on(&self, netns: u32, port: u16) -> Vec<&'a Record> {
        let wants = |record: &Record| {
            let seen = Seen { record, state: State::Listen, earlier: None, recent: None };
            self.wants_seen(&seen)
        };
        self.listeners.on(netns, port).filter(|record| wants(record)).collect()
    }

    /// The listener of a connection that nobody has accepted; where that is not known, those that
    /// it can be.
    pub(super) fn listeners_of_waiting(&self, record: &Record) -> Vec<&'a Record> {
        self.listeners.of_waiting(record)
    }

    /// What the sockets of a service have in common: our own port where somebody listens on it, or
    /// where connect() would not have chosen it (the listener may be gone).
    pub(super) fn service(&self, tuple: &Tuple) -> Service {
        let Tuple { local, peer, netns } = *tuple;
        let range = self.facts(netns).and_then(|facts| facts.ports.as_ref());
        let chosen = range.map_or(local.port > peer.port, |range| range.contains(local.port));
        match self.listeners_of(netns, local).first() {
            Some(listener) => Service::Here(Tuple::of(listener).local),
            None if chosen => Service::There(peer),
            None => Service::Here(local),
        }
    }

    /// Listeners as one: of several that it can be the fullest counts.
    pub(super) fn listener(&self, listeners: &[&Record]) -> Option<Listener> {
        self.listener_but(listeners, |_| false)
    }

    /// The same, held by others than masters. Who waits for a child is the last to be named.
    pub(super) fn listener_but(
        &self,
        listeners: &[&Record],
        is_master: impl Fn(&Process) -> bool,
    ) -> Option<Listener> {
        let fullest = listeners.iter().max_by_key(|record| record.accept_queue)?;
        let holders = listeners.iter().flat_map(|record| self.holders(record));
        let mut processes = each_once(holders.map(|holder| holder.process));
        processes.retain(|process| !is_master(process));
        processes.sort_by_key(|process| self.waits_for_child(process.pid));
        let pids: Vec<u32> = processes.iter().map(|process| process.pid).collect();
        Some(Listener {
            local: Tuple::of(fullest).local,
            halted: halt(&pids, &self.input.last.host),
            doing: pids.first().and_then(|pid| self.doing(*pid)),
            processes: processes.into_iter().map(|process| self.program(process)).collect(),
            queue: fullest.accept_queue,
            backlog: fullest.accept_backlog,
            candidates: listeners.len() as u32,
        })
    }

    fn waits_for_child(&self, pid: u32) -> bool {
        let facts = self.input.last.host.processes.get(&pid);
        let first = facts.and_then(|facts| facts.activity.waits.first());
        first.is_some_and(|wait| WaitKind::of(&wait.function) == WaitKind::Child)
    }

    pub(super) fn program(&self, process: Process) -> Program {
        let facts = self.input.last.host.processes.get(&process.pid);
        let group = facts.and_then(|facts| facts.cgroup.as_ref());
        let text = |of: fn(&Cgroup) -> &Option<Arc<str>>| Some(of(group?).as_deref()?.into());
        let pod = group.and_then(|group| group.pod.as_deref());
        Program {
            process,
            executable: facts.and_then(|facts| facts.executable.as_deref().map(Executable::of)),
            container: text(|group| &group.container),
            pod: pod.map(Into::into),
            pod_name: pod.and_then(|uid| self.input.enricher.pod_name(uid)),
            unit: text(|group| &group.unit),
            freezer: facts.and_then(|facts| facts.freezer.clone()),
        }
    }

    /// What processes have in common that are told together.
    pub(super) fn kin(&self, processes: impl Iterator<Item = Process>) -> Vec<Kin> {
        let facts = &self.input.last.host.processes;
        let container = |pid: u32| facts.get(&pid)?.cgroup.as_ref()?.container.clone();
        let mut kin: Vec<Kin> = processes.map(|one| (one.comm, container(one.pid))).collect();
        kin.sort_unstable();
        kin.dedup();
        kin
    }

    /// The socket's life as far as the table knows it.
    pub(super) fn lives(&self, state: State) -> HashMap<SocketId, &'a Connection, RandomState> {
        let of_state = self.input.table.connections().filter(|life| life.state == state);
        of_state.map(|life| (life.id, life)).collect()
    }

    /// Sockets of the first snapshot in a state, with their first holder.
    pub(super) fn earlier_in(&self, state: State) -> Vec<(&'a Record, Option<Process>)> {
        let first = &self.input.first.look.snapshot;
        let held = holders(&first.holders);
        let records = first.records.iter();
        records
            .filter(|record| State::from_kernel(record.new_state) == Some(state))
            .map(|record| {
                let first = held.get(&SocketId::of(record)).and_then(|holders| holders.first());
                (record, first.map(|owner| owner.process))
            })
            .collect()
    }

    /// Identities of the sockets that are in a state now.
    pub(super) fn now_in(&self, state: State) -> HashSet<SocketId, RandomState> {
        self.seen_in(state).map(|seen| SocketId::of(seen.record)).collect()
    }

    /// All descriptors of a socket.
    pub(super) fn holders(&self, record: &Record) -> &[Owner] {
        self.holders.get(&SocketId::of(record)).map_or(&[], Vec::as_slice)
    }
}

fn holders(all: &[Holder]) -> HashMap<SocketId, Vec<Owner>, RandomState> {
    let mut holders: HashMap<_, Vec<Owner>, _> = HashMap::default();
    for holder in all {
        holders.entry(SocketId::held(holder)).or_default().push(holder.into());
    }
    holders
}
