//! `churn`: many short connections to one destination, each used once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Program, Remedy, Service, Severity, Sockets,
    remedies::{reuse, tw_reuse},
    words::{connections, exhausted, line, name, of_a_name, of_program, rate},
};
use crate::{
    duration::{duration, grouped},
    endpoint::Endpoint,
    phrase::{Wording, wording},
};

/// Short connections of one process, or of several of one name, to one destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Churn {
    /// Who opens them.
    #[serde(flatten)]
    pub program: Program,
    /// How many other processes of the same name are counted here.
    #[serde(default, rename = "other_processes")]
    pub others: u64,
    /// To where.
    pub peer: Endpoint,
    /// How many were opened and were over while this was observed.
    #[serde(rename = "sockets")]
    pub connections: u64,
    /// How many a second.
    #[serde(rename = "rate_per_second")]
    pub rate: f64,
    /// How long each was open, on average.
    #[serde(rename = "lifetime_ns")]
    pub lifetime: u64,
    /// How long its handshake took, on average.
    #[serde(rename = "handshake_ns")]
    pub handshake: u64,
    /// Payload sent by each, on average.
    pub bytes_sent: u64,
    /// Payload received by each, on average.
    pub bytes_received: u64,
    /// What it costs in local ports, where this end closes first.
    pub ports: Option<PortCost>,
}

/// Ports that wait in TIME_WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PortCost {
    /// In TIME_WAIT at this rate when it has been kept up for a minute, and not taken over before.
    pub time_wait: u64,
    /// Ports to choose from.
    pub size: u32,
    /// Minutes until none is left at this rate; null where they suffice.
    pub minutes_left: Option<f64>,
}

impl Churn {
    /// Share of the lifetime that goes into the handshake, 0 to 1.
    pub fn share(&self) -> f64 {
        self.handshake as f64 / self.lifetime.max(1) as f64
    }

    fn percent(&self) -> String {
        match (self.share() * 100.0).round() {
            none if none < 1.0 => "<1".to_owned(),
            percent => percent.to_string(),
        }
    }
}

impl Explain for Churn {
    fn about() -> About {
        About {
            when: "a process opened ten connections a second or more to one destination, each for one short exchange, \
                   and at least a hundredth of their time goes into handshakes, or half of the ports would be taken: info, and a warning where the ports that wait in TIME_WAIT run out, or handshakes of ten \
                   milliseconds or more take half of the time",
            evidence: "the connections that began and ended while it was observed: their handshakes, bytes and \
                       lifetimes, and who closed first",
            unknown: "whether the protocol allows to reuse a connection",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let left = self.ports.and_then(|ports| ports.minutes_left);
        let who = of_a_name(Some(&self.program.process), self.others);
        let opens = if self.others == 0 { "opens" } else { "open" };
        wording!(
            "churned",
            "{who} {rate} connections/s to {peer}, each used once for {lifetime}: reuse would \
             save {percent} % of the time{left}",
            who = Wording::new(format!("{who} {opens}"), who),
            rate = rate(self.rate),
            peer = self.peer.to_string(),
            lifetime = duration(self.lifetime),
            percent = self.percent(),
            left = left.map(|left| exhausted("; its ports are ", left))
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = of_program(&self.program).into_iter().collect();
        lines.push(line("observed", connections(self.connections)));
        let each = wording!(
            "each-use",
            "{sent} sent, {received} received, open for {lifetime}",
            sent = Wording::count(self.bytes_sent, "byte"),
            received = Wording::count(self.bytes_received, "byte"),
            lifetime = duration(self.lifetime),
        );
        lines.push(line("each", each));
        let handshake = wording!(
            "each-handshake",
            "{each} each, {part} of every second",
            each = duration(self.handshake),
            part = duration((self.rate * self.handshake as f64) as u64),
        );
        lines.push(line("handshake", handshake));
        if let Some(PortCost { time_wait, size, minutes_left }) = self.ports {
            let left = match minutes_left {
                Some(left) => exhausted("", left),
                None if time_wait < u64::from(size) => wording!("no-shortage", "no shortage"),
                // They are taken over after a second, or another finding says it.
                None => wording!("all-in-use", "more than there are"),
            };
            let ports = wording!(
                "ports-at-rate",
                "{waiting} of {size} in TIME_WAIT at this rate: {left}",
                [left],
                waiting = grouped(time_wait),
                size = grouped(size.into())
            );
            lines.push(line("ports", ports));
        }
        lines
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let mut remedies = vec![reuse()];
        if self.ports.is_some_and(|ports| ports.minutes_left.is_some()) {
            remedies.push(tw_reuse(enter));
        }
        remedies
    }

    fn sockets(&self) -> Sockets<'_> {
        Sockets::of(Service::There(self.peer)).owned_by([&self.program]).and_others(self.others)
    }

    fn count(&self) -> u64 {
        self.connections
    }

    fn key(&self) -> String {
        format!("{} {}", name(Some(&self.program.process)), self.peer)
    }
}
