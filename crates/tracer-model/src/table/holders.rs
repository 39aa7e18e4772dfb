//! Whose sockets they are beyond what state changes show: who has accepted them, and who holds
//! their descriptors now.

use tracer_wire::{Holder, Record};

use super::{Slot, State, Table};
use crate::{accepts::Acceptor, connection::SocketId};
use tracer_event::process::{Evidence, Owner, Process};

impl Table {
    /// accept() has returned the socket: no transition, but its owner is certain from now on.
    pub(super) fn accepted(&mut self, record: &Record) {
        // Unknown is one that was there before and is not in a snapshot yet, or that has been
        // closed already.
        let Some(slot) = self.lookup(record) else { return };
        let connection = &mut self.store[slot];
        connection.accepted(record);
        let owner = Owner::accepted(record);
        connection.acted(Some(owner), record, &mut self.processes);
        if let Some(wait) = connection.accept_wait() {
            let tuple = connection.tuple;
            let local = self.listeners.local(&tuple).unwrap_or(tuple.local);
            let comm = owner.process.comm;
            self.accepts.add(Acceptor { netns: tuple.netns, local, comm }, wait);
        }
    }

    /// Whether a snapshot of holders would show something new at once: if the listener that has
    /// been made is shared.
    pub fn wants_holders(&self) -> bool {
        self.listener_is_new
    }

    /// Takes over who holds which socket, as a look shows that was begun at `begun`.
    pub fn merge_holders(&mut self, holders: &[Holder], begun: u64) {
        self.listener_is_new &= holders.is_empty();
        let mut held: Vec<(Slot, &Holder)> = holders
            .iter()
            .filter_map(|holder| Some((self.store.find(SocketId::held(holder))?, holder)))
            .collect();
        // Stable: of several holders of a socket the first stays the first.
        held.sort_by_key(|(slot, _)| *slot);
        for of_one in held.chunk_by(|(one, _), (other, _)| one == other) {
            self.merge_holders_of(of_one[0].0, of_one, begun);
        }
    }

    /// Who made the socket stays its owner as long as it holds a descriptor; else it is whoever
    /// does (fork, passed descriptor).
    ///
    /// A look goes from process to process: it may have left the maker before there was a socket,
    /// and have come to its child before that one's exec() closed the copy.
    fn merge_holders_of(&mut self, slot: Slot, holders: &[(Slot, &Holder)], begun: u64) {
        let connection = &mut self.store[slot];
        let is_new = connection.began().is_some_and(|began| began > begun)
            || connection.is_accepted_since(begun);
        let holders: Vec<Owner> = holders.iter().map(|(_, holder)| Owner::from(*holder)).collect();
        let known = connection.owner();
        let known = known.filter(|known| is_new || known.evidence != Evidence::Listener);
        let owner = choose(known, &holders, is_new);
        connection.set_owner(owner, &mut self.processes);
        connection.set_holders(&holders, &mut self.processes);
        if connection.state == State::Listen {
            self.listeners.own(connection);
        }
    }
}

/// The owner among those that hold a socket: who is known to be, though unseen where the look may
/// have passed it, else the first.
fn choose(known: Option<Owner>, holders: &[Owner], may_be_passed: bool) -> Option<Owner> {
    let lowest_fd = |process: &Process| {
        let own = holders.iter().filter(|holder| holder.process.is(process));
        own.filter_map(|holder| holder.fd).min()
    };
    let held = known.filter(|known| may_be_passed || lowest_fd(&known.process).is_some());
    let owner = held.or_else(|| holders.first().copied())?;
    let mut others: Vec<u32> = holders.iter().map(|holder| holder.process.pid).collect();
    others.sort_unstable();
    others.dedup();
    others.retain(|pid| *pid != owner.process.pid);
    Some(Owner { fd: lowest_fd(&owner.process).or(owner.fd), others: others.len() as u32, ..owner })
}
