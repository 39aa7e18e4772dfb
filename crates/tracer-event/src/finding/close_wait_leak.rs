//! `close_wait_leak`: sockets in CLOSE_WAIT that nobody closes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Cause, Descriptors, Explain, Line, Listener, Program, Remedy, Service, Severity,
    Sockets,
    alike::{kin, of_fds, who_do},
    commands::filter,
    doing::of_listener,
    made::Made,
    other_side::{OtherSide, await_less, half_close, of_other_side, other_peers},
    remedies::{advice, close_on_exec, command, no_descriptor_left, resume, serve, stacks},
    words::{
        a_process, bytes, each_peer, end, growth, halted, least, line, of_limit, of_programs,
        programs, service, states, whose, with_orphans,
    },
};
use crate::{
    endpoint::Endpoint,
    phrase::{Wording, wording},
    process::Process,
    state::State,
};

/// Far ends named.
const PEERS: usize = 4;

/// Sockets in CLOSE_WAIT with one cause and one service, of one process or several of one name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Leak {
    /// Why they stay.
    pub cause: Cause,
    /// How many sockets.
    pub sockets: u64,
    /// Who holds them, or has not accepted them.
    #[serde(rename = "processes")]
    pub holders: Vec<Program>,
    /// Children of these that hold some of them as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heirs: Vec<Program>,
    /// The parent that closed its copy, of `inherited`.
    pub parent: Option<Process>,
    /// Descriptors of the first process, ascending.
    pub fds: Vec<u32>,
    /// What they have in common.
    pub service: Service,
    /// Far ends' addresses and how many sockets each has, most first.
    #[serde(with = "by_peer")]
    #[schemars(with = "Vec<by_peer::Counted>")]
    pub peers: Vec<(Endpoint, u64)>,
    /// The listener they came from, of `never_accepted`.
    pub listener: Option<Listener>,
    /// Longest time in CLOSE_WAIT.
    #[serde(rename = "oldest_ns")]
    pub oldest: u64,
    /// The true age is at least `oldest_ns`.
    pub at_least: bool,
    /// Growth, sockets a minute.
    #[serde(rename = "growth_per_minute")]
    pub growth: f64,
    /// Received bytes that nobody has read.
    #[serde(rename = "unread_bytes")]
    pub unread: u64,
    /// Descriptors of the first process, or of who does not accept.
    pub descriptors: Option<Descriptors>,
    /// States of those peers that are on this host.
    pub peer_sockets: BTreeMap<State, u64>,
    /// How many of these no process holds any more.
    pub peer_orphans: u64,
    /// The other side, of `half_close_passed_on`, `half_close_not_passed_on` and `awaits_answer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_side: Option<OtherSide>,
    /// The code that made them (`--stacks`).
    pub made: Option<Made>,
}

super::counted!(by_peer: peer: Endpoint);

impl Explain for Leak {
    fn about() -> About {
        About {
            when: "sockets are in CLOSE_WAIT and no data moves on them: a warning for three or more of one \
                   cause that have stayed, or one that is 30 s old (only the latter where their clients are on this \
                   host and hold their ends, as while they wait for an answer); critical when the descriptors \
                   or the accept queue are exhausted; else information",
            evidence: "the sockets, their receive queues and holders in two snapshots, the listener that \
             they came from, and the FIN if it was seen; of both sides of what a proxy forwards, equal bytes or a \
             half-close at the same moment; of a wait for another server, a connection of its own for each, on \
             which the process asked within a second of the request and has heard nothing since",
            unknown: "whether the application would still close them: a half-close at work without any data \
             moving looks the same until it sends; whether a process waits for something other than TCP; the exact age of those from before",
        }
    }

