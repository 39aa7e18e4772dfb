//! Which diagram a socket belongs to: the two sockets of a connection within this host share one.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use slab::Slab;

use super::{
    Side,
    diagram::{Diagram, side_of},
};
use crate::model::{
    endpoint::{Endpoint, Tuple},
    state::State,
    update::Subject,
};

/// The diagrams of all connections, found by either end.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    diagrams: Slab<Diagram>,
    /// By the ends as a socket of this host sees them; in several namespaces they can be the same.
    by_ends: HashMap<(Endpoint, Endpoint), Vec<Place>, RandomState>,
    made: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    netns: u32,
    slot: usize,
    side: Side,
}

impl Pairs {
    pub(super) fn len(&self) -> usize {
        self.diagrams.len()
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Diagram> {
        self.diagrams.get_mut(slot)
    }

    /// All diagrams.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Diagram> {
        self.diagrams.iter().map(|(_, diagram)| diagram)
    }

    /// The diagram of a socket that is in state `from`, and its side there; a new one where it has
    /// none, or `begins` a life of its own.
    pub(super) fn of(&mut self, subject: &Subject, from: State, begins: bool) -> (usize, Side) {
        let Tuple { local, peer, netns } = subject.tuple;
        let own = self.places(local, peer).iter().find(|place| place.netns == netns).copied();
        if let Some(own) = own {
            let end = self.diagrams[own.slot].ends[own.side.index()];
            // A half-open connection is known before its socket is, by its SYN+ACK.
            let fits = |state| state == from || from == State::Listen && state == State::SynRecv;
            if !begins || end.is_none_or(|end| !end.over && fits(end.state)) {
                return (own.slot, own.side);
            }
            self.forget(local, peer, own);
        }
        let place = match self.mirrored(subject, begins) {
            Some(other) => Place { netns, slot: other.slot, side: other.side.other() },
            None => {
                let side = side_of(subject.role);
                let tuple = match side {
                    Side::Left => subject.tuple,
                    Side::Right => Tuple { local: peer, peer: local, netns },
                };
                self.made += 1;
                let slot = self.diagrams.insert(Diagram::new(self.made, tuple));
                Place { netns, slot, side }
            }
        };
        self.by_ends.entry((local, peer)).or_default().push(place);
        (place.slot, place.side)
    }

    /// The far end, if it is on this host: in the same namespace, or the only one in another.
    fn mirrored(&self, subject: &Subject, begins: bool) -> Option<Place> {
        let Tuple { local, peer, netns } = subject.tuple;
        let is_free = |place: &&Place| {
            let diagram = &self.diagrams[place.slot];
            let far = diagram.ends[place.side.index()];
            let opening =
                |state| matches!(state, State::SynSent | State::SynRecv | State::Established);
            diagram.ends[place.side.other().index()].is_none()
                && far.is_some_and(|far| !begins || opening(far.state))
        };
        let mut others = self.places(peer, local).iter().filter(is_free);
        let near = others.clone().find(|place| place.netns == netns);
        let mut one = || others.next().filter(|_| others.next().is_none());
        let local_only = local.address().is_loopback();
        near.or_else(|| if local_only { None } else { one() }).copied()
    }

    /// Drops a diagram of which nothing more is to come.
    pub(super) fn remove(&mut self, slot: usize) {
        let diagram = self.diagrams.remove(slot);
        for end in diagram.ends.iter().flatten() {
            let Tuple { local, peer, .. } = end.subject.tuple;
            if let Some(places) = self.by_ends.get_mut(&(local, peer)) {
                places.retain(|place| place.slot != slot);
                if places.is_empty() {
                    self.by_ends.remove(&(local, peer));
                }
            }
        }
    }

    /// Drops all.
    pub(super) fn clear(&mut self) {
        self.diagrams.clear();
        self.by_ends.clear();
    }

    fn places(&self, local: Endpoint, peer: Endpoint) -> &[Place] {
        self.by_ends.get(&(local, peer)).map_or(&[], Vec::as_slice)
    }

    fn forget(&mut self, local: Endpoint, peer: Endpoint, place: Place) {
        if let Some(places) = self.by_ends.get_mut(&(local, peer)) {
            places.retain(|other| *other != place);
        }
    }
}
