//! What both recordings together prove, and neither alone.

use super::{
    end::{End, Recording, What},
    join::{Joined, Link, Pair},
    skew::Skew,
};
use tracer_event::{
    close::Reason,
    state::State,
    update::{Direction, Segment},
};

/// What has not arrived after this time is lost, nanoseconds.
const MARGIN: i64 = 1_000_000_000;

/// An end of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that opened it, where the roles are known.
    First,
    /// The other.
    Second,
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        if self == Self::First { Self::Second } else { Self::First }
    }
}

/// What is proved. Times are those of the first end's clock, nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The FIN of an end has not arrived at the other one.
    FinLost {
        /// Whose.
        from: Side,
        /// When it was sent first.
        sent: i64,
        /// How often it was retransmitted.
        retransmits: usize,
        /// The state in which the other end had not received it.
        state: State,
        /// Until then at least.
        until: i64,
    },
    /// It arrived late, after retransmissions.
    FinLate {
        /// Whose.
        from: Side,
        /// When it was sent first.
        sent: i64,
        /// How often it was retransmitted.
        retransmits: usize,
        /// When it was there.
        arrived: i64,
    },
    /// An end has reset the connection, and the other did not hear of it.
    ResetLost {
        /// Who has.
        from: Side,
        /// When.
        sent: i64,
        /// When the other heard it after all: as the answer to something that it sent.
        heard: Option<i64>,
        /// Until then at least it had not.
        until: i64,
    },
    /// Data left an end and did not arrive at the other.
    DataLost {
        /// Whose.
        from: Side,
        /// How many bytes.
        bytes: u32,
        /// They had left by then.
        sent: i64,
        /// They were missing then.
        missing: i64,
    },
    /// The server has answered the SYN, and the answer did not arrive.
    SynAckLost {
        /// When it was sent first again.
        sent: i64,
        /// How often it was retransmitted.
        retransmits: usize,
    },
    /// The SYNs came to nothing on the other host, which others reached.
    SynLost {
        /// When the first was sent.
        sent: i64,
        /// How often it was retransmitted.
        retransmits: usize,
    },
    /// The peer's host was started while the connection was there.
    Rebooted {
        /// When, as far as its clock says.
        booted: i64,
        /// When it answered a segment of the connection by RST.
        answered: Option<i64>,
    },
    /// The peer's host has answered a segment by RST: it has no such connection.
    Unknown {
        /// When.
        answered: i64,
    },
    /// Something between the two ends the connection of one and makes another one to the other.
    Rewritten,
}

impl Verdict {
    /// Its name in JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::FinLost { .. } => "fin_lost",
            Self::FinLate { .. } => "fin_late",
            Self::ResetLost { .. } => "reset_lost",
            Self::DataLost { .. } => "data_lost",
            Self::SynAckLost { .. } => "syn_ack_lost",
            Self::SynLost { .. } => "syn_lost",
            Self::Rebooted { .. } => "peer_rebooted",
            Self::Unknown { .. } => "peer_forgot",
            Self::Rewritten => "numbers_rewritten",
        }
    }
}

/// What is proved of a pair.
pub fn verdicts(recordings: &[Recording], joined: &Joined, pair: &Pair) -> Vec<Verdict> {
    let Some(second) = pair.second else {
        return one_end(recordings, joined, pair).into_iter().collect();
    };
    let skew = joined.skew(pair.first.0, second.0);
    let ends = [pair.first, second].map(|(recording, end)| &recordings[recording].ends[end]);
    let sources = [pair.first.0, second.0].map(|recording| &recordings[recording]);
    let both = Both { ends, sources, skew: skew.unwrap_or(Skew::UNKNOWN) };
    let mut found = Vec::new();
    match pair.link {
        Some(Link::Addresses) => return vec![Verdict::Rewritten],
        Some(Link::Opening) => found.extend(both.syn_ack()),
        // Without the clocks it is not known what came first.
        Some(Link::Numbers) | None if skew.is_none() => {}
        Some(Link::Numbers) | None => {
            for side in [Side::First, Side::Second] {
                let lost = both.data(side);
                let is_behind = lost.is_some();
                found.extend(lost);
                // A FIN waits behind data.
                found.extend(both.fin(side).filter(|_| !is_behind));
                found.extend(both.reset(side));
            }
        }
    }
    found.extend(rebooted(recordings, joined, pair));
    found
}

