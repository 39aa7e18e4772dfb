//! Which ends belong together.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::{
    end::{End, Recording},
    skew::{Skew, bounds},
};
use tracer_event::{
    endpoint::{Endpoint, Tuple},
    initial::InitialNumbers,
    state::State,
    subject::Role,
};

/// Two connections of a proxy are made one after the other within this time, nanoseconds.
const TOGETHER: u64 = 3_000_000_000;

/// By what two ends are known to belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Both initial sequence numbers.
    Numbers,
    /// Addresses, time and the number that both know: the handshake was not completed.
    Opening,
    /// Addresses and time, though the numbers differ: something between them ends the connection of
    /// one and makes another one.
    Addresses,
}

/// Two ends, or one whose peer's host has recorded nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Recording and end of the client, where the roles are known.
    pub first: (usize, usize),
    /// Those of the other.
    pub second: Option<(usize, usize)>,
    /// The recording of the peer's host.
    pub peer: usize,
    /// Why they belong together; `None` without a second end.
    pub link: Option<Link>,
}

/// All that could be joined.
#[derive(Debug, Default)]
pub struct Joined {
    /// The pairs, in the order in which they began.
    pub pairs: Vec<Pair>,
    /// The clocks: how far that of the second recording is ahead of the first.
    pub skews: Vec<((usize, usize), Skew)>,
    /// Ends whose peer's host is none of the recordings'.
    pub alone: usize,
}

impl Joined {
    /// How far the second recording's clock is ahead of the first.
    pub fn skew(&self, first: usize, second: usize) -> Option<Skew> {
        let known = |&&((one, other), _): &&((usize, usize), Skew)| (one, other) == (first, second);
        let found = self.skews.iter().find(known).map(|(_, skew)| *skew);
        found.or_else(|| {
            let turned =
                self.skews.iter().find(|((one, other), _)| (*one, *other) == (second, first));
            turned.map(|(_, skew)| Skew { ahead: skew.ahead.saturating_neg(), ..*skew })
        })
    }
}

/// Where each end is found.
struct Index {
    by_numbers: HashMap<InitialNumbers, Vec<(usize, usize)>, RandomState>,
    by_ends: HashMap<(Endpoint, Endpoint), Vec<(usize, usize)>, RandomState>,
}

/// Joins the ends of recordings.
pub fn join(recordings: &[Recording]) -> Joined {
    let index = Index::of(recordings);
    let mut joined = Joined::default();
    let mut taken: HashSet<(usize, usize), RandomState> = HashSet::default();
    let mut handshakes: HashMap<(usize, usize), Vec<(i64, i64)>, RandomState> = HashMap::default();
    let places = || {
        let of = |(at, one): (usize, &Recording)| (0..one.ends.len()).map(move |end| (at, end));
        recordings.iter().enumerate().flat_map(of)
    };
    let end = |(recording, end): (usize, usize)| &recordings[recording].ends[end];
    for place in places() {
        let Some(numbers) = end(place).numbers() else { continue };
        let others = index.by_numbers.get(&numbers.mirrored()).map_or(&[][..], Vec::as_slice);
        let other = others.iter().find(|other| other.0 != place.0 && !taken.contains(*other));
        let Some(&other) = other.filter(|_| !taken.contains(&place)) else { continue };
        taken.extend([place, other]);
        if let Some(bounds) = bounds(end(place), end(other)) {
            handshakes.entry((place.0, other.0)).or_default().push(bounds);
        }
        joined.pairs.push(pair(recordings, place, other, Link::Numbers));
    }
    joined.skews = skews(handshakes);
    for place in places() {
        if taken.contains(&place) {
            continue;
        }
        if let Some((other, link)) = index.by_addresses(recordings, &joined, place, &taken) {
            taken.extend([place, other]);
            joined.pairs.push(pair(recordings, place, other, link));
        }
    }
    for first in places().filter(|place| !taken.contains(place)) {
        match host_of_peer(recordings, first) {
            Some(peer) => joined.pairs.push(Pair { first, second: None, peer, link: None }),
            None => joined.alone += 1,
        }
    }
    joined.pairs.sort_by_key(|one| end(one.first).began());
    joined
}

