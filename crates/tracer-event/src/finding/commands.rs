//! Parts of the commands that remedies have: filters of `ss`, addresses for a shell.

use super::Service;
use crate::endpoint::Endpoint;

/// A filter of `ss` for the sockets of a service.
pub(super) fn filter(service: Service) -> String {
    match service {
        Service::Here(local) => format!("'( sport = :{} )'", local.port),
        Service::There(peer) => destination(peer),
    }
}

/// A filter of `ss`, which takes no interface with an address.
pub(super) fn destination(peer: Endpoint) -> String {
    format!("dst '{}'", Endpoint::new(peer.address(), peer.port))
}

/// The same for the connections of a service alone.
pub(super) fn of_service_with(service: Service, peer: Endpoint) -> String {
    match service {
        Service::Here(local) => format!("{} and sport = :{}", destination(peer), local.port),
        Service::There(_) => destination(peer),
    }
}

/// A plain connection to an address, as a command.
pub(super) fn reachable(peer: Endpoint, port: u16) -> String {
    format!("timeout 3 bash -c '</dev/tcp/{}/{port}'", host(peer))
}

/// The address with its interface, for a shell: anybody may have named that.
fn host(peer: Endpoint) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match peer.zone().name().filter(|name| name.chars().all(is_plain)) {
        Some(name) => format!("{}%{name}", peer.address()),
        None => peer.address().to_string(),
    }
}
