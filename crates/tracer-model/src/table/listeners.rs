//! Who listens: whose a connection is that nobody has accepted yet.
//!
//! Several listeners may share an address (`SO_REUSEPORT`), and of these each has connections of
//! its own. Who has nothing to do with a connection is not named for it: where the kernel does not
//! say which listener it is with, nobody is, unless all have one owner.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::{Record, kind};

use super::Table;
use crate::{
    connection::{Connection, SocketId},
    listeners::{listens_for, waits},
};
use tracer_event::{
    endpoint::{Endpoint, Tuple},
    process::{Evidence, Owner},
};

/// Listeners by namespace and port.
#[derive(Debug, Default)]
pub(super) struct Listeners(HashMap<(u32, u16), Vec<Listening>, RandomState>);

#[derive(Debug)]
struct Listening {
    id: SocketId,
    /// Address of its `struct sock`.
    sk: u64,
    local: Endpoint,
    owner: Option<Owner>,
    /// Length and limit of its queue, as the last snapshot has shown them.
    queue: Option<(u32, u32)>,
}

/// A listener's accept queue, as the last snapshot has shown it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// The listener's address.
    pub local: Endpoint,
    /// Whose it is, as the kernel keeps its name.
    pub comm: Option<[u8; 16]>,
    /// Connections that wait.
    pub length: u32,
    /// The most that may wait.
    pub backlog: u32,
}

fn key(tuple: &Tuple) -> (u32, u16) {
    (tuple.netns, tuple.local.port)
}

impl Listeners {
    /// An event or a snapshot reports a listener.
    pub(super) fn note(&mut self, connection: &Connection, record: &Record) {
        let Connection { id, tuple, .. } = *connection;
        let at_port = self.0.entry(key(&tuple)).or_default();
        // The address is used again at once.
        at_port.retain(|known| known.id == id || known.sk != record.sk);
        let owner = connection.owner();
        let is_seen = record.kind == kind::SOCKET;
        let queue = is_seen.then_some((record.accept_queue, record.accept_backlog));
        match at_port.iter_mut().find(|known| known.id == id) {
            Some(known) => {
                let (owner, queue) = (owner.or(known.owner), queue.or(known.queue));
                *known = Listening { sk: record.sk, owner, queue, ..*known };
            }
            None => at_port.push(Listening { id, sk: record.sk, local: tuple.local, owner, queue }),
        }
    }

    /// A snapshot of descriptors shows whose a listener is.
    pub(super) fn own(&mut self, connection: &Connection) {
        let at_port = self.0.get_mut(&key(&connection.tuple)).into_iter().flatten();
        for known in at_port.filter(|known| known.id == connection.id) {
            known.owner = connection.owner();
        }
    }

    /// A listener is gone.
    pub(super) fn remove(&mut self, connection: &Connection) {
        let key = key(&connection.tuple);
        if let Some(at_port) = self.0.get_mut(&key) {
            at_port.retain(|known| known.id != connection.id);
            if at_port.is_empty() {
                self.0.remove(&key);
            }
        }
    }

    /// The address of the listener that takes connections to a local one; of several the first.
    pub(super) fn local(&self, tuple: &Tuple) -> Option<Endpoint> {
        let mut at_port = self.0.get(&key(tuple))?.iter();
        let takes = |known: &&Listening| listens_for(known.local.address(), tuple.local.address());
        at_port.find(takes).map(|known| known.local)
    }

    /// The accept queues.
    fn queues(&self) -> impl Iterator<Item = Queue> {
        self.0.iter().flat_map(|(&(netns, _), at_port)| {
            at_port.iter().filter_map(move |known| {
                let (length, backlog) = known.queue?;
                let comm = known.owner.map(|owner| owner.process.comm);
                Some(Queue { netns, local: known.local, comm, length, backlog })
            })
        })
    }

    /// Whether somebody listens on a connection's local port.
    pub(super) fn serve(&self, tuple: &Tuple) -> bool {
        self.0.contains_key(&key(tuple))
    }

    /// Who will accept a connection, as a guess: the owner of its listener, which is at the address
    /// `listener`; of all that it can be where that is 0.
    pub(super) fn guess(&self, tuple: &Tuple, listener: u64) -> Option<Owner> {
        let at_port = self.0.get(&key(tuple)).into_iter().flatten();
        let mut owners = at_port
            .filter(|known| match listener {
                0 => listens_for(known.local.address(), tuple.local.address()),
                sk => known.sk == sk,
            })
            .map(|known| known.owner);
        let first = owners.next()??;
        let is_same =
            |other: Option<Owner>| other.is_some_and(|one| one.process.is(&first.process));
        owners.all(is_same).then(|| Owner::guess(&first))
    }
}

impl Table {
    /// The accept queues of all listeners, as the last snapshot has shown them.
    pub fn accept_queues(&self) -> impl Iterator<Item = Queue> {
        self.listeners.queues()
    }

    /// A snapshot shows in whose queues connections wait: for as long as nobody has accepted them,
    /// that is whose they are.
    pub(super) fn guess_owners(&mut self, records: &[Record]) {
        for record in records.iter().filter(|record| record.listener != 0 && waits(record)) {
            let Some(connection) = self.store.known_mut(SocketId::of(record)) else { continue };
            let known = connection.owner();
            if known.is_none_or(|known| known.evidence == Evidence::Listener) {
                let guess = self.listeners.guess(&connection.tuple, record.listener);
                connection.set_owner(guess, &mut self.processes);
            }
        }
    }
}
