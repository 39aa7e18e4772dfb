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

/// Sockets whose tags are kept; all are dropped when there are more.
const REMEMBERED: usize = 1 << 16;
/// Of these, sockets that are closed: some have later events, and the peer socket may close last.
const OVER: usize = 1 << 12;
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

/// The tags of all connections.
#[derive(Debug, Default)]
pub(super) struct Tags {
    sockets: HashMap<Key, Known, RandomState>,
    by_numbers: HashMap<InitialNumbers, Tag, RandomState>,
    over: VecDeque<Key>,
    births: HashMap<Key, (Transition, WallClock), RandomState>,
}

#[derive(Debug)]
struct Known {
    tag: Tag,
    numbers: ArrayVec<InitialNumbers, 2>,
}

impl Tags {
    /// Two characters that all lines about a connection share, those of its peer socket on this host
    /// included: for the eye, and for grep, where there are no colours.
    pub(super) fn of(&mut self, subject: &Subject) -> Tag {
        if subject.role == Some(Role::Listener) {
            return Tag::from(LISTENER).unwrap_or_default();
        }
        self.known(subject, None).tag
    }

    /// What is known about a socket; a new one takes over the tag of its peer socket.
    fn known(&mut self, subject: &Subject, far: Option<Tag>) -> &mut Known {
        if self.sockets.len() >= REMEMBERED {
            *self = Self { births: std::mem::take(&mut self.births), ..Self::default() };
        }
        self.sockets.entry(key(subject)).or_insert_with(|| Known {
            tag: far.unwrap_or_else(|| hashed(&subject.tuple)),
            numbers: ArrayVec::new(),
        })
    }

    /// Learns from an update which sockets belong together.
    pub(super) fn learn(&mut self, update: &Update<'_>) {
        match update {
            Update::Transition(one) => self.know(&one.subject, one.initial_numbers()),
            Update::Connection(connection) => {
                let numbers = connection.handshake.as_ref().and_then(InitialNumbers::of);
                self.know(&connection.subject, numbers.into_iter().collect());
                self.end(key(&connection.subject));
            }
            _ => {}
        }
    }

    fn know(&mut self, subject: &Subject, numbers: ArrayVec<InitialNumbers, 2>) {
        if numbers.is_empty() {
            return;
        }
        let known = self.sockets.get(&key(subject));
        if known.is_some_and(|known| !known.numbers.is_empty()) {
            return;
        }
        let far = numbers.iter().find_map(|one| self.by_numbers.get(&one.mirrored())).copied();
        let known = self.known(subject, far);
        let tag = known.tag;
        known.numbers.clone_from(&numbers);
        self.by_numbers.extend(numbers.into_iter().map(|one| (one, tag)));
    }

    fn end(&mut self, key: Key) {
        if !self.sockets.contains_key(&key) {
            return;
        }
        self.over.push_back(key);
        if self.over.len() > OVER
            && let Some(known) = self.over.pop_front().and_then(|key| self.sockets.remove(&key))
        {
            for one in known.numbers {
                self.by_numbers.remove(&one);
            }
        }
    }

    /// Keeps a birth until [`Self::born`] or [`Self::due`] returns it; true if the update is one.
    pub(super) fn holds(&mut self, update: &Update<'_>, clock: WallClock) -> bool {
        let Update::Transition(transition) = update else { return false };
        let is_birth = (transition.from, transition.to) == (State::Listen, State::SynRecv);
        let waits =
            is_birth && transition.initial_numbers().is_empty() && self.births.len() < WAITING;
        if waits {
            self.births.insert(key(&transition.subject), (**transition, clock));
        }
        waits
    }

    /// The birth of the socket that an update is about.
    pub(super) fn born(&mut self, update: &Update<'_>) -> Option<(Transition, WallClock)> {
        if self.births.is_empty() {
            return None;
        }
        self.births.remove(&key(update.subject()?))
    }

    /// The births that have waited long enough, oldest first, and when the next one will have.
    pub(super) fn due(&mut self, now: u64) -> (Vec<(Transition, WallClock)>, Option<u64>) {
        let end = |birth: &Transition| birth.time.saturating_add(PATIENCE);
        let due = self.births.extract_if(|_, (birth, _)| end(birth) <= now);
        let mut due: Vec<(Transition, WallClock)> = due.map(|(_, birth)| birth).collect();
        due.sort_unstable_by_key(|(birth, _)| birth.time);
        (due, self.births.values().map(|(birth, _)| end(birth)).min())
    }
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
