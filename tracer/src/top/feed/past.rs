//! Recent events, and what the table still knows of earlier ones.

use std::collections::VecDeque;

use crate::top::ui_snapshot;
use tracer_event::{
    endpoint::Tuple,
    initial::InitialNumbers,
    state::State,
    update::{OwnedUpdate, Role, Transition},
};
use tracer_model::connection::Connection;

/// Events that are kept.
const KEPT: usize = 1 << 14;

/// The last events of all sockets, oldest first.
#[derive(Default)]
pub(super) struct Recent(VecDeque<OwnedUpdate>);

impl Recent {
    pub(super) fn add(&mut self, event: OwnedUpdate) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(event);
    }

    /// The events of a connection: of both its sockets, if both are on this host. The peer socket is
    /// the one given, or the one with the same initial sequence numbers, or with the same addresses
    /// in the same namespace.
    pub(super) fn of(
        &self,
        tuple: &Tuple,
        numbers: Option<InitialNumbers>,
        peer: Option<Tuple>,
    ) -> Vec<OwnedUpdate> {
        let wanted = numbers.map(InitialNumbers::mirrored);
        let by_numbers = || {
            self.0.iter().rev().find_map(|event| match event {
                OwnedUpdate::Transition(transition) => {
                    let known = transition.initial_numbers();
                    let paired = known.iter().any(|one| Some(*one) == wanted);
                    paired.then_some(transition.subject.tuple)
                }
                _ => None,
            })
        };
        let peer = peer.or_else(by_numbers).unwrap_or_else(|| tuple.reversed());
        let is_of = |event: &&OwnedUpdate| {
            ui_snapshot::tuple(event).is_some_and(|one| [*tuple, peer].contains(&one))
        };
        self.0.iter().filter(is_of).cloned().collect()
    }
}

/// The transitions of a connection that happened too long ago to be kept, or were not seen but are
/// known from the states that it has left.
pub(super) fn before(life: &Connection, events: &[OwnedUpdate]) -> Vec<OwnedUpdate> {
    let subject = life.subject();
    let oldest = events.iter().find(|event| {
        ui_snapshot::tuple(event) == Some(subject.tuple)
            && matches!(event, OwnedUpdate::Transition(_))
    });
    let oldest = oldest.map_or(u64::MAX, OwnedUpdate::time);
    let present = life.since_known().then_some((life.state, life.since));
    let mut from = match life.role {
        _ if life.began().is_none() => None,
        Some(Role::Server) => Some(State::Listen),
        _ => Some(State::Closed),
    };
    let mut earlier = Vec::new();
    for (to, time) in life.stays().chain(present) {
        if let Some(from) = from.filter(|_| time < oldest) {
            earlier.push(OwnedUpdate::Transition(Transition {
                handshake: life.handshake().filter(|_| to == State::Established),
                orphaned: life.is_orphaned(),
                ..Transition::new(subject, time, from, to)
            }));
        }
        from = Some(to);
    }
    earlier
}
