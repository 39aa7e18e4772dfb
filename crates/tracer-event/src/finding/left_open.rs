//! `left_open`: a server does not close what it has answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Connections, Explain, Line, Remedy, Severity,
    alike::who_do,
    remedies::{advice, stacks},
    words::{line, service},
};
use crate::{
    duration::{duration, grouped},
    phrase::{Wording, wording},
};

/// Answered connections of a process that only waits for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOpen {
    /// Which.
    #[serde(flatten)]
    pub connections: Connections,
    /// How many of them were answered since the first snapshot.
    #[serde(rename = "newly_answered")]
    pub new: u64,
    /// Longest time in which no data has moved.
    #[serde(rename = "idle_ns")]
    pub idle: u64,
}

impl Explain for LeftOpen {
    fn about() -> About {
        About {
            when: "three or more accepted connections have been silent for two seconds after an answer, only processes \
                   that listen hold them, and all threads of these wait in accept(): a warning where some were answered \
                   while observed and the oldest has been silent for four seconds",
            evidence: "who holds the connections and listeners, the times of the last data, and the functions \
                       that threads sleep in",
            unknown: "who has answered, the process itself or a child that has ended; whether the process means to say \
                      more to one client when another one connects",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let new = (self.new > 0).then(|| {
            wording!("left-open-new", ", {new} answered while observed", new = grouped(self.new))
        });
        wording!(
            "left-open",
            "{who} {count} {service} open after the answer, waiting in accept() only; silent for up to {idle}{new}",
            [new],
            who = who_do(&self.connections.holders, "leaves", "leave"),
            count = Wording::count(self.connections.sockets, "connection"),
            service = service(self.connections.service),
            idle = duration(self.idle),
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let nobody = wording!(
            "nobody-waits",
            "by nobody: no thread reads from these connections, polls them or runs"
        );
        let mut lines = self.connections.evidence();
        lines.push(line("awaited", nobody));
        lines
    }

    fn remedies(&self, _: &str) -> Vec<Remedy> {
        let mut remedies = vec![advice(wording!(
            "remedy-close-answered",
            "{who} must close() what has been answered; where children serve connections, the parent has to close its \
             copies after fork()",
            who = self.connections.who(),
        ))];
        let pid = self.connections.holders.first().map(|first| first.process.pid);
        remedies.extend(pid.map(stacks));
        remedies
    }

    super::of_connections!();

    fn key(&self) -> String {
        self.connections.key()
    }
}
