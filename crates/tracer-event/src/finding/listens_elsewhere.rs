//! `listens_elsewhere`: clients connect to an address of this host on which nobody listens, while a
//! server listens on the same port of another one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Program, Remedy, Service, Severity, Sockets,
    remedies::{advice, command},
    words::{a_process, and_more, each_peer, line, of_programs, process, programs},
};
use crate::{
    endpoint::Endpoint,
    phrase::{Wording, wording},
    process::Process,
};

/// Clients named.
const PEERS: usize = 4;

/// Attempts that were refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListensElsewhere {
    /// Who listens.
    pub processes: Vec<Program>,
    /// On which addresses, all of one port.
    pub listening: Vec<Endpoint>,
    /// Where clients connect to.
    pub address: Endpoint,
    /// How often.
    pub attempts: u64,
    /// From where, and how often, most first.
    #[serde(with = "by_peer")]
    #[schemars(with = "Vec<by_peer::Counted>")]
    pub peers: Vec<(Endpoint, u64)>,
    /// Processes of this host that have tried, most first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<Process>,
}

super::counted!(by_peer: peer: Endpoint);

impl Explain for ListensElsewhere {
    fn about() -> About {
        About {
            when: "clients with private addresses were refused (RST) at an address on which nobody listens, while a \
                   server listens on the same port of another one; info where no client has tried three times, \
                   or those of this host reach the port by the other version of IP",
            evidence: "the RSTs that answer a SYN without a socket (Linux 6.12 and later tell of them), and the listeners \
                       of the last snapshot",
            unknown: "whether clients are meant to use that address, or another server should listen there and is down",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let known = !self.processes.is_empty();
        let listening: Vec<String> = self.listening.iter().map(Endpoint::to_string).collect();
        wording!(
            "listens-elsewhere",
            "{count} to connect to {address} refused: {who} listens on {listening} only",
            who = if known { programs(&self.processes) } else { a_process(None) },
            listening = listening.join(", "),
            count = Wording::count(self.attempts, "attempt"),
            address = self.address.to_string()
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = of_programs(&self.processes);
        let label = if self.peers.len() == 1 { "client" } else { "clients" };
        let clients: Vec<String> = self.clients.iter().take(PEERS).map(process).collect();
        let more = self.clients.len().saturating_sub(PEERS);
        let who = (!clients.is_empty()).then(|| {
            let who = and_more(&clients, more);
            Wording::new(format!(": {who}"), who)
        });
        let from = each_peer(&self.peers, PEERS);
        lines.push(line(label, wording!("refused-clients", "{from}{who}", [from, who])));
        lines
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let port = self.address.port;
        vec![
            advice(wording!(
                "remedy-listen-there",
                "if clients are meant to reach it there, have it listen on that address as well, or on all (0.0.0.0, \
                 ::); 127.0.0.1 in a container is reached from inside that container only; if another server \
                 should listen there, it is down"
            )),
            command(
                wording!("remedy-who-listens", "who listens on that port"),
                format!("{enter}ss -tlnp 'sport = :{port}'"),
            ),
        ]
    }

    fn sockets(&self) -> Sockets<'_> {
        Sockets::of(Service::Here(self.address))
            .with_peers(&self.peers)
            .owned_by(&self.processes)
            .owned_by(&self.clients)
    }

    fn count(&self) -> u64 {
        self.attempts
    }

    fn key(&self) -> String {
        self.address.to_string()
    }
}
