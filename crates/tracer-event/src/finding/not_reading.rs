//! `not_reading`: a server does not read what its clients have sent, or a halted process what came.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Connections, Explain, Halt, Line, Remedy, Severity,
    alike::who_do,
    doing::{does, of_activity, raise_quota},
    remedies::{advice, resume, stacks},
    words::{bytes, halted, line, process, service},
};
use crate::{
    activity::Doing,
    duration::duration,
    phrase::{Wording, wording},
};

/// Connections whose data nobody reads: accepted ones, or any of halted processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotReading {
    /// Which.
    #[serde(flatten)]
    pub connections: Connections,
    /// Bytes that have arrived and are not read.
    #[serde(rename = "unread_bytes")]
    pub unread: u64,
    /// For how long, of the one that has waited longest.
    #[serde(rename = "waiting_ns")]
    pub waiting: u64,
    /// Whether the processes are halted, and how.
    pub halted: Option<Halt>,
    /// What the first of them does.
    pub doing: Option<Doing>,
}

impl Explain for NotReading {
    fn about() -> About {
        About {
            when: "data has come on accepted connections (on any, if who holds them is halted), and for four seconds nothing was read or answered, while the \
                   processes that hold them are halted, or no thread of theirs runs, reads from these connections or \
                   waits for them, and they wait for nobody else, or one thread has computed all the time while no other waited for them; a warning for three or more, or after 30 s",
            evidence: "the sequence numbers of both snapshots, the times of the last data, who holds the connections, \
                       and what the holders wait for: the functions that their threads sleep in, the descriptors of \
                       their system calls and epoll instances with the events asked for",
            unknown: "whether the process means to read later; holders that use poll(), select() or io_uring are taken \
                      to wait for all that they hold, and so are those registered with an epoll instance in which a thread waits",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let Connections { holders, sockets, .. } = &self.connections;
        let busy = || self.doing.as_ref().filter(|doing| doing.computes()).and_then(does);
        let state = self.halted.map(halted).or_else(busy);
        let state = state.zip(holders.first()).map(|(does, first)| {
            let who = process(&first.process);
            Wording::new(format!("; {who} {does}"), does)
        });
        wording!(
            "not-reading",
            "{who} {bytes} for {waiting} on {count} {service}{state}",
            [state],
            who = who_do(holders, "has not read", "have not read"),
            bytes = bytes(self.unread),
            waiting = duration(self.waiting),
            count = Wording::count(*sockets, "connection"),
            service = service(self.connections.service)
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = self.connections.evidence();
        let doing = self.doing.as_ref().zip(self.connections.holders.first());
        lines.extend(doing.and_then(|(doing, first)| of_activity(doing, &first.process)));
        if self.halted.is_none() && !self.doing.as_ref().is_some_and(Doing::computes) {
            let nobody = wording!(
                "nobody-waits",
                "by nobody: no thread reads from these connections, polls them or runs"
            );
            lines.push(line("awaited", nobody));
        }
        lines
    }

    fn remedies(&self, _: &str) -> Vec<Remedy> {
        let first = self.connections.holders.first();
        if let Some(halt) = self.halted {
            return resume(halt, first);
        }
        let who = self.connections.who();
        if self.doing.as_ref().is_some_and(Doing::computes) {
            let computes = wording!(
                "remedy-computes",
                "{who} cannot read before that computation ends: find out which it is (a profiler, a slow log), and give \
                 it a thread or process of its own",
                [who]
            );
            return raise_quota(self.doing.as_ref())
                .into_iter()
                .chain([advice(computes)])
                .collect();
        }
        let mut remedies = vec![advice(wording!(
            "remedy-read-or-close",
            "{who} must read, or close: look for threads that are stuck before they read (a lock, a full pool), and for \
             descriptors that were not registered with epoll again (EPOLLONESHOT, an error path)",
            [who]
        ))];
        remedies.extend(first.map(|first| stacks(first.process.pid)));
        remedies
    }

    super::of_connections!();

    fn key(&self) -> String {
        format!("{:?} {}", self.halted, self.connections.key())
    }
}
