//! Which findings of a recording a filter wants.
//!
//! A live trace finds only what is wrong with the sockets that its filter wants. What is recorded
//! was found with another filter, and says of its sockets what it needs for its sentence. Where that
//! leaves open whether one of them is wanted, the finding is kept.

use std::{net::IpAddr, ops::RangeInclusive};

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use tracer_event::{
    container::is_named,
    endpoint::{Endpoint, Tuple},
    finding::{Finding, SocketOwner, Sockets, Status},
};

use super::{
    Filter,
    expression::{Condition, End, IpVersion, Network},
    facts::{evaluate, kept},
    ports::PortSet,
};

/// Ports that connect() chooses from where nobody has changed it: `inet_init_net`,
/// net/ipv4/af_inet.c. A finding does not say which one a client has.
const CHOSEN: RangeInclusive<u16> = 32_768..=60_999;
/// With more local addresses than these nothing is concluded from them.
const MOST: usize = 4096;

/// What has to be remembered of a recording to decide it.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Local addresses by namespace.
    local: HashSet<(u32, IpAddr), RandomState>,
    /// Findings that were wanted and can be over: that they are is wanted, too.
    open: HashSet<String, RandomState>,
}

impl Recorded {
    /// Takes in a socket that the recording names, wanted or not.
    pub fn note(&mut self, tuple: &Tuple) {
        if !tuple.local.is_unspecified() && self.local.len() < MOST {
            self.local.insert((tuple.netns, tuple.local.address()));
        }
    }

    /// Whether a finding can be of sockets that are wanted.
    pub fn may_want(&mut self, filter: &Filter, finding: &Finding) -> bool {
        if filter.is_all() {
            return true;
        }
        let key = finding.key();
        if finding.status == Status::Cleared && self.open.remove(&key) {
            return true;
        }
        let question =
            Question { recorded: self, netns: finding.netns, sockets: finding.problem.sockets() };
        let holds = evaluate(filter.expression(), &|condition| question.is(condition));
        let wanted = holds != Some(false) || self.open.contains(&key);
        if wanted && finding.status != Status::Cleared && !finding.problem.happens_once() {
            self.open.insert(key);
        }
        wanted
    }

    /// Whether one of our own addresses, which is not told, is in these networks.
    fn is_local(&self, netns: u32, networks: &[Network]) -> Option<bool> {
        let own = || self.local.iter().filter(|(there, _)| *there == netns);
        let is_in = |address: IpAddr| networks.iter().any(|network| network.net.contains(&address));
        let is_open = self.local.len() == MOST
            || own().next().is_none()
            || own().any(|(_, address)| is_in(*address));
        (!is_open).then_some(false)
    }
}

/// What a finding says of its sockets.
struct Question<'a> {
    recorded: &'a Recorded,
    netns: u32,
    sockets: Sockets<'a>,
}

impl Question<'_> {
    /// Whether a condition holds for all of the sockets, for none of them, or else.
    fn is(&self, condition: &Condition) -> Option<bool> {
        let Sockets { states, owners, others, .. } = &self.sockets;
        match condition {
            Condition::State(wanted) => {
                let within = |state: &_| Some(wanted.contains(*state));
                all_or_none(states, within)
            }
            Condition::Port(end, ports) => self.at(*end, |end, _| has_port(end, ports)),
            Condition::Address(end, networks) => {
                self.at(*end, |end, is_local| match (end.is_unspecified(), is_local) {
                    (true, true) => self.recorded.is_local(self.netns, networks),
                    (true, false) => None,
                    (false, _) => Some(networks.iter().any(|network| network.contains(end))),
                })
            }
            Condition::Version(version) => self.at(End::Either, |end, _| {
                (!end.is_unspecified()).then(|| (*version == IpVersion::V4) == end.is_ipv4())
            }),
            Condition::Pid(pids) => {
                let is = |owner: &SocketOwner<'_>| Some(pids.contains(&owner.process.pid));
                all_or_none(owners, is).filter(|_| !others)
            }
            Condition::Comm(name) => {
                all_or_none(owners, |owner| Some(owner.process.name() == kept(name)))
            }
            Condition::Netns(netns) => Some(*netns == self.netns),
            Condition::Container(name) => all_or_none(owners, |owner| in_container(owner, name)),
            Condition::Cgroup(path) => all_or_none(owners, |owner| in_unit(owner, path)),
            Condition::Problem => Some(true),
            Condition::Role(_)
            | Condition::Reason(_)
            | Condition::Age(_)
            | Condition::Handshake(_) => None,
        }
    }

    /// The same of their ends, of which `is` hears whether they are our own.
    fn at(&self, end: End, is: impl Fn(Endpoint, bool) -> Option<bool>) -> Option<bool> {
        let Sockets { local, peers, .. } = &self.sockets;
        let local = || all_or_none(local, |end| is(*end, true));
        let peers = || all_or_none(peers, |end| is(*end, false));
        match end {
            End::Local => local(),
            End::Peer => peers(),
            End::Either => match (local(), peers()) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        }
    }
}

/// What is true of each of these, if there are any and they agree.
fn all_or_none<T>(all: &[T], is: impl Fn(&T) -> Option<bool>) -> Option<bool> {
    let mut each = all.iter().map(is);
    let first = each.next()??;
    each.all(|one| one == Some(first)).then_some(first)
}

fn has_port(end: Endpoint, ports: &PortSet) -> Option<bool> {
    if end.port != 0 {
        return Some(ports.contains(end.port));
    }
    let chosen = PortSet::new([CHOSEN]).intersection(ports);
    chosen.ranges().is_empty().then_some(false)
}

/// Whether a process is in a container: not where it is known to be in a unit.
fn in_container(owner: &SocketOwner<'_>, wanted: &str) -> Option<bool> {
    let program = owner.program?;
    let is_named = program.container.as_deref().map(|name| is_named(name, wanted));
    is_named.or_else(|| program.unit.as_ref().map(|_| false))
}

/// Whether a process is in a unit; the path of its control group is not told.
fn in_unit(owner: &SocketOwner<'_>, wanted: &str) -> Option<bool> {
    (owner.program?.unit.as_deref()? == wanted).then_some(true)
}
