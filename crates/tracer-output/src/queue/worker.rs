//! The thread that delivers what a queue holds.

use std::{
    io,
    ops::Deref,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use super::{
    bounded::{Phase, Queue, State},
    limit::{Limit, Size},
};
use crate::trouble::{Seldom, again};
use tracer_event::escape::without_numbers;
use tracer_health as health;

/// A failure is logged after this time: by the end of a short trace it is why that has failed.
const SOON: Duration = Duration::from_secs(2);

/// Records that are lost although they had been taken.
#[derive(Debug)]
pub struct Lost {
    /// How many.
    pub count: u64,
    /// Why.
    pub error: io::Error,
}

/// Delivers what a queue holds, on a thread of its own. An error is reported, once until a delivery
/// works again.
pub trait Worker<T>: Send {
    /// The name of the destination, for messages.
    fn name(&self) -> String;

    /// Delivers an item, or takes it.
    ///
    /// # Errors
    ///
    /// What is wrong; the item's records count as lost. With `WouldBlock`, to be returned only
    /// after some time, it is given again until the trace ends.
    fn deliver(&mut self, item: &mut T) -> io::Result<()>;

    /// After how long without an item [`Self::pause`] is called; `None`: never.
    fn turn(&self) -> Option<Duration> {
        None
    }

    /// No item has come for a while.
    ///
    /// # Errors
    ///
    /// What is wrong.
    fn pause(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// What turned out to be lost of what had been taken, since the last call.
    fn lost(&mut self) -> Option<Lost> {
        None
    }

    /// Finds out, by the deadline, whether all that was taken has arrived.
    fn settle(&mut self, _deadline: Instant) {}

    /// Opens its file again.
    ///
    /// # Errors
    ///
    /// Where that cannot be.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Delivers what it has gathered; nothing more comes.
    ///
    /// # Errors
    ///
    /// Where something is not where it can be found.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A queue and the thread that empties it.
pub struct Outlet<T> {
    queue: Arc<Queue<T>>,
    thread: health::Thread,
}

impl<T> Deref for Outlet<T> {
    type Target = Queue<T>;

    fn deref(&self) -> &Queue<T> {
        &self.queue
    }
}

impl<T: Send + 'static> Outlet<T> {
    /// Starts the worker's thread.
    ///
    /// # Errors
    ///
    /// Where no thread can be had.
    pub fn start(
        name: &'static str,
        limit: Limit,
        worker: impl Worker<T> + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(limit, || ()));
        let own = Arc::clone(&queue);
        let thread = health::spawn(name, move || {
            let _over = Over(&own);
            Work { queue: &own, worker, failures: Seldom::default(), unsaid: None }.run();
        })?;
        Ok(Self { queue, thread })
    }

    /// Takes items.
    ///
    /// # Errors
    ///
    /// Returns them where there is no room; their records count as lost.
    pub fn push(&self, items: Vec<(T, Size)>) -> Result<(), Vec<(T, Size)>> {
        if !items.is_empty() {
            self.thread.owes();
        }
        self.queue.push(items)
    }

    /// The queue, for another thread that fills it.
    pub fn queue(&self) -> Arc<Queue<T>> {
        Arc::clone(&self.queue)
    }

    /// Asks for the worker's file to be opened again.
    pub fn reopen(&self) -> impl Fn() + Send + use<T> {
        let queue = Arc::clone(&self.queue);
        move || queue.change(|state| state.reopen = true)
    }

    /// Says afterwards why the end of the trace is not where it should be, if it is not: what has
    /// failed, or `slow`.
    pub fn ending(&self, slow: &'static str) -> impl Fn() -> Option<String> + Send + use<T> {
        let queue = Arc::clone(&self.queue);
        queue.lock().ending_is_told = true;
        move || {
            let state = queue.lock();
            let failed = state.reason.clone().filter(|_| state.failing);
            (!state.whole || state.cut).then(|| failed.unwrap_or_else(|| slow.to_owned()))
        }
    }

    /// As [`Queue::drain`]; also what the worker took has to arrive by then.
    pub fn drain(&self, patience: Duration) -> u64 {
        self.change(|state| state.settle_by = Some(Instant::now() + patience));
        self.queue.drain(patience)
    }

    /// Delivers what waits, and the last items. After `patience` the rest is given up where there
    /// is a `grace`, the time that the worker then has to end; whether it has ended.
    pub fn finish(self, last: Vec<(T, Size)>, patience: Duration, grace: Option<Duration>) -> bool {
        let is_cut = self.push(last).is_err();
        self.change(|state| {
            state.cut |= is_cut;
            state.phase = state.phase.max(Phase::Closed);
        });
        let mut over = self.wait(patience, |state| state.over);
        if let (false, Some(grace)) = (over, grace) {
            self.change(|state| {
                state.phase = Phase::GivenUp;
                state.waiting.clear();
            });
            over = self.wait(grace, |state| state.over);
        }
        // What the worker leaves open ends with it.
        if over {
            self.thread.join();
        }
        over
    }
}

/// Says that the worker's thread has ended, however it has.
struct Over<'a, T>(&'a Queue<T>);

