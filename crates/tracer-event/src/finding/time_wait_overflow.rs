//! `time_wait_overflow`: there are too many sockets in TIME_WAIT.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Remedy, Service, Severity,
    remedies::{advice, command, reuse},
    words::{line, service},
};
use crate::{
    close::Initiator,
    duration::grouped,
    phrase::{Wording, wording},
};

/// Too many sockets in TIME_WAIT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimeWaitOverflow {
    /// In TIME_WAIT now.
    pub time_wait: u64,
    /// `tcp_max_tw_buckets`.
    #[serde(rename = "max_tw_buckets")]
    pub limit: Option<u64>,
    /// Connections that skipped TIME_WAIT in the time of observation.
    pub skipped: u64,
    /// To whom most of them were.
    #[serde(with = "by_service")]
    #[schemars(with = "Vec<by_service::Counted>")]
    pub services: Vec<(Service, u64)>,
    /// Whoever closes first keeps the TIME_WAIT: `local`.
    pub closed_first: Initiator,
}

super::counted!(by_service: service: Service);

impl Explain for TimeWaitOverflow {
    fn about() -> About {
        About {
            when: "nine tenths of `tcp_max_tw_buckets` are in use, or connections skipped TIME_WAIT",
            evidence: "the sockets in TIME_WAIT, the limit, and the counter TCPTimeWaitOverflow of the namespace",
            unknown: "which connections skipped TIME_WAIT",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let count = Wording::count(self.time_wait, "socket");
        let limit = self
            .limit
            .map(|limit| wording!("limit", " of {limit} allowed", limit = grouped(limit)));
        match self.skipped {
            0 => wording!("time-wait-many", "{count} in TIME_WAIT{limit}", [count, limit]),
            skipped => wording!(
                "time-wait-skipped",
                "{count} in TIME_WAIT{limit}: {skipped} skipped it",
                [count, limit],
                skipped = Wording::count(skipped, "connection")
            ),
        }
    }

    fn evidence(&self) -> Vec<Line> {
        let named = |(one, sockets): &(Service, u64)| {
            let count = Wording::count(*sockets, "connection");
            let service = service(*one);
            line("closed here", wording!("some-with", "{count} {service}", [count, service]))
        };
        self.services.iter().map(named).collect()
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let most = self.limit.unwrap_or(131_072).saturating_mul(2).max(8_192);
        vec![
            advice(wording!(
                "remedy-let-peers-close",
                "TIME_WAIT is where the connection was closed first: here. Let the peers close"
            )),
            reuse(),
            command(
                wording!("remedy-more-buckets", "more room; each takes about 300 bytes"),
                format!("{enter}sysctl -w net.ipv4.tcp_max_tw_buckets={most}"),
            ),
            advice(wording!(
                "remedy-not-fewer-buckets",
                "does not help: tcp_fin_timeout, tcp_tw_recycle (gone since 4.12); a lower \
                 tcp_max_tw_buckets breaks connections"
            )),
        ]
    }

    fn count(&self) -> u64 {
        self.time_wait
    }
}
