//! `closed_but_held`: a process is done with connections, and another one still holds them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Program, Remedy, Service, Severity, Sockets,
    alike::{kin, of_fds, who_do},
    doing::of_activity,
    remedies::{advice, close_on_exec, command},
    words::{end, line, of_programs, process, service},
};
use crate::{
    activity::Doing,
    duration::duration,
    endpoint::Endpoint,
    phrase::{Wording, wording},
    process::Process,
};

/// Open connections that their process has closed and another one holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClosedButHeld {
    /// How many.
    pub sockets: u64,
    /// Who holds them.
    #[serde(rename = "processes")]
    pub holders: Vec<Program>,
    /// Descriptors of the first process, ascending.
    pub fds: Vec<u32>,
    /// Who has closed them: who accepted them, or listens for their like.
    pub closed_by: Process,
    /// That is the parent of who holds them.
    pub is_parent: bool,
    /// It was seen to accept them.
    pub accepted: bool,
    /// Each holder has one, as the processes of a server that forks for each connection.
    #[serde(default)]
    pub may_serve: bool,
    /// What they have in common.
    pub service: Service,
    /// A peer.
    pub peer: Endpoint,
    /// Longest time in which no data has moved.
    #[serde(rename = "idle_ns")]
    pub idle: u64,
    /// What the first holder does.
    pub doing: Option<Doing>,
}

impl Explain for ClosedButHeld {
    fn about() -> About {
        About {
            when: "open connections have been silent for two seconds after an answer, the process that \
                   accepted them (or listens for them) holds them no more, and those that do hold them wait \
                   for something else: a warning from four seconds on, or from a minute on where each holder \
                   has one and may serve it",
            evidence: "who holds descriptors of connections and listeners, accept() where it was seen, \
                       parents, the times of the last data, and what the holders wait for: the functions that \
                       their threads sleep in, the descriptors of their system calls and epoll instances",
            unknown: "what a holder means to do later; holders that use poll(), select() or io_uring, or hold \
                      a connection as standard input or output, are taken to serve it",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let closer = process(&self.closed_by);
        let closer = match self.is_parent {
            true => {
                let english = if self.holders.len() > 1 { "their parent" } else { "its parent" };
                let who = Wording::new(format!("{english} {closer}"), closer);
                wording!("closed-by-parent", "{who}", [who])
            }
            false => closer.into(),
        };
        let waits = match self.sockets {
            1 => "it, the peer waits",
            _ => "them, the peers wait",
        };
        let unless = match (self.may_serve, self.holders.len()) {
            (false, _) => "",
            (true, 1) => "unless it serves that, ",
            (true, _) => "unless they serve those, ",
        };
        let english = format!("{closer} has closed: {unless}no FIN is sent for {waits}");
        let serves = self.may_serve.then(|| wording!("unless-served", ""));
        wording!(
            "closed-but-held",
            "{who} {count} {service} that {closer}{serves}; silent for {idle}",
            [serves],
            who = who_do(&self.holders, "still holds", "still hold"),
            count = Wording::count(self.sockets, "connection"),
            service = service(self.service),
            closer = Wording::new(english, closer),
            idle = duration(self.idle)
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = of_programs(&self.holders);
        let holder = self.holders.first().map(|program| &program.process);
        let doing = self.doing.as_ref().zip(holder);
        lines.extend(doing.and_then(|(doing, holder)| of_activity(doing, holder)));
        lines.extend(of_fds(&self.fds, &self.holders));
        let peer = end(self.peer);
        let peer = match self.sockets {
            0 | 1 => peer.into(),
            _ => wording!("and-others", "{peer} and others", [peer]),
        };
        lines.push(line("peer", peer));
        let who = process(&self.closed_by);
        let closer = if self.accepted {
            wording!("has-accepted", "{who}, which accepted them", [who])
        } else {
            wording!("only-listens", "{who}, which listens, and holds none of them", [who])
        };
        lines.push(line("closed by", closer));
        lines
    }

    fn remedies(&self, _: &str) -> Vec<Remedy> {
        let mut remedies = vec![
            close_on_exec(),
            advice(wording!(
                "remedy-shutdown",
                "{who} can shutdown(SHUT_WR) before close(): that sends the FIN, whoever holds copies",
                who = process(&self.closed_by),
            )),
        ];
        if let (Some(holder), Some(fd)) = (self.holders.first(), self.fds.first()) {
            let pid = holder.process.pid;
            remedies.push(command(
                wording!("remedy-see-held", "what it holds; when it ends, the FIN is sent"),
                format!("ls -l /proc/{pid}/fd/{fd}"),
            ));
        }
        remedies
    }

    fn sockets(&self) -> Sockets<'_> {
        Sockets::of(self.service).owned_by(&self.holders).owned_by([&self.closed_by])
    }

    fn count(&self) -> u64 {
        self.sockets
    }

    fn key(&self) -> String {
        format!("{:?} {} {}", self.service, self.closed_by.pid, kin(&self.holders))
    }
}
