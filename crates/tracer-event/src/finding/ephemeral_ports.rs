//! `ephemeral_ports`: ephemeral ports run out.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Remedy, Service, Severity, Sockets, minutes_left,
    remedies::{advice, more_addresses, reuse, time_wait_folklore, tw_reuse, wider_range},
    words::{growth, line, none_left, process, rate, states},
};
use crate::{
    duration::grouped,
    endpoint::{Endpoint, Tuple},
    phrase::{Wording, wording},
    process::Process,
    state::State,
};

/// Processes named.
const PROCESSES: usize = 4;

/// For whom ports are counted. Addresses have port 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "ScopeBody", try_from = "ScopeBody")]
pub enum Scope {
    /// Connections from one address to one destination.
    Destination {
        /// From.
        local: Endpoint,
        /// To.
        peer: Endpoint,
    },
    /// Connections from one address to anywhere, whose ports were chosen by bind().
    Address(Endpoint),
}

/// Ephemeral ports in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PortUse {
    /// Network namespace: the finding's.
    #[serde(skip)]
    pub netns: u32,
    /// For whom.
    #[serde(flatten)]
    pub scope: Scope,
    /// Destinations that share them.
    pub destinations: usize,
    /// Whose they are (of TIME_WAIT: were) and how many sockets of each, most first, where known.
    #[serde(with = "by_process")]
    #[schemars(with = "Vec<by_process::Counted>")]
    pub processes: Vec<(Process, u64)>,
    /// Ports that there are to choose from.
    #[serde(rename = "range_ports")]
    pub size: u32,
    /// Ports in use.
    pub used: u32,
    /// Of these, ports that connect() may take over from TIME_WAIT.
    pub reusable: u32,
    /// How many sockets in each state.
    pub states: BTreeMap<State, u64>,
    /// Growth, ports a minute.
    #[serde(rename = "growth_per_minute")]
    pub growth: f64,
    /// New connections a second.
    #[serde(rename = "connections_per_second")]
    pub rate: f64,
    /// Minutes until none is left, if they grow.
    pub minutes_left: Option<f64>,
}

super::counted!(by_process: process: Process);

/// A scope as it is written.
#[derive(Serialize, Deserialize, JsonSchema)]
struct ScopeBody {
    /// `destination`, or `bind_first` for ports that bind() has chosen.
    scope: ScopeName,
    /// From.
    local: Endpoint,
    /// To; null for any.
    peer: Option<Endpoint>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ScopeName {
    Destination,
    BindFirst,
}

impl From<Scope> for ScopeBody {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Destination { local, peer } => {
                Self { scope: ScopeName::Destination, local, peer: Some(peer) }
            }
            Scope::Address(local) => Self { scope: ScopeName::BindFirst, local, peer: None },
        }
    }
}

impl TryFrom<ScopeBody> for Scope {
    type Error = &'static str;

    fn try_from(ScopeBody { scope, local, peer }: ScopeBody) -> Result<Self, Self::Error> {
        match (scope, peer) {
            (ScopeName::Destination, Some(peer)) => Ok(Self::Destination { local, peer }),
            (ScopeName::Destination, None) => Err("ports towards a destination that is not named"),
            (ScopeName::BindFirst, _) => Ok(Self::Address(local)),
        }
    }
}

impl PortUse {
    /// Whether a connection between these is one of those counted.
    pub fn covers(&self, tuple: &Tuple) -> bool {
        let Tuple { local, peer, netns } = *tuple;
        self.netns == netns
            && match self.scope {
                Scope::Destination { local: from, peer: to } => {
                    local.with_port(0) == from && peer == to
                }
                Scope::Address(from) => local.with_port(0) == from,
            }
    }

    /// Ports that nobody else can have.
    pub fn busy(&self) -> u32 {
        self.used.saturating_sub(self.reusable)
    }

    /// The part of the range that is in use and not to be taken over, 0 to 1.
    pub fn ratio(&self) -> f64 {
        f64::from(self.busy()) / f64::from(self.size.max(1))
    }

    /// With that growth, ports a minute.
    #[must_use]
    pub fn growing(self, growth: f64) -> Self {
        let left = self.size.saturating_sub(self.busy());
        Self { growth, minutes_left: minutes_left(left.into(), growth), ..self }
    }
}