/// Two ends that belong together.
struct Both<'a> {
    ends: [&'a End; 2],
    sources: [&'a Recording; 2],
    skew: Skew,
}

impl Both<'_> {
    fn end(&self, side: Side) -> &End {
        self.ends[side as usize]
    }

    /// A time of an end by the clock of the first.
    fn at(&self, side: Side, time: i64) -> i64 {
        if side == Side::First { time } else { self.skew.by_first(time) }
    }

    /// Until when an end is known not to have received anything else than it has told: its end, or
    /// that of its recording.
    fn watched(&self, side: Side) -> Option<i64> {
        let (end, source) = (self.end(side), self.sources[side as usize]);
        if !source.complete || !source.whole {
            return None;
        }
        let closed = end.state()? == State::Closed;
        Some(self.at(side, if closed { end.ended() } else { source.until }))
    }

    fn fin(&self, from: Side) -> Option<Verdict> {
        let (end, other) = (self.end(from), self.end(from.other()));
        let leaves = |to| matches!(to, State::FinWait1 | State::LastAck);
        let (time, step) = end.steps().find(|(_, step)| leaves(step.to))?;
        let again: Vec<i64> = end.retransmitted(Segment::Fin).collect();
        if step.sent != Some(true) && again.is_empty() {
            return None;
        }
        let (sent, retransmits) = (self.at(from, time), again.len());
        let has = |state| other.reached(state);
        let states = [State::CloseWait, State::LastAck, State::Closing, State::TimeWait];
        if let Some(arrived) = states.into_iter().filter_map(has).min() {
            let arrived = self.at(from.other(), arrived);
            let late = retransmits > 0 && arrived.saturating_sub(sent) > MARGIN;
            return late.then_some(Verdict::FinLate { from, sent, retransmits, arrived });
        }
        if is_acknowledged(end) {
            return None;
        }
        let until = self.watched(from.other())?;
        // By an RST, or at the end of its own patience: the state before says that none had come.
        let steps = other.steps().rev();
        let state = steps.map(|(_, step)| step.to).find(|state| *state != State::Closed)?;
        let lost = until.saturating_sub(sent) > MARGIN;
        lost.then_some(Verdict::FinLost { from, sent, retransmits, state, until })
    }

    fn reset(&self, from: Side) -> Option<Verdict> {
        let (end, other) = (self.end(from), self.end(from.other()));
        let (time, _) = end.steps().find(|(_, step)| {
            step.close.is_some_and(|close| {
                matches!(
                    close.reason,
                    Reason::ResetSentUnreadData
                        | Reason::ResetSentLingerZero
                        | Reason::ResetSentDataAfterClose
                        | Reason::ResetSentUnaccepted
                )
            })
        })?;
        let sent = self.at(from, time);
        let received = |direction| direction == Direction::Received;
        let mut resets = other.resets().filter(|(_, one)| received(one.segment.direction));
        let heard = resets.next().map(|(time, _)| self.at(from.other(), time));
        let until = heard.map_or_else(|| self.watched(from.other()), Some)?;
        let lost = until.saturating_sub(sent) > MARGIN;
        lost.then_some(Verdict::ResetLost { from, sent, heard, until })
    }

    fn data(&self, from: Side) -> Option<Verdict> {
        let (end, other) = (self.end(from), self.end(from.other()));
        self.watched(from.other())?;
        let (missing, received) = received(other)?;
        let missing = self.at(from.other(), missing);
        let early = |time: i64| missing.saturating_sub(self.at(from, time)) > MARGIN;
        let (time, sequence) = end.sequences().rev().find(|(time, _)| early(*time))?;
        // A FIN takes a number behind the data.
        let fin = end.steps().find(|(_, step)| matches!(step.to, State::FinWait1 | State::LastAck));
        let end_of_data = fin.and_then(|(_, step)| step.sequence).map(|one| one.write_seq);
        let sent = end_of_data.filter(|end| is_behind(*end, sequence.snd_nxt));
        let sent = sent.unwrap_or(sequence.snd_nxt);
        let bytes = sent.wrapping_sub(received);
        let lost = bytes > 0 && is_behind(received, sent);
        lost.then(|| Verdict::DataLost { from, bytes, sent: self.at(from, time), missing })
    }

    fn syn_ack(&self) -> Option<Verdict> {
        let (client, server) = (self.ends[0], self.ends[1]);
        let waited = client.reached(State::SynSent)?;
        if client.reached(State::Established).is_some() {
            return None;
        }
        let until = self.watched(Side::First)?;
        let sent = server.retransmitted(Segment::SynAck).map(|time| self.at(Side::Second, time));
        let within: Vec<i64> = sent.filter(|&time| time >= waited && time <= until).collect();
        let (&sent, retransmits) = (within.first()?, within.len());
        Some(Verdict::SynAckLost { sent, retransmits })
    }
}

