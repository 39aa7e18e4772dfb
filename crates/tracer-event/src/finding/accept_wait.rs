//! `accept_wait`: connections wait in a listener's queue, and nobody accepts them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Descriptors, Explain, Line, Listener, Remedy, Severity, Worker,
    words::{
        advice, does, halted, line, of_limit, of_listener, process, programs, resume, stacks, whose,
    },
};
use crate::{
    duration::{count, duration, grouped},
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
                       functions that their threads sleep in (`/proc/PID/task/TID/wchan`); how many \
                       connections each process has accepted while observed, uneven where that is four \
                       standard deviations from an even share of twenty or more",
            unknown: "which of several listeners of a port (SO_REUSEPORT) it is on kernels that do not \
                      show the queue; what the threads wait for without CAP_SYS_PTRACE",
        }
    }

    fn sentence(&self, _: Severity) -> String {
        let Self { listener, waiting, oldest, at_least, moves, .. } = self;
        let what = if *moves {
            "wait long for accept()"
        } else if *waiting == 1 {
            "waits and nobody accepts it"
        } else {
            "wait and nobody accepts them"
        };
        let least = if *at_least { "≥ " } else { "" };
        format!(
            "{} {what}: listener {}{}; backlog {} of {}, the oldest for {least}{}",
            count(*waiting, "connection"),
            whose(listener, ", "),
            self.state(),
            listener.queue,
            listener.backlog,
            duration(*oldest),
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = of_listener(&self.listener);
        if self.given_up > 0 {
            let gone = format!("{} of them closed by their peers", grouped(self.given_up));
            lines.push(line("given up", gone));
        }
        if let Some(listened) = &self.listened {
            let who = process(listened);
            lines.push(line(
                "inherited",
                format!("{who} called listen(), and has closed it or ended"),
            ));
        } else if self.leaderless {
            let words = "the process that started its group has ended";
            lines.push(line("inherited", format!("perhaps: {words}")));
        }
        lines.extend(self.descriptors.as_ref().map(|open| line("open", of_limit(open))));
        if self.siblings > 0 {
            let others = count(self.siblings.into(), "other listener");
            let waiting = grouped(self.siblings_waiting);
            let words = format!("{others} of this port (SO_REUSEPORT), {waiting} waiting there");
            lines.push(line("shared", words));
        }
        lines.extend(shares(self));
        lines
    }

    fn remedies(&self, _: &str) -> Vec<Remedy> {
        let from = &self.listener;
        let pid = from.processes.first().map(|program| program.process.pid);
        if let Some(halt) = from.halted {
            return resume(halt, pid);
        }
        let who = programs(&from.processes);
        if self.descriptors.is_some_and(|descriptors| descriptors.open >= descriptors.limit) {
            return vec![advice(format!(
                "{who} has no descriptor left to accept with: see that finding"
            ))];
        }
        let mut remedies = vec![advice(if self.listened.is_some() {
            format!(
                "{who} has inherited the listener: end it, or close the descriptor in it; open \
                 listeners with SOCK_CLOEXEC"
            )
        } else if self.moves {
            format!("{who} must accept() faster: more workers, or free what they wait for")
        } else {
            format!(
                "{who} must call accept(): free what it waits for; restarting it frees the queue"
            )
        })];
        remedies.extend(pid.map(stacks));
        if self.siblings > 0 {
            remedies.push(advice(
                "SO_REUSEPORT gives each listener its share of new connections, whether it accepts \
                 or not: a worker that does not must close its listener",
            ));
        }
        remedies
    }

    fn processes(&self) -> Vec<u32> {
        self.listener.processes.iter().map(|program| program.process.pid).collect()
    }

    fn count(&self) -> u64 {
        self.waiting
    }

    fn key(&self) -> String {
        format!("{} {:?}", self.listener.local, self.processes())
    }
}

/// `worker[12] accepted 96, worker[13] none: uneven`
fn shares(wait: &AcceptWait) -> Option<Line> {
    const SHOWN: usize = 4;
    let each = |worker: &Worker| match worker.accepted {
        0 => format!("{} none", process(&worker.process)),
        accepted => format!("{} {}", process(&worker.process), grouped(accepted)),
    };
    // Who has accepted most, and who has least.
    let last = wait.workers.len().saturating_sub(1).max(SHOWN - 1);
    let shown = wait.workers.iter().take(SHOWN - 1).chain(wait.workers.get(last));
    let more = match wait.workers.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(", {more} more"),
    };
    let names = shown.map(each).collect::<Vec<_>>().join(", ");
    let uneven = if wait.uneven { ": uneven" } else { "" };
    (wait.workers.len() > 1).then(|| line("accepted", format!("{names}{more}{uneven}")))
}

impl AcceptWait {
    /// `, which sleeps`
    fn state(&self) -> String {
        let Listener { processes, halted: halt, doing, .. } = &self.listener;
        if processes.is_empty() {
            return String::new();
        }
        let words = match halt {
            Some(halt) => Some(halted(*halt).to_owned()),
            None => doing.as_ref().and_then(does),
        };
        words.map_or_else(String::new, |words| format!(", which {words}"))
    }
}
