//! How long connections waited for accept(), by listener and process: counted when they are accepted,
//! so that metrics are those of now.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use tracer_event::endpoint::Endpoint;

/// Upper bounds of all buckets but the last, nanoseconds.
pub const BOUNDS: [u64; 14] = [
    10_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
    10_000_000_000,
    60_000_000_000,
];
/// Listeners that are told apart: the first ones, since a series that goes and comes is none.
const LISTENERS: usize = 100;

/// Whose connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Acceptor {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// The listener's address.
    pub local: Endpoint,
    /// Who accepts, as the kernel keeps its name.
    pub comm: [u8; 16],
}

/// Times from ESTABLISHED to accept().
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// How many lie in each bucket, not those below.
    pub counts: [u64; BOUNDS.len() + 1],
    /// Their sum, nanoseconds.
    pub sum: u64,
}

/// Times by listener.
#[derive(Clone, Debug, Default)]
pub struct AcceptTimes {
    listeners: HashMap<Acceptor, Times, RandomState>,
    others: Times,
    counted: u64,
}

impl AcceptTimes {
    /// A connection has been accepted.
    pub(crate) fn add(&mut self, acceptor: Acceptor, wait: u64) {
        self.counted += 1;
        let is_known = self.listeners.contains_key(&acceptor) || self.listeners.len() < LISTENERS;
        let times = match is_known {
            true => self.listeners.entry(acceptor).or_default(),
            false => &mut self.others,
        };
        times.counts[BOUNDS.partition_point(|&bound| bound < wait)] += 1;
        times.sum = times.sum.saturating_add(wait);
    }

    /// How many have been counted.
    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// The times of each of the first listeners, and with `None` of all others.
    pub fn listeners(&self) -> impl Iterator<Item = (Option<&Acceptor>, &Times)> {
        let others =
            (self.others.counts != Times::default().counts).then_some((None, &self.others));
        self.listeners.iter().map(|(acceptor, times)| (Some(acceptor), times)).chain(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acceptor(port: u16) -> Acceptor {
        let local = Endpoint::new([0, 0, 0, 0].into(), port);
        Acceptor { netns: 1, local, comm: [0; 16] }
    }

    #[test]
    fn the_first_listeners_are_told_apart_and_none_is_left_out() {
        let mut times = AcceptTimes::default();
        for port in 0..150 {
            times.add(acceptor(port), 10_000);
            times.add(acceptor(port), 10_001);
        }
        assert_eq!((times.listeners().count(), times.counted()), (LISTENERS + 1, 300));
        let (_, others) = times.listeners().find(|(acceptor, _)| acceptor.is_none()).unwrap();
        assert_eq!((others.counts[0], others.counts[1], others.sum), (50, 50, 50 * 20_001));
    }
}
