//! Reads the ring buffer: in batches while there is much, asleep while there is nothing.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use aya::maps::{Array, MapData, RingBuf};
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    io::Errno,
    time::Timespec,
};
use tracer_wire::{Plain as _, Program, Record};

use tracer_health as health;

/// Records of a batch at most, so that time-outs and output get their turn.
const BATCH: usize = 4096;
/// Pause between two batches: long enough to be cheap, short enough not to be noticed.
const NAP: Duration = Duration::from_millis(4);

/// The reading end of the ring buffer.
pub struct Reader {
    ring: RingBuf<MapData>,
    sleeping: Array<MapData, u32>,
    wake: OwnedFd,
}

/// What the ring buffer holds.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// An event.
    Record(&'a Record),
    /// Program and parent of the process that acts in the next one.
    Program(&'a Program),
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
}

impl Reader {
    /// Reads `ring`; `sleeping` says whether the programs have to wake us.
    ///
    /// # Errors
    ///
    /// Where no eventfd can be created.
    pub fn new(ring: RingBuf<MapData>, sleeping: Array<MapData, u32>) -> Result<Self, Errno> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { ring, sleeping, wake })
    }

    /// A descriptor that ends [`Self::wait`] when it is written to (an eventfd).
    ///
    /// # Errors
    ///
    /// Where descriptors have run out.
    pub fn waker(&self) -> std::io::Result<OwnedFd> {
        self.wake.try_clone()
    }

    /// Hands over what there is, up to a batch.
    pub fn read(&mut self, mut each: impl FnMut(Item<'_>)) -> Batch {
        let mut batch = Batch::default();
        while batch.records < BATCH {
            let Some(item) = self.ring.next() else {
                return batch;
            };
            batch.records += 1;
            match decode(&item) {
                Some(item) => each(item),
                None => batch.damaged += 1,
            }
        }
        batch.more = true;
        batch
    }

    /// Whether there are records behind the last one read. The next may be one that a program has
    /// reserved but not finished, on a CPU that does something else meanwhile; what lies behind it
    /// cannot be read before.
    pub fn has_unread(&self) -> bool {
        let ring = self.ring.as_fd();
        let now = Timespec::default();
        poll(&mut [PollFd::new(&ring, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Waits for records: a nap while they come, else until one comes, somebody writes to the
    /// waker or the time is out.
    pub fn wait(&mut self, busy: bool, timeout: Option<Duration>) {
        if busy {
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
        let ring = self.ring.as_fd();
        let mut fds = [PollFd::new(&ring, PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
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

/// An item of this version, recognised by its length.
pub fn decode(item: &[u8]) -> Option<Item<'_>> {
    if item.len() == size_of::<Program>() {
        return Program::from_bytes(item).map(Item::Program);
    }
    let record = Record::from_bytes(item).filter(|_| item.len() == size_of::<Record>());
    record.map(Item::Record)
}

/// Ends the present [`Reader::wait`] of the reader that `waker` is of.
pub fn wake(waker: &OwnedFd) {
    let _ = rustix::io::write(waker, &1u64.to_ne_bytes());
}
