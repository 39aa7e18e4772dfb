//! What the user wants to see.
//!
//! Ports, addresses and namespaces are decided in the kernel as far as they fit there
//! ([`Filter::in_kernel`]) and always once more here, on the completed addresses. Owners and
//! states are decided here only: the table has to see all transitions of a connection to know
//! them.

use ipnet::IpNet;
use tracer_wire::MAX_PORTS;

use tracer_event::enricher::Enricher;
use tracer_event::{
    close::Reason,
    container::{Cgroup, is_named as is_in},
    endpoint::{Endpoint, Tuple},
    process::Owner,
    socket::Socket,
    state::State,
    update::{Reset, Retransmit, Subject, Transition, Update},
};

/// Conditions that all have to hold; an empty list is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Ports of either end.
    pub ports: Vec<u16>,
    /// Local ports.
    pub local_ports: Vec<u16>,
    /// Peer's ports.
    pub remote_ports: Vec<u16>,
    /// Networks in which one of the ends lies.
    pub networks: Vec<IpNet>,
    /// Of link-local addresses among these the interface: its name or number.
    pub zones: Vec<(IpNet, String)>,
    /// IPv4 only or IPv6 only.
    pub ip_version: Option<IpVersion>,
    /// Owner's process.
    pub pids: Vec<u32>,
    /// Owner's name, as the kernel keeps it (15 bytes).
    pub comms: Vec<String>,
    /// State left or entered.
    pub states: Vec<State>,
    /// Network namespace, inode number.
    pub netns: Option<u32>,
    /// Ids (or their beginnings) or names of containers.
    pub containers: Vec<String>,
    /// Paths of control groups, or units of systemd, escaped as [`Cgroup::path`] is.
    pub cgroups: Vec<String>,
    /// Only what went wrong or lingers.
    pub problems: bool,
}

/// A version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4, v4-mapped addresses included.
    V4,
    /// IPv6.
    V6,
}

/// `TASK_COMM_LEN - 1`, include/linux/sched.h.
const COMM_LEN: usize = 15;

impl Filter {
    /// The part that the kernel can decide.
    pub fn in_kernel(&self) -> tracer_wire::Filter {
        let mut filter = tracer_wire::Filter {
            ports: fixed(&self.ports),
            local_ports: fixed(&self.local_ports),
            peer_ports: fixed(&self.remote_ports),
            netns: self.netns.unwrap_or(0),
            ip_version: self.ip_version.map_or(0, |version| match version {
                IpVersion::V4 => 4,
                IpVersion::V6 => 6,
            }),
            ..tracer_wire::Filter::default()
        };
        if let [network] = self.networks.as_slice() {
            (filter.network, filter.mask) = mapped(network);
        }
        filter
    }

    /// Whether the kernel lets events of a socket with these ends through: `None` while it only
    /// does because the local port is not known yet.
    pub fn covers(&self, tuple: &Tuple) -> Option<bool> {
        let Tuple { local, peer, netns } = *tuple;
        let in_kernel = |list: &[u16]| !list.is_empty() && list.len() <= MAX_PORTS;
        let listed = |list: &[u16], port: u16| !in_kernel(list) || list.contains(&port);
        let in_network = |end: Endpoint| match self.networks.as_slice() {
            [network] => end.is_unspecified() || contains(network, end),
            _ => true,
        };
        let covered = self.netns.is_none_or(|wanted| wanted == netns)
            && (in_network(local) || in_network(peer))
            && self.ip_version.is_none_or(|version| (version == IpVersion::V4) == tuple.is_ipv4())
            && (peer.port == 0 || listed(&self.remote_ports, peer.port));
        // A listener has no peer: its ports are all known.
        let by_peer = peer.port != 0 && listed(&self.ports, peer.port);
        let by_local =
            listed(&self.local_ports, local.port) && (by_peer || listed(&self.ports, local.port));
        let local_is_open = local.port == 0 && (in_kernel(&self.local_ports) || !by_peer);
        match (covered, by_local) {
            (true, true) => Some(true),
            (true, false) if local_is_open => None,
            _ => Some(false),
        }
    }

