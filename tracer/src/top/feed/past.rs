//! Recent updates, and what the table still knows of earlier ones.

use std::collections::VecDeque;

use crate::{
    model::{
        connection::Connection,
        endpoint::Tuple,
        initial::InitialNumbers,
        state::State,
        update::{Role, Source, Transition},
    },
    top::picture::Told,
};

/// Updates that are kept.
const REMEMBERED: usize = 1 << 14;

/// The last updates of all sockets, oldest first.
#[derive(Default)]
pub(super) struct Recent(VecDeque<Told>);

impl Recent {
    pub(super) fn add(&mut self, told: Told) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(told);
    }

    /// Those of a connection: of both its sockets, if both are on this host. The peer socket is the
    /// one given, or the one with the same initial sequence numbers, or with the same addresses in
    /// the same namespace.
    pub(super) fn of(
        &self,
        tuple: &Tuple,
        numbers: Option<InitialNumbers>,
        far: Option<Tuple>,
    ) -> Vec<Told> {
        let Tuple { local, peer, netns } = *tuple;
        let wanted = numbers.map(InitialNumbers::mirrored);
        let by_numbers = || {
            self.0.iter().rev().find_map(|told| match told {
                Told::Transition(told) => {
                    let known = told.initial_numbers();
                    known.iter().any(|one| Some(*one) == wanted).then_some(told.subject.tuple)
                }
                _ => None,
            })
        };
        let far = far.or_else(by_numbers).unwrap_or(Tuple { local: peer, peer: local, netns });
        let is_of = |told: &&Told| [*tuple, far].contains(&told.subject().tuple);
        self.0.iter().filter(is_of).cloned().collect()
    }
}

/// The transitions of a connection that happened too long ago to be kept, or were not seen but are
/// known from the states that it has left.
pub(super) fn before(life: &Connection, told: &[Told]) -> Vec<Told> {
    let subject = life.subject();
    let seen =
        |told: &&Told| told.subject().tuple == subject.tuple && matches!(told, Told::Transition(_));
    let oldest = told.iter().find(seen).map_or(u64::MAX, Told::time);
    let present = life.since_known.then_some((life.state, life.since));
    let mut from = match life.role {
        _ if life.began().is_none() => None,
        Some(Role::Server) => Some(State::Listen),
        _ => Some(State::Closed),
    };
    let mut earlier = Vec::new();
    for (to, time) in life.stays().chain(present) {
        if let Some(from) = from.filter(|_| time < oldest) {
            let handshake = life.handshake().filter(|_| to == State::Established);
            earlier.push(Told::Transition(Transition {
                time,
                subject,
                from,
                to,
                kernel: None,
                source: Source::Tracepoint,
                elapsed: None,
                handshake,
                sequence: None,
                sent: None,
                close: None,
                orphaned: life.orphaned,
            }));
        }
        from = Some(to);
    }
    earlier
}
