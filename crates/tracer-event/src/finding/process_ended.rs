//! `process_ended`: a process has ended, and what has become of its connections.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Remedy, Severity, Sockets,
    remedies::advice,
    words::{container, line, name, of_a_name, process, total},
};
use crate::{
    close::Reason,
    container::PodName,
    duration::grouped,
    escape::harmless,
    is_zero,
    phrase::{Phrase, Wording, wording},
    process::Process,
};

/// How many connections came to which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ends {
    /// By FIN, all that was sent acknowledged.
    pub closed_normally: u64,
    /// By an RST, sent or received, other than those below.
    pub reset: u64,
    /// Reset because received data had not been read.
    pub unread: u64,
    /// Timed out with data that nobody has acknowledged.
    pub unacknowledged: u64,
    /// Reset with their listener: nobody had accepted them.
    pub never_accepted: u64,
    /// By FIN, while the peer waited for an answer: those that had been accepted, where the service
    /// answers.
    #[serde(default, rename = "requests_unanswered")]
    pub unanswered: u64,
}

impl Ends {
    /// Counts one. Failed calls of connect() are no connections.
    pub fn count(&mut self, reason: Reason) {
        let counter = match reason {
            Reason::Graceful | Reason::FinWait2Timeout => &mut self.closed_normally,
            Reason::ResetSentUnreadData => &mut self.unread,
            Reason::ResetSentUnaccepted => &mut self.never_accepted,
            Reason::RetransmitTimeout | Reason::ZeroWindowTimeout => &mut self.unacknowledged,
            Reason::ResetReceived
            | Reason::ResetSentLingerZero
            | Reason::ResetSentDataAfterClose
            | Reason::KeepaliveTimeout
            | Reason::AbortedLocally
            | Reason::Killed
            | Reason::Disconnected => &mut self.reset,
            Reason::Refused
            | Reason::Unreachable
            | Reason::ConnectTimeout
            | Reason::NoLocalPort
            | Reason::Unknown => return,
        };
        *counter += 1;
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        let Self { closed_normally, reset, unread, unacknowledged, never_accepted, unanswered } =
            other;
        self.closed_normally += closed_normally;
        self.reset += reset;
        self.unread += unread;
        self.unacknowledged += unacknowledged;
        self.never_accepted += never_accepted;
        self.unanswered += unanswered;
    }

    /// Connections whose data was lost, or that were not answered.
    pub fn lost(&self) -> u64 {
        total([self.unread, self.unacknowledged, self.never_accepted, self.unanswered])
    }
}

/// A container, a unit of systemd or another control group in which no process is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndedGroup {
    /// Path in the hierarchy.
    pub path: Box<str>,
    /// Id of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Box<str>>,
    /// UID of the pod of Kubernetes that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Box<str>>,
    /// What that pod is called, where that was asked for (`--pod-logs`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<PodName>,
    /// The unit, where there is no container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Box<str>>,
    /// How many of its processes have ended with a socket open.
    pub processes: u64,
}

impl EndedGroup {
    /// Its name, or its path.
    pub(super) fn name(&self) -> String {
        match &self.container {
            Some(id) => container(id, self.pod_name.as_ref()),
            None => harmless(self.unit.as_deref().unwrap_or(&self.path)).into_owned(),
        }
    }
}

/// A process that has ended, or all that a container or a unit had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessEnded {
    /// Which; of several one that listened, or whose connections lost most.
    pub process: Process,
    /// How many others of the same name have ended: the figures are of all of them.
    #[serde(default, rename = "other_processes", skip_serializing_if = "is_zero")]
    pub others: u64,
    /// What has ended with its last process: the figures are of all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<EndedGroup>,
    /// Connections that it had open when it ended; the kernel closed them.
    pub left_open: u64,
    /// How its connections ended, those included that it closed within seconds before.
    #[serde(flatten)]
    pub ends: Ends,
    /// Those that have not come to their end yet.
    pub still_closing: u64,
}

impl ProcessEnded {
    /// Who has ended.
    fn who(&self) -> Wording {
        let Some(group) = &self.group else {
            return of_a_name(Some(&self.process), self.others);
        };
        let first = process(&self.process);
        let name = group.name();
        let kind = if group.container.is_some() { "container " } else { "" };
        let others = match group.processes.saturating_sub(1) {
            0 => String::new(),
            others => format!(" and {} more", grouped(others)),
        };
        let english = format!("{kind}{name} ({first}{others})");
        let phrase = Phrase::new("ended-group").with("group", name).with("who", first);
        Wording::new(english, phrase.with("count", grouped(group.processes)))
    }