    /// Whether an update is wanted. Losses always are, and findings, which are of wanted
    /// sockets only.
    pub fn wants(&self, update: &Update<'_>) -> bool {
        match update {
            Update::Transition(transition) => self.wants_transition(transition),
            Update::Retransmit(Retransmit { subject, state, .. })
            | Update::Reset(Reset { subject, state, .. }) => self.wants_in_state(subject, *state),
            Update::Connection(story) => {
                self.wants_subject(&story.subject)
                    && (!self.problems
                        || story.close.is_some_and(|close| close.reason != Reason::Graceful))
            }
            Update::Linger(_) | Update::Loss(_) | Update::Finding(_) => true,
        }
    }

    /// Whether the control group of a socket is wanted; it is looked up only if that is asked for.
    pub fn passes<S: Enricher + ?Sized>(&self, enricher: &S, subject: &Subject) -> bool {
        let any = self.containers.is_empty() && self.cgroups.is_empty();
        any || self.wants_group(enricher.cgroup(subject).as_deref())
    }

    /// Whether a socket of this control group is wanted. Not part of the other decisions: no record
    /// names a group.
    pub fn wants_group(&self, group: Option<&Cgroup>) -> bool {
        let container = group.and_then(|group| group.container.as_deref());
        any(&self.containers, |wanted| container.is_some_and(|name| is_in(name, wanted)))
            && any(&self.cgroups, |wanted| group.is_some_and(|group| group.is_within(wanted)))
    }

    /// Whether an end is in a network, and on the interface asked for.
    fn has(&self, network: &IpNet, end: Endpoint) -> bool {
        let mut zones = self.zones.iter().filter(|(of, _)| of == network).peekable();
        contains(network, end)
            && (zones.peek().is_none() || zones.any(|(_, name)| end.zone().is_called(name)))
    }

    fn wants_transition(&self, transition: &Transition) -> bool {
        self.wants_subject(&transition.subject)
            && (self.states.is_empty()
                || self.states.contains(&transition.from)
                || self.states.contains(&transition.to))
            && (!self.problems || is_problem(transition))
    }

    /// Whether what happens to a socket in `state` is wanted.
    pub fn wants_in_state(&self, subject: &Subject, state: State) -> bool {
        self.wants_subject(subject) && (self.states.is_empty() || self.states.contains(&state))
    }

    /// Whether a socket of a list is wanted: any of its holders may be the one asked for.
    pub fn wants_socket(&self, socket: &Socket) -> bool {
        let Socket { subject, state, ref holders, .. } = *socket;
        self.wants_in_state(&subject, state)
            || holders.iter().any(|holder| {
                self.wants_in_state(&Subject { owner: Some(*holder), ..subject }, state)
            })
    }

    /// Whether updates on this socket are wanted.
    pub fn wants_subject(&self, subject: &Subject) -> bool {
        let Subject { tuple, owner, .. } = subject;
        let (local, peer) = (tuple.local, tuple.peer);
        any(&self.ports, |port| [local.port, peer.port].contains(port))
            && any(&self.local_ports, |port| *port == local.port)
            && any(&self.remote_ports, |port| *port == peer.port)
            && any(&self.networks, |net| self.has(net, local) || self.has(net, peer))
            && self.ip_version.is_none_or(|version| (version == IpVersion::V4) == tuple.is_ipv4())
            && self.netns.is_none_or(|netns| netns == tuple.netns)
            && any(&self.pids, |pid| owner.is_some_and(|owner| owner.process.pid == *pid))
            && any(&self.comms, |comm| owner.is_some_and(|owner| is_named(&owner, comm)))
    }
}

