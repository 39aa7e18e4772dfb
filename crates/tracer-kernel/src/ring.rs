//! Reads the ring buffers: in batches while there is much, asleep while there is nothing, and beside
//! whatever else takes its reader long.

mod item;
mod merge;

use std::{
    os::fd::{AsFd as _, OwnedFd},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use aya::maps::{Array, MapData, RingBuf};
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    io::Errno,
    time::Timespec,
};
use tracer_wire::Program;

pub use self::item::{Item, decode};
use self::merge::{Merge, Queue, ROOM};
use crate::time;
use tracer_health as health;

/// The thread that empties the ring buffers while the reader does something else.
const GATHERER: &str = "tracer-gatherer";
/// Records of a batch at most, so that time-outs and output get their turn.
const BATCH: usize = 4096;
/// Pause between two batches: long enough to be cheap, short enough not to be noticed.
const NAP: Duration = Duration::from_millis(4);

/// How long another CPU may take to show what it has reserved: the reserving store and the clock's
/// reading are ordered for itself alone. Far more than a store takes, and nothing that anybody sees.
const VISIBLE: u64 = 10_000;

/// Records that are kept for a reader that does something else: some 32 MiB, which is half a second of
/// 20,000 connections a second with both ends here.
const HELD: usize = 1 << 17;

/// The reading end of the ring buffers.
pub struct Reader {
    rings: Vec<RingBuf<MapData>>,
    merge: Merge,
    held: Held,
    sleeping: Array<MapData, u32>,
    wake: OwnedFd,
}

/// What came beside records while the reader did something else.
#[derive(Default)]
struct Held {
    programs: Vec<Program>,
    damaged: u64,
}

impl Queue for RingBuf<MapData> {
    fn drain(&mut self, mut each: impl FnMut(&[u8])) {
        while let Some(item) = self.next() {
            each(&item);
        }
    }

    fn is_empty(&self) -> bool {
        let ring = self.as_fd();
        let now = Timespec::default();
        // The kernel compares the positions of producer and consumer, whatever is finished.
        poll(&mut [PollFd::new(&ring, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready == 0)
    }
}

/// One batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Records read.
    pub records: usize,
    /// Of them damaged or of another version.
    pub damaged: u64,
    /// There may be more.
    pub more: bool,
    /// Everything that happened before this time has been read (`CLOCK_MONOTONIC`, nanoseconds).
    pub complete_until: u64,
}

impl Reader {
    /// Reads `rings`; `sleeping` says whether the programs have to wake us.
    ///
    /// # Errors
    ///
    /// Where no eventfd can be created.
    pub fn new(rings: Vec<RingBuf<MapData>>, sleeping: Array<MapData, u32>) -> Result<Self, Errno> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { rings, merge: Merge::default(), held: Held::default(), sleeping, wake })
    }

    /// A descriptor that ends [`Self::wait`] when it is written to (an eventfd).
    ///
    /// # Errors
    ///
    /// Where descriptors have run out.
    pub fn waker(&self) -> std::io::Result<OwnedFd> {
        self.wake.try_clone()
    }

    /// Hands over what there is, up to a batch, in the order of time.
    ///
    /// What a program has reserved but not finished, on a CPU that does something else meanwhile,
    /// holds up whatever may be later.
    pub fn read(&mut self, mut each: impl FnMut(Item<'_>)) -> Batch {
        let Held { programs, damaged } = std::mem::take(&mut self.held);
        programs.iter().for_each(|program| each(Item::Program(program)));
        let mut batch = Batch { damaged, ..Batch::default() };
        loop {
            let now = time::monotonic().saturating_sub(VISIBLE);
            // Also while much waits: a burst on one CPU is more than its ring buffer holds.
            let program = |program: &Program| each(Item::Program(program));
            batch.damaged += self.merge.gather(&mut self.rings, now, ROOM, program);
            batch.records = self.merge.take(BATCH, |record| each(Item::Record(record)));
            // The first after a rest: it is old enough in a moment.
            let is_young = |first| first > now && first <= now + VISIBLE;
            if batch.records > 0 || !self.merge.first().is_some_and(is_young) {
                break;
            }
            std::hint::spin_loop();
        }
        batch.more = batch.records == BATCH;
        batch.complete_until = self.merge.complete_until();
        batch
    }

    /// Does what may take long, while another thread empties the ring buffers for the next
    /// [`Self::read`]. Where no thread can be had, or more comes than is kept, they may run full, which
    /// the programs count.
    pub fn meanwhile<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let Self { rings, merge, held, .. } = self;
        let gather = || {
            let now = time::monotonic().saturating_sub(VISIBLE);
            let program = |program: &Program| held.programs.push(*program);
            held.damaged += merge.gather(rings, now, HELD, program);
        };
        beside(gather, work)
    }

    /// Waits for records: a nap while they come or wait, else until one comes, somebody writes to the
    /// waker or the time is out.
    pub fn wait(&mut self, busy: bool, timeout: Option<Duration>) {
        if busy || self.merge.first().is_some() {
            let nap = timeout.map_or(NAP, |timeout| timeout.min(NAP));
            self.poll_waker(nap);
            return;
        }
        // From here on the programs wake us. A record reserved before they can see this is found
        // by poll(), which looks at the producer's position; one reserved later comes with a
        // wake-up.
        if self.sleeping.set(0, 1, 0).is_err() {
            self.poll_waker(NAP);
            return;
        }
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut fds: Vec<_> =
            self.rings.iter().map(|ring| PollFd::new(ring, PollFlags::IN)).collect();
        fds.push(PollFd::new(&self.wake, PollFlags::IN));
        // An interruption is as good as a wake-up.
        let _ = health::idle(|| poll(&mut fds, timeout.as_ref()));
        let _ = self.sleeping.set(0, 0, 0);
        self.clear_waker();
    }

    fn poll_waker(&self, time: Duration) {
        let timeout = Timespec::try_from(time).ok();
        let _ = poll(&mut [PollFd::new(&self.wake, PollFlags::IN)], timeout.as_ref());
        self.clear_waker();
    }

    fn clear_waker(&self) {
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
    }
}

/// Does `work`, and after each nap meanwhile `often` on another thread, where one can be had.
fn beside<T>(mut often: impl FnMut() + Send, work: impl FnOnce() -> T) -> T {
    let (working, ended) = mpsc::channel::<()>();
    let beside = move || {
        while ended.recv_timeout(NAP) == Err(RecvTimeoutError::Timeout) {
            often();
        }
    };
    thread::scope(|scope| {
        let _ = thread::Builder::new().name(GATHERER.into()).spawn_scoped(scope, beside);
        let result = work();
        drop(working);
        result
    })
}

/// Ends the present [`Reader::wait`] of the reader that `waker` is of.
pub fn wake(waker: &OwnedFd) {
    let _ = rustix::io::write(waker, &1u64.to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_beside_work_is_done_again_and_again_until_it_ends() {
        let (tell, told) = mpsc::channel();
        let mut count = 0;
        let often = move || {
            count += 1;
            tell.send(count).unwrap();
        };
        let minute = Duration::from_secs(60);
        let work = || (0..3).map(|_| told.recv_timeout(minute).unwrap()).collect::<Vec<_>>();
        assert_eq!(beside(often, work), [1, 2, 3]);
        assert!(told.iter().count() <= 1_000, "the other thread has ended, or this would wait");
    }
}
