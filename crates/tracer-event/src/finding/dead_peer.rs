//! `dead_peer`: peers that do not answer any more, or not on all connections.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Connections, Explain, Limit, Line, Remedy, Service, Severity,
    commands::{of_service_with, reachable},
    remedies::{advice, command},
    words::{end, limit, line, total},
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
    /// The same, though the peer sends: it does not get what is sent to it.
    OneWay,
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
    /// Further connections to these peers, on which they have answered since.
    #[serde(default)]
    pub answering: u64,
    /// This end has connected, and on none of them anything was answered but the SYN.
    #[serde(default)]
    pub never_answered: bool,
    /// The path may drop full-sized segments without a word: these peers answer on other
    /// connections, what is not acknowledged fills a segment, it was sent while the peer still
    /// answered, and the kernel tries no smaller one (`tcp_mtu_probing` is 0).
    #[serde(default)]
    pub black_hole: bool,
}

impl Idle {
    fn line(self) -> Option<Line> {
        let Self { probed, probe_in, never } = self;
        let first = probe_in
            .map(|left| wording!("first-in", ", the first in {left}", left = duration(left)));
        let probed_words = (probed > 0).then(|| {
            let count = grouped(probed);
            wording!("probed", "{count} will be probed{first}", [count, first])
        });
        let never_words = (never > 0).then(|| {
            let count = grouped(never);
            wording!("never-probed", "{count} never, without SO_KEEPALIVE", [count])
        });
        let parts: Vec<Wording> = probed_words.into_iter().chain(never_words).collect();
        (!parts.is_empty()).then(|| {
            let all = Wording::count(total([probed, never]), "more connection");
            let words = wording!("idle-too", "{all} to the silent peers: {parts}", [all, parts]);
            line("idle", words)
        })
    }
}

impl DeadPeer {
    /// `10.0.0.1 is silent`, `10.0.0.1 and 3 more peers are silent`.
    fn silent_peers(&self) -> Wording {
        self.peers_that(["is silent", "are silent"])
    }

    fn peers_that(&self, [does, do_all]: [&str; 2]) -> Wording {
        let peers = self.connections.peers();
        let english = match self.connections.peers.as_slice() {
            [(first, _), more @ ..] if !more.is_empty() => {
                let more = count(more.len() as u64, "more peer");
                format!("{} and {more} {do_all}", end(*first))
            }
            _ => format!("{peers} {does}"),
        };
        Wording::new(english, peers)
    }

    /// Of peers that are not reached.
    fn one_way(&self, since: String, connections: Wording, left: Option<Wording>) -> Wording {
        wording!(
            "dead-peer-one-way",
            "{peers}, but {acknowledges}: {bytes} for {since} on {connections}{left}",
            [since, connections, left],
            peers = self.peers_that(["sends", "send"]),
            acknowledges = self.acknowledges(),
            bytes = Wording::count(self.unacknowledged, "byte")
        )
    }

    fn acknowledges(&self) -> Wording {
        match self.connections.peers.len() {
            0 | 1 => wording!("acknowledges-nothing", "acknowledges nothing"),
            _ => Wording::new("acknowledge nothing", Phrase::new("acknowledges-nothing")),
        }
    }

    /// Where the peer is there, it is the path to it.
    fn of_path(&self, enter: &str) -> Option<Remedy> {
        if self.black_hole {
            return Some(command(
                wording!(
                    "remedy-black-hole",
                    "the path may drop full-sized segments (a path MTU black hole, as with tunnels): this makes the \
                     kernel try smaller ones, also on these connections. If data moves then, that was it: lower the \
                     MTU of the route, or let ICMP through"
                ),
                format!("{enter}sysctl -w net.ipv4.tcp_mtu_probing=1"),
            ));
        }
        if self.unanswered == Unanswered::OneWay {
            return Some(advice(wording!(
                "remedy-one-way",
                "what is sent to the peer is lost, what it sends arrives: look between for a firewall, NAT or \
                 route that only one direction takes"
            )));
        }
        (self.answering > 0 && !self.never_answered).then(|| {
            advice(wording!(
                "remedy-forgotten",
                "the peer is there: a firewall, NAT or balancer between has forgotten these connections, or one of \
                 several hosts behind its address is gone"
            ))
        })
    }

