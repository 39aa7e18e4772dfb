//! The thread that delivers what a queue holds.

use std::{
    io,
    ops::Deref,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use super::{Limit, Phase, Queue, Size, State};
use crate::health;

/// Delivers what a queue holds, on a thread of its own.
pub trait Worker<T>: Send {
    /// Delivers an item. It has to [release](Queue::release) or [settle](Queue::settle) its size.
    fn work(&mut self, item: T, size: Size, queue: &Queue<T>);

    /// After how long without an item [`Self::idle`] is called; `None`: never.
    fn turn(&self) -> Option<Duration> {
        None
    }

    /// No item has come for a while.
    fn idle(&mut self, _: &Queue<T>) {}

    /// Opens its file again.
    fn reopen(&mut self, _: &Queue<T>) {}

    /// Finds out, by the deadline, whether all that was taken has arrived.
    fn settle(&mut self, _: Instant, _: &Queue<T>) {}

    /// Nothing more comes; whether all has arrived where it can be found.
    fn finish(&mut self, queue: &Queue<T>) -> bool;
}

enum Next<T> {
    Item(T, Size),
    Reopen,
    Settle(Instant),
    Idle,
    End,
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

/// Says that the worker's thread has ended, however it has.
struct Over<'a, T>(&'a Queue<T>);

impl<T> Drop for Over<'_, T> {
    fn drop(&mut self) {
        self.0.change(|state| state.over = true);
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
        mut worker: impl Worker<T> + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(limit, || ()));
        let own = Arc::clone(&queue);
        let thread = health::spawn(name, move || {
            let _over = Over(&own);
            own.empty(&mut worker);
        })?;
        Ok(Self { queue, thread })
    }

    /// Takes an item.
    ///
    /// # Errors
    ///
    /// Returns it where there is no room; its records count as lost.
    pub fn push(&self, item: T, size: Size) -> Result<(), T> {
        self.thread.owes();
        self.queue.push(item, size)
    }

    /// Asks for the worker's file to be opened again.
    pub fn reopen(&self) -> impl Fn() + Send + 'static {
        let queue = Arc::clone(&self.queue);
        move || queue.change(|state| state.reopen = true)
    }

    /// Says afterwards why the end of the trace is not where it should be, if it is not: `slow`, or
    /// what has been reported. A reader that has closed the output does not want it.
    pub fn ending(&self, slow: &'static str) -> impl Fn() -> Option<&'static str> + Send + use<T> {
        let queue = Arc::clone(&self.queue);
        move || {
            let state = queue.lock();
            let reason = if state.failing { "see above" } else { slow };
            (!state.unread && (!state.whole || state.cut)).then_some(reason)
        }
    }

    /// As [`Queue::drain`]; also what the worker took has to arrive by then.
    pub fn drain(&self, patience: Duration) -> u64 {
        self.change(|state| state.settle_by = Some(Instant::now() + patience));
        self.queue.drain(patience)
    }

    /// Delivers what waits, and the last item. After `patience` the rest is given up where there is
    /// a `grace`, the time that the worker then has to end; whether it has ended.
    pub fn finish(self, last: T, size: Size, patience: Duration, grace: Option<Duration>) -> bool {
        let is_cut = self.push(last, size).is_err();
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

impl<T> Queue<T> {
    fn empty(&self, worker: &mut impl Worker<T>) {
        loop {
            match self.next(worker.turn()) {
                Next::Item(item, size) => worker.work(item, size, self),
                Next::Reopen => worker.reopen(self),
                Next::Settle(deadline) => {
                    worker.settle(deadline, self);
                    self.change(|state| state.settle_by = None);
                }
                Next::Idle => worker.idle(self),
                Next::End => break,
            }
        }
        let whole = worker.finish(self);
        self.lock().whole = whole;
    }

    fn next(&self, turn: Option<Duration>) -> Next<T> {
        let is_idle = |state: &mut State<T>| {
            state.waiting.is_empty()
                && !state.reopen
                && state.settle_by.is_none()
                && state.phase < Phase::Closed
        };
        let mut state = health::idle(|| match turn {
            None => self.changed.wait_while(self.lock(), is_idle),
            Some(turn) => {
                let waited = self.changed.wait_timeout_while(self.lock(), turn, is_idle);
                waited
                    .map(|(state, _)| state)
                    .map_err(|error| PoisonError::new(error.into_inner().0))
            }
        })
        .unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.reopen) {
            return Next::Reopen;
        }
        if let Some((item, size)) = state.pop() {
            return Next::Item(item, size);
        }
        match (state.settle_by, state.phase) {
            (Some(deadline), _) => Next::Settle(deadline),
            (None, Phase::Closed | Phase::GivenUp) => Next::End,
            (None, _) => Next::Idle,
        }
    }
}
