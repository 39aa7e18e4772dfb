//! What waits to be sent: bounded, and every record that leaves it without being taken by the
//! receiver is counted.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fmt,
    str::FromStr,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytesize::ByteSize;
use tokio::{sync::Notify, time::Instant};

use super::CHUNK;

/// What a chunk costs beyond its bytes.
const OVERHEAD: usize = 64;
/// A request holds no more than these records, or bytes (receivers take 4 MiB).
const BATCH_RECORDS: u64 = 4096;
const BATCH_BYTES: usize = 1 << 20;
/// A request is sent this long after its first record at the latest.
const DELAY: Duration = Duration::from_secs(1);

/// A smaller queue would be full between two looks at it: half of it is sent while the other half
/// fills, and must hold what is handed over together.
const LEAST: [Limit; 2] = [Limit::Bytes(8 * CHUNK), Limit::Records(1000)];

/// How much may wait, what is being sent included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of encoded records.
    Bytes(usize),
    /// Records.
    Records(u64),
}

impl FromStr for Limit {
    type Err = &'static str;

    /// A number alone is one of records, one with a unit is a size.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "neither a size as 64MiB nor a number of records as 10000";
        let limit = match text.parse() {
            Ok(records) => Self::Records(records),
            Err(_) => {
                let ByteSize(bytes) = text.parse().map_err(|_| WRONG)?;
                Self::Bytes(bytes.try_into().map_err(|_| WRONG)?)
            }
        };
        match limit {
            Self::Records(0) | Self::Bytes(0) => Err(WRONG),
            limit => Ok(limit),
        }
    }
}

impl Limit {
    /// What is wrong with it, where it is too small to be of use.
    pub fn problem(self) -> Option<String> {
        let [bytes, records] = LEAST;
        let too_small = match (self, bytes, records) {
            (Self::Bytes(given), Self::Bytes(least), _) => given < least,
            (Self::Records(given), _, Self::Records(least)) => given < least,
            _ => false,
        };
        too_small.then(|| {
            format!("too little to keep up with a receiver: at least {bytes} or {records}")
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => ByteSize(*bytes as u64).fmt(f),
            Self::Records(records) => write!(f, "{records} records"),
        }
    }
}

/// Encoded records.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Box<[u8]>,
    pub(super) records: u64,
}

/// What is sent together. To be given back by [`Queue::settle`].
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) chunks: Vec<Chunk>,
    pub(super) held: Held,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    bytes: usize,
    pub(super) records: u64,
}

/// What is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    /// The end: nothing waits for more to come.
    Hurrying,
    /// Nothing more comes.
    Closed,
    /// Nothing more is sent.
    GivenUp,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Chunk>,
    /// Of these.
    waiting_held: Held,
    /// All, what is being sent included.
    held: Held,
    /// Records that are lost and have not been told of.
    lost: u64,
    /// The receiver took the last batch as a whole.
    healthy: bool,
    phase: Phase,
}

/// Between the thread that reads and the one that sends.
#[derive(Debug)]
pub(super) struct Queue {
    limit: Limit,
    state: Mutex<State>,
    news: Notify,
    settled: Condvar,
}

impl Held {
    fn of(chunk: &Chunk) -> Self {
        Self { bytes: chunk.bytes.len() + OVERHEAD, records: chunk.records }
    }

    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.records += other.records;
    }

    fn subtract(&mut self, other: Self) {
        self.bytes -= other.bytes;
        self.records -= other.records;
    }

    fn fits(self, limit: Limit) -> bool {
        match limit {
            Limit::Bytes(bytes) => self.bytes <= bytes,
            Limit::Records(records) => self.records <= records,
        }
    }

    fn is_batch(self) -> bool {
        self.records >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
    }

    fn is_half(self, limit: Limit) -> bool {
        match limit {
            Limit::Bytes(bytes) => self.bytes >= bytes / 2,
            Limit::Records(records) => self.records >= records / 2,
        }
    }
}

