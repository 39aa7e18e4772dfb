//! `no_local_port`: connect() found no free port.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Remedy, Service, Severity, Sockets,
    commands::destination,
    remedies::{command, more_addresses, reuse, wider_range},
    words::{line, name, of_a_name, ports},
};
use crate::{
    duration::grouped,
    endpoint::Endpoint,
    phrase::{Wording, wording},
    process::Process,
};

/// Failed calls of connect(): no local port was free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoLocalPort {
    /// Whose calls.
    pub process: Option<Process>,
    /// How many other processes of the same name are counted here.
    #[serde(default, rename = "other_processes")]
    pub others: u64,
    /// Where to.
    pub peer: Endpoint,
    /// Failed calls of connect().
    pub count: u64,
    /// Ports that there are to choose from, where known.
    #[serde(rename = "range_ports")]
    pub size: Option<u32>,
}

impl Explain for NoLocalPort {
    fn about() -> About {
        About {
            when: "connect() found no free local port, at once",
            evidence: "the state change from SYN_SENT to CLOSE without an error or a local port",
            unknown: "failures of bind() before connect(), which change no state",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let times = grouped(self.count);
        let english = if self.count == 1 { String::new() } else { format!(", {times} times") };
        wording!(
            "no-local-port",
            "{who} found no free local port to connect to {peer}{times}",
            who = of_a_name(self.process.as_ref(), self.others),
            peer = self.peer.to_string(),
            times = Wording::new(english, times)
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let size = self.size.map(|size| line("range", ports(size)));
        size.into_iter().collect()
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        vec![
            command(
                wording!("remedy-who-holds", "who holds the ports"),
                format!("{enter}ss -tanp {}", destination(self.peer)),
            ),
            reuse(),
            wider_range(enter),
            more_addresses(),
        ]
    }

    fn sockets(&self) -> Sockets<'_> {
        Sockets::of(Service::There(self.peer)).owned_by(&self.process).and_others(self.others)
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn key(&self) -> String {
        format!("{} {}", name(self.process.as_ref()), self.peer)
    }
}
