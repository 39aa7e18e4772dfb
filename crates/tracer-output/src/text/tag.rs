//! The tags that all lines about one connection share.
//!
//! A tag is a hash of the addresses and the namespace, so that it is the same however late a trace
//! begins. A socket in another namespace, or behind NAT, takes over the tag of its peer socket as
//! soon as their initial sequence numbers show that they belong together. A birth (LISTEN →
//! SYN_RECV), whose numbers are not known yet, therefore waits for the next event of its socket.

use std::{
    collections::VecDeque,
    hash::{BuildHasher as _, Hash, Hasher},
};

use arrayvec::{ArrayString, ArrayVec};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use tracer_event::{
    endpoint::{Endpoint, Tuple},
    initial::InitialNumbers,
    state::State,
    update::{Role, Subject, Transition, Update},
    wall_clock::WallClock,
};

/// The tag of listeners, which have no connection.
const LISTENER: &str = " ·";

/// Two characters, of which one can take two bytes.
pub(super) type Tag = ArrayString<{ LISTENER.len() }>;

/// Sockets that have the tag of another end; all are dropped when there are more.
const REMEMBERED: usize = 1 << 16;
/// Of these, sockets that are closed: some have later events.
const OVER: usize = 1 << 12;
/// Ends whose numbers are kept at least, and at most twice as many: the two ends of a connection
/// learn them within a round trip.
const RECENT: usize = 1 << 10;
/// A birth waits this long, nanoseconds: the next event comes within the same call of the kernel.
const PATIENCE: u64 = 10_000_000;
/// Births that wait at one time.
const WAITING: usize = 1 << 10;

/// A socket and the connection on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    tuple: Tuple,
    cookie: Option<u64>,
    ordinal: u32,
}

impl Hash for Key {
    /// A cookie says it all, and an address takes ten times as long.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        match self.cookie {
            Some(cookie) => cookie.hash(hasher),
            None => self.tuple.hash(hasher),
        }
    }
}

fn key(subject: &Subject) -> Key {
    let Subject { tuple, cookie, ordinal, .. } = *subject;
    Key { tuple, cookie, ordinal }
}

/// The tags of all connections. Nothing is kept of a socket whose tag is that of its own addresses,
/// as nearly all are: what is cold for each new connection costs more than the rest of its line.
#[derive(Debug, Default)]
pub(super) struct Tags {
    others: HashMap<Key, Tag, RandomState>,
    over: VecDeque<Key>,
    recent: Recent,
    births: HashMap<Key, (Transition, WallClock), RandomState>,
}

/// The tags of the last handshakes, by their numbers. What is old goes all at once: to take each
/// out by itself would be one more look at memory that is cold.
#[derive(Debug, Default)]
struct Recent {
    young: HashMap<InitialNumbers, Tag, RandomState>,
    old: HashMap<InitialNumbers, Tag, RandomState>,
}

impl Recent {
    fn get(&self, numbers: &InitialNumbers) -> Option<Tag> {
        self.young.get(numbers).or_else(|| self.old.get(numbers)).copied()
    }

    fn insert(&mut self, numbers: InitialNumbers, tag: Tag) {
        if self.young.len() >= RECENT {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(numbers, tag);
    }
}

impl Tags {
    /// Two characters that all lines about a connection share, those of its peer socket on this host
    /// included: for the eye, and for grep, where there are no colours.
    pub(super) fn of(&self, subject: &Subject) -> Tag {
        if subject.role == Some(Role::Listener) {
            return Tag::from(LISTENER).unwrap_or_default();
        }
        self.other(subject).unwrap_or_else(|| hashed(&subject.tuple))
    }

    fn other(&self, subject: &Subject) -> Option<Tag> {
        if self.others.is_empty() { None } else { self.others.get(&key(subject)).copied() }
    }

    /// Sockets of which something is kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.others.len()
    }

    /// Learns from an update which sockets belong together.
    pub(super) fn learn(&mut self, update: &Update<'_>) {
        let Some(subject) = update.subject() else { return };
        self.know(subject, &numbers(update), !has_had_lines(update));
        if matches!(update, Update::Connection(_)) {
            self.end(key(subject));
        }
    }

