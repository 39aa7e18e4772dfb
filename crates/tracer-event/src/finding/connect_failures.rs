//! `connect_failures`: connect() fails, or is slow because SYNs are lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, LostSegment, Remedy, Severity,
    remedies::{advice, command, firewall},
    words::{destination, line, lost, name, of_a_name, since, total},
};
use crate::{
    close::Reason,
    duration::{count, duration, grouped, whole_seconds},
    endpoint::Endpoint,
    icmp::Icmp,
    phrase::{Phrase, Value, Wording, wording},
    process::Process,
};

/// Attempts of one process, or of several of one name, to connect to one destination, while observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectFailures {
    /// Who connects.
    pub process: Option<Process>,
    /// How many other processes of the same name are counted here.
    #[serde(default, rename = "other_processes")]
    pub others: u64,
    /// To what.
    pub peer: Endpoint,
    /// Attempts that ended, either way.
    pub attempts: u64,
    /// Of these, failed, by reason.
    pub failures: Vec<ConnectFailure>,
    /// Handshakes that were completed after the SYN had been retransmitted.
    pub retransmitted: u64,
    /// Of these, how many because the SYN+ACK was lost, where the peer is on this host.
    #[serde(default, rename = "syn_ack_lost")]
    pub answered: u64,
    /// What the retransmissions have cost, all of them together, nanoseconds.
    #[serde(rename = "delay_ns")]
    pub delay: u64,
    /// Median of the times that completed handshakes took, nanoseconds.
    #[serde(rename = "p50_ns")]
    pub p50: Option<u64>,
    /// 99 of 100 took no longer, nanoseconds.
    #[serde(rename = "p99_ns")]
    pub p99: Option<u64>,
    /// Time since the first failure or delay, nanoseconds.
    #[serde(rename = "since_ns")]
    pub since: u64,
}

/// Attempts that failed for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectFailure {
    /// `refused`, `unreachable`, `connect_timeout`, or `aborted_locally`: the application gave up
    /// after a second or more without an answer.
    pub reason: Reason,
    /// The ICMP error that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Icmp>,
    /// What was lost, where the peer is on this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<LostSegment>,
    /// How many.
    pub attempts: u64,
}

impl ConnectFailure {
    fn words(&self) -> &'static str {
        match self.reason {
            Reason::Refused => "refused",
            Reason::Unreachable => "unreachable",
            Reason::ConnectTimeout => "timed out",
            _ => "given up without an answer",
        }
    }

    /// In which phase it failed, and by whom.
    fn phase(&self) -> Wording {
        let count = grouped(self.attempts);
        if let Some(segment) = self.lost {
            let lost = lost(segment);
            return wording!(
                "times-lost",
                "{count} × no answer: {lost}",
                count = count,
                lost = lost
            );
        }
        let phase = match (self.reason, self.icmp) {
            (Reason::Refused, _) => wording!(
                "phase-refused",
                "RST in answer to the SYN: nobody listens there, or a firewall rejects it"
            ),
            (_, Some(icmp)) => Wording::new(icmp.words(), Value::English(icmp.words())),
            (Reason::Unreachable, None) => {
                wording!("phase-icmp", "an ICMP error in answer to the SYN")
            }
            (Reason::ConnectTimeout, None) => wording!(
                "phase-timed-out",
                "no answer to any SYN until the kernel gave up: the SYN or the SYN+ACK lost, or \
                 dropped by a firewall or a full backlog"
            ),
            _ => wording!(
                "phase-given-up",
                "no answer to the SYN until the application gave up: the SYN or the SYN+ACK lost, or \
                 dropped by a firewall or a full backlog"
            ),
        };
        wording!("times", "{count} × {what}", count = count, what = phase)
    }
}

impl ConnectFailures {
    fn failed(&self) -> u64 {
        total(self.failures.iter().map(|failure| failure.attempts))
    }
}

impl Explain for ConnectFailures {
    fn about() -> About {
        About {
            when: "while observed, three or more attempts of a process to connect to one destination \
                   failed, and at least a tenth of all, or as many handshakes needed another SYN \
                   (information below that)",
            evidence: "each end of SYN_SENT: the RST, ICMP error or timeout that ended it, and the \
                       SYNs that were retransmitted; where the peer is on this host, the SYN+ACKs \
                       that it has retransmitted",
            unknown: "whether a SYN or the answer to it was lost, where the peer is another host",
        }
    }