    /// Whether the peer is there, where that is not known, and ever was.
    fn of_peer(&self, enter: &str) -> Vec<Remedy> {
        let Self { connections, .. } = self;
        let mut remedies = Vec::new();
        let is_there =
            self.black_hole || self.answering > 0 || self.unanswered == Unanswered::OneWay;
        if let (Some(&(peer, _)), false) = (connections.peers.first(), is_there) {
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
        if self.never_answered && !self.black_hole {
            remedies.push(advice(wording!(
                "remedy-never-answered",
                "nothing after the handshake was ever answered: the server's accept queue was full (tracer diagnose \
                 on its host), a balancer or firewall answered for a server that is not there, or its host has gone \
                 away since"
            )));
        }
        remedies
    }

    /// Of peers that are there.
    fn on_some(&self, since: String, connections: Wording, left: Option<Wording>) -> Wording {
        let what = match self.unanswered {
            Unanswered::Fin => wording!("fin-unacknowledged", "FIN unacknowledged"),
            Unanswered::KeepaliveProbes => wording!(
                "probes-unanswered",
                "{tries} unanswered",
                tries = Wording::count(self.tries.into(), "keepalive probe")
            ),
            _ => wording!(
                "bytes-unacknowledged",
                "{bytes} unacknowledged",
                bytes = Wording::count(self.unacknowledged, "byte")
            ),
        };
        let peers = self.peers_that(["answers", "answer"]);
        let others = Wording::count(self.answering, "other");
        wording!(
            "dead-peer-on-some",
            "{what} for {since} on {connections}; {peers} on {others}{left}",
            [what, since, connections, peers, others, left]
        )
    }
}

impl Explain for DeadPeer {
    fn about() -> About {
        About {
            when: "three retransmissions or two keepalive probes in a row have no answer, and nothing else was heard \
                   from the peer on the connection, or six retransmissions, and it sends all the same; info where it is less than a tenth of a service's clients, or where the process \
                   has closed",
            evidence: "the retransmission counters and timers of the last snapshot, and the last acknowledgement of \
                       each socket, also of the other connections to the peer",
            unknown: "whether the peer's host, a NAT or firewall with a forgotten entry, or the path is to blame; of one \
                      address that several hosts share, which of them answers",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let (peers, since) = (self.silent_peers(), duration(self.since));
        let connections = self.connections.words();
        let left = self.gives_up.map(|left| {
            wording!("gives-up", "; the kernel gives up in {left}", left = duration(left))
        });
        if self.answering > 0 && self.unanswered != Unanswered::OneWay {
            return self.on_some(since, connections, left);
        }
        match self.unanswered {
            Unanswered::OneWay => self.one_way(since, connections, left),
            Unanswered::Fin => wording!(
                "dead-peer-fin",
                "{peers}: FIN unacknowledged for {since} on {connections}{left}",
                [peers, since, connections, left]
            ),
            Unanswered::KeepaliveProbes => wording!(
                "dead-peer-probes",
                "{peers}: {tries} unanswered for {since} on {connections}{left}",
                [peers, since, connections, left],
                tries = Wording::count(self.tries.into(), "keepalive probe")
            ),
            Unanswered::WindowProbes => wording!(
                "dead-peer-window",
                "{peers}: its window is closed, {tries} unanswered for {since} on {connections}{left}",
                [peers, since, connections, left],
                tries = Wording::count(self.tries.into(), "probe")
            ),
            Unanswered::Data => wording!(
                "dead-peer-data",
                "{peers}: {bytes} unacknowledged for {since} on {connections}{left}",
                [peers, since, connections, left],
                bytes = Wording::count(self.unacknowledged, "byte")
            ),
        }
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = self.connections.evidence();
        if let Some(silent) = self.silent {
            let ago = wording!("ago", "{time} ago", time = duration(silent));
            lines.push(line("last heard", ago));
        }
        let tries = match self.unanswered {
            Unanswered::Data | Unanswered::OneWay | Unanswered::Fin => {
                let times = Wording::count(self.tries.into(), "time");
                wording!("sent-again", "retransmitted {times}", [times])
            }
            _ => {
                let probes = Wording::count(self.tries.into(), "probe");
                wording!("no-answer-to", "{probes} without an answer", [probes])
            }
        };
        lines.push(line("tries", tries));
        lines.extend(self.limit.map(|decides| line("limit", limit(decides))));
        lines.extend(self.idle.line());
        lines
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let Self { connections, .. } = self;
        let mut remedies: Vec<Remedy> = self.of_path(enter).into_iter().collect();
        remedies.extend(self.of_peer(enter));
        if connections.is_held() {
            remedies.push(advice(wording!(
                "remedy-bound-wait",
                "{who} should bound the wait: TCP_USER_TIMEOUT for data (PostgreSQL tcp_user_timeout, haproxy \
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
            remedies.push(command(
                text,
                format!("{enter}ss -K -t {}", of_service_with(connections.service, peer)),
            ));
        }
        remedies
    }

    super::of_connections!();

    fn key(&self) -> String {
        // Clients differ; whether a server answers others depends on whether there are any just now.
        let of_clients = matches!(self.connections.service, Service::Here(_));
        let is_there = of_clients && self.answering > 0;
        format!("{:?} {is_there} {}", self.unanswered, self.connections.key())
    }
}
