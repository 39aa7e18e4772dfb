//! `accept_queue_full`: a listener's accept queue is full, or was.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Descriptors, Explain, Line, Listener, Remedy, Severity, Sockets,
    doing::{of_listener, raise_quota},
    remedies::{accept_faster, advice, command, no_descriptor_left, resume},
    words::{line, of_limit, programs, whose},
};
use crate::phrase::{Wording, wording};

/// A full accept queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AcceptQueue {
    /// The listener; where none is full any more one that has dropped something, or else the one
    /// with the longest queue.
    pub listener: Listener,
    /// What this listener has dropped in the time of observation (`sk_drops`); absent where this
    /// kernel does not say, or it has dropped nothing.
    pub dropped: Option<u32>,
    /// Connections not taken because an accept queue was full, in the time of observation, of all
    /// listeners of the namespace.
    pub listen_overflows: u64,
    /// The same, and those dropped for other reasons.
    pub listen_drops: u64,
    /// `somaxconn`, the most that listen() grants.
    pub somaxconn: Option<u64>,
    /// Descriptors of the first process: who has none left cannot accept.
    #[serde(default)]
    pub descriptors: Option<Descriptors>,
}

impl Explain for AcceptQueue {
    fn about() -> About {
        About {
            when: "an accept queue is full, was full while observed, or is at least four fifths full in both \
             snapshots",
            evidence: "length and backlog of the listener's queue, what it has dropped, and the counters \
             ListenOverflows and ListenDrops of the namespace",
            unknown: "how many clients are affected, as each tries several times; where the kernel's counts do not \
             prove which listener was full, and none is any more, the one with the longest queue of those that \
             have dropped anything is named",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let from = &self.listener;
        let mut listener = whose(from, ", ");
        if !from.processes.is_empty() {
            listener = Wording::new(format!("{listener},"), listener);
        }
        let (queue, backlog) = (from.queue.to_string(), from.backlog.to_string());
        if from.queue > from.backlog {
            wording!(
                "accept-queue-full",
                "accept queue of listener {listener} is full: new connections are dropped; \
                 backlog {queue} of {backlog}",
                [listener, queue, backlog]
            )
        } else if self.dropped.is_some() {
            wording!(
                "accept-queue-overflowed",
                "accept queue of listener {listener} was full: new connections were dropped; \
                 backlog {queue} of {backlog}",
                [listener, queue, backlog]
            )
        } else if u64::from(from.queue) * 5 >= u64::from(from.backlog) * 4 {
            wording!(
                "accept-queue-nearly-full",
                "accept queue of listener {listener} is nearly full; backlog {queue} of {backlog}",
                [listener, queue, backlog]
            )
        } else {
            wording!(
                "accept-queue-was-full",
                "accept queue of listener {listener} or another one here was full; backlog {queue} \
                 of {backlog}",
                [listener, queue, backlog]
            )
        }
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = of_listener(&self.listener);
        let dropped = self.dropped.map_or(self.listen_overflows, u64::from);
        if dropped > 0 {
            let attempts = Wording::count(dropped, "connection attempt");
            let all = wording!("dropped", "{attempts} dropped while observed", [attempts]);
            lines.push(line("dropped", all));
        }
        if let Some(most) = self.somaxconn {
            lines.push(line("limit", format!("net.core.somaxconn = {most}")));
        }
        lines.extend(self.descriptors.as_ref().map(|open| line("open", of_limit(open))));
        lines
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let from = &self.listener;
        if let Some(halt) = from.halted {
            return resume(halt, from.processes.first());
        }
        if self.descriptors.is_some_and(|descriptors| descriptors.is_all()) {
            return vec![no_descriptor_left(&from.processes)];
        }
        let faster = || accept_faster(programs(&from.processes));
        let quota = raise_quota(from.doing.as_ref());
        let mut remedies = vec![quota.unwrap_or_else(faster)];
        remedies.push(advice(wording!(
            "remedy-larger-backlog",
            "a larger backlog (the program's listen(), limited by somaxconn) absorbs bursts, no more"
        )));
        if self.somaxconn.is_some_and(|most| u64::from(from.backlog) >= most) {
            let most = u64::from(from.backlog).saturating_mul(4).max(4096);
            remedies.push(command(
                wording!("remedy-at-limit", "this one is at that limit"),
                format!("{enter}sysctl -w net.core.somaxconn={most}"),
            ));
        }
        remedies
    }

    fn sockets(&self) -> Sockets<'_> {
        Sockets::of_listener(&self.listener)
    }

    fn count(&self) -> u64 {
        self.listener.queue.into()
    }

    fn key(&self) -> String {
        self.listener.key()
    }
}
