//! Ephemeral ports in use: how many, by whom, and of how many.

use std::collections::BTreeMap;

use crate::model::{
    endpoint::{Endpoint, Tuple},
    owner::Process,
    state::State,
};

/// For whom ports are counted. Addresses have port 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, PartialEq)]
pub struct PortUse {
    /// Network namespace.
    pub netns: u32,
    /// For whom.
    pub scope: Scope,
    /// Ports that there are to choose from.
    pub size: u32,
    /// Ports in use.
    pub used: u32,
    /// Of these, ports that connect() may take over from TIME_WAIT.
    pub reusable: u32,
    /// Sockets by state.
    pub states: BTreeMap<State, u64>,
    /// Destinations that share them.
    pub destinations: usize,
    /// Whose they are (of TIME_WAIT: were) and how many sockets of each, most first, where known.
    pub processes: Vec<(Process, u64)>,
    /// Growth, ports a minute.
    pub growth: f64,
    /// New connections a second.
    pub rate: f64,
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
        self.used - self.reusable
    }

    /// The part of the range that is in use and not to be taken over, 0 to 1.
    pub fn ratio(&self) -> f64 {
        f64::from(self.busy()) / f64::from(self.size.max(1))
    }

    /// Minutes until none is left, if they grow.
    pub fn minutes_left(&self) -> Option<f64> {
        minutes_left(u64::from(self.size.saturating_sub(self.busy())), self.growth)
    }
}

/// Minutes until `left` are used up at `growth` a minute.
pub fn minutes_left(left: u64, growth: f64) -> Option<f64> {
    (growth > 0.0).then(|| left as f64 / growth)
}