    /// How its connections ended.
    fn ends(&self) -> Wording {
        let Self { ends, still_closing, .. } = self;
        let Ends { closed_normally, reset, unread, unacknowledged, never_accepted, unanswered } =
            *ends;
        let parts: Vec<Wording> = [
            (unanswered, "closed with a request unanswered", "ended-unanswered"),
            (closed_normally, "closed normally", "ended-normally"),
            (reset, "reset", "ended-reset"),
            (unread, "reset with unread data", "ended-unread"),
            (unacknowledged, "timed out with unacknowledged data", "ended-unacknowledged"),
            (never_accepted, "never accepted", "ended-never-accepted"),
            (*still_closing, "still closing", "ended-still-closing"),
        ]
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, what, name)| {
            let count = grouped(count);
            Wording::new(format!("{count} {what}"), Phrase::new(name).with("count", count))
        })
        .collect();
        match parts.is_empty() {
            true => wording!("ended-none", "no connection was open"),
            false => parts.into(),
        }
    }

    /// What to look at, and what a process should do that exits by itself.
    fn causes(&self, exits: bool) -> Vec<Remedy> {
        let Ends { unread, unanswered, .. } = self.ends;
        let mut remedies = Vec::new();
        if unanswered > 0 || unread > 0 && exits {
            remedies.push(advice(wording!(
                "remedy-why-ended",
                "see why it has ended: its own log, its exit status in that of its supervisor, and the \
                 kernel's log for a crash or the OOM killer"
            )));
        }
        if unread > 0 && exits {
            remedies.push(advice(wording!(
                "remedy-read-before-exit",
                "where it exits by itself: read what the client has sent, or answer with an error and \
                 shutdown(SHUT_WR), before exit(): with unread data the kernel sends an RST, which may \
                 destroy the answer"
            )));
        }
        remedies
    }

    /// Who, and how its connections ended, in a list of what has ended.
    pub fn words(&self) -> Wording {
        let english = format!("{}: {}", self.who(), self.ends());
        Wording::new(english, self.sentence(Severity::Info))
    }
}

impl Explain for ProcessEnded {
    fn about() -> About {
        About {
            when: "a process has ended that held a TCP socket, or the last one of a container or another \
                   control group: those that end within seconds are one finding, as are other processes of one name. A warning where incoming \
                   connections lost data (reset with unread data, timed out with unacknowledged \
                   data, never accepted) or had a request that was not answered; else information, for processes that listened and for \
                   those that a filter names (`--pid`, `--comm`, `--container`, `--cgroup`)",
            evidence: "sockets closed by a task that has begun to end (`PF_EXITING`), and how the \
                       connections of that process ended in the seconds before and after; a request is not \
                       answered where the peer has sent data since it acknowledged what it was sent last, \
                       on a port that answers; where it is the only connection of the process, 20 ms or \
                       longer before the end, which may be what it has asked for",
            unknown: "processes that had closed all their sockets before they ended; why one has ended, or which \
                      signal has killed it; whether what the peer sent last was to be answered, as \
                      WINDOW_UPDATE of HTTP/2 is not; whether an answer was complete",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let (who, ends) = (self.who(), self.ends());
        match self.others {
            0 => wording!("process-ended", "{who} has ended: {ends}", [who, ends]),
            _ => wording!("processes-ended", "{who} have ended: {ends}", [who, ends]),
        }
    }

    fn evidence(&self) -> Vec<Line> {
        if self.left_open == 0 {
            return Vec::new();
        }
        let open = wording!(
            "kernel-closed",
            "{connections}: the kernel closed what the process had not",
            connections = Wording::count(self.left_open, "connection"),
        );
        vec![line("left open", open)]
    }

    fn remedies(&self, _: &str) -> Vec<Remedy> {
        let Ends { unread, unacknowledged, never_accepted, unanswered, .. } = self.ends;
        // A process for one connection ends by itself: nobody has stopped it.
        let is_each_for_one = self.others > 0 && self.left_open <= self.others + 1;
        let mut remedies = Vec::new();
        if never_accepted > 0 {
            remedies.push(advice(wording!(
                "remedy-drain",
                "take it out of the load balancer first, then accept() until the queue is empty \
                 before the listener is closed; or keep the listener in a parent that stays (socket \
                 activation)"
            )));
        }
        remedies.extend(self.causes(is_each_for_one));
        if is_each_for_one {
            return remedies;
        }
        if unread > 0 || unanswered > 0 {
            remedies.push(advice(wording!(
                "remedy-finish",
                "answer what has been requested before the end: on SIGTERM stop accepting, finish \
                 open requests, shutdown(SHUT_WR), read until read() returns 0, close()"
            )));
        }
        if unread > 0 || unacknowledged > 0 || unanswered > 0 {
            remedies.push(advice(wording!(
                "remedy-more-time",
                "if it is killed before it has finished: more time until SIGKILL (TimeoutStopSec=, \
                 terminationGracePeriodSeconds, docker stop -t)"
            )));
        }
        remedies
    }

    fn sockets(&self) -> Sockets<'_> {
        let others = self.group.as_ref().map_or(self.others, |group| group.processes);
        Sockets::default().owned_by([&self.process]).and_others(others)
    }

    fn count(&self) -> u64 {
        self.ends.lost().max(1)
    }

    fn key(&self) -> String {
        match &self.group {
            // One that ends badly again and again is one finding.
            None if self.ends.lost() > 0 => name(Some(&self.process)),
            _ => format!("{} {}", self.process.pid, self.process.start_ns),
        }
    }

    fn happens_once(&self) -> bool {
        true
    }
}
