//! The pairs, for people and for machines.

use std::fmt::Write as _;

use super::words;
use tracer_event::{
    duration::{count, grouped},
    endpoint::Tuple,
    pair,
    update::{OwnedUpdate, Subject},
    wall_clock::WallClock,
};
use tracer_model::pair::{Joined, Link, Pair, Recording, Verdict, What, verdicts};
use tracer_output::{
    Format as _, Tick, json::Bare, ladder::Ladder, phrase, phrases::said, text::arrow,
};
use tracer_texts::Texts;

/// All that is shown.
pub struct View<'a> {
    /// The recordings.
    pub recordings: &'a [Recording],
    /// Their names.
    pub names: &'a [String],
    /// What could be joined.
    pub joined: &'a Joined,
    /// Also those of which nothing is to be said.
    pub all: bool,
    /// In which language people are spoken to; without texts in English.
    pub texts: Option<&'a Texts>,
}

impl<'a> View<'a> {
    fn names(&self, pair: &Pair) -> [&'a str; 2] {
        let second = pair.second.map_or(pair.peer, |(recording, _)| recording);
        [&self.names[pair.first.0], &self.names[second]]
    }

    /// The pairs to be shown, with what is proved of each.
    fn pairs(&self) -> impl Iterator<Item = (&'a Pair, Vec<Verdict>)> {
        let Self { recordings, joined, all, .. } = *self;
        let judged = move |pair| (pair, verdicts(recordings, joined, pair));
        let wanted = move |(_, found): &(&Pair, Vec<Verdict>)| all || !found.is_empty();
        joined.pairs.iter().map(judged).filter(wanted)
    }

    /// JSON lines.
    ///
    /// # Errors
    ///
    /// None is known.
    pub fn json(&self) -> serde_json::Result<String> {
        let mut text = String::new();
        let now = wall_time(self.recordings.iter().map(|one| one.until).max().unwrap_or_default());
        for ((first, second), skew) in &self.joined.skews {
            let clock = pair::Clock {
                first: self.names[*first].clone(),
                second: self.names[*second].clone(),
                ahead_ns: skew.ahead,
                within_ns: skew.within,
                handshakes: skew.handshakes,
            };
            let line = Bare::new("clock", now.as_str().into(), clock);
            let _ = writeln!(text, "{}", serde_json::to_string(&line)?);
        }
        for (pair, found) in self.pairs() {
            let began = self.recordings[pair.first.0].ends[pair.first.1].began();
            let line = Bare::new("pair", wall_time(began).into(), self.line(pair, &found));
            let _ = writeln!(text, "{}", serde_json::to_string(&line)?);
        }
        Ok(text)
    }

    fn line(&self, pair: &Pair, found: &[Verdict]) -> pair::Pair {
        let names = self.names(pair);
        let verdict = |verdict: &Verdict| pair::Verdict {
            code: verdict.code(),
            text: words::sentence(verdict, names, None),
        };
        let ends = [Some(pair.first), pair.second].into_iter().flatten();
        pair::Pair {
            link: pair.link.map(link),
            ends: ends.map(|at| self.end(at)).collect(),
            verdicts: found.iter().map(verdict).collect(),
        }
    }

    fn end(&self, (recording, end): (usize, usize)) -> pair::End {
        let one = &self.recordings[recording].ends[end];
        let Tuple { local, peer, .. } = one.tuple;
        pair::End {
            recording: self.names[recording].clone(),
            role: one.role,
            local,
            peer,
            local_isn: one.local,
            peer_isn: one.peer,
        }
    }

