//! Findings and lingering sockets, each with when it began, how bad it got and when it was over.

use std::collections::BTreeMap;

use crate::{
    model::{
        cause::Why,
        finding::{Finding, Problem, Severity, Status},
        state::State,
        update::{Linger, LingerStatus, Update},
    },
    sink::finding,
};

/// Findings, and groups of lingering sockets, told apart at most.
const MOST: usize = 256;

/// A finding from its beginning to its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trouble {
    /// When it was first told, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) began: u64,
    /// As it was at the worst, the latest of these.
    pub(super) worst: Finding,
    /// When it was over.
    pub(super) ended: Option<u64>,
    key: String,
}

/// Sockets that linger for one reason in one process, towards one far end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lingering {
    /// How many were flagged.
    pub(super) flagged: u64,
    /// How many of them have left the state since.
    pub(super) left: u64,
    /// Longest time in the state, nanoseconds.
    pub(super) longest: u64,
    /// The true time is at least that.
    pub(super) at_least: bool,
    /// Why, in words.
    pub(super) why: Option<String>,
}

/// What lingering sockets are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) state: State,
    pub(super) process: Option<([u8; 16], u32)>,
    pub(super) peer: String,
    cause: &'static str,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles {
    findings: Vec<Trouble>,
    /// Sockets that linger.
    pub(super) lingering: BTreeMap<Group, Lingering>,
    /// Findings that found no room.
    pub(super) unlisted: u64,
    /// Sockets that linger and found no room.
    pub(super) others: Lingering,
}

impl Troubles {
    /// Takes note of an update.
    pub(super) fn update(&mut self, update: &Update<'_>) {
        match update {
            Update::Finding(finding) => self.finding(finding),
            Update::Linger(lingers) => lingers.iter().for_each(|linger| self.linger(linger)),
            _ => {}
        }
    }

    fn finding(&mut self, finding: &Finding) {
        let key = key(finding);
        let ended = (finding.status == Status::Cleared).then_some(finding.time);
        if let Some(known) = self.findings.iter_mut().find(|known| known.key == key) {
            known.ended = ended;
            let badness = |one: &Finding| (one.severity, one.problem.count());
            if ended.is_none() && badness(finding) >= badness(&known.worst) {
                known.worst = finding.clone();
            }
        } else if self.findings.len() < MOST {
            let worst = finding.clone();
            self.findings.push(Trouble { began: finding.time, worst, ended, key });
        } else {
            self.unlisted += 1;
        }
    }

    fn linger(&mut self, linger: &Linger) {
        let peer = linger.subject.tuple.peer;
        let serves = peer.port >= linger.subject.tuple.local.port;
        let process = linger.subject.owner.map(|owner| (owner.process.comm, owner.process.pid));
        let group = Group {
            state: linger.state,
            process,
            peer: if serves { peer.address().to_string() } else { peer.to_string() },
            cause: linger.why.as_ref().map_or("", Why::code),
        };
        let full = self.lingering.len() >= MOST && !self.lingering.contains_key(&group);
        let of = if full { &mut self.others } else { self.lingering.entry(group).or_default() };
        match linger.status {
            LingerStatus::Raised => of.flagged += 1,
            LingerStatus::Continues => {}
            LingerStatus::Cleared => of.left = (of.left + 1).min(of.flagged),
        }
        if linger.age >= of.longest {
            (of.longest, of.at_least) = (linger.age, linger.at_least);
            of.why = finding::why(linger).or(of.why.take());
        }
    }

    /// Worst first; of those that are equally bad the one that is about most.
    pub(super) fn findings(&self) -> Vec<&Trouble> {
        let mut findings: Vec<&Trouble> = self.findings.iter().collect();
        findings.sort_by_key(|known| {
            std::cmp::Reverse((known.worst.severity, known.worst.problem.count()))
        });
        findings
    }

    /// How many findings are that bad.
    pub(super) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|known| known.worst.severity == severity).count()
    }
}

/// What makes two findings the same at different times.
fn key(finding: &Finding) -> String {
    let of = match &finding.problem {
        Problem::CloseWaitLeak(leak) => {
            let holders = leak.holders.iter().map(|holder| holder.process.pid);
            format!("{:?} {:?} {:?}", leak.cause, leak.service, holders.collect::<Vec<_>>())
        }
        Problem::EphemeralPorts(ports) => format!("{:?}", ports.scope),
        Problem::NoLocalPort(failures) => {
            format!("{:?} {}", failures.process.map(|process| process.pid), failures.peer)
        }
        Problem::AcceptQueueFull(queue) => queue.listener.local.to_string(),
        Problem::SynBacklog(_) | Problem::TimeWaitOverflow(_) => String::new(),
        Problem::Descriptors(out) => out.program.process.pid.to_string(),
        Problem::StuckHandshake(stuck) => {
            format!("{:?} {:?} {:?}", stuck.state, stuck.service, stuck.process.map(|one| one.pid))
        }
    };
    format!("{} {} {of}", finding.problem.code(), finding.netns)
}
