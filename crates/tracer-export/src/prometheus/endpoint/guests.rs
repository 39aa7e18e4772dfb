//! Who is connected, and who makes room for whom.
//!
//! Nobody is kept waiting at the door: each connection is accepted at once, and where there are too
//! many the one that has waited longest since its last request is closed. A scraper sends its
//! request right away, so that it is among the youngest and has been answered before its turn
//! comes. Up to a floor any address may have as many as it likes; beyond it an address that has
//! one already makes room itself, so that others need not.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Resource, getrlimit};
use tokio::task::JoinHandle;

/// Connections that any address may have.
const FLOOR: usize = 32;
/// Connections of all addresses, where descriptors allow. In a flood of 20,000 a second whoever
/// connects has a tenth of one to send its request.
const MOST: usize = 2048;
/// The part of the descriptors that may be used so.
const PART: u64 = 8;
/// So many make room together, for finding the oldest takes a pass through all.
const TOGETHER: usize = 32;
/// Whoever has just connected may send its request before others of its address, or those that have
/// sent theirs, come before it.
const GRACE: Duration = Duration::from_millis(500);

/// When a connection was made, or something was asked for on it last.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    begun: Instant,
    /// Nanoseconds after that.
    at: Arc<AtomicU64>,
}

impl Seen {
    fn new(begun: Instant) -> Self {
        let seen = Self { begun, at: Arc::default() };
        seen.now();
        seen
    }

    /// Something is asked for.
    pub(super) fn now(&self) {
        self.at.store(self.begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }

    fn at(&self) -> u64 {
        self.at.load(Ordering::Relaxed)
    }

    /// How long ago that was.
    pub(super) fn ago(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_nanos(self.at()))
    }
}

#[derive(Debug)]
struct Guest {
    address: IpAddr,
    /// When it came, as in [`Seen`].
    came: u64,
    seen: Seen,
    task: JoinHandle<()>,
}

impl Guest {
    /// Who makes room comes first: the oldest. Whoever has just come and not asked yet comes last,
    /// also where others are always asking.
    fn rank(&self, now: u64) -> (bool, u64) {
        let at = self.seen.at();
        (at == self.came && now.saturating_sub(at) < GRACE.as_nanos() as u64, at)
    }
}

/// All that are connected.
#[derive(Debug)]
pub(super) struct Guests {
    begun: Instant,
    guests: Vec<Guest>,
    most: usize,
}

impl Guests {
    pub(super) fn new() -> Self {
        let descriptors = getrlimit(Resource::Nofile).current;
        let part = descriptors.map_or(MOST as u64, |limit| (limit / PART).max(1));
        let most = MOST.min(usize::try_from(part).unwrap_or(MOST));
        Self { begun: Instant::now(), guests: Vec::new(), most }
    }

    /// Lets one in; `attend` starts the task that serves it.
    pub(super) fn welcome(&mut self, peer: IpAddr, attend: impl FnOnce(Seen) -> JoinHandle<()>) {
        let address = network(peer);
        if self.guests.len() >= self.most {
            self.guests.retain(|guest| !guest.task.is_finished());
        }
        if self.guests.len() >= self.most {
            self.dismiss_oldest();
        } else if self.guests.len() >= FLOOR {
            self.dismiss_one_of(address);
        }
        let seen = Seen::new(self.begun);
        self.guests.push(Guest { address, came: seen.at(), task: attend(seen.clone()), seen });
    }

    /// Closes the connections on which nothing has been asked for the longest.
    pub(super) fn dismiss_oldest(&mut self) {
        let count = (self.guests.len() / TOGETHER).max(1);
        if count < self.guests.len() {
            let now = Seen::new(self.begun).at();
            self.guests.select_nth_unstable_by_key(count, |guest| guest.rank(now));
        }
        let count = count.min(self.guests.len());
        self.guests.drain(..count).for_each(|guest| guest.task.abort());
    }

    /// Closes the oldest of an address, unless all of them are young.
    fn dismiss_one_of(&mut self, address: IpAddr) {
        let own = self.guests.iter().enumerate().filter(|(_, guest)| guest.address == address);
        let oldest = own.min_by_key(|(_, guest)| guest.seen.at());
        if let Some((index, guest)) = oldest
            && (guest.task.is_finished() || guest.seen.ago() > GRACE)
        {
            self.guests.swap_remove(index).task.abort();
        }
    }
}

/// What one party has to itself: an address, in IPv6 a network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_have_asked_make_room_before_one_that_is_about_to() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        let mut guests = Guests { most: FLOOR, ..Guests::new() };
        let come = |guests: &mut Guests| {
            let peer = IpAddr::from([127, 0, 0, 1]);
            guests.welcome(peer, |_| tokio::spawn(std::future::pending()));
        };
        come(&mut guests);
        let scraper = guests.guests[0].came;
        (1..FLOOR).for_each(|_| come(&mut guests));
        guests.guests[1..].iter().for_each(|guest| guest.seen.now());
        guests.dismiss_oldest();
        assert_eq!(guests.guests.len(), FLOOR - 1);
        assert!(guests.guests.iter().any(|guest| guest.came == scraper));
    }
}