    /// For people: the clocks, then each connection with its diagram, which `ladder` makes.
    pub fn text(&self, ladder: impl Fn() -> Ladder) -> String {
        let mut text = String::new();
        for ((first, second), skew) in &self.joined.skews {
            let names = [self.names[*first].as_str(), self.names[*second].as_str()];
            let _ = writeln!(text, "{}", words::clock(skew, names, self.texts));
        }
        let mut shown = 0;
        for (pair, found) in self.pairs() {
            shown += 1;
            let names = self.names(pair);
            let _ = writeln!(text, "\n{}", self.title(pair));
            for verdict in &found {
                let _ = writeln!(text, "⚠ {}", words::sentence(verdict, names, self.texts));
            }
            text.push_str(&self.diagram(pair, ladder()));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        self.counts(shown, &mut text);
        text
    }

    /// How many there are, and of which recordings nothing can be said.
    fn counts(&self, shown: usize, text: &mut String) {
        let texts = self.texts;
        let both = self.joined.pairs.iter().filter(|pair| pair.second.is_some()).count();
        let lone = self.joined.pairs.len() - both + self.joined.alone;
        let (connections, ends) = (count(both as u64, "connection"), count(lone as u64, "end"));
        let all = said(texts, "--all for the others");
        let more = if self.all { String::new() } else { format!(" ({all})") };
        let words = phrase!(
            texts,
            "pair-counts",
            [both, lone, shown],
            "in both recordings: {connections}; in one only: {ends}; shown: {shown}"
        );
        let _ = writeln!(text, "{words}{more}");
        for (recording, name) in self.recordings.iter().zip(self.names) {
            if !recording.complete || !recording.whole {
                let words = "events are missing, so nothing is said of what did not arrive there";
                let _ = writeln!(text, "{name}: {}", said(texts, words));
            }
            if recording.left_out > 0 {
                let left_out = grouped(recording.left_out as u64);
                let words = phrase!(
                    texts,
                    "pair-left-out",
                    [left_out],
                    "{left_out} events too many were not looked at: use a filter when recording"
                );
                let _ = writeln!(text, "{name}: {words}");
            }
        }
    }

    /// `10.0.0.1:47976 (web) → 10.0.0.2:1002 (db)`
    fn title(&self, pair: &Pair) -> String {
        let [first, second] = self.names(pair);
        let end = &self.recordings[pair.first.0].ends[pair.first.1];
        let Tuple { local, peer, .. } = end.tuple;
        let mut title = format!("{local} ({first}){}{peer} ({second})", arrow(end.role));
        if let Some((recording, other)) = pair.second {
            let seen = self.recordings[recording].ends[other].tuple;
            if (seen.local, seen.peer) != (peer, local) {
                let (peer, local) = (seen.peer, seen.local);
                title += &phrase!(
                    self.texts,
                    "pair-addresses",
                    [second, peer, local],
                    "; addresses are rewritten: {second} sees {peer} → {local}"
                );
            }
        }
        title
    }

    /// Both ends in one diagram, by the first one's clock.
    fn diagram(&self, pair: &Pair, mut ladder: Ladder) -> String {
        let skew = pair.second.and_then(|(second, _)| self.joined.skew(pair.first.0, second));
        let mut steps: Vec<(u64, OwnedUpdate)> = Vec::new();
        for (side, (recording, end)) in
            [Some(pair.first), pair.second].into_iter().flatten().enumerate()
        {
            for event in &self.recordings[recording].ends[end].events {
                let behind = |time| skew.map_or(time, |skew| skew.by_first(time));
                let time = if side == 0 { event.time } else { behind(event.time) };
                let time = time.max(0).cast_unsigned();
                steps.extend(drawn(&event.what, time, side).map(|update| (time, update)));
            }
        }
        // Of one time, in the order of each recording.
        steps.sort_by_key(|(time, _)| *time);
        let mut out = Vec::new();
        let mut last = WallClock::default();
        for (time, update) in steps {
            last = WallClock { lead: 0, now: time };
            ladder.update(&update.update(), last.into(), &mut out);
        }
        let now = last.now.saturating_add(1_000_000_000);
        ladder.pause(
            &Tick { now, read_until: now, sockets: None },
            WallClock { lead: 0, now }.into(),
            &mut out,
        );
        String::from_utf8_lossy(&out).into_owned()
    }
}

fn link(link: Link) -> pair::Link {
    match link {
        Link::Numbers => pair::Link::InitialSequenceNumbers,
        Link::Opening => pair::Link::Addresses,
        Link::Addresses => pair::Link::AddressesOnly,
    }
}

fn wall_time(time: i64) -> String {
    WallClock { lead: 0, now: 0 }.at(time.max(0).cast_unsigned()).to_string()
}

/// An event as the diagram takes it: at this time, and in one network with the other end's.
fn drawn(what: &What, time: u64, side: usize) -> Option<OwnedUpdate> {
    let of = |subject: Subject| Subject {
        // Hosts number their sockets alike.
        cookie: subject.cookie.map(|cookie| cookie ^ ((side as u64) << 63)),
        tuple: Tuple { netns: 0, ..subject.tuple },
        ..subject
    };
    Some(match what {
        What::Transition(one) => {
            let mut one = **one;
            (one.time, one.subject) = (time, of(one.subject));
            OwnedUpdate::Transition(one)
        }
        What::Retransmit(one) => {
            let mut one = **one;
            (one.time, one.subject) = (time, of(one.subject));
            OwnedUpdate::Retransmit(one)
        }
        What::Reset(one) => {
            let mut one = **one;
            (one.time, one.subject) = (time, of(one.subject));
            OwnedUpdate::Reset(one)
        }
        What::Connection(_) => return None,
    })
}
