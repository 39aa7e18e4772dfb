//! Peers whose connections belong together, since they differ in the port of one end only.

use tracer_event::{
    endpoint::{Endpoint, Tuple},
    update::{Role, Subject},
};

/// A service that this host connects to, or, with port 0, the address of a client of this host.
pub(super) fn peer(subject: &Subject) -> Endpoint {
    let Tuple { local, peer, .. } = subject.tuple;
    // Where the role is not known: clients have the higher ports as a rule.
    let serves = subject.role.map_or(local.port < peer.port, |role| role != Role::Client);
    if serves { peer.with_port(0) } else { peer }
}

/// With the port, where it has one.
pub(super) fn named(peer: Endpoint) -> String {
    if peer.port == 0 { peer.address().to_string() } else { peer.to_string() }
}
