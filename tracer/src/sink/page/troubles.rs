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

/// Findings, and groups of lingering sockets, told apart; of groups twice as many before the least
/// are let go.
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
            if ended.is_none() && badness(finding) >= badness(&known.worst) {
                known.worst = finding.clone();
            }
        } else {
            let worst = finding.clone();
            self.findings.push(Trouble { began: finding.time, worst, ended, key });
        }
        if self.findings.len() > MOST {
            self.unlisted += 1;
            let least = self.findings.iter().enumerate().min_by_key(|(_, one)| badness(&one.worst));
            if let Some(index) = least.map(|(index, _)| index) {
                self.findings.remove(index);
            }
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
        let is_known = self.lingering.contains_key(&group);
        if !is_known && self.lingering.len() >= 2 * MOST {
            self.make_room();
        }
        // What is over and not known has made room.
        let of = if !is_known && linger.status == LingerStatus::Cleared {
            &mut self.others
        } else {
            self.lingering.entry(group).or_default()
        };
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

    /// Groups of few sockets are told together: whoever comes first must not fill all places.
    fn make_room(&mut self) {
        let rank = |one: &Lingering| std::cmp::Reverse((one.flagged, one.longest));
        let mut groups: Vec<_> = std::mem::take(&mut self.lingering).into_iter().collect();
        groups.sort_by_key(|(_, one)| rank(one));
        for (_, one) in groups.drain(MOST..) {
            self.others.flagged += one.flagged;
            self.others.left += one.left;
            if one.longest >= self.others.longest {
                let flagged = std::mem::take(&mut self.others);
                self.others = Lingering { flagged: flagged.flagged, left: flagged.left, ..one };
            }
        }
        self.lingering = groups.into_iter().collect();
    }

    /// Worst first; of those that are equally bad the one that is about most.
    pub(super) fn findings(&self) -> Vec<&Trouble> {
        let mut findings: Vec<&Trouble> = self.findings.iter().collect();
        findings.sort_by_key(|known| std::cmp::Reverse(badness(&known.worst)));
        findings
    }

    /// How many findings are that bad.
    pub(super) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|known| known.worst.severity == severity).count()
    }
}

/// What is worse is greater.
fn badness(finding: &Finding) -> (Severity, u64) {
    (finding.severity, finding.problem.count())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{endpoint::Endpoint, finding::NoLocalPort},
        sink::metrics::tests,
    };

    #[test]
    fn those_who_come_first_do_not_hide_what_lingers_most() {
        let mut troubles = Troubles::default();
        let address = |number: u32| std::net::IpAddr::V4((0x0a00_0000 + number).into());
        let mut raise = |number: u32, cookie: u64| {
            let mut linger = tests::linger(cookie, State::CloseWait);
            linger.subject.tuple.peer = Endpoint::new(address(number), 80);
            troubles.update(&Update::Linger(&[linger]));
        };
        (0..3 * MOST as u32).for_each(|number| raise(number, u64::from(number)));
        (0..5).for_each(|cookie| raise(1 << 20, 1 << 20 | cookie));
        (0..3 * MOST as u32).for_each(|number| raise(1 << 21 | number, 1 << 21));
        let most = troubles.lingering.values().map(|group| group.flagged).max();
        assert_eq!(most, Some(5));
        assert!(troubles.lingering.len() <= 2 * MOST);
        let told: u64 = troubles.lingering.values().map(|group| group.flagged).sum();
        assert_eq!(told + troubles.others.flagged, 6 * MOST as u64 + 5);
    }

    #[test]
    fn the_worst_finding_is_listed_whenever_it_comes() {
        let mut troubles = Troubles::default();
        let peer = tests::subject(1).tuple.peer;
        for number in 0..2 * MOST as u32 {
            let worst = number + 1 == 2 * MOST as u32;
            let problem = NoLocalPort { process: None, peer, count: 1, size: None };
            troubles.update(&Update::Finding(&Finding {
                time: 1,
                severity: if worst { Severity::Critical } else { Severity::Info },
                status: Status::Raised,
                netns: number,
                entry: None,
                problem: Problem::NoLocalPort(problem),
            }));
        }
        assert_eq!(troubles.findings.len(), MOST);
        assert_eq!(troubles.unlisted, MOST as u64);
        assert_eq!(troubles.findings()[0].worst.severity, Severity::Critical);
    }
}
