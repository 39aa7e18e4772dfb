//! `self_connect`: a socket is connected to itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Program, Remedy, Service, Severity, Sockets,
    remedies::{advice, command},
    words::{a_process, line, of_programs, programs},
};
use crate::{
    endpoint::Endpoint,
    host::PortRange,
    phrase::{Wording, wording},
};

/// A connection whose both ends are one socket: connect() has chosen the port that it connects to
/// (simultaneous open).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SelfConnect {
    /// Who holds it.
    pub processes: Vec<Program>,
    /// Both ends.
    pub address: Endpoint,
    /// Lowest and highest ephemeral port, where the port is one of them.
    pub range: Option<(u16, u16)>,
    /// Ports that are reserved so far, first and last of each run (`ip_local_reserved_ports`).
    pub reserved: Vec<(u16, u16)>,
}

impl SelfConnect {
    /// In a namespace with these ports.
    pub fn new(address: Endpoint, processes: Vec<Program>, range: Option<&PortRange>) -> Self {
        let range = range.filter(|range| range.contains(address.port));
        Self {
            processes,
            address,
            range: range.map(|range| (range.low, range.high)),
            reserved: range.map(|range| range.reserved.clone()).unwrap_or_default(),
        }
    }

    /// The setting that reserves the port as well.
    fn reserving(&self) -> String {
        let run = |&(first, last): &(u16, u16)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        let known = self.reserved.iter().map(run);
        known.chain([self.address.port.to_string()]).collect::<Vec<_>>().join(",")
    }
}

impl Explain for SelfConnect {
    fn about() -> About {
        About {
            when: "both ends of an open connection are the same address and port",
            evidence: "the socket's addresses, who holds it, and `ip_local_port_range` of the namespace",
            unknown: "whether a program has bound and connected a socket to itself on purpose",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let known = !self.processes.is_empty();
        wording!(
            "self-connected",
            "{who} is connected to itself at {address}: the port of its server is taken by a \
             client, and a server that wants it cannot start",
            who = if known { programs(&self.processes) } else { a_process(None) },
            address = self.address.to_string()
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = of_programs(&self.processes);
        if let Some((low, high)) = self.range {
            let range = wording!(
                "port-of-range",
                "{port} is one of the ephemeral ports {range}",
                port = self.address.port.to_string(),
                range = format!("{low}-{high}"),
            );
            lines.push(line("port", range));
        }
        lines
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let address = self.address;
        let mut remedies = Vec::new();
        if self.range.is_some() {
            remedies.push(command(
                wording!(
                    "remedy-reserve",
                    "connect() chooses no reserved port: reserve those of servers"
                ),
                format!("{enter}sysctl -w net.ipv4.ip_local_reserved_ports={}", self.reserving()),
            ));
        }
        remedies.push(command(
            wording!(
                "remedy-kill-self",
                "ends the connection, so that the server can start (CONFIG_INET_DIAG_DESTROY)"
            ),
            format!("{enter}ss -K -t src '{address}' dst '{address}'"),
        ));
        remedies.push(advice(wording!(
            "remedy-compare-names",
            "a client that retries should compare getsockname() with getpeername(), and close what \
             is connected to itself"
        )));
        remedies
    }

    fn sockets(&self) -> Sockets<'_> {
        let itself = Sockets::of(Service::Here(self.address)).owned_by(&self.processes);
        itself.with_peers(&[(self.address, 1)])
    }

    fn count(&self) -> u64 {
        1
    }

    fn key(&self) -> String {
        self.address.to_string()
    }
}
