//! The part of a filter that the kernel decides: ports, addresses, namespace.
//!
//! It lets through all that the expression wants, and as little else as its few fields can say.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tracer_event::endpoint::{Endpoint, Tuple};
use tracer_wire::{MAX_PORTS, PortRange};

use super::{
    expression::{Condition, End, Expression, IpVersion},
    ports::PortSet,
};

/// Conditions that all have to hold; `None` is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kernel {
    /// Ports of which one end has one.
    ports: Option<PortSet>,
    local_ports: Option<PortSet>,
    peer_ports: Option<PortSet>,
    /// Network in which one of the ends lies.
    network: Option<IpNet>,
    /// Inode number of the network namespace.
    pub(super) netns: Option<u32>,
    version: Option<IpVersion>,
}

impl Kernel {
    /// Of an expression.
    pub(super) fn of(expression: &Expression) -> Self {
        let mut bounds = Self::bounds(expression, true);
        // An end that is listed in one list needs no other.
        if bounds.local_ports.is_some() || bounds.peer_ports.is_some() {
            let narrower = bounds.ports.take().filter(|ports| {
                let of_one = [&bounds.local_ports, &bounds.peer_ports];
                !of_one.into_iter().flatten().any(|one| one.intersection(ports) == *one)
            });
            bounds.ports = narrower;
        }
        for list in [&mut bounds.ports, &mut bounds.local_ports, &mut bounds.peer_ports] {
            *list = list.take().filter(fits);
        }
        bounds.network = bounds.network.filter(|net| mapped(net).1 != [0; 2]);
        bounds
    }

    /// What holds where an expression does (or does not).
    fn bounds(expression: &Expression, holds: bool) -> Self {
        match (expression, holds) {
            (Expression::Is(condition), _) => Self::condition(condition, holds),
            (Expression::Not(part), _) => Self::bounds(part, !holds),
            (Expression::And(parts), true) | (Expression::Or(parts), false) => {
                let parts = parts.iter().map(|part| Self::bounds(part, holds));
                parts.fold(Self::default(), Self::and)
            }
            (Expression::And(parts), false) | (Expression::Or(parts), true) => {
                let parts = parts.iter().map(|part| Self::bounds(part, holds));
                parts.reduce(Self::or).unwrap_or_default()
            }
        }
    }

    fn condition(condition: &Condition, holds: bool) -> Self {
        let all = Self::default();
        match (condition, holds) {
            (Condition::Port(end, ports), _) => Self::at(*end, ports, holds),
            (Condition::Address(_, networks), true) => {
                let nets = networks.iter().map(|network| Some(network.net));
                Self { network: nets.reduce(around).flatten(), ..all }
            }
            (Condition::Netns(inode), true) => Self { netns: Some(*inode), ..all },
            (Condition::Version(version), _) => {
                let v4 = (*version == IpVersion::V4) == holds;
                Self { version: Some(if v4 { IpVersion::V4 } else { IpVersion::V6 }), ..all }
            }
            _ => all,
        }
    }

    fn at(end: End, ports: &PortSet, holds: bool) -> Self {
        let set = || Some(if holds { ports.clone() } else { ports.complement() });
        // As for ss a listener's peer has port 0, which the kernel half takes for no port at all.
        let ports = set().filter(|ports| !ports.contains(0));
        let all = Self { ports, ..Self::default() };
        match (end, holds) {
            (End::Local, _) => Self { local_ports: set(), ..all },
            (End::Peer, _) => Self { peer_ports: set(), ..all },
            (End::Either, true) => all,
            (End::Either, false) => Self { local_ports: set(), peer_ports: set(), ..all },
        }
    }

    fn and(self, other: Self) -> Self {
        let both = |one: Option<PortSet>, two: Option<PortSet>| match (one, two) {
            (Some(one), Some(two)) => Some(one.intersection(&two)),
            (one, two) => one.or(two),
        };
        // Two conditions on any end can be met by different ends: one of them is enough. That of
        // fewer ports lets less through.
        let size = |ports: &PortSet| -> u32 {
            ports.ranges().iter().map(|range| u32::from(range.end() - range.start()) + 1).sum()
        };
        let ports = [self.ports, other.ports].into_iter().flatten().min_by_key(size);
        let network = [self.network, other.network].into_iter().flatten();
        let width = |net: &IpNet| net.max_prefix_len() - net.prefix_len();
        Self {
            ports,
            local_ports: both(self.local_ports, other.local_ports),
            peer_ports: both(self.peer_ports, other.peer_ports),
            network: network.min_by_key(width),
            // If they contradict each other, nothing is wanted, and any of them will do.
            netns: self.netns.or(other.netns),
            version: self.version.or(other.version),
        }
    }

    fn or(self, other: Self) -> Self {
        let either = |one: Option<PortSet>, two: Option<PortSet>| Some(one?.union(&two?));
        Self {
            ports: either(self.ports, other.ports),
            local_ports: either(self.local_ports, other.local_ports),
            peer_ports: either(self.peer_ports, other.peer_ports),
            network: around(self.network, other.network),
            netns: self.netns.filter(|_| self.netns == other.netns),
            version: self.version.filter(|_| self.version == other.version),
        }
    }

    /// In the form that the kernel half has.
    pub(super) fn wire(&self) -> tracer_wire::Filter {
        let mut filter = tracer_wire::Filter {
            ports: fixed(self.ports.as_ref()),
            local_ports: fixed(self.local_ports.as_ref()),
            peer_ports: fixed(self.peer_ports.as_ref()),
            netns: self.netns.unwrap_or(0),
            ip_version: self.version.map_or(0, |version| match version {
                IpVersion::V4 => 4,
                IpVersion::V6 => 6,
            }),
            ..tracer_wire::Filter::default()
        };
        if let Some(network) = &self.network {
            (filter.network, filter.mask) = mapped(network);
        }
        filter
    }

