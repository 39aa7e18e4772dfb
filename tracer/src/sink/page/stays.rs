//! How long sockets stayed in CLOSE_WAIT and TIME_WAIT, by process and by peer.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    groups::{Groups, Tally},
    peer::Peer,
};
use crate::model::{
    endpoint::Tuple,
    state::State,
    update::{LingerStatus, Subject, Transition, Update},
};

const SECOND: u64 = 1_000_000_000;
/// Sockets whose entry into the state is remembered at most; of others the time is not known.
const PRESENT: usize = 1 << 17;
/// Processes or peers listed for each state.
const GROUPS: usize = 1024;

/// The states that are timed.
pub(super) const STATES: [State; 2] = [State::CloseWait, State::TimeWait];

/// Upper bounds of the classes of time, nanoseconds; the last class has none.
const BOUNDS: [u64; 4] = [SECOND / 10, SECOND, 10 * SECOND, 60 * SECOND];
/// The classes, as people read them.
pub(super) const CLASSES: [&str; 5] =
    ["under 0.1 s", "0.1 to 1 s", "1 to 10 s", "10 to 60 s", "60 s or more"];

/// The sockets of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stay {
    /// How many of them are still in the state.
    pub(super) still: u64,
    /// Longest time, nanoseconds.
    pub(super) longest: u64,
    /// Number of sockets by class of time.
    pub(super) classes: [u64; CLASSES.len()],
    /// Sum of the times by class of time, nanoseconds.
    pub(super) times: [u64; CLASSES.len()],
    /// Process id, where it is one process.
    pub(super) pid: Option<u32>,
}

impl Stay {
    fn one(time: u64, pid: Option<u32>, still: bool) -> Self {
        let class = BOUNDS.iter().filter(|bound| time >= **bound).count();
        let mut stay = Self { still: still.into(), longest: time, pid, ..Self::default() };
        (stay.classes[class], stay.times[class]) = (1, time);
        stay
    }

    /// Number of sockets.
    pub(super) fn sockets(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// Sum of all times, nanoseconds.
    pub(super) fn total(&self) -> u64 {
        self.times.iter().fold(0, |sum, time| sum.saturating_add(*time))
    }
}

impl Tally for Stay {
    fn rank(&self) -> (u64, u64) {
        (self.total(), self.sockets())
    }

    fn merge(&mut self, other: &Self) {
        self.pid = other.pid.filter(|_| self.sockets() == 0 || self.pid == other.pid);
        self.still += other.still;
        self.longest = self.longest.max(other.longest);
        for class in 0..CLASSES.len() {
            self.classes[class] += other.classes[class];
            self.times[class] = self.times[class].saturating_add(other.times[class]);
        }
    }
}

/// Name of a process (`comm`), `None` where the owner is not known.
pub(super) type Name = Option<[u8; 16]>;

/// The stays in one state.
#[derive(Clone, Debug, Default)]
pub(super) struct Stays {
    pub(super) by_process: Groups<Name, Stay, GROUPS>,
    pub(super) by_peer: Groups<Peer, Stay, GROUPS>,
    /// Number of sockets.
    pub(super) sockets: u64,
}

impl Stays {
    fn add(&mut self, guest: &Guest, time: u64, still: bool) {
        self.by_process.entry(guest.name).merge(&Stay::one(time, guest.pid, still));
        self.by_peer.entry(guest.peer).merge(&Stay::one(time, None, still));
        self.sockets += 1;
    }
}

/// A socket that is in one of the states.
#[derive(Clone, Copy, Debug)]
struct Guest {
    state: State,
    since: u64,
    name: Name,
    pid: Option<u32>,
    peer: Peer,
}

impl Guest {
    fn new(subject: &Subject, state: State, since: u64) -> Self {
        let process = subject.owner.map(|owner| owner.process);
        let (name, pid) = process.map(|process| (process.comm, process.pid)).unzip();
        Self { state, since, name, pid, peer: Peer::of(subject) }
    }
}

/// All stays.
#[derive(Clone, Debug, Default)]
pub(super) struct Guests {
    present: HashMap<Tuple, Guest, RandomState>,
    left: [Stays; STATES.len()],
    /// Sockets whose entry was not remembered.
    pub(super) unknown: u64,
}

impl Guests {
    pub(super) fn update(&mut self, update: &Update<'_>) {
        match update {
            Update::Transition(transition) => self.transition(transition),
            Update::Linger(lingers) => {
                for linger in lingers.iter().filter(|one| one.status != LingerStatus::Cleared) {
                    let since = linger.time.saturating_sub(linger.age);
                    self.found(&linger.subject, linger.state, since);
                }
            }
            _ => {}
        }
    }

    fn transition(&mut self, transition: &Transition) {
        let Transition { time, ref subject, from, to, elapsed, .. } = *transition;
        if from == to {
            return;
        }
        if let Some(index) = index(from) {
            let guest = self.present.remove(&subject.tuple).filter(|guest| guest.state == from);
            let since = guest.map(|guest| guest.since);
            let time = elapsed.or_else(|| since.map(|since| time.saturating_sub(since)));
            // The owner may have become known meanwhile.
            let last = Guest::new(subject, from, 0);
            let guest = if last.name.is_some() { last } else { guest.unwrap_or(last) };
            self.left[index].add(&guest, time.unwrap_or(0), false);
        }
        self.found(subject, to, time);
    }

    /// A socket has been in `state` since then, or longer; ignored if it is not one of [`STATES`].
    pub(super) fn found(&mut self, subject: &Subject, state: State, since: u64) {
        if index(state).is_none() || self.present.contains_key(&subject.tuple) {
            return;
        }
        if self.present.len() >= PRESENT {
            self.unknown += 1;
            return;
        }
        self.present.insert(subject.tuple, Guest::new(subject, state, since));
    }

    /// The stays in each of [`STATES`] at `now`, including those that have not ended.
    pub(super) fn at(&self, now: u64) -> [Stays; STATES.len()] {
        let mut stays = self.left.clone();
        for guest in self.present.values() {
            if let Some(index) = index(guest.state) {
                stays[index].add(guest, now.saturating_sub(guest.since), true);
            }
        }
        stays
    }
}

fn index(state: State) -> Option<usize> {
    STATES.iter().position(|one| *one == state)
}
