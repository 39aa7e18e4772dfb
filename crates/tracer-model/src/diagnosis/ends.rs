//! The other ends of connections, where they are on this host.

use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::Record;

use super::comparison::{Comparison, Seen};
use tracer_event::{endpoint::Tuple, sequence::Sequence, state::State};

/// The sockets that a connection's peer may be.
pub(super) struct Ends<'a> {
    /// By the numbers of what each will send and receive next: of a connection on which nothing
    /// moves they are the other end's, whatever the addresses are in between.
    by_numbers: HashMap<(u32, u32), &'a Seen<'a>, RandomState>,
    by_addresses: HashMap<Tuple, &'a Seen<'a>, RandomState>,
}

impl<'a> Ends<'a> {
    pub(super) fn of(comparison: &'a Comparison<'_>) -> Self {
        let seen = || comparison.seen.iter();
        Self {
            by_numbers: seen().map(|one| (numbers(one.record), one)).collect(),
            by_addresses: seen().map(|one| (one.tuple(), one)).collect(),
        }
    }

    /// The peer of a socket, if it is on this host.
    pub(super) fn peer(&self, seen: &Seen<'_>) -> Option<&'a Seen<'a>> {
        let (sends, receives) = numbers(seen.record);
        let known = (sends, receives) != (0, 0) && sends != receives;
        let by_numbers = self.by_numbers.get(&(receives, sends)).filter(|_| known);
        by_numbers.or_else(|| self.by_addresses.get(&seen.tuple().reversed())).copied()
    }
}

/// Those other ends of connections that were reset that are open all the same: they have sent no RST.
pub(super) fn still_open<'a>(
    comparison: &'a Comparison<'_>,
    reset: &VecDeque<(Tuple, Sequence)>,
) -> Vec<&'a Seen<'a>> {
    use State::{CloseWait, Established, FinWait1, FinWait2};
    let is_other_end = |seen: &&Seen<'_>| {
        let (tuple, record) = (seen.tuple(), seen.record);
        matches!(seen.state, Established | CloseWait | FinWait1 | FinWait2)
            && reset.iter().any(|(of, numbers)| {
                (of.local, of.peer) == (tuple.peer, tuple.local)
                    && record.snd_nxt == numbers.rcv_nxt
                    && record.rcv_nxt.wrapping_sub(numbers.snd_una)
                        <= numbers.snd_nxt.wrapping_sub(numbers.snd_una)
            })
    };
    match reset.is_empty() {
        true => Vec::new(),
        false => comparison.seen.iter().filter(is_other_end).collect(),
    }
}

fn numbers(record: &Record) -> (u32, u32) {
    (record.snd_nxt, record.rcv_nxt)
}
