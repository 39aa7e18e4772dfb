//! Transitions to CLOSED whose reason depends on whether an RST follows at once.

use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tracer_wire::Record;

use super::Slot;

/// An RST follows its transition within the same call of the kernel; but a virtual machine may not
/// run for a while in between: 20 ms have been too few for machines that shared a processor.
const RESET_FOLLOWS_WITHIN: u64 = 100_000_000;

/// The transitions that wait, by socket and oldest first.
#[derive(Debug, Default)]
pub(super) struct Undecided {
    waiting: HashMap<Slot, Record, RandomState>,
    /// With their times; the first one still waits.
    order: VecDeque<(u64, Slot)>,
}

impl Undecided {
    pub(super) fn wait(&mut self, slot: Slot, record: &Record) {
        self.waiting.insert(slot, *record);
        self.order.push_back((record.time_ns, slot));
    }

    pub(super) fn contains(&self, slot: Slot) -> bool {
        !self.waiting.is_empty() && self.waiting.contains_key(&slot)
    }

    /// Ends the waiting of a socket.
    pub(super) fn take(&mut self, slot: Slot) -> Option<Record> {
        if self.waiting.is_empty() {
            return None;
        }
        let record = self.waiting.remove(&slot)?;
        while let Some((time, slot)) = self.order.front()
            && self.waiting.get(slot).is_none_or(|record| record.time_ns != *time)
        {
            self.order.pop_front();
        }
        Some(record)
    }

    /// The socket that has waited longest, if it has waited for long enough.
    pub(super) fn overdue(&self, now: u64) -> Option<Slot> {
        let &(time, slot) = self.order.front()?;
        (time + RESET_FOLLOWS_WITHIN <= now).then_some(slot)
    }

    /// When there will be an overdue one.
    pub(super) fn next(&self) -> Option<u64> {
        self.order.front().map(|(time, _)| time + RESET_FOLLOWS_WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_still_waits_is_overdue_first() {
        let record = |time_ns| Record { time_ns, ..Record::EMPTY };
        let mut undecided = Undecided::default();
        for (slot, time) in [(7, 10), (8, 20), (9, 30)] {
            undecided.wait(slot, &record(time));
        }
        assert_eq!(undecided.take(8).map(|record| record.time_ns), Some(20));
        // Another socket in the same place.
        undecided.wait(8, &record(40));
        assert_eq!(undecided.overdue(9 + RESET_FOLLOWS_WITHIN), None);
        let mut order = Vec::new();
        while let Some(slot) = undecided.overdue(u64::MAX) {
            order.push((undecided.next().unwrap() - RESET_FOLLOWS_WITHIN, slot));
            undecided.take(slot);
        }
        assert_eq!(order, [(10, 7), (30, 9), (40, 8)]);
        assert_eq!(undecided.next(), None);
    }
}
