//! How long sockets stayed in CLOSE_WAIT and TIME_WAIT, by process and by far end.

use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::model::{
    endpoint::{Endpoint, Tuple},
    state::State,
    update::{Linger, LingerStatus, Role, Subject, Transition, Update},
};

const SECOND: u64 = 1_000_000_000;
/// Sockets whose entry is remembered at most; time beyond is not known.
const PRESENT: usize = 1 << 17;
/// Processes or far ends told apart, for each state; twice as many before the least are let go.
const GROUPS: usize = 1024;

/// The states it is about.
pub(super) const STATES: [State; 2] = [State::CloseWait, State::TimeWait];

/// Upper ends of the classes of time, nanoseconds; the last class has none.
const BOUNDS: [u64; 4] = [SECOND / 10, SECOND, 10 * SECOND, 60 * SECOND];
/// The classes, as people read them.
pub(super) const CLASSES: [&str; 5] =
    ["under 0.1 s", "0.1 to 1 s", "1 to 10 s", "10 to 60 s", "60 s or more"];

/// The sockets of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stay {
    /// How many.
    pub(super) sockets: u64,
    /// Of these, how many are in the state still.
    pub(super) still: u64,
    /// Longest time, nanoseconds.
    pub(super) longest: u64,
    /// All times, nanoseconds.
    pub(super) total: u64,
    /// How many by time.
    pub(super) classes: [u64; CLASSES.len()],
    /// All times of each class, nanoseconds.
    pub(super) times: [u64; CLASSES.len()],
    /// Process id, where it is one process.
    pub(super) pid: Option<u32>,
}

impl Stay {
    fn add(&mut self, time: u64, pid: Option<u32>, still: bool) {
        self.pid = if self.sockets == 0 || self.pid == pid { pid } else { None };
        self.sockets += 1;
        self.still += u64::from(still);
        self.longest = self.longest.max(time);
        self.total = self.total.saturating_add(time);
        let class = BOUNDS.iter().filter(|bound| time >= **bound).count();
        self.classes[class] += 1;
        self.times[class] = self.times[class].saturating_add(time);
    }

    fn merge(&mut self, other: &Self) {
        self.pid = None;
        self.sockets += other.sockets;
        self.still += other.still;
        self.longest = self.longest.max(other.longest);
        self.total = self.total.saturating_add(other.total);
        let pairs = self.classes.iter_mut().zip(other.classes);
        pairs.for_each(|(sum, sockets)| *sum += sockets);
        let pairs = self.times.iter_mut().zip(other.times);
        pairs.for_each(|(sum, time)| *sum = sum.saturating_add(time));
    }

    /// Mean time, nanoseconds.
    pub(super) fn mean(&self) -> u64 {
        self.total / self.sockets.max(1)
    }
}

/// A far end: a service that was connected to, or the address of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FarEnd {
    /// Connections from here to this address and port.
    To(Endpoint),
    /// Connections from this address, to a service here. The port is 0.
    From(Endpoint),
}

impl FarEnd {
    fn of(subject: &Subject) -> Self {
        let Tuple { local, peer, .. } = subject.tuple;
        // Where the part is not known: clients have the higher ports as a rule.
        let serves = subject.role.map_or(local.port < peer.port, |role| role != Role::Client);
        if serves { Self::From(peer.with_port(0)) } else { Self::To(peer) }
    }
}

/// Groups by a key; the rest together where there are too many.
#[derive(Clone, Debug)]
pub(super) struct Groups<K> {
    groups: HashMap<K, Stay, RandomState>,
    /// Of keys that have made room for others.
    pub(super) others: Stay,
}

impl<K> Default for Groups<K> {
    fn default() -> Self {
        Self { groups: HashMap::default(), others: Stay::default() }
    }
}

impl<K: Copy + Eq + Hash> Groups<K> {
    /// Each that comes gets a place: whoever comes first must not fill all of them with names or
    /// addresses that he makes up.
    fn entry(&mut self, key: K) -> &mut Stay {
        if self.groups.len() >= 2 * GROUPS && !self.groups.contains_key(&key) {
            self.make_room();
        }
        self.groups.entry(key).or_default()
    }