    fn sentence(&self, severity: Severity) -> Wording {
        let who = programs(&self.holders);
        let count = Wording::count(self.sockets, "connection");
        match self.cause {
            Cause::NeverAccepted => not_accepted(self.listener.as_ref(), count),
            Cause::Halted(_) | Cause::Inherited | Cause::Unread => self.unclosed(who, count),
            Cause::Held if severity == Severity::Info => wording!(
                "close-wait-not-yet",
                "{who} {count} yet; the peers have",
                [count],
                who = who_do(&self.holders, "has not closed", "have not closed")
            ),
            Cause::Held => wording!(
                "close-wait-leak",
                "{who} {count}; the peers have closed",
                [count],
                who = who_do(&self.holders, "leaks", "leak")
            ),
            Cause::PassedOn | Cause::NotPassedOn | Cause::AwaitsAnswer => {
                self.forwarded(who, count)
            }
            Cause::Orphaned => wording!(
                "close-wait-orphaned",
                "{count} closed by both ends wait in the kernel, nobody holds them",
                [count]
            ),
            Cause::Unseen => wording!(
                "close-wait-unseen",
                "{count} that the peers have closed are held, but by no descriptor that can be seen",
                [count]
            ),
        }
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = of_programs(&self.holders);
        if let Some(from) = &self.listener {
            lines.extend(of_listener(from));
        }
        lines.extend(of_fds(&self.fds, &self.holders));
        if !self.heirs.is_empty() {
            let heirs = wording!(
                "heirs",
                "{who} by fork as well: no FIN is sent while one is open there",
                who = programs(&self.heirs),
            );
            lines.push(line("also held", heirs));
        }
        lines.push(line(
            if self.peers.len() == 1 { "peer" } else { "peers" },
            vec![peers(self), service(self.service)],
        ));
        let time = least(self.at_least, self.oldest);
        lines.push(line("oldest", wording!("in-close-wait", "{time} in CLOSE_WAIT", [time])));
        lines.extend(self.other_side.as_ref().map(of_other_side));
        lines.push(line("growth", growth(self.growth)));
        if self.unread > 0 {
            lines.push(line("unread", bytes(self.unread)));
        }
        lines.extend(self.descriptors.as_ref().map(|open| line("open", of_limit(open))));
        if !self.peer_sockets.is_empty() {
            let here = wording!(
                "states-here",
                "{states} on this host",
                states = states(&self.peer_sockets),
            );
            lines.push(line("peer states", with_orphans(here, self.peer_orphans)));
        }
        lines.extend(self.made.iter().flat_map(|made| made.lines(self.sockets)));
        lines
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let who = programs(&self.holders);
        let mut remedies = match self.cause {
            Cause::NeverAccepted => return never_accepted(self),
            Cause::Halted(halt) => resume(halt, self.holders.first()),
            // A child for each connection is there to serve it.
            Cause::Inherited if self.sockets == self.holders.len() as u64 => {
                vec![serve(), close_on_exec()]
            }
            Cause::Inherited => vec![close_on_exec(), serve()],
            Cause::Unread => vec![advice(wording!(
                "remedy-read-to-end",
                "{who} must read until read() returns 0, then close(): look for a reader that gave \
                 up or waits for something else",
                [who]
            ))],
            Cause::AwaitsAnswer => return await_less(who, self.other_side.as_ref()),
            Cause::PassedOn | Cause::NotPassedOn => {
                half_close(&self.holders, &self.service, self.other_side.as_ref())
            }
            Cause::Orphaned => {
                vec![advice(wording!(
                    "remedy-kernel-gives-up",
                    "nothing to do: the kernel gives up when retransmissions time out"
                ))]
            }
            Cause::Unseen => vec![advice(wording!(
                "remedy-unseen",
                "look for io_uring users, descriptors in flight over Unix sockets, and kernel \
                 clients such as NFS"
            ))],
            Cause::Held if !self.heirs.is_empty() => vec![must_close(who), close_on_exec()],
            Cause::Held => vec![must_close(who)],
        };
        remedies.push(kill(self, enter));
        remedies.extend(folklore(self));
        remedies.truncate(3);
        remedies
    }
    fn sockets(&self) -> Sockets<'_> {
        let listening = self.listener.iter().flat_map(|from| &from.processes);
        Sockets::of(self.service)
            .with_peers(&self.peers)
            .in_states([State::CloseWait])
            .owned_by(self.holders.iter().chain(listening).chain(&self.heirs))
    }

    fn count(&self) -> u64 {
        self.sockets
    }

    fn key(&self) -> String {
        let (parent, listener) = (self.parent.map(|parent| parent.pid), self.listener.as_ref());
        let listening = listener.map(|from| from.processes.iter().map(|one| one.process.pid));
        let listening: Vec<u32> = listening.into_iter().flatten().collect();
        let kin = kin(&self.holders);
        format!("{:?} {:?} {kin} {parent:?} {listening:?}", self.cause, self.service)
    }
}

