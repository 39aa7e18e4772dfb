//! `peer_not_reading`: peers that do not read what they are sent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Connections, Explain, Halt, Line, Program, Remedy, Severity,
    commands::of_service_with,
    remedies::{advice, command, resume},
    words::{halted, line, process, programs},
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
    /// Whether these are halted, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<Halt>,
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
                   for one or two up to ten seconds, and where it is less than a tenth of a service's clients; not \
                   where the reader is on this host and reads slowly, or cannot pass on what it would read",
            evidence: "the window-probe timer, the unsent bytes and the time of the last data sent, in both snapshots",
            unknown: "whether the peer pauses on purpose, as a player does, or is stuck",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let Self { connections, readers, fins_waiting, .. } = self;
        let who = if readers.is_empty() { connections.peers() } else { programs(readers) };
        let english = match connections.peers.len() as u64 {
            several @ 2.. if readers.is_empty() => {
                format!("{} do not read", count(several, "peer"))
            }
            _ => format!("{who} does not read"),
        };
        let fin = match *fins_waiting {
            0 => String::new(),
            all if all == connections.sockets => ", so that no FIN is sent yet".to_owned(),
            1 => ", so that 1 FIN is not sent yet".to_owned(),
            some => format!(", so that {} FINs are not sent yet", grouped(some)),
        };
        let waiting = Phrase::new("fins-waiting").with("fins", grouped(*fins_waiting));
        wording!(
            "peer-not-reading",
            "{who}: window closed for {closed}, {bytes} unsent{fin}, on {connections}",
            who = Wording::new(english, who),
            closed = duration(self.closed),
            bytes = Wording::count(self.unsent, "byte"),
            fin = (*fins_waiting > 0).then(|| Wording::new(fin, waiting)),
            connections = connections.words()
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = self.connections.evidence();
        let state = self.halted.zip(self.readers.first()).map(|(halt, reader)| {
            let does = halted(halt);
            Wording::new(format!("{} {does}", process(&reader.process)), does)
        });
        lines.extend(state.map(|state| line("state", state)));
        if self.unread > 0 {
            let unread = Wording::count(self.unread, "byte");
            let unread = wording!("at-peers", "{unread} at the peers, on this host", [unread]);
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
            Some(reader) if self.halted.is_some() => {
                let resume = |halt| resume(halt, Some(reader));
                remedies.extend(self.halted.into_iter().flat_map(resume));
            }
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
                format!("{enter}ss -K -t {}", of_service_with(connections.service, peer)),
            ));
        }
        remedies
    }

    super::of_connections!();

    fn key(&self) -> String {
        self.connections.key()
    }
}