    /// Those with least time are told together.
    fn make_room(&mut self) {
        let least: Vec<K> = self.sorted().into_iter().skip(GROUPS).map(|(key, _)| *key).collect();
        for stay in least.iter().filter_map(|key| self.groups.remove(key)) {
            self.others.merge(&stay);
        }
    }
}

impl<K> Groups<K> {
    /// Those with most time first.
    pub(super) fn sorted(&self) -> Vec<(&K, &Stay)> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(_, stay)| std::cmp::Reverse((stay.total, stay.sockets)));
        groups
    }
}

/// Name of a process, `None` where it is not known whose the socket is.
pub(super) type Name = Option<[u8; 16]>;

/// The stays in one state.
#[derive(Clone, Debug, Default)]
pub(super) struct Stays {
    /// By the name of the process.
    pub(super) by_process: Groups<Name>,
    /// By far end.
    pub(super) by_far_end: Groups<FarEnd>,
}

impl Stays {
    fn add(&mut self, guest: &Guest, time: u64, still: bool) {
        self.by_process.entry(guest.name).add(time, guest.pid, still);
        self.by_far_end.entry(guest.far_end).add(time, None, still);
    }

    /// Sockets in all.
    pub(super) fn sockets(&self) -> u64 {
        let of = self.by_process.groups.values().map(|stay| stay.sockets).sum::<u64>();
        of + self.by_process.others.sockets
    }
}

/// A socket that is in one of the states.
#[derive(Clone, Copy, Debug)]
struct Guest {
    state: State,
    since: u64,
    name: Name,
    pid: Option<u32>,
    far_end: FarEnd,
}

impl Guest {
    fn new(subject: &Subject, state: State, since: u64) -> Self {
        let process = subject.owner.map(|owner| owner.process);
        let (name, pid) = (process.map(|process| process.comm), process.map(|process| process.pid));
        Self { state, since, name, pid, far_end: FarEnd::of(subject) }
    }
}

/// All stays.
#[derive(Clone, Debug, Default)]
pub(super) struct Guests {
    present: HashMap<Tuple, Guest, RandomState>,
    left: [Stays; STATES.len()],
    /// Sockets whose entry found no room.
    pub(super) unknown: u64,
}

impl Guests {
    /// Takes note of an update.
    pub(super) fn update(&mut self, update: &Update<'_>) {
        match update {
            Update::Transition(transition) => self.transition(transition),
            Update::Linger(lingers) => {
                let stay = |linger: &&Linger| linger.status != LingerStatus::Cleared;
                for linger in lingers.iter().filter(stay) {
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
            // Who it was may have become known meanwhile.
            let last = Guest::new(subject, from, 0);
            let guest = if last.name.is_some() { last } else { guest.unwrap_or(last) };
            self.left[index].add(&guest, time.unwrap_or(0), false);
        }
        self.found(subject, to, time);
    }

    /// A socket is in a state since then, or for longer; forgotten if that is none of these.
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

    /// The stays in each of [`STATES`] at `now`, those that go on among them.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_names_do_not_fill_the_places_of_what_stays_long() {
        let mut groups = Groups::default();
        let mut all = 0;
        let mut add = |groups: &mut Groups<u32>, key, time| {
            groups.entry(key).add(time, Some(key), false);
            all += 1;
        };
        (0..3 * GROUPS as u32).for_each(|key| add(&mut groups, key, SECOND));
        (0..5).for_each(|_| add(&mut groups, u32::MAX, SECOND));
        (0..3 * GROUPS as u32).for_each(|key| add(&mut groups, 1 << 20 | key, SECOND));
        let sorted = groups.sorted();
        assert_eq!((*sorted[0].0, sorted[0].1.sockets), (u32::MAX, 5));
        assert!(sorted.len() <= 2 * GROUPS, "{}", sorted.len());
        let told: u64 = sorted.iter().map(|(_, stay)| stay.sockets).sum();
        assert_eq!(told + groups.others.sockets, all);
        assert_eq!(groups.others.total, groups.others.sockets * SECOND);
    }
}
