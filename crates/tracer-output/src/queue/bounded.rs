//! The queue itself: what it holds, what is lost, and how it ends.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::limit::{Limit, Size};

/// What is being sent is broken off within this time once it is given up.
const GRACE: Duration = Duration::from_secs(3);

/// The stages of a queue's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The trace goes on.
    Running,
    /// The end: nothing waits for more to come.
    Hurrying,
    /// Nothing more comes.
    Closed,
    /// Nothing more is delivered.
    GivenUp,
}

/// What a queue holds, and how far it is.
pub(super) struct State<T> {
    pub(super) waiting: VecDeque<(T, Size)>,
    /// The size of what waits.
    pub(super) waiting_size: Size,
    /// The same, including what is being delivered.
    pub(super) held: Size,
    /// Records that are lost and have not been reported.
    pub(super) lost: u64,
    /// The last delivery has failed.
    pub(super) failing: bool,
    /// Why the last one failed that did.
    pub(super) reason: Option<String>,
    /// Somebody says at the end why not all is delivered.
    pub(super) ending_is_told: bool,
    pub(super) phase: Phase,
    /// The file is to be opened again.
    pub(super) reopen: bool,
    /// By when the worker has to know whether all that it took has arrived.
    pub(super) settle_by: Option<Instant>,
    /// The worker's thread has ended.
    pub(super) over: bool,
    /// There was no room for the last lines.
    pub(super) cut: bool,
    /// All has been delivered, to where it can be found.
    pub(super) whole: bool,
}

/// A queue of `T`.
pub struct Queue<T> {
    limit: Limit,
    state: Mutex<State<T>>,
    pub(super) changed: Condvar,
    /// Tells a task that something has changed; threads wait for `changed`.
    notify: Box<dyn Fn() + Send + Sync>,
}

impl<T> Queue<T> {
    /// An empty queue; `notify` is called when there is something to do.
    pub fn new(limit: Limit, notify: impl Fn() + Send + Sync + 'static) -> Self {
        let (state, notify) = (Mutex::new(State::default()), Box::new(notify));
        Self { limit, state, changed: Condvar::new(), notify }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        (self.notify)();
        result
    }

    /// How much may be held.
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// What waits and what is being delivered.
    pub fn held(&self) -> Size {
        self.lock().held
    }

    /// How full it is, from 0.0 to 1.0.
    pub fn fill(&self) -> f64 {
        self.limit.fill(self.lock().held)
    }

    /// Takes items.
    ///
    /// # Errors
    ///
    /// Returns them where there is no room; their records count as lost.
    pub fn push(&self, items: Vec<(T, Size)>) -> Result<(), Vec<(T, Size)>> {
        let size = items.iter().fold(Size::default(), |sum, (_, size)| sum.plus(*size));
        let mut state = self.lock();
        let sum = state.held.plus(size);
        if state.phase == Phase::GivenUp || state.over || !self.limit.holds(sum) {
            state.lost += size.records;
            return Err(items);
        }
        let before = state.waiting_size;
        let was_empty = state.waiting.is_empty();
        state.held = sum;
        state.waiting_size = before.plus(size);
        state.waiting.extend(items);
        let wake = was_empty && !state.waiting.is_empty()
            || !self.limit.is_due(before) && self.limit.is_due(state.waiting_size);
        drop(state);
        // The other thread is not woken for each.
        if wake {
            self.changed.notify_all();
            (self.notify)();
        }
        Ok(())
    }

    /// The next item, with its size; it counts as held until it is [settled](Self::settle).
    pub fn pop(&self) -> Option<(T, Size)> {
        self.lock().pop()
    }

    /// How much waits, and its stage.
    pub fn waiting(&self) -> (Size, Phase) {
        let state = self.lock();
        (state.waiting_size, state.phase)
    }

    /// Its stage.
    pub fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// So much has been delivered, but for `lost` records.
    pub fn settle(&self, size: Size, lost: u64) {
        self.change(|state| {
            state.held = state.held.minus(size);
            state.lost += lost;
            state.failing = lost > 0;
        });
    }

    /// These records are lost although there was room for them.
    pub fn lose(&self, records: u64) {
        self.lock().lost += records;
    }

    /// Records lost since the last call, once deliveries work again and there is room: reported
    /// earlier, the report would be the next thing lost.
    pub fn take_lost(&self) -> u64 {
        let mut state = self.lock();
        if state.failing || !self.limit.holds(state.held.plus(state.held)) {
            return 0;
        }
        std::mem::take(&mut state.lost)
    }

    /// Waits while deliveries fail, for those that will fail as well; all records lost since the
    /// last call.
    pub fn take_all_lost(&self, patience: Duration) -> u64 {
        let is_failing = self.lock().failing;
        if is_failing {
            self.wait(patience, |state| state.held.bytes == 0 || state.over);
        }
        std::mem::take(&mut self.lock().lost)
    }

    /// Waits until all is delivered and gives up the rest. Records lost since the last call,
    /// including the one that will report them where it cannot be delivered.
    pub fn drain(&self, patience: Duration) -> u64 {
        self.advance(Phase::Hurrying);
        if !self.wait(patience, State::is_settled) {
            self.give_up();
        }
        let mut state = self.lock();
        let lost = std::mem::take(&mut state.lost);
        if lost > 0 && state.failing {
            state.phase = Phase::GivenUp;
        }
        lost + u64::from(lost > 0 && state.phase == Phase::GivenUp)
    }

    /// Waits until all is delivered and gives up the rest: how many records. Nothing comes after
    /// this.
    pub fn close(&self, patience: Duration) -> u64 {
        self.advance(Phase::Closed);
        if self.wait(patience, State::is_settled) { 0 } else { self.give_up() }
    }

    fn give_up(&self) -> u64 {
        let given_up = self.change(|state| {
            let given_up = state.held.records;
            state.phase = Phase::GivenUp;
            state.waiting.clear();
            let waiting = std::mem::take(&mut state.waiting_size);
            state.held = state.held.minus(waiting);
            state.lost += waiting.records;
            given_up
        });
        if !self.wait(GRACE, State::is_settled) {
            // The receiver hangs, and takes no part of what it was given.
            let mut state = self.lock();
            state.lost += std::mem::take(&mut state.held).records;
            state.failing = true;
        }
        given_up
    }

    fn advance(&self, phase: Phase) {
        self.change(|state| state.phase = state.phase.max(phase));
    }

    /// Whether that became true in time.
    pub(super) fn wait(&self, patience: Duration, is_done: impl Fn(&State<T>) -> bool) -> bool {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), patience, |state| !is_done(state))
            .unwrap_or_else(PoisonError::into_inner);
        is_done(&state)
    }
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            waiting_size: Size::default(),
            held: Size::default(),
            lost: 0,
            failing: false,
            reason: None,
            ending_is_told: false,
            phase: Phase::Running,
            reopen: false,
            settle_by: None,
            over: false,
            cut: false,
            whole: false,
        }
    }
}

impl<T> State<T> {
    pub(super) fn pop(&mut self) -> Option<(T, Size)> {
        let (item, size) = self.waiting.pop_front()?;
        self.waiting_size = self.waiting_size.minus(size);
        Some((item, size))
    }

    fn is_settled(&self) -> bool {
        self.held.records == 0 && self.settle_by.is_none() || self.over
    }
}