impl Queue {
    pub(super) fn new(limit: Limit) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            waiting_held: Held::default(),
            held: Held::default(),
            lost: 0,
            healthy: true,
            phase: Phase::Running,
        };
        Self { limit, state: Mutex::new(state), news: Notify::new(), settled: Condvar::new() }
    }

    pub(super) fn limit(&self) -> Limit {
        self.limit
    }

    /// How full it is, from 0.0 to 1.0.
    pub(super) fn fill(&self) -> f64 {
        let held = self.lock().held;
        match self.limit {
            Limit::Bytes(bytes) => held.bytes as f64 / bytes as f64,
            Limit::Records(records) => held.records as f64 / records as f64,
        }
    }

    /// Takes a chunk, or counts its records as lost where it does not fit.
    pub(super) fn push(&self, chunk: Chunk) {
        let mut state = self.lock();
        let held = Held::of(&chunk);
        let mut sum = state.held;
        sum.add(held);
        if state.phase == Phase::GivenUp || !sum.fits(self.limit) {
            state.lost += chunk.records;
            return;
        }
        let was = state.waiting_held;
        state.held = sum;
        state.waiting_held.add(held);
        state.waiting.push_back(chunk);
        let is_due = |held: Held| held.is_batch() || held.is_half(self.limit);
        let wake = was.records == 0 || !is_due(was) && is_due(state.waiting_held);
        drop(state);
        // The sending thread is not woken for each.
        if wake {
            self.news.notify_one();
        }
    }

    /// What has been lost since this was asked last, once the receiver is there again and there is
    /// room: not one by one while there is none.
    pub(super) fn take_lost(&self) -> u64 {
        let mut state = self.lock();
        let half = Held { bytes: state.held.bytes * 2, records: state.held.records * 2 };
        if state.lost == 0 || !state.healthy || !half.fits(self.limit) {
            return 0;
        }
        std::mem::take(&mut state.lost)
    }

    /// Waits until all is sent; what is not by then is given up. How many records have been lost
    /// since this was last told, including the one that will tell of it where it cannot be sent.
    pub(super) fn drain(&self, patience: Duration) -> u64 {
        self.advance(Phase::Hurrying);
        if !self.wait_settled(patience) {
            self.give_up();
        }
        let mut state = self.lock();
        let lost = std::mem::take(&mut state.lost);
        if lost == 0 {
            return 0;
        }
        if !state.healthy {
            state.phase = Phase::GivenUp;
        }
        lost + u64::from(state.phase == Phase::GivenUp)
    }

    /// Waits until all is sent. Nothing comes after this.
    pub(super) fn close(&self, patience: Duration) {
        self.advance(Phase::Closed);
        if !self.wait_settled(patience) {
            let left = self.give_up();
            tracing::warn!("{left} log records at the end were not taken by the OTLP receiver");
        }
    }

    fn give_up(&self) -> u64 {
        let left = self.lock().held.records;
        self.advance(Phase::GivenUp);
        let mut state = self.lock();
        let waiting = std::mem::take(&mut state.waiting_held);
        state.waiting.clear();
        state.held.subtract(waiting);
        state.lost += waiting.records;
        drop(state);
        // What is being sent is broken off at once.
        self.wait_settled(Duration::from_secs(1));
        left
    }

    fn advance(&self, phase: Phase) {
        let mut state = self.lock();
        state.phase = state.phase.max(phase);
        drop(state);
        self.news.notify_one();
    }

    /// Whether nothing is held any more.
    fn wait_settled(&self, patience: Duration) -> bool {
        let holding = |state: &mut State| state.held.records > 0;
        let (state, _) = self
            .settled
            .wait_timeout_while(self.lock(), patience, holding)
            .unwrap_or_else(PoisonError::into_inner);
        state.held.records == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// The next batch, once it is large enough, has waited long enough or takes half of the queue;
    /// `None` when nothing more comes.
    pub(super) async fn next(&self) -> Option<Batch> {
        let mut ripe = None;
        loop {
            let (held, phase) = {
                let state = self.lock();
                (state.waiting_held, state.phase)
            };
            match (held.records > 0, phase) {
                (true, Phase::Running) if !held.is_batch() && !held.is_half(self.limit) => {
                    let ripe = *ripe.get_or_insert_with(|| Instant::now() + DELAY);
                    if tokio::time::timeout_at(ripe, self.news.notified()).await.is_err() {
                        return Some(self.take());
                    }
                }
                (true, _) => return Some(self.take()),
                (false, Phase::Closed | Phase::GivenUp) => return None,
                (false, _) => self.news.notified().await,
            }
        }
    }

    fn take(&self) -> Batch {
        let mut state = self.lock();
        let mut batch = Batch::default();
        // The other half is for what comes while this one is sent.
        while !batch.held.is_batch()
            && !batch.held.is_half(self.limit)
            && let Some(chunk) = state.waiting.pop_front()
        {
            let held = Held::of(&chunk);
            batch.held.add(held);
            state.waiting_held.subtract(held);
            batch.chunks.push(chunk);
        }
        batch
    }

    /// A batch is done with: `lost` of its records the receiver did not take.
    pub(super) fn settle(&self, held: Held, lost: u64) {
        let mut state = self.lock();
        state.held.subtract(held);
        state.lost += lost.min(held.records);
        state.healthy = lost == 0;
        drop(state);
        self.settled.notify_all();
    }

    /// Returns when the end has begun.
    pub(super) async fn hurried(&self) {
        while self.phase() == Phase::Running {
            self.news.notified().await;
        }
    }

    /// Returns when nothing is to be sent any more.
    pub(super) async fn given_up(&self) {
        while self.phase() != Phase::GivenUp {
            self.news.notified().await;
        }
    }
}
