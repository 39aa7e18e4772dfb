//! `connection_resets`: connections end by RST or by timeout instead of being closed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Remedy, Service, Severity, Sockets,
    remedies::{advice, command},
    words::{line, name, of_a_name, process, service, total, within},
};
use crate::{
    close::Reason,
    duration::{duration, grouped},
    phrase::{Wording, wording},
    process::Process,
};

/// Connections of one process, or of several of one name, with one service that ended badly, while observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionResets {
    /// Whose they were.
    pub process: Option<Process>,
    /// How many other processes of the same name are counted here.
    #[serde(default, rename = "other_processes")]
    pub others: u64,
    /// With what.
    pub service: Service,
    /// Connections that ended, well or badly.
    pub ended: u64,
    /// Of these, ended badly, by reason.
    pub ends: Vec<BadEnd>,
    /// Other ends of the last that were reset, where all of these are on this host and open all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still_open: Option<StillOpen>,
    /// Time since the first of them, nanoseconds.
    #[serde(rename = "since_ns")]
    pub since: u64,
}

/// Ends of connections that are open while the other one was reset: they have sent no RST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StillOpen {
    /// How many.
    pub connections: u64,
    /// Who holds most of them.
    pub process: Option<Process>,
}

/// Connections that ended badly for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BadEnd {
    /// Why.
    pub reason: Reason,
    /// How many.
    pub connections: u64,
    /// For how long this end, a client, had waited for an answer when it closed them: the median,
    /// nanoseconds.
    #[serde(default, rename = "waited_ns", skip_serializing_if = "Option::is_none")]
    pub waited: Option<u64>,
    /// The peer had closed them before this end, a client, sent what the RST answers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_fin: bool,
}

impl BadEnd {
    fn is_reset(&self) -> bool {
        use Reason::{KeepaliveTimeout, RetransmitTimeout, ZeroWindowTimeout};
        !matches!(self.reason, KeepaliveTimeout | RetransmitTimeout | ZeroWindowTimeout)
    }

    fn words(&self) -> Wording {
        if let Some(waited) = self.waited {
            let time = duration(waited);
            return wording!(
                "gave-up",
                "closed by this end after {time} without an answer",
                [time]
            );
        }
        match self.reason {
            _ if self.after_fin => {
                wording!("reset-after-fin", "used again after the peer had closed them")
            }
            Reason::ResetReceived => wording!("reset-by-peer", "reset by the peer"),
            Reason::ResetSentUnreadData => {
                wording!("reset-unread", "reset by this end (closed with unread data)")
            }
            Reason::ResetSentLingerZero => {
                wording!("reset-linger", "reset by this end (SO_LINGER 0 with unsent data)")
            }
            Reason::ResetSentDataAfterClose => {
                wording!("reset-after-close", "reset by this end (data came after close())")
            }
            Reason::ResetSentUnaccepted => wording!(
                "reset-unaccepted",
                "reset by this end (the listener was closed before accept())"
            ),
            Reason::RetransmitTimeout => {
                wording!("reset-retransmissions", "timed out (no answer to retransmissions)")
            }
            Reason::KeepaliveTimeout => {
                wording!("reset-keepalive", "timed out (no answer to keepalive probes)")
            }
            Reason::ZeroWindowTimeout => {
                wording!("reset-window", "timed out (the peer's window stayed at zero)")
            }
            _ => wording!("reset-aborted", "aborted"),
        }
    }

    fn remedy(&self, of: Service) -> Wording {
        match (self.reason, of) {
            _ if self.waited.is_some() => give_up(),
            _ if self.after_fin => use_late(),
            (Reason::ResetReceived, Service::There(_)) => wording!(
                "remedy-reset-by-server",
                "the cause is at the peer: run tracer there; it may have restarted, closed with \
                 unread data, or a middlebox between has dropped the connection"
            ),
            (Reason::ResetReceived, Service::Here(_)) => wording!(
                "remedy-reset-by-client",
                "the clients go away while answers are on their way: compare their timeouts with \
                 the time that answers take"
            ),
            (Reason::ResetSentUnreadData, _) => wording!(
                "remedy-reset-unread",
                "read what the peer sends before close(), or shutdown(SHUT_WR) and read to the end: \
                 the RST may destroy what was sent just before"
            ),
            (Reason::ResetSentLingerZero, _) => wording!(
                "remedy-reset-linger",
                "do not set SO_LINGER 0: close() throws away what the peer has not acknowledged"
            ),
            (Reason::ResetSentDataAfterClose, Service::There(_)) => farewell(),
            (Reason::ResetSentDataAfterClose, Service::Here(_)) => wording!(
                "remedy-reset-after-close",
                "shutdown(SHUT_WR) and read to the end of file before close(): the peer still sends"
            ),
            (Reason::ResetSentUnaccepted, _) => wording!(
                "remedy-reset-unaccepted",
                "accept() what waits before the listener is closed, or hand the listener over"
            ),
            (Reason::ZeroWindowTimeout, _) => {
                wording!("remedy-window", "the peer must read what it is sent")
            }
            _ => wording!(
                "remedy-peer-gone",
                "the peer or the way to it is gone: see whether other connections to it live"
            ),
        }
    }
}

