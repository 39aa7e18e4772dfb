//! Flags on stuck sockets: one line for a group of them, again when it has doubled, and when the
//! last one has left.

use std::fmt::Display;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    lingering::{Ends, advice, sentence, without_ends},
    who::holder,
};
use crate::{
    phrases::{said, worded},
    wrap::broken,
};
use tracer_event::{
    duration::{count, duration, grouped},
    endpoint::Tuple,
    linger::LingerCause,
    state::State,
    update::{Linger, LingerStatus, Role, Subject},
};
use tracer_texts::Texts;

/// Sockets that are kept in groups; all groups are forgotten when there are more.
const REMEMBERED: usize = 1 << 16;

/// Columns from which on a flag may go on in a second line for its addresses.
const WIDE: usize = 100;

/// What the sockets of a group have in common: state, process, peer and cause. The clients of a
/// server differ in their ports, so that the peers of a server's sockets are addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    state: State,
    holder: String,
    peer: String,
    cause: &'static str,
}

/// A socket and the connection on it.
type Identity = (Tuple, Option<u64>, u32);

fn identity(subject: &Subject) -> Identity {
    (subject.tuple, subject.cookie, subject.ordinal)
}

#[derive(Debug, Default)]
struct Group {
    /// Those that are stuck now, and since when, nanoseconds of `CLOCK_MONOTONIC`.
    members: HashMap<Identity, u64, RandomState>,
    /// How many there were when the group was reported last, and how long the oldest of them had
    /// been in its state then, nanoseconds.
    reported: (usize, u64),
    /// The most that there were at once.
    most: usize,
    /// The longest time that one of them was stuck before it left, nanoseconds.
    longest: u64,
}

/// The groups of stuck sockets.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: HashMap<Key, Group, RandomState>,
    sockets: HashMap<Identity, Key, RandomState>,
}

/// A line that is due.
#[derive(Debug)]
pub(crate) struct Flag<'a> {
    /// The socket that it is about, or the oldest of those that are reported now.
    pub(crate) linger: &'a Linger,
    /// Sockets of the group that have just been flagged.
    pub(crate) raised: Vec<&'a Linger>,
    /// Sockets of the group: those that are stuck, or have been.
    sockets: usize,
    /// The longest time that one of them is, or was, stuck, nanoseconds.
    longest: u64,
    holder: String,
    peer: String,
}