impl<T> Drop for Over<'_, T> {
    fn drop(&mut self) {
        self.0.change(|state| state.over = true);
    }
}

/// What the worker has to do next.
enum Next<T> {
    Item(T, Size),
    Reopen,
    Settle(Instant),
    Pause,
    End,
}

struct Work<'a, T, W> {
    queue: &'a Queue<T>,
    worker: W,
    failures: Seldom,
    /// What has failed, and since when, as long as it is not logged.
    unsaid: Option<(Instant, String)>,
}

impl<T, W: Worker<T>> Work<'_, T, W> {
    fn run(&mut self) {
        loop {
            self.say(SOON);
            let turn = self.worker.turn().into_iter().chain(self.unsaid.as_ref().map(|_| SOON));
            let result = match self.queue.next(turn.min()) {
                Next::Item(mut item, size) => {
                    let delivered = self.insist(&mut item);
                    let failed = if delivered.is_err() { size.records } else { 0 };
                    self.note(delivered);
                    let lost = failed + self.lost();
                    self.queue.settle(size, lost);
                    continue;
                }
                Next::Settle(deadline) => {
                    self.worker.settle(deadline);
                    let lost = self.lost();
                    self.queue.change(|state| {
                        state.lost += lost;
                        state.settle_by = None;
                    });
                    continue;
                }
                Next::Reopen => self.worker.reopen(),
                Next::Pause => self.worker.pause(),
                Next::End => break,
            };
            self.note(result);
        }
        let finished = self.worker.finish();
        let whole = self.note(finished);
        let mut state = self.queue.lock();
        state.whole = whole;
        let is_told = state.ending_is_told && !whole;
        drop(state);
        if !is_told {
            self.say(Duration::ZERO);
        }
    }

    /// Until it is taken, or fails for good, or is given up: meanwhile the queue fills.
    fn insist(&mut self, item: &mut T) -> io::Result<()> {
        while self.queue.phase() != Phase::GivenUp {
            // A receiver that takes nothing is no fault of this thread.
            health::alive();
            match self.worker.deliver(item) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.report(&error),
                result => return result,
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "not taken by the end of the trace"))
    }

    /// How many records have turned out to be lost.
    fn lost(&mut self) -> u64 {
        let Some(Lost { count, error }) = self.worker.lost() else { return 0 };
        self.report(&error);
        count
    }

    fn note(&mut self, result: io::Result<()>) -> bool {
        result.inspect_err(|error| self.report(error)).is_ok()
    }

    /// Has it said once, until it works again; seldom where it works and fails in turns.
    fn report(&mut self, error: &io::Error) {
        let mut reason = without_numbers(&error.to_string());
        if error.kind() == io::ErrorKind::StorageFull {
            reason += "; make room there, or write to another place";
        }
        let mut state = self.queue.lock();
        if !std::mem::replace(&mut state.failing, true) {
            state.reason = Some(reason.clone());
            self.unsaid.get_or_insert_with(|| (Instant::now(), reason));
        }
        drop(state);
        self.say(SOON);
    }

    /// Logs what failed that long ago.
    fn say(&mut self, ago: Duration) {
        let unsaid = self.unsaid.take_if(|(since, _)| since.elapsed() >= ago);
        if let Some((_, reason)) = unsaid
            && let Some(held) = self.failures.say()
        {
            tracing::error!("cannot write to {}: {reason}{}", self.worker.name(), again(held));
        }
    }
}

impl<T> Queue<T> {
    fn next(&self, turn: Option<Duration>) -> Next<T> {
        let is_idle = |state: &mut State<T>| {
            state.waiting.is_empty()
                && !state.reopen
                && state.settle_by.is_none()
                && state.phase < Phase::Closed
        };
        // A year is as good as for ever.
        let turn = turn.unwrap_or(Duration::from_secs(365 * 86_400));
        let (mut state, _) = health::idle(|| {
            self.changed
                .wait_timeout_while(self.lock(), turn, is_idle)
                .unwrap_or_else(PoisonError::into_inner)
        });
        if std::mem::take(&mut state.reopen) {
            return Next::Reopen;
        }
        if let Some((item, size)) = state.pop() {
            return Next::Item(item, size);
        }
        match (state.settle_by, state.phase) {
            (Some(deadline), _) => Next::Settle(deadline),
            (None, Phase::Closed | Phase::GivenUp) => Next::End,
            (None, _) => Next::Pause,
        }
    }
}