/// A client's time-out.
fn give_up() -> Wording {
    wording!(
        "remedy-gave-up",
        "its time-out is shorter than the answers take: see what the server does meanwhile; if it is to take \
         that long, wait longer (proxy_read_timeout of nginx, timeout server of haproxy, --max-time of curl)"
    )
}

/// A client's connections that the server has closed.
fn use_late() -> Wording {
    wording!(
        "remedy-after-fin",
        "a client or pool must drop a connection when read() returns 0 (end of file), or drop idle ones before \
         the server does (its keep-alive timeout)"
    )
}

/// What a client's server says after the client has closed.
fn farewell() -> Wording {
    wording!(
        "remedy-reset-after-goodbye",
        "nothing to do where the client had its answer: what came was a farewell, such as a close_notify of \
                 TLS; else compare its timeouts with the time that answers take"
    )
}

impl ConnectionResets {
    /// How they ended.
    pub(super) fn kind(&self) -> Wording {
        match self.ends.as_slice() {
            [one] => self.words(*one),
            several => {
                let (resets, timeouts): (Vec<BadEnd>, Vec<BadEnd>) =
                    several.iter().partition(|end| end.is_reset());
                match (resets.is_empty(), timeouts.is_empty()) {
                    (false, true) => wording!("all-reset", "reset"),
                    (true, false) => wording!("all-timed-out", "timed out"),
                    _ => wording!("reset-or-timed-out", "reset or timed out"),
                }
            }
        }
    }

    fn words(&self, end: BadEnd) -> Wording {
        match (end.reason, self.still_open) {
            (Reason::ResetReceived, Some(_)) if !end.after_fin => {
                wording!("reset-between", "reset by an RST that the peer has not sent")
            }
            _ => end.words(),
        }
    }

    fn remedy(&self, end: BadEnd, enter: &str) -> Remedy {
        match (end.reason, self.still_open) {
            (Reason::ResetReceived, Some(_)) if !end.after_fin => command(
                wording!(
                    "remedy-reset-between",
                    "something between the two ends sends RSTs, such as a packet filter (reject with tcp reset), a \
                     balancer or an IPS: look for the rule, in the namespace of either end"
                ),
                format!("{enter}nft list ruleset"),
            ),
            _ => advice(end.remedy(self.service)),
        }
    }

    fn bad(&self) -> u64 {
        total(self.ends.iter().map(|end| end.connections))
    }
}

impl Explain for ConnectionResets {
    fn about() -> About {
        About {
            when: "while observed, three or more connections of a process with one service were \
                   reset or timed out, and at least one in twenty (information below that, and \
                   where clients reset connections that a server still sent on, or close them before \
                   they have read all, unless they had waited for an answer for 100 ms or longer)",
            evidence: "the way each connection ended; an RST by choice (SO_LINGER 0) that destroyed \
                       nothing is none of these, nor one for a connection without data, as health \
                       checks send it, nor one after both ends had closed; a client has waited for an answer where it had \
                       sent last, and then has sent an RST",
            unknown: "why another host has sent an RST; whether something between has, unless the other end is on this \
                      host and open all the same",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        let who = of_a_name(self.process.as_ref(), self.others);
        let of = if self.process.is_some() { format!(" of {who}") } else { String::new() };
        wording!(
            "connection-resets",
            "{bad} of {ended}{who} {service}: {kind}{since}",
            bad = grouped(self.bad()),
            ended = Wording::count(self.ended, "connection"),
            who = Wording::new(of, who),
            service = service(self.service),
            kind = self.kind(),
            since = within(self.since)
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let of = |end: &BadEnd| {
            let count = grouped(end.connections);
            line("ended", wording!("times", "{count} × {what}", [count], what = self.words(*end)))
        };
        let open = self.still_open.map(|open| {
            let who = open.process.as_ref().map(|who| {
                let who = process(who);
                Wording::new(format!(" ({who})"), who)
            });
            let what = wording!(
                "other-ends-open",
                "the last {count} are still open at the other end{who}: it has sent no RST",
                [who],
                count = grouped(open.connections)
            );
            line("other ends", what)
        });
        self.ends.iter().map(of).chain(open).collect()
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        let mut remedies: Vec<Remedy> =
            self.ends.iter().map(|end| self.remedy(*end, enter)).collect();
        remedies.dedup();
        remedies.truncate(3);
        remedies
    }

    fn sockets(&self) -> Sockets<'_> {
        Sockets::of(self.service).owned_by(&self.process).and_others(self.others)
    }

    fn count(&self) -> u64 {
        self.bad()
    }

    fn key(&self) -> String {
        format!("{} {:?}", name(self.process.as_ref()), self.service)
    }
}
