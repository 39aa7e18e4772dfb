//! Who is connected, and who makes room for whom.
//!
//! Nobody is kept waiting at the door: each connection is accepted at once, and where there are too
//! many the one that has waited longest since its last request is closed. A scraper sends its
//! request right away, so that it is among the youngest and has been answered before its turn
//! comes. Up to a floor any address may have as many as it likes; beyond it an address that has
//! one already makes room itself, so that others need not.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::{Resource, getrlimit};
use tokio::task::JoinHandle;

/// Connections that any address may have.
const FLOOR: usize = 32;
/// Connections of all addresses, where descriptors allow: each costs some kilobytes.
const MOST: usize = 512;
/// The part of the descriptors that may be used so.
const PART: u64 = 8;
/// Whoever has just connected may send its request before it makes room below [`MOST`].
const GRACE: Duration = Duration::from_millis(500);

/// When a connection was made, or something was asked for on it last.
#[derive(Clone, Debug)]
pub(super) struct Seen(Arc<Mutex<Instant>>);

impl Seen {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Something is asked for.
    pub(super) fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn at(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long ago that was.
    pub(super) fn ago(&self) -> Duration {
        self.at().elapsed()
    }
}

#[derive(Debug)]
struct Guest {
    address: IpAddr,
    seen: Seen,
    task: JoinHandle<()>,
}

/// All that are connected.
#[derive(Debug)]
pub(super) struct Guests {
    guests: Vec<Guest>,
    most: usize,
}

impl Guests {
    pub(super) fn new() -> Self {
        let descriptors = getrlimit(Resource::Nofile).current;
        let part = descriptors.map_or(MOST as u64, |limit| (limit / PART).max(1));
        Self { guests: Vec::new(), most: MOST.min(usize::try_from(part).unwrap_or(MOST)) }
    }

    /// Lets one in; `attend` starts the task that serves it.
    pub(super) fn welcome(&mut self, peer: IpAddr, attend: impl FnOnce(Seen) -> JoinHandle<()>) {
        let address = network(peer);
        self.guests.retain(|guest| !guest.task.is_finished());
        if self.guests.len() >= self.most {
            self.dismiss_oldest();
        } else if self.guests.len() >= FLOOR {
            let own = |guest: &Guest| guest.address == address && guest.seen.ago() > GRACE;
            self.dismiss(own);
        }
        let seen = Seen::new();
        self.guests.push(Guest { address, task: attend(seen.clone()), seen });
    }

    /// Closes the connection on which nothing has been asked for the longest.
    pub(super) fn dismiss_oldest(&mut self) {
        self.dismiss(|_| true);
    }

    fn dismiss(&mut self, of: impl Fn(&Guest) -> bool) {
        let candidates = self.guests.iter().enumerate().filter(|(_, guest)| of(guest));
        let oldest = candidates.min_by_key(|(_, guest)| guest.seen.at());
        if let Some(index) = oldest.map(|(index, _)| index) {
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
