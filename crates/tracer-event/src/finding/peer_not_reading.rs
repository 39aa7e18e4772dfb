//! `peer_not_reading`: peers that do not read what they are sent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Connections, Explain, Line, Program, Remedy, Severity,
    phrases::{connections, peers},
    remedies::{advice, command},
    words::{destination, line, programs},
};
use crate::{
    duration::{count, duration, grouped},
    phrase::{Phrase, Wording, wording},
};

/// Connections whose peers have closed their windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeerNotReading {
    /// Which.
    #[serde(flatten)]
    pub connections: Connections,
    /// Bytes that were written and cannot be sent.
    #[serde(rename = "unsent_bytes")]
    pub unsent: u64,
    /// How many have a FIN that waits behind these bytes.
    pub fins_waiting: u64,
    /// For how long the first of them has sent nothing.
    #[serde(rename = "closed_ns")]
    pub closed: u64,
    /// Who does not read, where the peer is on this host.
    pub readers: Vec<Program>,
    /// Bytes that have arrived there and are not read.
    #[serde(rename = "unread_bytes")]
    pub unread: u64,
    /// When the kernel gives up the first of them, nanoseconds from now; null where it does not
    /// while the peer answers its probes.
    #[serde(rename = "gives_up_in_ns")]
    pub gives_up: Option<u64>,
}

impl Explain for PeerNotReading {
    fn about() -> About {
        About {
            when: "nothing could be sent for three seconds because the peer's window is closed, and data waits; info \
                   for one or two up to ten seconds, and where it is less than a tenth of a service's clients",
            evidence: "the window-probe timer, the unsent bytes and the time of the last data sent, in both snapshots",
            unknown: "whether the peer pauses on purpose, as a player does, or is stuck",
        }
    }

    fn sentence(&self, _: Severity) -> String {
        let Self { connections, unsent, closed, fins_waiting, .. } = self;
        let who = match self.readers.as_slice() {
            [] if connections.peers.len() > 1 => {
                format!("{} do not read", count(connections.peers.len() as u64, "peer"))
            }
            [] => {
                let peer = connections.peers.first();
                let peer =
                    peer.map_or_else(|| "a peer".into(), |(peer, _)| super::words::end(*peer));
                format!("{peer} does not read")
            }
            readers => format!("{} does not read", programs(readers)),
        };
        let fin = match *fins_waiting {
            0 => String::new(),
            all if all == connections.sockets => ", so that no FIN is sent yet".to_owned(),
            some => format!(", so that {} not sent yet", some_fins(some)),
        };
        format!(
            "{who}: window closed for {}, {} unsent{fin}, on {connections}",
            duration(*closed),
            count(*unsent, "byte"),
        )
    }

    fn phrase(&self, _: Severity) -> Phrase {
        let fin = match self.fins_waiting {
            0 => None,
            fins => Some(Phrase::new("fins-waiting").with("fins", grouped(fins))),
        };
        let who = match self.readers.as_slice() {
            [] => peers(&self.connections),
            readers => programs(readers).into(),
        };
        Phrase::new("peer-not-reading")
            .with("who", who)
            .with("closed", duration(self.closed))
            .with("bytes", grouped(self.unsent))
            .with("fin", fin)
            .with("connections", connections(&self.connections))
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = self.connections.evidence();
        if self.unread > 0 {
            let unread = Wording::count(self.unread, "byte");
            let unread =
                wording!("at-peers", "{unread} at the peers, on this host", unread = unread);
            lines.push(line("unread", unread));
        }
        let limit = match self.gives_up {
            Some(left) => {
                wording!("kernel-gives-up", "the kernel gives up in {left}", left = duration(left))
            }
            None => wording!(
                "kernel-waits",
                "none: the peer answers the window probes, and the kernel waits"
            ),
        };
        lines.push(line("limit", limit));
        lines
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let connections = &self.connections;
        let mut remedies = Vec::new();
        match self.readers.first() {
            Some(Program { process: reader, .. }) => {
                remedies.push(command(
                    wording!(
                        "remedy-reader-stack",
                        "the reader must read, or close: what its first thread waits for"
                    ),
                    format!("cat /proc/{}/stack", reader.pid),
                ));
            }
            None => remedies.push(advice(wording!(
                "remedy-peer-reads",
                "the peer must read what it has asked for, or close: a reader that is paused, stuck or too slow"
            ))),
        }
        if connections.is_held() {
            remedies.push(advice(wording!(
                "remedy-bound-write",
                "{who} should bound how long a write waits (SO_SNDTIMEO, nginx send_timeout, haproxy timeout client): \
                 TCP_USER_TIMEOUT counts here too",
                who = connections.who(),
            )));
        }
        if let Some(&(peer, _)) = connections.peers.first() {
            remedies.push(command(
                wording!(
                    "remedy-kill-unread",
                    "ends the connections to this peer now; what is unsent is lost (CONFIG_INET_DIAG_DESTROY)"
                ),
                format!("{enter}ss -K -t {}", destination(peer)),
            ));
        }
        remedies
    }

    fn processes(&self) -> Vec<u32> {
        self.connections.processes()
    }

    fn count(&self) -> u64 {
        self.connections.sockets
    }

    fn key(&self) -> String {
        self.connections.key()
    }
}

/// `3 FINs are`
fn some_fins(count: u64) -> String {
    if count == 1 { "1 FIN is".into() } else { format!("{} FINs are", grouped(count)) }
}
