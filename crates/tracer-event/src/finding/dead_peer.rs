//! `dead_peer`: peers that do not answer any more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Connections, Explain, Limit, Line, Remedy, Service, Severity,
    phrases::{connections, peers},
    remedies::{advice, command},
    words::{destination, limit, line, reachable, total},
};
use crate::{
    duration::{count, duration, grouped},
    phrase::{Phrase, Wording, wording},
};

/// What a peer does not answer.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Unanswered {
    /// Data, retransmitted again and again.
    Data,
    /// A FIN alone.
    Fin,
    /// Probes of a closed window, which is all that may be sent.
    WindowProbes,
    /// Keepalive probes: nothing is under way.
    KeepaliveProbes,
}

/// Idle connections to peers that do not answer on others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Idle {
    /// With keepalive.
    pub probed: u64,
    /// Until the first of these is probed, nanoseconds.
    #[serde(rename = "probe_in_ns")]
    pub probe_in: Option<u64>,
    /// Without: nothing will be noticed until something is sent.
    pub never: u64,
}

/// Connections whose peers are silent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadPeer {
    /// Which.
    #[serde(flatten)]
    pub connections: Connections,
    /// What is not answered.
    pub unanswered: Unanswered,
    /// Bytes that were sent, or wait to be, and are not acknowledged; a FIN is none.
    #[serde(rename = "unacknowledged_bytes")]
    pub unacknowledged: u64,
    /// For how long the oldest of it has not been answered.
    #[serde(rename = "unanswered_ns")]
    pub since: u64,
    /// How long the peer has been silent: the last acknowledgement from the one heard last.
    #[serde(rename = "silent_ns")]
    pub silent: Option<u64>,
    /// Most retransmissions, or probes, of one of them.
    pub tries: u8,
    /// When the kernel gives up the first of them, nanoseconds from now.
    #[serde(rename = "gives_up_in_ns")]
    pub gives_up: Option<u64>,
    /// What decides that.
    pub limit: Option<Limit>,
    /// Further connections to these peers, on which nothing is under way.
    pub idle: Idle,
}

impl Idle {
    fn line(self) -> Option<Line> {
        let Self { probed, probe_in, never } = self;
        let first = probe_in
            .map(|left| wording!("first-in", ", the first in {left}", left = duration(left)));
        let probed_words = (probed > 0).then(|| {
            let count = grouped(probed);
            wording!("probed", "{count} will be probed{first}", count = count, first = first)
        });
        let never_words = (never > 0).then(|| {
            let count = grouped(never);
            wording!("never-probed", "{count} never, without SO_KEEPALIVE", count = count)
        });
        let parts: Vec<Wording> = probed_words.into_iter().chain(never_words).collect();
        (!parts.is_empty()).then(|| {
            let all = Wording::count(total([probed, never]), "more connection");
            let words = wording!(
                "idle-too",
                "{all} to the silent peers: {parts}",
                all = all,
                parts = parts
            );
            line("idle", words)
        })
    }
}

impl Explain for DeadPeer {
    fn about() -> About {
        About {
            when: "three retransmissions or two keepalive probes in a row have no answer, and nothing else was heard \
                   from the peer; info where it is less than a tenth of a service's clients, or where the process \
                   has closed",
            evidence: "the retransmission counters and timers of the last snapshot, and the last acknowledgement of \
                       each socket",
            unknown: "whether the peer's host, a NAT or firewall with a forgotten entry, or the path is to blame",
        }
    }

    fn sentence(&self, _: Severity) -> String {
        let Self { connections, unacknowledged, .. } = self;
        let silent = connections.peers_are("silent");
        let what = match self.unanswered {
            Unanswered::Fin => "FIN unacknowledged".to_owned(),
            Unanswered::KeepaliveProbes => {
                format!("{} unanswered", count(self.tries.into(), "keepalive probe"))
            }
            _ => format!("{} unacknowledged", count(*unacknowledged, "byte")),
        };
        let gives_up = self.gives_up.map_or_else(String::new, |left| {
            format!("; the kernel gives up in {}", duration(left))
        });
        format!("{silent}: {what} for {} on {connections}{gives_up}", duration(self.since))
    }

    fn phrase(&self, _: Severity) -> Phrase {
        let of = match self.unanswered {
            Unanswered::Fin => Phrase::new("dead-peer-fin"),
            Unanswered::KeepaliveProbes => {
                Phrase::new("dead-peer-probes").with("tries", self.tries.to_string())
            }
            _ => Phrase::new("dead-peer-data").with("bytes", grouped(self.unacknowledged)),
        };
        let gives_up = |left| Phrase::new("gives-up").with("left", duration(left));
        of.with("peers", peers(&self.connections))
            .with("since", duration(self.since))
            .with("connections", connections(&self.connections))
            .with("gives-up", self.gives_up.map(gives_up))
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = self.connections.evidence();
        if let Some(silent) = self.silent {
            let ago = wording!("ago", "{time} ago", time = duration(silent));
            lines.push(line("last heard", ago));
        }
        let tries = match self.unanswered {
            Unanswered::Data | Unanswered::Fin => {
                let times = Wording::count(self.tries.into(), "time");
                wording!("sent-again", "retransmitted {times}", times = times)
            }
            _ => {
                let probes = Wording::count(self.tries.into(), "probe");
                wording!("no-answer-to", "{probes} without an answer", probes = probes)
            }
        };
        lines.push(line("tries", tries));
        lines.extend(self.limit.map(|decides| line("limit", limit(decides))));
        lines.extend(self.idle.line());
        lines
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let Self { connections, .. } = self;
        let mut remedies = Vec::new();
        if let Some(&(peer, _)) = connections.peers.first() {
            // Nobody listens on a client's port; a host that is there refuses.
            let port = match connections.service {
                Service::Here(_) => 1,
                Service::There(peer) => peer.port,
            };
            remedies.push(command(
                wording!(
                    "remedy-is-it-there",
                    "is the peer there? Exit status 124: it does not answer a plain connection either; 0 or 1: it is \
                     there, and a firewall or NAT between has forgotten the connection"
                ),
                format!("{enter}{}", reachable(peer, port)),
            ));
        }
        if connections.is_held() {
            remedies.push(advice(wording!(
                "remedy-bound-wait",
                "{who} should bound how long it waits: TCP_USER_TIMEOUT for data (PostgreSQL tcp_user_timeout, haproxy \
                 tcp-ut, gRPC keepalive time-out), SO_KEEPALIVE with TCP_KEEPIDLE of a minute for idle connections",
                who = connections.who(),
            )));
        }
        if let Some(&(peer, _)) = connections.peers.first() {
            let text = if connections.is_held() {
                wording!(
                    "remedy-kill-dead",
                    "ends the connections to this peer now, with an error for the process (CONFIG_INET_DIAG_DESTROY)"
                )
            } else {
                wording!(
                    "remedy-kill-orphans",
                    "nothing to do: the kernel gives up by itself; this ends them now (CONFIG_INET_DIAG_DESTROY)"
                )
            };
            remedies.push(command(text, format!("{enter}ss -K -t {}", destination(peer))));
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
        format!("{:?} {}", self.unanswered, self.connections.key())
    }
}
