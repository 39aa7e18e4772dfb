//! The initial sequence numbers, by which the two ends of a connection are known to belong
//! together.

use arrayvec::ArrayVec;

use super::{
    subject::Role,
    transition::{Handshake, Transition},
};

/// The initial sequence numbers of a connection as one end sees them. Both ends have the same two,
/// whatever their addresses are to each other: they name it in all namespaces and through NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InitialNumbers {
    /// Of this end.
    pub local: u32,
    /// Of the peer.
    pub peer: u32,
}

impl InitialNumbers {
    /// Those of a handshake, where they are known.
    pub fn of(handshake: &Handshake) -> Option<Self> {
        Some(Self { local: handshake.local_isn?, peer: handshake.peer_isn? })
    }

    /// As the other end sees them.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self { local: self.peer, peer: self.local }
    }
}

impl Transition {
    /// What the two initial numbers may be: of a socket whose role is not known there are two
    /// possibilities, since one role counts its SYN.
    pub fn initial_numbers(&self) -> ArrayVec<InitialNumbers, 2> {
        if let Some(known) = self.handshake.as_ref().and_then(InitialNumbers::of) {
            return std::iter::once(known).collect();
        }
        let Some((sequence, peer)) = self.sequence.and_then(|one| Some((one, one.peer_initial()?)))
        else {
            return ArrayVec::new();
        };
        let roles = match self.subject.role {
            Some(role) => &[role][..],
            None => &[Role::Client, Role::Server],
        };
        let local = roles.iter().map(|role| sequence.local_initial(*role));
        local.map(|local| InitialNumbers { local, peer }).collect()
    }
}
