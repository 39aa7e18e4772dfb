//! `syn_backlog`: there are too many half-open connections.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Remedy, Severity,
    remedies::{advice, command},
    words::{connections, line},
};
use crate::{
    duration::grouped,
    endpoint::Endpoint,
    phrase::{Wording, wording},
};

/// Too many half-open connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SynBacklog {
    /// Half-open connections now.
    pub half_open: u64,
    /// The local address that has most of them.
    pub local: Option<Endpoint>,
    /// SYNs dropped in the time of observation.
    pub syn_drops: u64,
    /// SYNs answered with a cookie in the time of observation.
    pub syn_cookies: u64,
    /// Backlog of the listener at that address: as many may be half open.
    #[serde(default)]
    pub backlog: Option<u32>,
    /// `tcp_max_syn_backlog`.
    #[serde(rename = "max_syn_backlog")]
    pub limit: Option<u64>,
}

impl Explain for SynBacklog {
    fn about() -> About {
        About {
            when: "SYNs were dropped or answered with cookies, and no full accept queue explains it",
            evidence: "the counters TCPReqQFullDrop and TCPReqQFullDoCookies of the namespace, and its half-open \
             connections",
            unknown: "whether the SYNs are an attack, or clients whose answers get lost",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let at =
            self.local.map(|local| wording!("at", " to {address}", address = local.to_string()));
        match self.syn_drops {
            0 => wording!(
                "syn-backlog-cookies",
                "{count} answered with cookies: too many half-open connections{at}",
                [at],
                count = Wording::count(self.syn_cookies, "SYN")
            ),
            drops => wording!(
                "syn-backlog-drops",
                "{count} dropped: too many half-open connections{at}",
                [at],
                count = Wording::count(drops, "SYN")
            ),
        }
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = vec![line("half-open", connections(self.half_open))];
        if let Some(backlog) = self.backlog {
            let backlog = grouped(backlog.into());
            lines.push(line(
                "limit",
                wording!("backlog-of", "{backlog}, the backlog of the listener", [backlog]),
            ));
        }
        if let Some(limit) = self.limit {
            lines.push(line("limit", format!("net.ipv4.tcp_max_syn_backlog = {limit}")));
        }
        lines
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let mut remedies = vec![
            command(
                wording!("remedy-who-sends", "who sends them"),
                format!("{enter}ss -tn state syn-recv"),
            ),
            advice(wording!(
                "remedy-more-room",
                "more room: a larger backlog (the program's listen(), limited by somaxconn)"
            )),
        ];
        // Linux drops for want of room only without cookies, and only then has a limit beside the
        // backlog (tcp_conn_request).
        if self.syn_drops > 0 {
            let most = self.limit.unwrap_or(0).saturating_mul(2).max(8192);
            remedies.push(command(
                wording!("remedy-cookies", "keeps serving in a SYN flood"),
                format!("{enter}sysctl -w net.ipv4.tcp_syncookies=1"),
            ));
            remedies.push(command(
                wording!(
                    "remedy-syn-backlog",
                    "without SYN cookies this limits half-open connections as well"
                ),
                format!("{enter}sysctl -w net.ipv4.tcp_max_syn_backlog={most}"),
            ));
        }
        remedies
    }

    fn count(&self) -> u64 {
        self.half_open
    }
}