    /// A new socket takes over the tag of its peer socket.
    fn know(&mut self, subject: &Subject, numbers: &[InitialNumbers], is_new: bool) {
        if numbers.iter().all(|one| self.recent.get(one).is_some()) {
            return;
        }
        let own = self.of(subject);
        let far = numbers.iter().find_map(|one| self.recent.get(&one.mirrored()));
        let tag = match far {
            Some(far) if is_new && far != own && self.other(subject).is_none() => {
                self.keep(key(subject), far);
                far
            }
            _ => own,
        };
        for one in numbers {
            self.recent.insert(*one, tag);
        }
    }

    fn keep(&mut self, key: Key, tag: Tag) {
        if self.others.len() >= REMEMBERED {
            self.others.clear();
            self.over.clear();
        }
        self.others.insert(key, tag);
    }

    fn end(&mut self, key: Key) {
        if !self.others.is_empty() && self.others.contains_key(&key) {
            self.over.push_back(key);
            if self.over.len() > OVER {
                self.over.pop_front().and_then(|oldest| self.others.remove(&oldest));
            }
        }
    }

    /// Keeps a birth until [`Self::born`] or [`Self::due`] returns it; true if the update is one.
    pub(super) fn holds(&mut self, update: &Update<'_>, clock: WallClock) -> bool {
        let Update::Transition(birth) = update else { return false };
        let is_birth = (birth.from, birth.to) == (State::Listen, State::SynRecv);
        if !is_birth || !birth.initial_numbers().is_empty() {
            return false;
        }
        let waits = self.births.len() < WAITING;
        if waits {
            self.births.insert(key(&birth.subject), (**birth, clock));
        } else {
            self.tell(&birth.subject);
        }
        waits
    }

    /// The birth of the socket that an update is about.
    pub(super) fn born(&mut self, update: &Update<'_>) -> Option<(Transition, WallClock)> {
        if self.births.is_empty() {
            return None;
        }
        let born = self.births.remove(&key(update.subject()?))?;
        if numbers(update).is_empty() {
            self.tell(&born.0.subject);
        }
        Some(born)
    }

    /// The births that have waited long enough, oldest first, and when the next one will have.
    pub(super) fn due(&mut self, now: u64) -> (Vec<(Transition, WallClock)>, Option<u64>) {
        let end = |birth: &Transition| birth.time.saturating_add(PATIENCE);
        let due = self.births.extract_if(|_, (birth, _)| end(birth) <= now);
        let mut due: Vec<(Transition, WallClock)> = due.map(|(_, birth)| birth).collect();
        due.sort_unstable_by_key(|(birth, _)| birth.time);
        due.iter().for_each(|(birth, _)| self.tell(&birth.subject));
        (due, self.births.values().map(|(birth, _)| end(birth)).min())
    }

    /// A birth is told before its numbers are known: its socket keeps the tag that it has.
    fn tell(&mut self, subject: &Subject) {
        self.keep(key(subject), self.of(subject));
    }
}

/// By which the peer socket of what an update is about is known.
fn numbers(update: &Update<'_>) -> ArrayVec<InitialNumbers, 2> {
    match update {
        Update::Transition(one) => one.initial_numbers(),
        Update::Connection(one) => {
            one.handshake.as_ref().and_then(InitialNumbers::of).into_iter().collect()
        }
        _ => ArrayVec::new(),
    }
}

/// Whether a line with the socket's tag came before its numbers were known: its SYN had one.
fn has_had_lines(update: &Update<'_>) -> bool {
    matches!(update, Update::Transition(one) if one.from == State::SynSent)
}

/// The same tag for both ends of a connection within one namespace.
fn hashed(tuple: &Tuple) -> Tag {
    /// Without those that look like others.
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let hash = |end: &Endpoint| foldhash::fast::FixedState::default().hash_one((end, tuple.netns));
    let both = hash(&tuple.local).wrapping_add(hash(&tuple.peer));
    let mut tag = Tag::new();
    for shift in [0, 5] {
        tag.push(char::from(LETTERS[(both >> shift) as usize % LETTERS.len()]));
    }
    tag
}