impl Groups {
    /// Takes flags in; the lines that are due, those of groups that are over first. `who` names an
    /// owner, in the language of the texts.
    pub(crate) fn update<'a>(
        &mut self,
        lingers: &'a [Linger],
        texts: Option<&Texts>,
        who: impl Fn(&Linger) -> String,
    ) -> Vec<Flag<'a>> {
        let who = |linger: &Linger| holder(linger, who(linger), texts);
        if self.sockets.len() > REMEMBERED {
            *self = Self::default();
        }
        let (mut over, mut touched): (Vec<Flag<'a>>, Vec<(Key, Vec<&'a Linger>)>) =
            Default::default();
        let mut places: HashMap<Key, usize, RandomState> = HashMap::default();
        for linger in lingers {
            if linger.status == LingerStatus::Cleared {
                over.extend(self.clear(linger, who));
                continue;
            }
            let key = key(linger, who(linger));
            self.add(linger, &key);
            let place = *places.entry(key.clone()).or_insert(touched.len());
            match touched.get_mut(place) {
                Some((_, members)) => members.push(linger),
                None => touched.push((key, vec![linger])),
            }
        }
        over.extend(touched.into_iter().filter_map(|(key, members)| self.due(key, &members)));
        over
    }

    fn add(&mut self, linger: &Linger, key: &Key) {
        let identity = identity(&linger.subject);
        if let Some(before) = self.sockets.insert(identity, key.clone())
            && before != *key
            && let Some(group) = self.groups.get_mut(&before)
        {
            // Its cause or its holder is another one now.
            group.members.remove(&identity);
            if group.members.is_empty() {
                self.groups.remove(&before);
            }
        }
        let group = self.groups.entry(key.clone()).or_default();
        group.members.insert(identity, linger.time.saturating_sub(linger.age));
        group.most = group.most.max(group.members.len());
    }

    /// The line of a group that has grown to twice of what it was, in sockets or in time.
    fn due<'a>(&mut self, key: Key, members: &[&'a Linger]) -> Option<Flag<'a>> {
        let oldest = members.iter().max_by_key(|linger| linger.age)?;
        let group = self.groups.get_mut(&key)?;
        let (sockets, age) = group.reported;
        let now = group.members.len();
        let since = group.members.values().min().copied().unwrap_or(oldest.time);
        let longest = oldest.time.saturating_sub(since).max(oldest.age);
        // Of a single socket, each flag comes at twice the time of the one before.
        if now < 2 * sockets && longest < age.saturating_mul(2) && (now, sockets) != (1, 1) {
            return None;
        }
        group.reported = (now, longest);
        let raised = |linger: &&&Linger| linger.status == LingerStatus::Raised;
        let raised = members.iter().filter(raised).copied().collect();
        let Key { holder, peer, .. } = key;
        Some(Flag { linger: oldest, raised, sockets: now, longest, holder, peer })
    }

    /// The line of a group of which the last one has left.
    fn clear<'a>(
        &mut self,
        linger: &'a Linger,
        who: impl Fn(&Linger) -> String,
    ) -> Option<Flag<'a>> {
        let identity = identity(&linger.subject);
        let Some(key) = self.sockets.remove(&identity) else {
            // Flagged before this began.
            let Key { holder, peer, .. } = key(linger, who(linger));
            let longest = linger.age;
            return Some(Flag { linger, raised: Vec::new(), sockets: 1, longest, holder, peer });
        };
        let group = self.groups.get_mut(&key)?;
        group.members.remove(&identity);
        group.longest = group.longest.max(linger.age);
        if !group.members.is_empty() {
            // A group that has shrunk may grow again.
            group.reported.0 = group.reported.0.min(4 * group.members.len());
            return None;
        }
        let Group { most: sockets, longest, .. } = self.groups.remove(&key)?;
        let Key { holder, peer, .. } = key;
        Some(Flag { linger, raised: Vec::new(), sockets, longest, holder, peer })
    }
}

fn key(linger: &Linger, holder: String) -> Key {
    let Subject { tuple: Tuple { local, peer, .. }, role, .. } = linger.subject;
    let ephemeral = role.map_or(peer.port >= local.port, |role| role == Role::Server);
    let peer = if ephemeral { peer.with_port(0) } else { peer }.to_string();
    let cause = linger.why.as_ref().map_or("", LingerCause::code);
    Key { state: linger.state, holder, peer, cause }
}

/// How many are, or were, stuck in a state like this one, and for how long.
fn stays(linger: &Linger, sockets: u64, longest: u64, texts: Option<&Texts>) -> String {
    let sign = if linger.at_least { "≥" } else { "up to " };
    let (state, longest) = (linger.state, duration(longest));
    let (name, english) = match linger.status {
        LingerStatus::Raised => ("view-many-raised", ("stuck in", "for")),
        LingerStatus::Continues => ("view-many-continue", ("still stuck in", "for")),
        LingerStatus::Cleared => ("view-many-cleared", ("left", "after")),
    };
    let number = grouped(sockets);
    let values: [(&str, &dyn Display); 3] =
        [("count", &number), ("state", &state), ("longest", &longest)];
    let many = count(sockets, "socket");
    let (are, time) = english;
    let english = format_args!("{many} {are} {state} {time} {sign}{longest}");
    worded(texts, name, &values, english)
}