    /// Whether it lets events of a socket with these ends through: `None` while it only does
    /// because the local port is not known yet.
    pub(super) fn covers(&self, tuple: &Tuple) -> Option<bool> {
        let Tuple { local, peer, netns } = *tuple;
        let listed = |list: &Option<PortSet>, port: u16| {
            list.as_ref().is_none_or(|list| list.contains(port))
        };
        let in_network = |end: Endpoint| {
            let contains = |net: &IpNet| end.is_unspecified() || net.contains(&end.address());
            self.network.as_ref().is_none_or(contains)
        };
        let covered = self.netns.is_none_or(|wanted| wanted == netns)
            && (in_network(local) || in_network(peer))
            && self.version.is_none_or(|version| (version == IpVersion::V4) == tuple.is_ipv4())
            && (peer.port == 0 || listed(&self.peer_ports, peer.port));
        // A listener has no peer: its ports are all known.
        let by_peer = peer.port != 0 && listed(&self.ports, peer.port);
        let by_local =
            listed(&self.local_ports, local.port) && (by_peer || listed(&self.ports, local.port));
        let local_is_open = local.port == 0 && (self.local_ports.is_some() || !by_peer);
        match (covered, by_local) {
            (true, true) => Some(true),
            (true, false) if local_is_open => None,
            _ => Some(false),
        }
    }

    /// As an expression, to be read by people.
    pub(super) fn expression(&self) -> Expression {
        let Self { ports, local_ports, peer_ports, network, netns, version } = self;
        let ports = [(End::Either, ports), (End::Local, local_ports), (End::Peer, peer_ports)];
        let ports = ports.into_iter().filter_map(|(end, ports)| Some((end, ports.clone()?)));
        let conditions = ports
            .map(|(end, ports)| Condition::Port(end, ports))
            .chain(network.map(|net| Condition::Address(End::Either, vec![net.into()])))
            .chain(netns.map(Condition::Netns))
            .chain(version.map(Condition::Version));
        Expression::all_of(conditions.map(Expression::Is))
    }

    /// Whether what it lets through meets a part of the expression that has to hold.
    pub(super) fn decides(&self, part: &Expression) -> bool {
        let (holds, condition) = match part {
            Expression::Is(condition) => (true, condition),
            Expression::Not(part) => match &**part {
                Expression::Is(condition) => (false, condition),
                _ => return false,
            },
            _ => return false,
        };
        let within = |mine: &Option<PortSet>, wanted: &Option<PortSet>| match (mine, wanted) {
            (Some(mine), Some(wanted)) => mine.intersection(wanted) == *mine,
            (_, wanted) => wanted.is_none(),
        };
        let wanted = Self::condition(condition, holds);
        match condition {
            Condition::Port(End::Either, _) if holds => {
                wanted.ports.is_some() && within(&self.ports, &wanted.ports)
            }
            Condition::Port(..) => {
                within(&self.local_ports, &wanted.local_ports)
                    && within(&self.peer_ports, &wanted.peer_ports)
            }
            Condition::Address(End::Either, networks) => {
                holds
                    && networks.len() == 1
                    && networks[0].zone.is_none()
                    && self.network == wanted.network
            }
            Condition::Netns(_) => holds && self.netns == wanted.netns,
            Condition::Version(_) => self.version == wanted.version,
            _ => false,
        }
    }
}

/// Whether a list has room for these ports. An entry of port 0 alone is an empty one there.
fn fits(ports: &PortSet) -> bool {
    !ports.ranges().is_empty()
        && ports.ranges().len() <= MAX_PORTS
        && ports.ranges().iter().all(|range| *range.end() > 0)
}

fn fixed(ports: Option<&PortSet>) -> [PortRange; MAX_PORTS] {
    let mut fixed = [PortRange::default(); MAX_PORTS];
    for (entry, range) in fixed.iter_mut().zip(ports.iter().flat_map(|ports| ports.ranges())) {
        *entry = PortRange { first: *range.start(), last: *range.end() };
    }
    fixed
}

/// The smallest network around two; none of both versions.
fn around(one: Option<IpNet>, two: Option<IpNet>) -> Option<IpNet> {
    match (one?, two?) {
        (IpNet::V4(one), IpNet::V4(two)) => {
            let differ = (one.network().to_bits() ^ two.network().to_bits()).leading_zeros();
            let prefix = one.prefix_len().min(two.prefix_len()).min(differ as u8);
            Ipv4Net::new(one.network(), prefix).ok().map(|net| net.trunc().into())
        }
        (IpNet::V6(one), IpNet::V6(two)) => {
            let differ = (one.network().to_bits() ^ two.network().to_bits()).leading_zeros();
            let prefix = one.prefix_len().min(two.prefix_len()).min(differ as u8);
            Ipv6Net::new(one.network(), prefix).ok().map(|net| net.trunc().into())
        }
        _ => None,
    }
}

/// Network and mask in the kernel's form: halves of the v4-mapped address as they lie in memory.
fn mapped(network: &IpNet) -> ([u64; 2], [u64; 2]) {
    let (address, prefix) = match network {
        IpNet::V4(v4) => (v4.network().to_ipv6_mapped(), 96 + v4.prefix_len()),
        IpNet::V6(v6) => (v6.network(), v6.prefix_len()),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    let halves = |value: u128| {
        let bytes = value.to_be_bytes();
        [0, 8].map(|at| {
            let mut half = [0; 8];
            half.copy_from_slice(&bytes[at..at + 8]);
            u64::from_ne_bytes(half)
        })
    };
    (halves(address.to_bits()), halves(mask))
}
