//! Which diagram a socket belongs to: the two sockets of a connection within this host share one.
//!
//! They are paired by the initial sequence numbers, which both have: addresses are the same in
//! several namespaces, and differ where there is NAT in between. As long as the numbers are not
//! known, addresses count within one namespace.

use arrayvec::ArrayVec;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use slab::Slab;

use super::{diagram::Diagram, row::Side};
use tracer_event::{endpoint::Tuple, initial::InitialNumbers, state::State, update::Subject};

/// Keys of a diagram: addresses of each end, and two possible pairs of numbers.
const KEYS: usize = 6;

/// What a diagram is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Ends(Tuple),
    Numbers(InitialNumbers),
}

/// The diagrams of all connections, found by either end.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    diagrams: Slab<(Diagram, ArrayVec<Key, KEYS>)>,
    places: HashMap<Key, Place, RandomState>,
    made: u32,
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
        self.diagrams.get_mut(slot).map(|(diagram, _)| diagram)
    }

    /// All diagrams.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Diagram> {
        self.diagrams.iter().map(|(_, (diagram, _))| diagram)
    }

    /// The diagram of a socket that is in state `from`, and its side there; a new one where it has
    /// none, or `begins` a new connection. `numbers` as far as they are known.
    pub(super) fn of(
        &mut self,
        subject: &Subject,
        numbers: &[InitialNumbers],
        from: State,
        begins: bool,
    ) -> (usize, Side) {
        let tuple = subject.tuple;
        // A half-open connection is known before its socket is, by its SYN+ACK.
        let fits = |state| state == from || from == State::Listen && state == State::SynRecv;
        let own = self.places.get(&Key::Ends(tuple)).copied().filter(|own| {
            !begins || self.end(*own, own.side).is_none_or(|(over, state)| !over && fits(state))
        });
        let place = own.unwrap_or_else(|| {
            let place = match self.mirrored(&tuple, numbers, begins) {
                Some(other) => Place { slot: other.slot, side: !other.side },
                None => self.begin(subject),
            };
            self.note(place, Key::Ends(tuple));
            place
        });
        for one in numbers {
            self.note(place, Key::Numbers(*one));
        }
        (place.slot, place.side)
    }

    fn begin(&mut self, subject: &Subject) -> Place {
        let side = Side::of(subject.role);
        let tuple = subject.tuple;
        let tuple = if side == Side::Left { tuple } else { tuple.reversed() };
        self.made += 1;
        let slot = self.diagrams.insert((Diagram::new(self.made, tuple), ArrayVec::new()));
        Place { slot, side }
    }

    /// The socket at an end: whether it is over, and its state.
    fn end(&self, place: Place, side: Side) -> Option<(bool, State)> {
        let (diagram, _) = self.diagrams.get(place.slot)?;
        diagram[side].socket.map(|(_, state)| (diagram[side].over, state))
    }

    /// The peer socket, if it is on this host and has no other peer.
    fn mirrored(&self, tuple: &Tuple, numbers: &[InitialNumbers], begins: bool) -> Option<Place> {
        let is_free = |place: &Place| self.end(*place, !place.side).is_none();
        let mut by_numbers =
            numbers.iter().filter_map(|one| self.places.get(&Key::Numbers(one.mirrored())));
        if let Some(peer) = by_numbers.find(|place| is_free(place)) {
            return Some(*peer);
        }
        let peer = *self.places.get(&Key::Ends(tuple.reversed()))?;
        let opening = |state| matches!(state, State::SynSent | State::SynRecv | State::Established);
        let (_, state) = self.end(peer, peer.side)?;
        // A SYN that no socket took may be known before that it was sent.
        let refused = state == State::Closed && peer.side == Side::Right;
        (is_free(&peer) && (!begins || opening(state) || refused)).then_some(peer)
    }

    /// Takes another key of an end.
    fn note(&mut self, place: Place, key: Key) {
        let Some((_, keys)) = self.diagrams.get_mut(place.slot) else { return };
        if !keys.contains(&key) && keys.try_push(key).is_ok() {
            self.places.insert(key, place);
        }
    }

    /// Drops a diagram of which nothing more is to come.
    pub(super) fn remove(&mut self, slot: usize) {
        for key in self.diagrams.remove(slot).1 {
            if self.places.get(&key).is_some_and(|place| place.slot == slot) {
                self.places.remove(&key);
            }
        }
    }

    /// Drops all.
    pub(super) fn clear(&mut self) {
        self.diagrams.clear();
        self.places.clear();
    }
}
