//! `no_keepalive`: idle connections on which a dead peer would never be noticed.

use std::slice;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Program, Remedy, Service, Severity, Sockets,
    alike::kin,
    remedies::advice,
    words::{line, of_a_name, of_program, process, service},
};
use crate::{
    duration::{duration, grouped},
    phrase::{Wording, wording},
};

/// Idle connections of one process, or of several of one name, that nothing probes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoKeepalive {
    /// Whose they are.
    #[serde(flatten)]
    pub program: Program,
    /// How many other processes of the same name are counted here.
    #[serde(default, rename = "other_processes")]
    pub others: u64,
    /// How many sockets.
    pub sockets: u64,
    /// For how long no data has moved on the one that is idle longest.
    #[serde(rename = "idle_ns")]
    pub longest: u64,
    /// With what, and how many sockets each has, most first.
    #[serde(with = "by_service")]
    #[schemars(with = "Vec<by_service::Counted>")]
    pub services: Vec<(Service, u64)>,
}

super::counted!(by_service: #[serde(flatten)] service: Service);

impl Explain for NoKeepalive {
    fn about() -> About {
        About {
            when: "connections of a process were idle for an hour, with neither SO_KEEPALIVE nor TCP_USER_TIMEOUT; \
                   always info",
            evidence: "the options of the sockets and the times of their last data in the last snapshot; connections \
                       within this host are left out",
            unknown: "whether the application sends messages of its own to probe its peers, less often than hourly",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        wording!(
            "never-noticed",
            "{who} would never notice a dead peer on {count}, idle for up to {longest}: neither \
             keepalive nor a user time-out is set",
            who = of_a_name(Some(&self.program.process), self.others),
            count = Wording::count(self.sockets, "connection"),
            longest = duration(self.longest)
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = of_program(&self.program).into_iter().collect();
        for (of, sockets) in self.services.iter().take(3) {
            let count = grouped(*sockets);
            let of = service(*of);
            lines.push(line(
                "idle",
                wording!("some-with", "{count} {service}", [count], service = of),
            ));
        }
        lines
    }

    fn remedies(&self, _: &str) -> Vec<Remedy> {
        vec![
            advice(wording!(
                "remedy-set-keepalive",
                "{who} should set SO_KEEPALIVE with TCP_KEEPIDLE (PostgreSQL tcp_keepalives_idle, sshd \
                 ClientAliveInterval, nginx so_keepalive, haproxy clitcpka and srvtcpka)",
                who = process(&self.program.process),
            )),
            advice(wording!(
                "remedy-not-only-keepalive-time",
                "does not help: tcp_keepalive_time is for sockets with SO_KEEPALIVE, and is two hours by default"
            )),
        ]
    }

    fn sockets(&self) -> Sockets<'_> {
        let services = self.services.iter().map(|(service, _)| *service);
        Sockets::of_all(services).owned_by([&self.program]).and_others(self.others)
    }

    fn count(&self) -> u64 {
        self.sockets
    }

    fn key(&self) -> String {
        kin(slice::from_ref(&self.program))
    }
}
