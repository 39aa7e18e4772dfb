//! What the lines on one connection have in common.
//!
//! A mark is made of the addresses and the namespace, so that it is the same however late a trace
//! begins. An end in another namespace, or behind NAT, takes over the mark of the other one as soon
//! as their initial sequence numbers show that they belong together; a birth, of which the numbers
//! are not known, therefore waits for the next event of its socket.

use std::{collections::VecDeque, hash::BuildHasher as _};

use arrayvec::{ArrayString, ArrayVec};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::{
    model::{
        endpoint::{Endpoint, Tuple},
        initial::InitialNumbers,
        state::State,
        update::{Role, Subject, Transition, Update},
    },
    sink::wall_clock::WallClock,
};

/// Stands for the tag of a listener, which has no connection.
const LISTENER: &str = " ·";

/// Two characters, of which one can take two bytes.
type Tag = ArrayString<{ LISTENER.len() }>;

/// Sockets whose marks are remembered; beyond that all are forgotten.
const REMEMBERED: usize = 1 << 16;
/// Of these, sockets that are over: of some something is told afterwards, and the other end may
/// come last.
const OVER: usize = 1 << 12;
/// A birth waits this long, nanoseconds: what follows comes within the same call of the kernel.
const PATIENCE: u64 = 10_000_000;
/// Births that wait at one time.
const WAITING: usize = 1 << 10;

/// A socket and the connection that it has, not the next one.
type Key = (Tuple, Option<u64>, u32);

fn key(subject: &Subject) -> Key {
    (subject.tuple, subject.cookie, subject.ordinal)
}

/// The marks of all connections.
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
    /// Two characters that all lines on a connection have in common, those of its other end on
    /// this host included: to be found with the eyes, or by grep, where colours cannot say it.
    pub(super) fn of(&mut self, subject: &Subject) -> Tag {
        if subject.role == Some(Role::Listener) {
            return listener();
        }
        self.known(subject, None).tag
    }

    /// What is known of a socket; one that is new takes over the mark of its far end.
    fn known(&mut self, subject: &Subject, far: Option<Tag>) -> &mut Known {
        if self.sockets.len() >= REMEMBERED {
            *self = Self { births: std::mem::take(&mut self.births), ..Self::default() };
        }
        self.sockets.entry(key(subject)).or_insert_with(|| Known {
            tag: far.unwrap_or_else(|| hashed(&subject.tuple)),
            numbers: ArrayVec::new(),
        })
    }

    /// Takes over what an update tells of who belongs together.
    pub(super) fn learn(&mut self, update: &Update<'_>) {
        match update {
            Update::Transition(told) => self.know(&told.subject, told.initial_numbers()),
            Update::Story(told) => {
                let numbers = told.handshake.as_ref().and_then(InitialNumbers::of);
                self.know(&told.subject, numbers.into_iter().collect());
                self.end(key(&told.subject));
            }
            _ => {}
        }
    }

    fn know(&mut self, subject: &Subject, numbers: ArrayVec<InitialNumbers, 2>) {
        if numbers.is_empty() {
            return;
        }
        let far = numbers.iter().find_map(|one| self.by_numbers.get(&one.mirrored())).copied();
        let known = self.known(subject, far);
        if known.numbers.is_empty() {
            let tag = known.tag;
            known.numbers.clone_from(&numbers);
            self.by_numbers.extend(numbers.into_iter().map(|one| (one, tag)));
        }
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

    /// Whether this is a birth that waits now, to be told by [`Self::born`] or [`Self::due`].
    pub(super) fn holds(&mut self, update: &Update<'_>, clock: WallClock) -> bool {
        let Update::Transition(told) = update else { return false };
        let is_birth = (told.from, told.to) == (State::Listen, State::SynRecv);
        let waits = is_birth && told.initial_numbers().is_empty() && self.births.len() < WAITING;
        if waits {
            self.births.insert(key(&told.subject), (**told, clock));
        }
        waits
    }

    /// The birth of a socket that something else is told of now.
    pub(super) fn born(&mut self, update: &Update<'_>) -> Option<(Transition, WallClock)> {
        if self.births.is_empty() {
            return None;
        }
        self.births.remove(&key(update.subject()?))
    }

    /// Births that have waited long enough, oldest first, and when the next one will have.
    pub(super) fn due(&mut self, now: u64) -> (Vec<(Transition, WallClock)>, Option<u64>) {
        let end = |birth: &Transition| birth.time.saturating_add(PATIENCE);
        let due = self.births.extract_if(|_, (birth, _)| end(birth) <= now);
        let mut due: Vec<(Transition, WallClock)> = due.map(|(_, birth)| birth).collect();
        due.sort_unstable_by_key(|(birth, _)| birth.time);
        (due, self.births.values().map(|(birth, _)| end(birth)).min())
    }
}

fn listener() -> Tag {
    let mut tag = Tag::new();
    tag.push_str(LISTENER);
    tag
}

/// The same for both ends of a connection within one namespace.
fn hashed(tuple: &Tuple) -> Tag {
    /// Without those that are taken for others.
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let hash = |end: &Endpoint| foldhash::fast::FixedState::default().hash_one((end, tuple.netns));
    let both = hash(&tuple.local).wrapping_add(hash(&tuple.peer));
    let mut tag = Tag::new();
    for shift in [0, 5] {
        tag.push(char::from(LETTERS[(both >> shift) as usize % LETTERS.len()]));
    }
    tag
}
