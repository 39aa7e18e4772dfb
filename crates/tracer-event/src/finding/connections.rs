//! The connections that findings about silent peers are about.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Line, Listener, Program, Service, Sockets,
    alike::kin,
    words::{
        and_more, each_peer, end, line, of_programs, programs, service, states, whose, with_orphans,
    },
};
use crate::{
    endpoint::Endpoint,
    phrase::{Phrase, Wording, wording},
    state::State,
};

/// Peers named.
const PEERS: usize = 4;

/// Connections of one process, or of several of one name, with one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// Who holds them; of orphans who has closed them, where that was seen.
    #[serde(rename = "processes")]
    pub holders: Vec<Program>,
    /// Who listens, where it was not seen who has closed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<Listener>,
    /// How many sockets.
    pub sockets: u64,
    /// How many of these no process holds any more.
    pub orphans: u64,
    /// What they have in common.
    pub service: Service,
    /// Peers and how many sockets each has, most first; of clients the addresses.
    #[serde(with = "by_peer")]
    #[schemars(with = "Vec<by_peer::Counted>")]
    pub peers: Vec<(Endpoint, u64)>,
    /// Their states.
    pub states: BTreeMap<State, u64>,
}

super::counted!(by_peer: peer: Endpoint);

/// Of a finding about `self.connections`: its sockets, and how many these are.
macro_rules! of_connections {
    () => {
        fn sockets(&self) -> super::Sockets<'_> {
            self.connections.sockets()
        }

        fn count(&self) -> u64 {
            self.connections.sockets
        }
    };
}
pub(super) use of_connections;

impl Connections {
    /// Whether a process still holds one of them.
    pub(super) fn is_held(&self) -> bool {
        self.orphans < self.sockets
    }

    /// Their processes by name.
    pub(super) fn who(&self) -> Wording {
        match self.holders.as_slice() {
            [] => Wording::new("the process", Phrase::new("a-process")),
            holders => programs(holders),
        }
    }

    /// What makes them the same at different times.
    pub(super) fn key(&self) -> String {
        format!("{:?} {}", self.service, kin(&self.holders))
    }

    /// The same, for a filter.
    pub(super) fn sockets(&self) -> Sockets<'_> {
        let listening = self.listener.iter().flat_map(|from| &from.processes);
        Sockets::of(self.service)
            .with_peers(&self.peers)
            .in_states(self.states.keys().copied())
            .owned_by(self.holders.iter().chain(listening))
    }

    /// Whose they are, with whom, in which states.
    pub(super) fn evidence(&self) -> Vec<Line> {
        let mut lines = of_programs(&self.holders);
        lines.extend(self.listener.as_ref().map(|from| line("listener", whose(from, ", "))));
        let label = if self.peers.len() == 1 { "peer" } else { "peers" };
        lines.push(line(label, each_peer(&self.peers, PEERS)));
        lines.push(line("states", with_orphans(states(&self.states).into(), self.orphans)));
        lines
    }

    /// The first of the peers, and how many more there are.
    pub(super) fn peers(&self) -> Wording {
        match self.peers.as_slice() {
            [] => wording!("a-peer", "a peer"),
            [(first, _), more @ ..] => and_more(&[end(*first)], more.len()),
        }
    }

    /// `2 connections of app[900] to :80 here`
    pub(super) fn words(&self) -> Wording {
        let count = Wording::count(self.sockets, "connection");
        let (service, who) = (service(self.service), self.who());
        if !self.is_held() {
            wording!(
                "connections-closed-by",
                "{count} {service}, closed by {who}",
                [count, service, who]
            )
        } else if self.holders.is_empty() {
            wording!("some-with", "{count} {service}", [count, service])
        } else {
            wording!("connections-of", "{count} of {who} {service}", [count, who, service])
        }
    }
}
