//! `deferred_accept`: half-open connections wait for their clients' first data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Listener, Remedy, Severity, Sockets,
    doing::of_listener,
    remedies::{advice, command},
    words::whose,
};
use crate::{
    duration::duration,
    phrase::{Wording, wording},
};

/// Half-open connections of a listener with `TCP_DEFER_ACCEPT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeferredAccept {
    /// The listener: who accepts them once data has come, as a guess.
    pub listener: Listener,
    /// How many there are.
    pub half_open: u64,
    /// Longest time since the SYN+ACK was first sent.
    #[serde(rename = "oldest_ns")]
    pub oldest: u64,
}

impl Explain for DeferredAccept {
    fn about() -> About {
        About {
            when: "clients have been connected for two seconds to a listener with TCP_DEFER_ACCEPT and have \
                   sent nothing: information, a warning when they fill four fifths of its backlog",
            evidence: "the half-open connections whose clients have acknowledged the SYN+ACK, and the \
                       listener's setting",
            unknown: "whether the clients mean to send: scanners, probes and spare connections of browsers \
                      look the same",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let from = &self.listener;
        let guess = if from.processes.is_empty() { "" } else { "?" };
        let listener = whose(from, ", ");
        wording!(
            "deferred-accept",
            "{count} half-open for up to {oldest}: waiting for the client's first data \
             (TCP_DEFER_ACCEPT), listener {listener}",
            count = Wording::count(self.half_open, "connection"),
            oldest = duration(self.oldest),
            listener = Wording::new(format!("{listener}{guess}"), listener)
        )
    }

    fn evidence(&self) -> Vec<Line> {
        of_listener(&self.listener)
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let port = self.listener.local.port;
        vec![
            advice(wording!(
                "remedy-not-deferred",
                "the clients believe that they are connected; the server does not see them before \
                 they send: a protocol whose server speaks first must not set TCP_DEFER_ACCEPT"
            )),
            command(
                wording!("remedy-who-they-are", "who they are"),
                format!("{enter}ss -tan state syn-recv '( sport = :{port} )'"),
            ),
        ]
    }

    fn sockets(&self) -> Sockets<'_> {
        Sockets::of_listener(&self.listener)
    }

    fn count(&self) -> u64 {
        self.half_open
    }

    fn key(&self) -> String {
        self.listener.key()
    }
}
