//! What several queues hold, in the order of time.
//!
//! Each CPU has a ring buffer of its own, and one socket's events come from several CPUs. A program
//! reserves its record before it takes the time. So whatever has a time before T is in its queue,
//! finished or not, when somebody looks after T: all queues are emptied after T, and once none holds
//! an unfinished record, everything until T is known, and is handed over in the order of its times.
//! What is later waits for the next round. Within a queue times are not in order: a softirq that
//! interrupts a program between the two reserves later and takes its time earlier.

use tracer_wire::{Program, Record};

use super::item::{Item, decode};

/// How often a queue is looked at in one round: whatever comes meanwhile cannot be told from what is
/// not finished.
const TRIES: usize = if cfg!(test) { 1 } else { 16 };
/// As long as so many can be handed over the queues are left alone: some 8 MiB.
pub(super) const ROOM: usize = if cfg!(test) { 4 } else { 1 << 15 };
/// Room for records that is kept when it is not used.
const KEPT: usize = 8192;

/// A queue of the kernel half.
pub(super) trait Queue {
    /// Takes out what is finished, up to the first item that is not.
    fn drain(&mut self, each: impl FnMut(&[u8]));
    /// Whether nothing is left, not even something unfinished.
    fn is_empty(&self) -> bool;
}

/// Records on their way into the order of time.
#[derive(Debug, Default)]
pub(super) struct Merge {
    records: Vec<Record>,
    /// Time and place of each that has not been handed over, by time; those before `next` have.
    order: Vec<(u64, u32)>,
    next: usize,
    /// Room for moving them.
    spare: Vec<Record>,
    /// Everything before this time is in `records`, or has been handed over.
    known: u64,
}

impl Merge {
    /// Empties the queues after `now`, unless `room` are known already; programs go to `program` at
    /// once, before the first event that they act in. Returns how many items were damaged.
    ///
    /// While something is unfinished nothing is known of what came since: the queues are emptied then
    /// however much waits.
    pub(super) fn gather<Q: Queue>(
        &mut self,
        queues: &mut [Q],
        now: u64,
        room: usize,
        mut program: impl FnMut(&Program),
    ) -> u64 {
        if self.is_ready() && self.order.len() - self.next >= room {
            return 0;
        }
        if self.next * 2 >= self.order.len() {
            self.keep_rest();
        }
        let mut damaged = 0;
        let mut complete = true;
        for queue in queues {
            let is_empty = (0..TRIES).any(|_| {
                queue.drain(|item| match decode(item) {
                    Some(Item::Record(record)) => self.push(record),
                    Some(Item::Program(found)) => program(found),
                    None => damaged += 1,
                });
                queue.is_empty()
            });
            complete &= is_empty;
        }
        if complete {
            self.known = self.known.max(now);
        }
        // Runs that are in order nearly, of which a stable sort makes use.
        self.order[self.next..].sort_by_key(|(time, _)| *time);
        damaged
    }

    /// Hands over the first of what is known, of which there is more where this returns `most`.
    pub(super) fn take(&mut self, most: usize, mut each: impl FnMut(&Record)) -> usize {
        let ready = self.order.iter().skip(self.next).take(most);
        let ready = ready.take_while(|(time, _)| *time <= self.known).count();
        for (_, place) in &self.order[self.next..self.next + ready] {
            each(&self.records[*place as usize]);
        }
        self.next += ready;
        ready
    }

    /// Time of the first that is still to be handed over.
    pub(super) fn first(&self) -> Option<u64> {
        self.order.get(self.next).map(|(time, _)| *time)
    }

    /// Everything before this time has been handed over.
    pub(super) fn complete_until(&self) -> u64 {
        self.first().map_or(self.known, |first| first.min(self.known))
    }

    /// Whether something can be handed over.
    fn is_ready(&self) -> bool {
        self.first().is_some_and(|first| first <= self.known)
    }

    fn push(&mut self, record: &Record) {
        self.order.push((record.time_ns, self.records.len() as u32));
        self.records.push(*record);
    }

    /// Forgets what was handed over, and moves the rest to the front: not before it is half of all,
    /// so that nothing is moved more than once on average.
    fn keep_rest(&mut self) {
        std::mem::swap(&mut self.records, &mut self.spare);
        self.records.clear();
        self.order.drain(..self.next);
        self.next = 0;
        for (index, (_, place)) in self.order.iter_mut().enumerate() {
            self.records.push(self.spare[*place as usize]);
            *place = index as u32;
        }
        self.spare.clear();
        self.spare.shrink_to(KEPT);
        self.records.shrink_to(KEPT);
        self.order.shrink_to(KEPT);
    }
}

#[cfg(test)]
mod tests;
