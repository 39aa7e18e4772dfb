//! The connections that findings about silent peers are about.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Line, Listener, Program, Service,
    words::{each_peer, end, line, of_program, programs, service, states, whose, with_orphans},
};
use crate::{
    duration::count,
    endpoint::Endpoint,
    phrase::{Phrase, Wording},
    state::State,
};

/// Peers named.
const PEERS: usize = 4;

/// Connections of one process with one service.
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
        format!("{:?} {:?}", self.service, self.processes())
    }

    pub(super) fn processes(&self) -> Vec<u32> {
        self.holders.iter().map(|program| program.process.pid).collect()
    }

    /// Whose they are, with whom, in which states.
    pub(super) fn evidence(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = self.holders.iter().filter_map(of_program).collect();
        lines.extend(self.listener.as_ref().map(|from| line("listener", whose(from, ", "))));
        let label = if self.peers.len() == 1 { "peer" } else { "peers" };
        lines.push(line(label, each_peer(&self.peers, PEERS)));
        lines.push(line("states", with_orphans(states(&self.states).into(), self.orphans)));
        lines
    }

    /// `10.0.0.1 is …`, `10.0.0.1 and 3 more peers are …`.
    pub(super) fn peers_are(&self, how: &str) -> String {
        let first = self.peers.first().map(|(peer, _)| end(*peer));
        match (first, self.peers.len()) {
            (None, _) => format!("a peer is {how}"),
            (Some(peer), 0 | 1) => format!("{peer} is {how}"),
            (Some(peer), more) => {
                format!("{peer} and {} are {how}", count(more as u64 - 1, "more peer"))
            }
        }
    }
}

impl fmt::Display for Connections {
    /// `2 connections of app[900] to :80 here`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connections = count(self.sockets, "connection");
        let service = service(self.service);
        match (self.holders.is_empty(), self.orphans == self.sockets) {
            (true, true) => write!(formatter, "{connections} {service}, closed by the process"),
            (true, false) => write!(formatter, "{connections} {service}"),
            (false, true) => write!(formatter, "{connections} {service}, closed by {}", self.who()),
            (false, false) => write!(formatter, "{connections} of {} {service}", self.who()),
        }
    }
}
