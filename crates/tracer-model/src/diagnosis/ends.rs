//! The other ends of connections, where they are on this host.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_event::endpoint::Tuple;
use tracer_wire::Record;

/// The sockets that a connection's peer may be, by their places in a list.
pub(super) struct Ends {
    /// By the numbers of what each will send and receive next: of a connection on which nothing
    /// moves they are the other end's, whatever the addresses are in between.
    by_numbers: HashMap<(u32, u32), usize, RandomState>,
    by_addresses: HashMap<Tuple, usize, RandomState>,
}

impl Ends {
    pub(super) fn of(records: &[&Record]) -> Self {
        let all = || records.iter().copied().enumerate();
        Self {
            by_numbers: all().map(|(place, one)| (numbers(one), place)).collect(),
            by_addresses: all().map(|(place, one)| (Tuple::of(one), place)).collect(),
        }
    }

    /// The place of a socket's peer, if it is on this host.
    pub(super) fn peer(&self, record: &Record) -> Option<usize> {
        let (sends, receives) = numbers(record);
        let known = (sends, receives) != (0, 0) && sends != receives;
        let by_numbers = self.by_numbers.get(&(receives, sends)).filter(|_| known);
        by_numbers.or_else(|| self.by_addresses.get(&Tuple::of(record).reversed())).copied()
    }
}

fn numbers(record: &Record) -> (u32, u32) {
    (record.snd_nxt, record.rcv_nxt)
}