/// Whether the peer has acknowledged the FIN.
fn is_acknowledged(end: &End) -> bool {
    let graceful = end.steps().any(|(_, step)| {
        step.close.is_some_and(|close| close.reason == Reason::Graceful)
            || matches!(step.to, State::FinWait2 | State::TimeWait)
    });
    graceful
        || end.events.iter().any(|event| match &event.what {
            What::Connection(whole) => {
                whole.close.is_some_and(|close| close.reason == Reason::Graceful)
            }
            _ => false,
        })
}

/// The number up to which an end has received, as late as it is known.
fn received(end: &End) -> Option<(i64, u32)> {
    end.events.iter().rev().find_map(|event| match &event.what {
        What::Transition(step) => {
            let number = step.sequence?.rcv_nxt;
            (number != 0).then_some((event.time, number))
        }
        What::Connection(whole) => {
            let bytes = whole.bytes_received?;
            Some((event.time, end.peer?.wrapping_add(1).wrapping_add(bytes as u32)))
        }
        What::Retransmit(_) | What::Reset(_) => None,
    })
}

/// Whether a sequence number comes before another.
fn is_behind(one: u32, other: u32) -> bool {
    one != other && other.wrapping_sub(one) < 1 << 31
}

/// What follows where the host of the peer has recorded no such end.
fn one_end(recordings: &[Recording], joined: &Joined, pair: &Pair) -> Option<Verdict> {
    let (here, there) = (&recordings[pair.first.0], &recordings[pair.peer]);
    let end = &here.ends[pair.first.1];
    let skew = joined.skew(pair.first.0, pair.peer).unwrap_or(Skew::UNKNOWN);
    let tuple = end.tuple;
    let answers = there.answers.get(&(tuple.peer, tuple.local)).into_iter().flatten();
    // The same ports may have been tried before.
    let mut answers = answers.map(|time| skew.by_first(*time)).filter(|&time| time >= end.began());
    let answered = answers.next().filter(|_| end.numbers().is_some());
    let booted = skew.by_first(there.booted);
    match answered {
        Some(_) if booted > end.began() => Some(Verdict::Rebooted { booted, answered }),
        Some(answered) => Some(Verdict::Unknown { answered }),
        None => syn_lost(end, there, skew),
    }
}

fn syn_lost(end: &End, there: &Recording, skew: Skew) -> Option<Verdict> {
    let sent = end.reached(State::SynSent)?;
    let retransmits = end.retransmitted(Segment::Syn).count();
    let reason = end.steps().find_map(|(_, step)| step.close).map(|close| close.reason);
    let gave_up = matches!(reason, None | Some(Reason::ConnectTimeout | Reason::AbortedLocally));
    let covers = there.complete
        && there.whole
        && skew.by_first(there.since) <= sent
        && skew.by_first(there.until) >= end.ended();
    // The filter of that recording wants such connections.
    let reached = there.ends.iter().any(|one| one.tuple.local == end.tuple.peer);
    let established = end.reached(State::Established).is_some();
    let lost = gave_up && covers && reached && !established && retransmits > 1;
    lost.then_some(Verdict::SynLost { sent, retransmits })
}

/// Whether the peer's host has been started meanwhile: another recording of it has another boot.
fn rebooted(recordings: &[Recording], joined: &Joined, pair: &Pair) -> Option<Verdict> {
    let (here, there) = (&recordings[pair.first.0], &recordings[pair.second?.0]);
    let end = &here.ends[pair.first.1];
    let of = |one: &Recording| one.host.clone().and_then(|host| Some((host.name, host.boot_id?)));
    let (name, boot) = of(there)?;
    let skew = joined.skew(pair.first.0, pair.second?.0).unwrap_or(Skew::UNKNOWN);
    let last = if end.state() == Some(State::Closed) { end.ended() } else { here.until };
    let during = |booted: &i64| *booted > end.began() && *booted < last;
    let again =
        recordings.iter().filter(|one| of(one).is_some_and(|(n, b)| n == name && b != boot));
    let booted = again.map(|one| skew.by_first(one.booted)).filter(during).min()?;
    Some(Verdict::Rebooted { booted, answered: None })
}
