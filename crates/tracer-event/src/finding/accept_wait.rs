//! `accept_wait`: connections wait in a listener's queue, and nobody accepts them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Descriptors, Explain, Line, Listener, Remedy, Severity, Sockets, Worker,
    doing::{does, of_listener, raise_quota},
    remedies::{accept_faster, advice, no_descriptor_left, resume, stacks},
    words::{halted, least, line, of_limit, process, programs, whose},
};
use crate::{
    duration::grouped,
    phrase::{Wording, wording},
    process::Process,
};

/// Connections that wait for accept().
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AcceptWait {
    /// The listener in whose queue they wait.
    pub listener: Listener,
    /// How many wait.
    pub waiting: u64,
    /// Of these, how many the peer has closed meanwhile (CLOSE_WAIT).
    pub given_up: u64,
    /// Longest time since ESTABLISHED.
    #[serde(rename = "oldest_ns")]
    pub oldest: u64,
    /// The true time is at least `oldest_ns`.
    pub at_least: bool,
    /// Some of those that waited at the first snapshot wait no more: the queue moves, slowly.
    pub moves: bool,
    /// Who called listen(), where that was seen and it holds the listener no more.
    pub listened: Option<Process>,
    /// The leader of the process group of who holds it has ended.
    pub leaderless: bool,
    /// Other listeners of this port (SO_REUSEPORT).
    pub siblings: u32,
    /// Connections that wait in their queues.
    pub siblings_waiting: u64,
    /// Descriptors of the first process: who has none left cannot accept.
    pub descriptors: Option<Descriptors>,
    /// Who accepts connections of this port, and who holds a listener of it and accepts none, where
    /// there are several and accept() is seen; most first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<Worker>,
    /// Their shares are further from even than chance makes them.
    #[serde(default)]
    pub uneven: bool,
}

