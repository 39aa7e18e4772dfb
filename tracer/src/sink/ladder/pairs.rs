//! Which diagram a socket belongs to: the two sockets of a connection within this host share one.
//!
//! They are known by the initial sequence numbers, which both have: addresses are the same in
//! several namespaces, and differ where there is NAT in between. As long as the numbers are not
//! known, addresses count within one namespace.

use arrayvec::ArrayVec;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use slab::Slab;

use super::{
    Side,
    diagram::{Diagram, side_of},
};
use crate::model::{endpoint::Tuple, initial::InitialNumbers, state::State, update::Subject};

/// Numbers that a diagram is found by: two possibilities for each end.
const NUMBERS: usize = 4;

/// The diagrams of all connections, found by either end.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    diagrams: Slab<Known>,
    by_ends: HashMap<Tuple, Place, RandomState>,
    by_numbers: HashMap<InitialNumbers, Place, RandomState>,
    made: u32,
}

#[derive(Debug)]
struct Known {
    diagram: Diagram,
    ends: ArrayVec<Tuple, 2>,
    numbers: ArrayVec<InitialNumbers, NUMBERS>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    slot: usize,
    side: Side,
}

impl Pairs {
    pub(super) fn len(&self) -> usize {
        self.diagrams.len()
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Diagram> {
        self.diagrams.get_mut(slot).map(|known| &mut known.diagram)
    }

    /// All diagrams.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Diagram> {
        self.diagrams.iter().map(|(_, known)| &known.diagram)
    }

    /// The diagram of a socket that is in state `from`, and its side there; a new one where it has
    /// none, or `begins` a life of its own. `numbers` as far as they are known.
    pub(super) fn of(
        &mut self,
        subject: &Subject,
        numbers: &[InitialNumbers],
        from: State,
        begins: bool,
    ) -> (usize, Side) {
        let tuple = subject.tuple;
        if let Some(own) = self.by_ends.get(&tuple).copied() {
            let end = self.end(own, own.side);
            // A half-open connection is known before its socket is, by its SYN+ACK.
            let fits = |state| state == from || from == State::Listen && state == State::SynRecv;
            if !begins || end.is_none_or(|(over, state)| !over && fits(state)) {
                self.note(own, numbers);
                return (own.slot, own.side);
            }
        }
        let place = match self.mirrored(&tuple, numbers, begins) {
            Some(other) => Place { slot: other.slot, side: other.side.other() },
            None => self.begin(subject),
        };
        self.by_ends.insert(tuple, place);
        if let Some(known) = self.diagrams.get_mut(place.slot) {
            // A second socket with the same ends on the same side: both are one key.
            let _ = known.ends.contains(&tuple) || known.ends.try_push(tuple).is_ok();
        }
        self.note(place, numbers);
        (place.slot, place.side)
    }

    fn begin(&mut self, subject: &Subject) -> Place {
        let Tuple { local, peer, netns } = subject.tuple;
        let side = side_of(subject.role);
        let tuple = match side {
            Side::Left => subject.tuple,
            Side::Right => Tuple { local: peer, peer: local, netns },
        };
        self.made += 1;
        let diagram = Diagram::new(self.made, tuple);
        let (ends, numbers) = (ArrayVec::new(), ArrayVec::new());
        let slot = self.diagrams.insert(Known { diagram, ends, numbers });
        Place { slot, side }
    }

    /// An end: whether it is over, and its state.
    fn end(&self, place: Place, side: Side) -> Option<(bool, State)> {
        let known = self.diagrams.get(place.slot)?;
        known.diagram.ends[side.index()].map(|end| (end.over, end.state))
    }

    /// The far end, if it is on this host and has no other far end.
    fn mirrored(&self, tuple: &Tuple, numbers: &[InitialNumbers], begins: bool) -> Option<Place> {
        let is_free = |place: &Place| self.end(*place, place.side.other()).is_none();
        let by_numbers = |one: &InitialNumbers| self.by_numbers.get(&one.mirrored()).copied();
        if let Some(far) = numbers.iter().filter_map(by_numbers).find(is_free) {
            return Some(far);
        }
        let Tuple { local, peer, netns } = *tuple;
        let far = *self.by_ends.get(&Tuple { local: peer, peer: local, netns })?;
        let opening = |state| matches!(state, State::SynSent | State::SynRecv | State::Established);
        let (_, state) = self.end(far, far.side)?;
        (is_free(&far) && (!begins || opening(state))).then_some(far)
    }

    /// The numbers of an end are known now.
    fn note(&mut self, place: Place, numbers: &[InitialNumbers]) {
        let Some(known) = self.diagrams.get_mut(place.slot) else { return };
        for one in numbers {
            if !known.numbers.contains(one) && known.numbers.try_push(*one).is_ok() {
                self.by_numbers.insert(*one, place);
            }
        }
    }

    /// Drops a diagram of which nothing more is to come.
    pub(super) fn remove(&mut self, slot: usize) {
        let Known { diagram: _, ends, numbers } = self.diagrams.remove(slot);
        let is_of = |place: &mut Place| place.slot == slot;
        for end in ends {
            if self.by_ends.get_mut(&end).is_some_and(is_of) {
                self.by_ends.remove(&end);
            }
        }
        for one in numbers {
            if self.by_numbers.get_mut(&one).is_some_and(is_of) {
                self.by_numbers.remove(&one);
            }
        }
    }

    /// Drops all.
    pub(super) fn clear(&mut self) {
        self.diagrams.clear();
        self.by_ends.clear();
        self.by_numbers.clear();
    }
}