/// A transition that says that something went wrong.
fn is_problem(transition: &Transition) -> bool {
    transition.close.is_some_and(|close| close.reason != Reason::Graceful)
        || transition
            .handshake
            .is_some_and(|handshake| handshake.syn_retransmits.is_some_and(|count| count > 0))
}

fn any<T>(list: &[T], holds: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(holds)
}

fn contains(network: &IpNet, end: Endpoint) -> bool {
    network.contains(&end.address())
}

fn is_named(owner: &Owner, name: &str) -> bool {
    owner.process.name() == kept(name)
}

/// What the kernel keeps of the name of a process.
pub fn kept(name: &str) -> &[u8] {
    let name = name.as_bytes();
    &name[..name.len().min(COMM_LEN)]
}

/// The first ports of a list in the kernel's form; all zero ("any") where they do not fit.
fn fixed(ports: &[u16]) -> [u16; MAX_PORTS] {
    let mut fixed = [0; MAX_PORTS];
    if ports.len() <= MAX_PORTS {
        fixed[..ports.len()].copy_from_slice(ports);
    }
    fixed
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn networks_take_the_kernel_s_form() {
        let filter = Filter { networks: vec!["10.1.0.0/16".parse().unwrap()], ..Filter::default() };
        let tracer_wire::Filter { network, mask, .. } = filter.in_kernel();
        assert_eq!(network[0], 0);
        assert_eq!(network[1].to_ne_bytes(), [0, 0, 0xff, 0xff, 10, 1, 0, 0]);
        assert_eq!(mask[0], u64::MAX);
        assert_eq!(mask[1].to_ne_bytes(), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
    }

    fn tuple(local: u16, peer: u16) -> Tuple {
        let end = |port| Endpoint::new("10.0.0.1".parse().unwrap(), port);
        Tuple { local: end(local), peer: end(peer), netns: 1 }
    }

    #[rstest]
    #[case(Filter::default(), tuple(0, 80), Some(true))]
    #[case(Filter { ports: vec![80], ..Filter::default() }, tuple(0, 80), Some(true))]
    #[case(Filter { ports: vec![80], ..Filter::default() }, tuple(80, 5000), Some(true))]
    #[case(Filter { ports: vec![80], ..Filter::default() }, tuple(0, 443), None)]
    #[case(Filter { ports: vec![80], ..Filter::default() }, tuple(5000, 443), Some(false))]
    #[case(Filter { local_ports: vec![80], ..Filter::default() }, tuple(0, 443), None)]
    #[case(Filter { local_ports: vec![80], ..Filter::default() }, tuple(80, 0), Some(true))]
    #[case(Filter { remote_ports: vec![80], ..Filter::default() }, tuple(0, 443), Some(false))]
    #[case(Filter { netns: Some(2), ..Filter::default() }, tuple(0, 443), Some(false))]
    #[case(Filter { ports: (1..=9).collect(), ..Filter::default() }, tuple(50, 60), Some(true))]
    fn what_the_kernel_lets_through_is_known(
        #[case] filter: Filter,
        #[case] tuple: Tuple,
        #[case] covered: Option<bool>,
    ) {
        assert_eq!(filter.covers(&tuple), covered);
    }

    #[test]
    fn what_does_not_fit_into_the_kernel_is_left_to_us() {
        let filter = Filter {
            ports: (1..=9).collect(),
            networks: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            ..Filter::default()
        };
        assert_eq!(filter.in_kernel(), tracer_wire::Filter::default());
    }

    #[rstest]
    #[case("0.0.0.0/0", "10.0.0.1", true)]
    #[case("10.0.0.0/8", "::ffff:10.0.0.1", true)]
    #[case("::/0", "10.0.0.1", false)]
    #[case("fe80::/10", "fe80::1", true)]
    fn networks_contain_the_spelling_that_people_write(
        #[case] network: IpNet,
        #[case] address: std::net::IpAddr,
        #[case] contained: bool,
    ) {
        assert_eq!(contains(&network, Endpoint::new(address, 1)), contained);
    }
}
