//! Who listens: whose a connection is that nobody has accepted yet.
//!
//! Several listeners may share an address (`SO_REUSEPORT`), and of these each has connections of
//! its own. Who has nothing to do with a connection is not named for it: where the kernel does not
//! say which listener it is with, nobody is, unless all have one owner.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::Record;

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
        match at_port.iter_mut().find(|known| known.id == id) {
            Some(known) => {
                *known = Listening { sk: record.sk, owner: owner.or(known.owner), ..*known }
            }
            None => at_port.push(Listening { id, sk: record.sk, local: tuple.local, owner }),
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
