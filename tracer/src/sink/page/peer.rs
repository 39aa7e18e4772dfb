//! Peers that belong together: connections differ in the port of one end only.

use std::fmt;

use crate::model::{
    endpoint::{Endpoint, Tuple},
    update::{Role, Subject},
};

/// A service that this host connects to, or the address of a client of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    /// Connections from here to this address and port.
    Service(Endpoint),
    /// Connections from this address, whatever the port, to a service here.
    Client(Endpoint),
}

impl Peer {
    pub(super) fn of(subject: &Subject) -> Self {
        let Tuple { local, peer, .. } = subject.tuple;
        // Where the role is not known: clients have the higher ports as a rule.
        let serves = subject.role.map_or(local.port < peer.port, |role| role != Role::Client);
        if serves { Self::Client(peer.with_port(0)) } else { Self::Service(peer) }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => write!(f, "{service}"),
            Self::Client(client) => write!(f, "{}", client.address()),
        }
    }
}
