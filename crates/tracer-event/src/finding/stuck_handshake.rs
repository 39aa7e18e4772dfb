//! `stuck_handshake`: handshakes that get no answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, LostSegment, Remedy, Service, Severity, Sockets,
    commands::reachable,
    remedies::{advice, command, firewall},
    words::{line, listener, lost, name, of_a_name, process, service},
};
use crate::{
    phrase::{Wording, wording},
    process::Process,
    state::State,
};

/// Handshakes without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StuckHandshake {
    /// SYN_SENT or SYN_RECV.
    pub state: State,
    /// Who connects or listens.
    pub process: Option<Process>,
    /// How many other processes of the same name are counted here.
    #[serde(default, rename = "other_processes")]
    pub others: u64,
    /// To what.
    pub service: Service,
    /// How many sockets.
    pub sockets: u64,
    /// Most retransmissions of one of them.
    pub retransmits: u8,
    /// What is lost, where all of them show the same with their other ends on this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<LostSegment>,
    /// Other connections to that very service on which the peer has answered just now.
    #[serde(default)]
    pub answering: u64,
}

impl StuckHandshake {
    fn why_compare(&self) -> Wording {
        if self.answering > 0 {
            wording!(
                "remedy-compare-answering",
                "the peer is not down: its accept queue is full (tracer diagnose on its host), or a firewall or NAT \
                 between takes no more connections: compare with a plain connection (exit status 124: no answer to \
                 that one either)"
            )
        } else {
            wording!(
                "remedy-compare",
                "the peer is down, or a firewall drops the SYNs: compare with a plain connection (exit \
                 status 124: no answer to that one either)"
            )
        }
    }
}

impl Explain for StuckHandshake {
    fn about() -> About {
        About {
            when: "a SYN or a SYN+ACK was retransmitted twice or more without an answer",
            evidence: "the retransmission counters of sockets in SYN_SENT and SYN_RECV in the last snapshot; \
                       where both ends are on this host, what the other one has got",
            unknown: "whether the peer is down, a firewall drops the SYN, or its answer gets lost, where the \
                      peer is another host",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let count = Wording::count(self.sockets, "connection");
        let (service, lost) = (service(self.service), self.lost.map(lost));
        let who = of_a_name(self.process.as_ref(), self.others);
        let gets = if self.others == 0 { "gets" } else { "get" };
        match (self.state, lost) {
            (State::SynSent, lost) => wording!(
                "stuck-syn-sent",
                "{who} no answer: {count} {service} in SYN_SENT{lost}",
                [count, service],
                who = Wording::new(format!("{who} {gets}"), who),
                lost = lost.map(|lost| Wording::new(format!("; {lost}"), lost))
            ),
            (_, Some(lost)) => wording!(
                "stuck-half-open-lost",
                "{count} {service} half-open: {lost}",
                [count, service, lost]
            ),
            (_, None) => wording!(
                "stuck-half-open",
                "{count} {service} half-open: the clients do not answer",
                [count, service]
            ),
        }
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = vec![line(
            "tries",
            wording!(
                "again-up-to",
                "{segment} retransmitted up to {times}",
                segment = if self.state == State::SynSent { "SYN" } else { "SYN+ACK" },
                times = Wording::count(self.retransmits.into(), "time"),
            ),
        )];
        if self.answering > 0 {
            let others = Wording::count(self.answering, "other connection");
            lines.push(line("peer", wording!("answers-on", "answers on {others}", [others])));
        }
        if let (Service::Here(local), Some(owner)) = (self.service, &self.process) {
            lines.push(line("listener", format!("{}, {}", listener(local), process(owner))));
        }
        lines
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let mut remedies: Vec<Remedy> = match self.lost {
            None => Vec::new(),
            Some(LostSegment::DroppedSyn) => vec![advice(wording!(
                "remedy-full-queue",
                "the listener must accept() faster: tracer diagnose without a filter says whose it is, and what it \
                 waits for"
            ))],
            Some(_) => vec![firewall(enter)],
        };
        match self.service {
            Service::There(_) if self.lost.is_some() => {}
            Service::There(peer) => remedies.push(command(
                self.why_compare(),
                format!("{enter}{}", reachable(peer, peer.port)),
            )),
            Service::Here(_) => remedies.push(command(
                wording!(
                    "remedy-where-from",
                    "a SYN flood, or SYN+ACKs that do not arrive: see where they come from"
                ),
                format!("{enter}ss -tn state syn-recv"),
            )),
        }
        remedies
    }

    fn sockets(&self) -> Sockets<'_> {
        Sockets::of(self.service)
            .in_states([self.state])
            .owned_by(&self.process)
            .and_others(self.others)
    }

    fn count(&self) -> u64 {
        self.sockets
    }

    fn key(&self) -> String {
        format!("{:?} {:?} {}", self.state, self.service, name(self.process.as_ref()))
    }
}