impl Explain for AcceptWait {
    fn about() -> About {
        About {
            when: "connections have waited in a listener's own queue for a second or longer and nobody \
                   accepts them, however long the queue may be: a warning from three seconds on; or the \
                   queue moves, and they wait for three seconds all the same; information from one \
                   second on where the processes of the port accept unevenly",
            evidence: "the queue in which each connection waits in two snapshots, the processes that hold \
                       this listener and no other of its port, their states, processor time, and the kernel \
                       functions that their threads sleep in (`/proc/PID/task/TID/wchan`), how long they were ready and \
                       waited for a processor, and how often their control groups used up a CPU quota \
                       (`cpu.stat`); how many \
                       connections each process has accepted while observed, uneven where that is four \
                       standard deviations from an even share of twenty or more",
            unknown: "which of several listeners of a port (SO_REUSEPORT) it is on kernels that do not \
                      show the queue; what the threads wait for without CAP_SYS_PTRACE",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let from = &self.listener;
        let (listener, halt) = (whose(from, ", "), self.state());
        let (queue, backlog) = (from.queue.to_string(), from.backlog.to_string());
        let oldest = least(self.at_least, self.oldest);
        let count = Wording::count(self.waiting, "connection");
        if self.moves {
            return wording!(
                "accept-wait-slow",
                "{count} wait long for accept(): listener {listener}{halt}; backlog {queue} of \
                 {backlog}, the oldest for {oldest}",
                [count, listener, halt, queue, backlog, oldest]
            );
        }
        let wait = match self.waiting {
            1 => "waits and nobody accepts it",
            _ => "wait and nobody accepts them",
        };
        wording!(
            "accept-wait-nobody",
            "{count}: listener {listener}{halt}; backlog {queue} of {backlog}, the oldest for \
             {oldest}",
            [listener, halt, queue, backlog, oldest],
            count = Wording::new(format!("{count} {wait}"), count)
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = of_listener(&self.listener);
        if self.given_up > 0 {
            let gone = wording!(
                "peers-closed",
                "{count} of them closed by their peers",
                count = grouped(self.given_up),
            );
            lines.push(line("given up", gone));
        }
        if let Some(listened) = &self.listened {
            let words = wording!(
                "has-listened",
                "{who} called listen(), and has closed it or ended",
                who = process(listened),
            );
            lines.push(line("inherited", words));
        } else if self.leaderless {
            let words =
                wording!("leaderless", "perhaps: the process that started its group has ended");
            lines.push(line("inherited", words));
        }
        lines.extend(self.descriptors.as_ref().map(|open| line("open", of_limit(open))));
        if self.siblings > 0 {
            let words = wording!(
                "siblings",
                "{others} of this port (SO_REUSEPORT), {waiting} waiting there",
                others = Wording::count(self.siblings.into(), "other listener"),
                waiting = grouped(self.siblings_waiting),
            );
            lines.push(line("shared", words));
        }
        lines.extend(shares(self));
        lines
    }

    fn remedies(&self, _: &str) -> Vec<Remedy> {
        let from = &self.listener;
        let pid = from.processes.first().map(|program| program.process.pid);
        if let Some(halt) = from.halted {
            return resume(halt, from.processes.first());
        }
        let who = programs(&from.processes);
        if self.descriptors.is_some_and(|descriptors| descriptors.is_all()) {
            return vec![no_descriptor_left(&from.processes)];
        }
        let mut remedies = vec![if let Some(quota) = raise_quota(from.doing.as_ref()) {
            quota
        } else if self.listened.is_some() {
            advice(wording!(
                "remedy-inherited-listener",
                "{who} inherited the listener: end what does not serve, or close the descriptor \
                 there; open listeners with SOCK_CLOEXEC",
                [who]
            ))
        } else if self.moves {
            accept_faster(who)
        } else {
            advice(wording!(
                "remedy-accept",
                "{who} must call accept(): remove what holds that up; a restart frees the queue",
                [who]
            ))
        }];
        remedies.extend(pid.map(stacks));
        if self.siblings > 0 {
            remedies.push(advice(wording!(
                "remedy-reuseport",
                "SO_REUSEPORT gives each listener its share of new connections, whether it accepts \
                 or not: a worker that does not must close its listener"
            )));
        }
        remedies
    }

    fn sockets(&self) -> Sockets<'_> {
        Sockets::of_listener(&self.listener).owned_by(&self.listened)
    }

    fn count(&self) -> u64 {
        self.waiting
    }

    fn key(&self) -> String {
        self.listener.key()
    }
}

/// `worker[12] accepted 96, worker[13] none: uneven`
fn shares(wait: &AcceptWait) -> Option<Line> {
    const SHOWN: usize = 4;
    let each = |worker: &Worker| {
        let who = process(&worker.process);
        match worker.accepted {
            0 => wording!("accepts-none", "{who} none", [who]),
            accepted => format!("{who} {}", grouped(accepted)).into(),
        }
    };
    // Who has accepted most, and who has least.
    let last = wait.workers.len().saturating_sub(1).max(SHOWN - 1);
    let shown = wait.workers.iter().take(SHOWN - 1).chain(wait.workers.get(last));
    let names = Wording::from(shown.map(each).collect::<Vec<_>>());
    let names = match wait.workers.len().saturating_sub(SHOWN) {
        0 => names,
        more => {
            let more = more.to_string();
            wording!("and-more", "{names}, {more} more", [names, more])
        }
    };
    let names = if wait.uneven { wording!("uneven", "{names}: uneven", [names]) } else { names };
    (wait.workers.len() > 1).then(|| line("accepted", names))
}

impl AcceptWait {
    /// `, which sleeps`
    pub(super) fn state(&self) -> Wording {
        let Listener { processes, halted: halt, doing, .. } = &self.listener;
        let words = match halt {
            _ if processes.is_empty() => None,
            Some(halt) => Some(halted(*halt)),
            None => doing.as_ref().and_then(does),
        };
        let only = processes.len() == 1 || halt.is_some();
        let words = words.map(|words| match only {
            true => wording!("which-halted", ", which {halt}", halt = words),
            false => wording!("first-does", ", the first of which {does}", does = words),
        });
        words.into()
    }
}