impl Explain for PortUse {
    fn about() -> About {
        About {
            when: "half of the ephemeral ports towards one destination, or of an address whose ports bind() \
             chose, are in use; critical from nine tenths",
            evidence: "the sockets of a snapshot, `ip_local_port_range`, `ip_local_reserved_ports` and `tcp_tw_reuse` \
             of the namespace",
            unknown: "ports that NAT devices on the way run out of; minutes left assume that growth goes on as \
             observed",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let busy = grouped(self.busy().into());
        let size = Wording::count(self.size.into(), "port");
        let left = none_left(self.minutes_left.filter(|_| self.busy() < self.size));
        match self.scope {
            Scope::Destination { local, peer } => wording!(
                "ephemeral-ports-destination",
                "{busy} of {size} in use from {local} to {peer}{left}",
                [busy, size, left],
                local = local.address().to_string(),
                peer = peer.to_string()
            ),
            Scope::Address(local) => wording!(
                "ephemeral-ports-address",
                "{busy} of {size} of {local} in use by bind() before connect(), for all \
                 {destinations} together{left}",
                [busy, size, left],
                local = local.address().to_string(),
                destinations = Wording::count(self.destinations as u64, "destination")
            ),
        }
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = vec![line("sockets", states(&self.states))];
        let named = self.processes.iter().take(PROCESSES);
        let named: Vec<String> = named
            .map(|(owner, sockets)| format!("{} × {}", process(owner), grouped(*sockets)))
            .collect();
        if !named.is_empty() {
            lines.push(line("processes", named.join(", ")));
        }
        if let Some(waiting) = self.states.get(&State::TimeWait) {
            let first = wording!(
                "this-end-first",
                "this end first: {count} in TIME_WAIT",
                count = grouped(*waiting),
            );
            lines.push(line("closed by", first));
        }
        if self.reusable > 0 {
            let ports = Wording::count(self.reusable.into(), "port");
            let more = wording!("ports-reusable", "{ports} more, from TIME_WAIT", [ports]);
            lines.push(line("reusable", more));
        }
        if let (Scope::Destination { .. }, true) = (self.scope, self.rate > 0.0) {
            let rate = rate(self.rate);
            let rate = wording!("new-a-second", "{rate} new connections a second", [rate]);
            lines.push(line("rate", rate));
        }
        if let Scope::Address(_) = self.scope {
            let why =
                wording!("port-of-one", "no port serves two destinations, as connect() would do");
            lines.push(line("why", why));
        }
        lines.push(line("growth", growth(self.growth)));
        lines
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let mut remedies = match self.scope {
            Scope::Address(_) => vec![advice(wording!(
                "remedy-bind-no-port",
                "set IP_BIND_ADDRESS_NO_PORT before bind(): connect() then chooses the port, and \
                 each destination has the whole range"
            ))],
            Scope::Destination { .. } => Vec::new(),
        };
        let waiting = self.states.get(&State::TimeWait).copied().unwrap_or(0);
        let leaking = self.states.get(&State::CloseWait).copied().unwrap_or(0);
        if leaking > waiting {
            remedies.push(advice(wording!(
                "remedy-see-close-wait",
                "most of these are in CLOSE_WAIT: see that finding"
            )));
        }
        remedies.push(reuse());
        if waiting > 0 && matches!(self.scope, Scope::Destination { .. }) {
            remedies.push(tw_reuse(enter));
        }
        remedies.push(wider_range(enter));
        remedies.push(more_addresses());
        if waiting > 0 {
            remedies.push(time_wait_folklore());
        }
        remedies
    }

    fn sockets(&self) -> Sockets<'_> {
        let (Scope::Destination { local, .. } | Scope::Address(local)) = self.scope;
        let sockets = Sockets::of(Service::Here(local)).in_states(self.states.keys().copied());
        let sockets = sockets.owned_by(self.processes.iter().map(|(process, _)| process));
        match self.scope {
            Scope::Destination { peer, .. } => sockets.with_peers(&[(peer, 0)]),
            Scope::Address(_) => sockets.with_peers(&[]),
        }
    }

    fn count(&self) -> u64 {
        self.used.into()
    }

    fn key(&self) -> String {
        format!("{:?}", self.scope)
    }
}
