//! `connect_failures`: connect() fails, or is slow because SYNs are lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Listener, LostSegment, Remedy, Service, Severity, Sockets,
    commands::destination,
    remedies::{advice, command, firewall},
    words::{line, lost, name, of_a_name, since, total, whose},
};
use crate::{
    close::Reason,
    duration::{duration, grouped},
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
    /// Where all that failed did so in a row, and attempts succeed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered: Option<Recovered>,
    /// Who listens there, on this host, though attempts were refused: not by its kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<Listener>,
}

/// What is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recovered {
    /// From the first failure to the last, nanoseconds.
    #[serde(rename = "outage_ns")]
    pub outage: u64,
    /// Time since the first attempt that succeeded again, nanoseconds.
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
    /// How it failed, and the name that this has in other languages.
    fn kind(&self) -> (&'static str, &'static str) {
        match self.reason {
            Reason::Refused => ("refused", "failed-refused"),
            Reason::Unreachable => ("unreachable", "failed-unreachable"),
            Reason::ConnectTimeout => ("timed out", "failed-timed-out"),
            _ => ("given up without an answer", "failed-given-up"),
        }
    }

    /// In which phase it failed, and by whom.
    fn phase(&self, listener: Option<&Listener>) -> Wording {
        let count = grouped(self.attempts);
        if let Some(segment) = self.lost {
            let lost = lost(segment);
            return wording!("times-lost", "{count} × no answer: {lost}", [count, lost]);
        }
        let phase = match (self.reason, self.icmp) {
            (Reason::Refused, _) if let Some(listener) = listener => wording!(
                "phase-rejected",
                "RST in answer to the SYN, although {listener}, listens: a packet filter rejects it",
                listener = whose(listener, ", ")
            ),
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
        wording!("times", "{count} × {what}", [count], what = phase)
    }
}

impl ConnectFailures {
    fn failed(&self) -> u64 {
        total(self.failures.iter().map(|failure| failure.attempts))
    }

    /// `refused`; `failed: 5 refused, 1 timed out`.
    fn kinds(&self) -> Wording {
        let each = |failure: &ConnectFailure| {
            let (count, (english, name)) = (grouped(failure.attempts), failure.kind());
            Wording::new(format!("{count} {english}"), Phrase::new(name).with("count", count))
        };
        let all = Wording::from(self.failures.iter().map(each).collect::<Vec<_>>());
        match self.failures.as_slice() {
            [one] => Wording::new(one.kind().0, all),
            _ => Wording::new(format!("failed: {all}"), all),
        }
    }

    /// It was for one time only.
    fn over(&self, who: Wording, peer: String, failed: u64) -> Wording {
        let Recovered { outage, since } =
            self.recovered.unwrap_or(Recovered { outage: 0, since: 0 });
        let time = (outage > 0).then(|| {
            let time = duration(outage);
            Wording::new(format!(" for {time}"), time)
        });
        wording!(
            "connect-recovered",
            "{who} could not connect to {peer}{time}: {failed} of {attempts} {kinds}; attempts have \
             succeeded again for {again}",
            [who, peer, time],
            failed = grouped(failed),
            attempts = Wording::count(self.attempts, "attempt"),
            kinds = self.kinds(),
            again = duration(since)
        )
    }

    /// Not in the client's namespace, unless its own loopback has refused.
    fn does_it_listen(&self, enter: &str) -> Remedy {
        let enter = if self.peer.address().is_loopback() { enter } else { "" };
        command(
            wording!(
                "remedy-does-it-listen",
                "on the host of the peer: is the service running, and does it listen on that \
                 address"
            ),
            format!("{enter}ss -tlnp 'sport = :{}'", self.peer.port),
        )
    }
}

impl Explain for ConnectFailures {
    fn about() -> About {
        About {
            when: "while observed, three or more attempts of a process to connect to one destination \
                   failed, and at least a tenth of all (those given up within a second, but after 100 ms, count \
                   where none succeeded), or as many handshakes needed another SYN \
                   (information below that, and where the program reaches the same port by the \
                   other version of IP, or attempts succeed again since)",
            evidence: "each end of SYN_SENT: the RST, ICMP error or timeout that ended it, and the \
                       SYNs that were retransmitted; where the peer is on this host, the SYN+ACKs \
                       that it has retransmitted, or that it listened all the time, and that no RST of this \
                       kernel's refused it",
            unknown: "whether a SYN or the answer to it was lost, where the peer is another host; calls of connect() \
                      that fail before a SYN is sent, as without a route (ENETUNREACH)",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let who = of_a_name(self.process.as_ref(), self.others);
        let (peer, since) = (self.peer.to_string(), since(self.since));
        match self.failed() {
            0 => wording!(
                "connect-slow",
                "{again} of {attempts} from {who} to {peer} needed another SYN, {delay} lost in \
                 all{since}",
                [who, peer, since],
                again = grouped(self.retransmitted),
                attempts = Wording::count(self.attempts, "handshake"),
                delay = duration(self.delay)
            ),
            _ if self.attempts == 1 => wording!(
                "connect-failed-once",
                "{who} cannot connect to {peer}: {kinds}",
                [who, peer],
                kinds = self.kinds()
            ),
            failed if self.recovered.is_some() => self.over(who, peer, failed),
            failed => wording!(
                "connect-failures",
                "{who} cannot connect to {peer}: {failed} of {attempts} {kinds}{since}",
                [who, peer, since],
                failed = grouped(failed),
                attempts = Wording::count(self.attempts, "attempt"),
                kinds = self.kinds()
            ),
        }
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = self
            .failures
            .iter()
            .map(|one| line("failed", one.phase(self.listener.as_ref())))
            .collect();
        if self.retransmitted > 0 {
            let answered = (self.answered > 0).then(|| {
                let count = grouped(self.answered);
                wording!("answers-lost", "; SYN+ACKs lost in {count}", [count])
            });
            let succeeded = self.attempts.saturating_sub(self.failed());
            let more = wording!(
                "syn-again",
                "SYN retransmitted in {again} of {all} that succeeded, which cost {delay} in \
                 all{answered}",
                [answered],
                again = grouped(self.retransmitted),
                all = Wording::count(succeeded, "handshake"),
                delay = duration(self.delay)
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
        let is_filtered = self.answered > 0
            || self.listener.is_some()
            || self.failures.iter().any(|failure| failure.lost.is_some());
        if has(Reason::Refused) && self.listener.is_none() {
            remedies.push(self.does_it_listen(enter));
        }
        if has(Reason::Unreachable) {
            remedies.push(advice(wording!(
                "remedy-see-icmp",
                "a route or a firewall on the way refuses: see the ICMP message; host unreachable comes \
                 from this host where no neighbour has the address (ip neigh)"
            )));
        }
        if is_filtered {
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

    fn sockets(&self) -> Sockets<'_> {
        Sockets::of(Service::There(self.peer)).owned_by(&self.process).and_others(self.others)
    }

    fn count(&self) -> u64 {
        self.failed().max(self.retransmitted)
    }

    fn key(&self) -> String {
        format!("{} {}", name(self.process.as_ref()), self.peer)
    }
}
