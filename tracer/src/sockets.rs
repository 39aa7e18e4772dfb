//! `tracer sockets`: every TCP socket of every network namespace, with who holds it.

use std::{cmp::Reverse, net::IpAddr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::Record;

use tracer_event::{
    endpoint::{Endpoint, Tuple},
    enricher::Enricher,
    process::Owner,
    socket::Socket,
    state::State,
};
use tracer_kernel::{
    snapshot::{Snapshotter, Taken, Wanted},
    time,
};
use tracer_model::{
    connection::SocketId,
    diagnosis::HostSnapshot,
    filter::{Facts, Filter},
    listeners::Listeners,
    socket,
};

/// By what to sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// What needs attention first: CLOSE_WAIT, unfinished, open; the longest in its state first
    #[default]
    Attention,
    /// In the order of a connection's life, listeners first
    State,
    /// Longest in its state first
    Age,
    /// Local address and port
    Local,
    /// Peer's address and port
    Peer,
    /// Process
    Process,
    /// Unread bytes (connections not accepted), most first
    ReceiveQueue,
    /// Unacknowledged bytes, most first
    SendQueue,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The sockets that are wanted, in order.
    pub sockets: Vec<Socket>,
    /// Namespaces, by inode number, of sockets that were left out only because of it: one entry
    /// each.
    pub elsewhere: Vec<u32>,
    /// Namespaces that could not be looked into, with the reason.
    pub refused: Vec<(u32, String)>,
}

/// The sockets that `filter` wants, of the namespaces that `snapshotter` shows.
pub fn list(
    snapshotter: &mut Snapshotter,
    filter: &Filter,
    enricher: &dyn Enricher,
    order: Order,
) -> Found {
    let Taken { look: HostSnapshot { snapshot, host }, refused, .. } = snapshotter
        .take(Wanted { sockets: true, holders: true, settings: true, processes: false }, &[]);
    let ticks = time::ticks();
    let mut holders: HashMap<SocketId, Vec<Owner>, RandomState> = HashMap::default();
    holders.reserve(snapshot.holders.len());
    for holder in &snapshot.holders {
        holders.entry(SocketId::held(holder)).or_default().push(holder.into());
    }
    let mut sockets = Vec::with_capacity(snapshot.records.len());
    let mut elsewhere = Vec::new();
    let listeners = Listeners::among(&snapshot.records);
    let of = |record: &Record| holders.get(&SocketId::of(record)).map_or(&[][..], Vec::as_slice);
    for record in &snapshot.records {
        let Some(mut socket) = socket::of(record, ticks, of(record).to_vec()) else { continue };
        let owner = &mut socket.subject.owner;
        *owner = owner.or_else(|| listeners.guess(record, of));
        let may_be_served = !listeners.at(record.netns, Tuple::of(record).local).is_empty();
        socket.subject.role = socket::role(record, socket.state, may_be_served);
        if let (Some(own), Some(facts)) =
            (&mut socket.keepalive, host.namespaces.get(&record.netns))
        {
            *own = own.or(&facts.timeouts);
        }
        let facts = Facts::from(&socket);
        let netns = socket.subject.tuple.netns;
        if filter.may_want(&facts, enricher) {
            sockets.push(socket);
        } else if filter.netns().is_some_and(|wanted| wanted != netns)
            && filter.may_want(&facts.in_any_netns(), enricher)
        {
            elsewhere.push(netns);
        }
    }
    sort(&mut sockets, order);
    Found { sockets, elsewhere, refused }
}

/// Sorts a list; equal ones by their addresses.
pub fn sort(sockets: &mut [Socket], order: Order) {
    match order {
        Order::Attention => by(sockets, |socket| (urgency(socket.state), Reverse(socket.age))),
        Order::Local => by(sockets, |_| ()),
        Order::State => by(sockets, |socket| socket.state.index()),
        Order::Age => by(sockets, |socket| Reverse(socket.age)),
        Order::Peer => by(sockets, |socket| end(socket.subject.tuple.peer)),
        Order::Process => by(sockets, |socket| {
            let process = socket.subject.owner.map(|owner| owner.process);
            (process.is_none(), process.map(|process| (process.comm, process.pid)))
        }),
        Order::ReceiveQueue => by(sockets, |socket| Reverse(socket.receive_queue)),
        Order::SendQueue => by(sockets, |socket| Reverse(socket.send_queue)),
    }
}

/// Less is more urgent: what an application has left unfinished comes first, what is only
/// remembered last.
fn urgency(state: State) -> u8 {
    match state {
        State::CloseWait => 0,
        State::FinWait1 | State::LastAck | State::Closing => 1,
        State::SynSent | State::SynRecv => 2,
        State::FinWait2 => 3,
        State::Established => 4,
        State::Listen => 5,
        State::TimeWait | State::Closed => 6,
    }
}

/// Sorts once, as sockets are large; equal ones in an order of their own, so that two looks can be
/// compared.
fn by<K: Ord>(sockets: &mut [Socket], key: impl Fn(&Socket) -> K) {
    sockets.sort_by_cached_key(|socket| {
        let Tuple { local, peer, .. } = socket.subject.tuple;
        (key(socket), end(local), end(peer))
    });
}

fn end(end: Endpoint) -> (IpAddr, u16) {
    (end.address(), end.port)
}