    fn sentence(&self, _: Severity) -> String {
        let who = of_a_name(self.process.as_ref(), self.others);
        let since = since(self.since);
        let failed = self.failed();
        if failed == 0 {
            return format!(
                "{} of {} from {who} to {} needed another SYN, {} lost in all{since}",
                grouped(self.retransmitted),
                count(self.attempts, "handshake"),
                self.peer,
                duration(self.delay),
            );
        }
        let each =
            |failure: &ConnectFailure| format!("{} {}", grouped(failure.attempts), failure.words());
        let kinds = match self.failures.as_slice() {
            [one] => one.words().to_owned(),
            several => {
                format!("failed: {}", several.iter().map(each).collect::<Vec<_>>().join(", "))
            }
        };
        if self.attempts == 1 {
            return format!("{who} cannot connect to {}: {kinds}", self.peer);
        }
        format!(
            "{who} cannot connect to {}: {} of {} {kinds}{since}",
            self.peer,
            grouped(failed),
            count(self.attempts, "attempt"),
        )
    }

    fn phrase(&self, _: Severity) -> Phrase {
        let failed: u64 = self.failures.iter().map(|failure| failure.attempts).sum();
        let of = if failed == 0 {
            Phrase::new("connect-slow")
                .with("again", grouped(self.retransmitted))
                .with("delay", duration(self.delay))
        } else {
            let kind = |reason| match reason {
                Reason::Refused => "failed-refused",
                Reason::Unreachable => "failed-unreachable",
                Reason::ConnectTimeout => "failed-timed-out",
                _ => "failed-given-up",
            };
            let each = self.failures.iter();
            let each =
                each.map(|one| Phrase::new(kind(one.reason)).with("count", grouped(one.attempts)));
            let name = if self.attempts > 1 { "connect-failures" } else { "connect-failed-once" };
            Phrase::new(name)
                .with("failed", grouped(failed))
                .with("kinds", each.collect::<Vec<_>>())
        };
        of.with("who", of_a_name(self.process.as_ref(), self.others))
            .with("peer", self.peer.to_string())
            .with("attempts", grouped(self.attempts))
            .with("since", whole_seconds(self.since))
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines: Vec<Line> =
            self.failures.iter().map(|failure| line("failed", failure.phase())).collect();
        if self.retransmitted > 0 {
            let answered = (self.answered > 0).then(|| {
                let count = grouped(self.answered);
                wording!("answers-lost", "; SYN+ACKs lost in {count}", count = count)
            });
            let succeeded = self.attempts.saturating_sub(self.failed());
            let more = wording!(
                "syn-again",
                "SYN retransmitted in {again} of {all} that succeeded, which cost {delay} in \
                 all{answered}",
                again = grouped(self.retransmitted),
                all = Wording::count(succeeded, "handshake"),
                delay = duration(self.delay),
                answered = answered,
            );
            lines.push(line("delays", more));
        }
        if let (Some(p50), Some(p99)) = (self.p50, self.p99) {
            let times = format!("p50 {}, p99 {}", duration(p50), duration(p99));
            lines.push(line("handshakes", times));
        }
        lines
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let has = |reason| self.failures.iter().any(|failure| failure.reason == reason);
        let mut remedies = Vec::new();
        if has(Reason::Refused) {
            remedies.push(command(
                wording!(
                    "remedy-does-it-listen",
                    "on the host of the peer: is the service running, and does it listen on that \
                     address"
                ),
                format!("{enter}ss -tlnp 'sport = :{}'", self.peer.port),
            ));
        }
        if has(Reason::Unreachable) {
            remedies.push(advice(wording!(
                "remedy-see-icmp",
                "a route or a firewall on the way refuses: see the ICMP message"
            )));
        }
        if self.answered > 0 || self.failures.iter().any(|failure| failure.lost.is_some()) {
            remedies.push(firewall(enter));
        } else if self.retransmitted > 0
            || has(Reason::ConnectTimeout)
            || has(Reason::AbortedLocally)
        {
            remedies.push(advice(wording!(
                "remedy-diagnose-there",
                "on the host of the peer, tracer diagnose tells a full accept queue; if there is \
                 none, look for a firewall that drops SYNs, or for loss on the way"
            )));
        }
        remedies.push(command(
            wording!("remedy-connecting-now", "what is connecting now"),
            format!("{enter}ss -tnp state syn-sent {}", destination(self.peer)),
        ));
        remedies
    }

    fn processes(&self) -> Vec<u32> {
        self.process.iter().map(|one| one.pid).collect()
    }

    fn count(&self) -> u64 {
        self.failed().max(self.retransmitted)
    }

    fn key(&self) -> String {
        format!("{} {}", name(self.process.as_ref()), self.peer)
    }
}