impl Leak {
    /// By a process that cannot, does not know of them, or has not read them to the end.
    fn unclosed(&self, who: Wording, count: Wording) -> Wording {
        match self.cause {
            Cause::Halted(halt) => wording!(
                "close-wait-halted",
                "{who} {halt}, with {count} open that the peers have closed",
                [who, count],
                halt = halted(halt)
            ),
            Cause::Inherited => wording!(
                "close-wait-inherited",
                "{who} {count} that came from the parent {parent} by fork; the peers have closed, and so \
                 has the parent",
                [count],
                who = who_do(&self.holders, "still holds", "still hold"),
                parent = a_process(self.parent.as_ref())
            ),
            _ => wording!(
                "close-wait-unread",
                "{who} {count} to the end: {unread} unread, the peers have closed",
                [count],
                who = who_do(&self.holders, "does not read", "do not read"),
                unread = Wording::count(self.unread, "byte")
            ),
        }
    }

    /// By a process that forwards them, or asks another server for the answer.
    fn forwarded(&self, who: Wording, count: Wording) -> Wording {
        let peers = other_peers(self.other_side.as_ref());
        match self.cause {
            Cause::PassedOn => wording!(
                "close-wait-passed-on",
                "{peers} does not close {count} forwarded by {who}, though it was told that the \
                 peers have closed",
                [peers, count, who]
            ),
            Cause::AwaitsAnswer => wording!(
                "close-wait-awaits-answer",
                "{who} {peers} to answer, with {count} open that the peers have closed",
                [peers, count],
                who = who_do(&self.holders, "waits for", "wait for")
            ),
            _ => wording!(
                "close-wait-not-passed-on",
                "{who} that the peers have closed {count}: the other side, {peers}, is still open",
                [count, peers],
                who = who_do(&self.holders, "has not passed on", "have not passed on")
            ),
        }
    }
}

fn not_accepted(listener: Option<&Listener>, count: Wording) -> Wording {
    let Some(from) = listener else {
        return wording!(
            "close-wait-listener-gone",
            "{count} never accepted; the listener is gone",
            [count]
        );
    };
    let (backlog, is_full) = (from.backlog.to_string(), from.queue > from.backlog);
    let english = if is_full { format!("{backlog} (full)") } else { backlog.clone() };
    wording!(
        "close-wait-never-accepted",
        "{count} never accepted, listener {listener}, backlog {queue} of {backlog}; the peers have \
         closed",
        [count],
        listener = whose(from, ", "),
        queue = from.queue.to_string(),
        backlog = Wording::new(english, backlog)
    )
}

fn peers(leak: &Leak) -> Wording {
    match leak.peers.as_slice() {
        [(peer, _)] if leak.sockets <= 1 => end(*peer).into(),
        peers => each_peer(peers, PEERS),
    }
}

fn must_close(who: Wording) -> Remedy {
    advice(wording!(
        "remedy-close",
        "{who} must close() when read() returns 0 (end of file), on error paths too; a pool must drop \
         connections that the peer has closed",
        [who]
    ))
}

/// What people try in vain.
fn folklore(leak: &Leak) -> Option<Remedy> {
    matches!(leak.cause, Cause::Held | Cause::Unread).then(|| {
        advice(wording!(
            "remedy-not-keepalive-time",
            "does not help: tcp_fin_timeout is for FIN_WAIT2; tcp_keepalive_time is for sockets \
             with SO_KEEPALIVE, whose descriptors stay open as well"
        ))
    })
}

fn kill(leak: &Leak, enter: &str) -> Remedy {
    command(
        wording!(
            "remedy-kill-close-wait",
            "stopgap: ends all connections of this service in CLOSE_WAIT in the kernel \
             (CONFIG_INET_DIAG_DESTROY), also those whose peer has only half-closed and waits for \
             an answer; the descriptors stay open, and new ones leak on"
        ),
        format!("{enter}ss -K -t state close-wait {}", filter(leak.service)),
    )
}

fn never_accepted(leak: &Leak) -> Vec<Remedy> {
    let Some(from) = &leak.listener else { return Vec::new() };
    let pid = from.processes.first().map(|program| program.process.pid);
    if let Some(halt) = from.halted {
        return resume(halt, from.processes.first());
    }
    if leak.descriptors.is_some_and(|descriptors| descriptors.open >= descriptors.limit) {
        return vec![no_descriptor_left(&from.processes)];
    }
    let mut remedies = vec![advice(wording!(
        "remedy-where-stuck",
        "{who} does not call accept(): look where it is stuck (all workers busy, a deadlock, out of \
         descriptors); restarting it frees the queue",
        who = programs(&from.processes),
    ))];
    remedies.extend(pid.map(stacks));
    remedies.push(advice(wording!(
        "remedy-not-kill",
        "does not help: ss -K ends the connections, but their places in the queue stay taken"
    )));
    remedies
}