impl Flag<'_> {
    /// Whether it is about a single socket.
    pub(super) fn is_alone(&self) -> bool {
        self.sockets <= 1
    }

    /// In words. Where there is not enough `room`, columns, addresses are left out: where they would
    /// take a line more, and on a wide terminal a third one.
    pub(crate) fn words(&self, room: Option<usize>, texts: Option<&Texts>) -> String {
        let whole = self.sentence(Ends::Shown, texts);
        let Some(columns) = room else { return whole };
        let brief = self.sentence(Ends::LeftOut, texts);
        let lines = |words: &str| broken(words, room).len();
        let most = lines(&brief).max(if columns >= WIDE { 2 } else { 1 });
        if lines(&whole) <= most { whole } else { brief }
    }

    fn sentence(&self, ends: Ends, texts: Option<&Texts>) -> String {
        let Self { linger, sockets, longest, holder, peer, .. } = self;
        match (sockets, ends) {
            (..=1, Ends::Shown) => sentence(linger, holder, texts),
            (..=1, Ends::LeftOut) => without_ends(linger, holder, texts),
            (_, ends) => {
                let peer = match ends {
                    Ends::Shown => format!(": {} {peer}", said(texts, "peer")),
                    Ends::LeftOut => String::new(),
                };
                let stay = stays(linger, *sockets as u64, *longest, texts);
                format!("⚑ {stay}, {holder}{peer}{}", advice(linger, texts))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_event::{
        endpoint::Endpoint,
        fixtures,
        process::{Evidence, Owner, Process},
    };

    const SECOND: u64 = 1_000_000_000;

    fn linger(number: u16, status: LingerStatus, age: u64) -> Linger {
        let process = Process { pid: 34, comm: *b"python3\0\0\0\0\0\0\0\0\0", start_ns: 0 };
        let owner = Owner { process, evidence: Evidence::TaskFile, fd: Some(5), others: 0 };
        let end = |port| Endpoint::new([10, 0, 0, 1].into(), port);
        Linger {
            time: 100 * SECOND,
            subject: Subject {
                tuple: Tuple { local: end(80), peer: end(40_000 + number), netns: 1 },
                owner: Some(owner),
                role: Some(Role::Server),
                ..fixtures::subject(number.into())
            },
            age: age * SECOND,
            idle: None,
            status,
            holders: vec![owner],
            why: Some(LingerCause::NotLookedAt),
            ..fixtures::linger(number.into(), State::CloseWait)
        }
    }

    fn said(groups: &mut Groups, lingers: &[Linger]) -> Vec<String> {
        let flags = groups.update(lingers, None, |_| "python3[34]".into());
        flags.iter().map(|flag| flag.words(Some(60), None)).collect()
    }

    /// Five sockets a second leak: a line at 1, 2, 4, 8, … sockets, and not ten a second.
    #[test]
    fn a_leak_is_a_line_for_each_doubling_and_one_when_it_is_over() {
        let mut groups = Groups::default();
        let mut lines = Vec::new();
        for number in 0..500 {
            let mut now = vec![linger(number, LingerStatus::Raised, 10)];
            if number >= 50 {
                now.push(linger(number - 50, LingerStatus::Continues, 20));
            }
            lines.extend(said(&mut groups, &now));
        }
        assert!((9..=12).contains(&lines.len()), "{lines:#?}");
        assert!(
            lines[0].starts_with("⚑ stuck in CLOSE_WAIT for 10.0s, python3[34] fd 5"),
            "{lines:?}"
        );
        assert!(lines[5].starts_with("⚑ 32 sockets stuck in CLOSE_WAIT for up to "), "{lines:#?}");
        let gone: Vec<Linger> =
            (0..500).map(|number| linger(number, LingerStatus::Cleared, 30)).collect();
        let lines = said(&mut groups, &gone);
        assert_eq!(lines, ["⚑ 500 sockets left CLOSE_WAIT after up to 30.0s, python3[34]"]);
        assert!(groups.groups.is_empty() && groups.sockets.is_empty());
    }

    #[test]
    fn a_single_socket_is_flagged_each_time_and_when_it_has_left() {
        let mut groups = Groups::default();
        for (status, age) in [
            (LingerStatus::Raised, 10),
            (LingerStatus::Continues, 20),
            (LingerStatus::Continues, 40),
            (LingerStatus::Cleared, 41),
        ] {
            assert_eq!(said(&mut groups, &[linger(1, status, age)]).len(), 1);
        }
        // Flagged before this began, as in a recording that is cut.
        assert_eq!(said(&mut groups, &[linger(1, LingerStatus::Cleared, 41)]).len(), 1);
    }
}
