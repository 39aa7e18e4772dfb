//! `retransmissions`: segments are lost on their way to peers that answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    About, Explain, Line, Program, Remedy, Severity, Sockets,
    remedies::{advice, command},
    words::{and_more, connections, end, line, programs},
};
use crate::{
    duration::{duration, grouped},
    endpoint::Endpoint,
    phrase::{Wording, wording},
};

/// Segments with data that were sent while this was observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Segments {
    /// On how many connections.
    #[serde(rename = "sockets")]
    pub connections: u64,
    /// How many, those that were sent again included.
    pub segments: u64,
    /// How many of them were sent again.
    #[serde(rename = "retransmitted")]
    pub again: u64,
    /// How many the peers say they have received twice (DSACK): these had not been lost.
    #[serde(rename = "duplicates")]
    pub twice: u64,
}

/// What was sent to one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Path {
    /// Its address, with port 0.
    pub peer: Endpoint,
    /// How much, and how much of that again.
    #[serde(flatten)]
    pub sent: Segments,
}

/// Segments that were lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retransmissions {
    /// To the peers that are affected.
    #[serde(flatten)]
    pub sent: Segments,
    /// Those to which most was sent again, at most eight.
    pub peers: Vec<Path>,
    /// How many more there are.
    pub more_peers: u64,
    /// What was sent to other peers of this namespace.
    pub others: Segments,
    /// Whose connections they are, most first, at most eight.
    pub processes: Vec<Program>,
    /// In which time, nanoseconds.
    #[serde(rename = "observed_ns")]
    pub observed: u64,
}

impl Segments {
    /// Sent again because it was lost, as far as the peers say.
    pub const fn lost(&self) -> u64 {
        self.again.saturating_sub(self.twice)
    }

    /// Of each hundred, how many.
    pub fn percent(&self) -> f64 {
        self.lost() as f64 * 100.0 / self.segments.max(1) as f64
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            connections: self.connections.saturating_add(other.connections),
            segments: self.segments.saturating_add(other.segments),
            again: self.again.saturating_add(other.again),
            twice: self.twice.saturating_add(other.twice),
        }
    }

    /// `412 of 14,207 segments (2.9 %)`
    fn words(&self) -> Wording {
        wording!(
            "segments-lost",
            "{lost} of {segments} ({percent} %)",
            lost = grouped(self.lost()),
            segments = Wording::count(self.segments, "segment"),
            percent = format!("{:.1}", self.percent())
        )
    }
}

impl Retransmissions {
    fn peers(&self) -> Wording {
        /// Named in a sentence.
        const NAMED: usize = 2;
        let names: Vec<String> = self.peers.iter().take(NAMED).map(|path| end(path.peer)).collect();
        let more = (self.more_peers as usize).saturating_add(self.peers.len() - names.len());
        and_more(&names, more)
    }

    /// Whether the others fare better, which says where to look, if as many of theirs as that would
    /// not be spared by chance.
    fn others(&self) -> Line {
        const TELLING: f64 = 5.0;
        let lost = self.others.words();
        let expected = self.others.segments as f64 * self.sent.percent() / 100.0;
        let words = if self.others.segments == 0 {
            wording!(
                "none-to-compare",
                "nothing was sent to other peers: it may be this host's link or the path"
            )
        } else if expected < TELLING {
            wording!("lost-to-others", "{lost}", [lost])
        } else if self.others.percent() * 4.0 < self.sent.percent() {
            wording!(
                "others-fare-better",
                "{lost}: it is not what they share, such as this host's link",
                [lost]
            )
        } else {
            wording!(
                "others-fare-alike",
                "{lost}: look first at what they share, such as this host's link",
                [lost]
            )
        };
        line("others", words)
    }
}

impl Explain for Retransmissions {
    fn about() -> About {
        About {
            when: "one segment in a hundred or more to a peer was sent again, ten at least (twenty where no single \
                   peer has ten): info, from three in a hundred on a warning",
            evidence: "the kernel's counts of segments with data, of those sent again, and of what peers report to \
                       have received twice (DSACK), of connections that began and were closed meanwhile, and of those \
                       in both snapshots that had sent something in the minute before the first, and on which the \
                       peer has acknowledged something since",
            unknown: "where on the way they are lost; whether the link is just full, since that is how TCP finds its \
                      rate; what peers had to send again to this host; whether a server of another host \
                      has dropped what came to its full accept queue",
        }
    }

    fn sentence(&self, _: Severity) -> Wording {
        wording!(
            "segments-sent-again",
            "{lost} to {peers} were lost and sent again, on {connections}",
            lost = self.sent.words(),
            peers = self.peers(),
            connections = connections(self.sent.connections)
        )
    }

    fn evidence(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        if !self.processes.is_empty() {
            lines.push(line("processes", programs(&self.processes)));
        }
        lines.push(line("observed", duration(self.observed)));
        let named = if self.peers.len() > 1 { &self.peers[..] } else { &[] };
        for Path { peer, sent } in named.iter().take(4) {
            let (peer, lost) = (end(*peer), sent.words());
            lines.push(line("peer", wording!("lost-to-peer", "{peer}: {lost}", [peer, lost])));
        }
        if self.sent.twice > 0 {
            let twice = wording!(
                "sent-twice",
                "{twice} more were sent again though they had arrived",
                twice = grouped(self.sent.twice)
            );
            lines.push(line("not lost", twice));
        }
        lines.push(self.others());
        lines
    }

    fn remedies(&self, enter: &str) -> Vec<Remedy> {
        vec![
            command(
                wording!(
                    "remedy-drops-of-queue",
                    "does this host drop them? If `dropped` grows: a full queue, or a rate limit"
                ),
                format!("{enter}tc -s qdisc show"),
            ),
            command(
                wording!(
                    "remedy-errors-of-interface",
                    "errors and drops of its interfaces: a cable, a driver, a full ring"
                ),
                format!("{enter}ip -s -s link show"),
            ),
            advice(wording!(
                "remedy-where-on-the-way",
                "else it is on the way: compare with the peer's counters and follow the path (mtr, from both ends); a \
                 full link loses segments as well: more bandwidth, or send less at once"
            )),
        ]
    }

    fn sockets(&self) -> Sockets<'_> {
        let more = self.more_peers > 0;
        let peers = self.peers.iter().filter(|_| !more).map(|path| path.peer).collect();
        let known = Sockets { peers, ..Sockets::default() };
        // There may be more than are named.
        known.owned_by(&self.processes).and_others(1)
    }

    fn count(&self) -> u64 {
        self.sent.connections
    }
}