/// Another recording, of the host that has the peer's address and port.
fn host_of_peer(recordings: &[Recording], (recording, end): (usize, usize)) -> Option<usize> {
    let peer = recordings[recording].ends[end].tuple.peer;
    let has_it = |at: &usize| *at != recording && recordings[*at].addresses.contains(&peer);
    (0..recordings.len()).find(has_it)
}

/// The clocks, by what the handshakes say of them in either direction.
fn skews(
    mut handshakes: HashMap<(usize, usize), Vec<(i64, i64)>, RandomState>,
) -> Vec<((usize, usize), Skew)> {
    let turned: Vec<_> = handshakes.keys().copied().filter(|(one, other)| one > other).collect();
    for (one, other) in turned {
        let bounds = handshakes.remove(&(one, other)).unwrap_or_default();
        let turned =
            bounds.into_iter().map(|(least, most)| (most.saturating_neg(), least.saturating_neg()));
        handshakes.entry((other, one)).or_default().extend(turned);
    }
    let mut skews: Vec<_> = handshakes
        .into_iter()
        .filter_map(|(between, mut bounds)| Some((between, Skew::of(&mut bounds)?)))
        .collect();
    skews.sort_unstable_by_key(|(between, _)| *between);
    skews
}

fn pair(recordings: &[Recording], one: (usize, usize), other: (usize, usize), link: Link) -> Pair {
    let role = |(recording, end): (usize, usize)| recordings[recording].ends[end].role;
    let is_turned = role(one) == Some(Role::Server) || role(other) == Some(Role::Client);
    let (first, second) = if is_turned { (other, one) } else { (one, other) };
    Pair { first, second: Some(second), peer: second.0, link: Some(link) }
}

impl Index {
    fn of(recordings: &[Recording]) -> Self {
        let mut index = Self { by_numbers: HashMap::default(), by_ends: HashMap::default() };
        for (at, recording) in recordings.iter().enumerate() {
            for (number, end) in recording.ends.iter().enumerate() {
                if let Some(numbers) = end.numbers() {
                    index.by_numbers.entry(numbers).or_default().push((at, number));
                }
                let Tuple { local, peer, .. } = end.tuple;
                index.by_ends.entry((local, peer)).or_default().push((at, number));
            }
        }
        index
    }

    /// The other end by its addresses: at the same time, and with the numbers that both know.
    fn by_addresses(
        &self,
        recordings: &[Recording],
        joined: &Joined,
        place: (usize, usize),
        taken: &HashSet<(usize, usize), RandomState>,
    ) -> Option<((usize, usize), Link)> {
        let end = &recordings[place.0].ends[place.1];
        let Tuple { local, peer, .. } = end.tuple;
        let others = self.by_ends.get(&(peer, local))?;
        others.iter().filter(|other| other.0 != place.0 && !taken.contains(*other)).find_map(
            |&at| {
                let other = &recordings[at.0].ends[at.1];
                let skew = joined.skew(place.0, at.0).unwrap_or(Skew::UNKNOWN);
                let begun = skew.by_first(other.began());
                let until = skew.by_first(over(&recordings[at.0], other));
                if begun > over(&recordings[place.0], end) || until < end.began() {
                    return None;
                }
                Some((at, link(end, other, skew)?))
            },
        )
    }
}

/// Until when an end is there, by its own clock.
fn over(recording: &Recording, end: &End) -> i64 {
    let is_closed = end.state() == Some(State::Closed);
    if is_closed { end.ended() } else { recording.until.max(end.ended()) }
}

/// By what ends with the addresses of one another belong together.
fn link(one: &End, other: &End, skew: Skew) -> Option<Link> {
    let differ = |one: Option<u32>, other: Option<u32>| {
        one.zip(other).is_some_and(|(one, other)| one != other)
    };
    if !differ(one.local, other.peer) && !differ(one.peer, other.local) {
        return Some(Link::Opening);
    }
    let established = |end: &End| end.numbers().and_then(|_| end.reached(State::Established));
    let apart = established(one)?.abs_diff(skew.by_first(established(other)?));
    (apart < TOGETHER).then_some(Link::Addresses)
}
