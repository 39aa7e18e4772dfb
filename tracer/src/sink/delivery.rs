//! The sink that delivers one record after the other: a queue with a bound, and a thread on which
//! a [`Courier`] takes its time.

mod round;
#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use self::round::Round;
use super::{
    Format as _, Hello, Sink, Undelivered,
    flat::Row,
    json::Json,
    message::{Message, Messages, Severity},
    summary::Summary,
    surroundings::Surroundings,
    wall_clock::WallClock,
};
use crate::{
    health,
    model::update::{LossPlace, Update},
};

/// Bytes that may wait to be delivered.
const LIMIT: usize = 16 << 20;
/// So many records are handed over at once.
const BATCH: usize = 256;
/// How long the end of the trace waits for a receiver that does not receive.
const PATIENCE: Duration = Duration::from_secs(3);
/// What is said at the end is delivered within this time.
const LAST: Duration = Duration::from_millis(1500);
/// A courier that waits for a receiver comes back within this time.
const BLOCKED: Duration = Duration::from_secs(3);
/// A courier gets its turn this often at least, so that it can hand over what it has gathered.
pub const TURN: Duration = Duration::from_secs(10);

/// One record, as it is delivered.
#[derive(Debug)]
pub struct Record<'a> {
    /// Its fields.
    pub row: &'a Row,
    /// What to say.
    pub message: &'a str,
    /// How bad it is.
    pub severity: Severity,
}

/// Records that are lost although they had been taken.
#[derive(Debug)]
pub struct Lost {
    /// How many.
    pub count: u64,
    /// Why.
    pub error: io::Error,
}

/// Delivers records, on a thread of its own.
pub trait Courier: Send {
    /// Where it delivers to, for people.
    fn name(&self) -> String;

    /// Delivers one record, or takes it.
    ///
    /// # Errors
    ///
    /// What is wrong; the record then counts as lost. With `WouldBlock` it is given again, until
    /// the trace ends: to be returned after some time only.
    fn deliver(&mut self, record: &Record<'_>) -> io::Result<()>;

    /// How soon it wants its turn where no record comes.
    fn turn(&self) -> Duration {
        TURN
    }

    /// What is known to be lost of what had been taken, since this was asked last.
    fn lost(&mut self) -> Option<Lost> {
        None
    }

    /// Finds out, until then, whether all that has been taken is delivered.
    fn settle(&mut self, _deadline: Instant) {}

    /// Some time has passed.
    ///
    /// # Errors
    ///
    /// What is wrong.
    fn pause(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Opens its file anew.
    ///
    /// # Errors
    ///
    /// Where that cannot be.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// The end.
    ///
    /// # Errors
    ///
    /// Where what it had gathered cannot be delivered.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// JSON lines and what to say of each.
#[derive(Debug, Default)]
struct Batch {
    lines: Vec<u8>,
    messages: Vec<Message>,
}

#[derive(Debug)]
enum Parcel {
    Records(Batch),
    Reopen,
    /// All before is to be delivered, or counted; then this is told.
    Settle(Sender<()>),
    End,
}

#[derive(Debug, Default)]
struct Shared {
    /// Bytes, and records.
    waiting: AtomicUsize,
    records: AtomicU64,
    failing: AtomicBool,
    failed: AtomicU64,
    /// The courier has delivered all that it had.
    ended: AtomicBool,
    /// When the end gives up what is not delivered.
    deadline: Mutex<Option<Instant>>,
}

impl Shared {
    fn end_by(&self, deadline: Instant) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
    }

    fn deadline(&self) -> Option<Instant> {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.deadline().is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Records on their way to a courier.
pub struct Delivery {
    place: LossPlace,
    json: Json,
    messages: Messages,
    batch: Batch,
    sender: Sender<Parcel>,
    done: Receiver<()>,
    thread: health::Thread,
    shared: Arc<Shared>,
    /// Records that were lost and have not been told of.
    lost: u64,
}

/// Opens the courier's file anew, in order with what is delivered.
#[derive(Clone, Debug)]
pub struct Reopen(Sender<Parcel>);

impl Reopen {
    /// Asks for it.
    pub fn ask(&self) {
        // At the end of the trace nobody needs it any more.
        let _ = self.0.send(Parcel::Reopen);
    }
}

/// Tells whether all that was given at the end of the trace has been delivered.
#[derive(Clone, Debug)]
pub struct Ending(Arc<Shared>);

impl Ending {
    /// Why the last records are not where they should be.
    pub fn missing(&self) -> Option<&'static str> {
        let is = |flag: &AtomicBool| flag.load(Ordering::Acquire);
        if is(&self.0.ended) {
            return None;
        }
        Some(if is(&self.0.failing) { "see above" } else { "it takes too long" })
    }
}

impl Delivery {
    /// Starts the courier's thread; what is lost is told to be so at `place`.
    ///
    /// # Errors
    ///
    /// Where no thread can be had.
    pub fn start(
        courier: impl Courier + 'static,
        place: LossPlace,
        surroundings: Arc<dyn Surroundings>,
    ) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let mut round = Round::new(courier, Arc::clone(&shared));
        let thread = health::spawn("tracer-delivery", move || {
            round.run(&receiver);
            // The other end may have given up waiting.
            let _ = finished.send(());
        })?;
        Ok(Self {
            place,
            json: Json::new(Arc::clone(&surroundings)),
            messages: Messages::new(surroundings),
            batch: Batch::default(),
            sender,
            done,
            thread,
            shared,
            lost: 0,
        })
    }

    /// For whoever is to open the file anew.
    pub fn reopen(&self) -> Reopen {
        Reopen(self.sender.clone())
    }

    /// For whoever wants to know how it ended.
    pub fn ending(&self) -> Ending {
        Ending(Arc::clone(&self.shared))
    }

    /// Hands over what has been gathered.
    fn push(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let count = batch.messages.len();
        if count == 0 {
            return;
        }
        let bytes = batch.size();
        if self.shared.waiting.load(Ordering::Relaxed) + bytes > LIMIT {
            self.lost += count as u64;
            return;
        }
        self.shared.waiting.fetch_add(bytes, Ordering::Relaxed);
        self.shared.records.fetch_add(count as u64, Ordering::Relaxed);
        self.thread.owes();
        if self.sender.send(Parcel::Records(batch)).is_err() {
            self.lost += count as u64;
        }
    }

    /// What waits will fail as well, soon: it belongs into the summary.
    fn wait_while_failing(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.shared.failing.load(Ordering::Relaxed)
            && self.shared.waiting.load(Ordering::Relaxed) > 0
            && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn lost(&mut self) -> Option<Undelivered> {
        self.lost += self.shared.failed.swap(0, Ordering::Relaxed);
        let count = std::mem::take(&mut self.lost);
        (count > 0).then_some(Undelivered { place: self.place, count })
    }
}

impl Batch {
    /// Bytes that it takes, about.
    fn size(&self) -> usize {
        self.lines.len() + self.messages.iter().map(|message| message.text.len()).sum::<usize>()
    }
}

impl Sink for Delivery {
    fn hello(&mut self, hello: &Hello, clock: WallClock) {
        self.json.hello(hello, clock, &mut self.batch.lines);
        self.batch.messages.push(self.messages.hello(hello));
    }

    fn update(&mut self, update: &Update<'_>, clock: WallClock) {
        self.json.update(update, clock, &mut self.batch.lines);
        self.messages.of(update, |message| self.batch.messages.push(message));
        if self.batch.messages.len() >= BATCH {
            self.push();
        }
    }

    fn backlog(&self) -> f64 {
        self.shared.waiting.load(Ordering::Relaxed) as f64 / LIMIT as f64
    }

    fn flush(&mut self) -> Option<Undelivered> {
        self.push();
        let room = self.shared.waiting.load(Ordering::Relaxed) < LIMIT / 2
            && !self.shared.failing.load(Ordering::Relaxed);
        if room { self.lost() } else { None }
    }

    fn last(&mut self) -> Option<Undelivered> {
        self.push();
        if self.place == LossPlace::Output {
            self.wait_while_failing();
            return self.lost();
        }
        self.shared.end_by(Instant::now() + PATIENCE);
        let (settled, done) = mpsc::channel();
        // The thread ends before only where it has panicked.
        let _ = self.sender.send(Parcel::Settle(settled));
        if done.recv_timeout(PATIENCE + BLOCKED).is_err() {
            // It hangs: the receiver has stopped, and takes no part of what waits.
            self.lost += self.shared.records.load(Ordering::Relaxed);
            self.shared.failing.store(true, Ordering::Relaxed);
        }
        let mut lost = self.lost();
        if let Some(lost) = &mut lost
            && self.shared.failing.load(Ordering::Relaxed)
        {
            // The record that tells of it will not be delivered either.
            lost.count += 1;
            self.shared.end_by(Instant::now());
        }
        lost
    }

    fn finish(self: Box<Self>, summary: &Summary, clock: WallClock) {
        let mut this = *self;
        this.json.summary(summary, clock, &mut this.batch.lines);
        this.batch.messages.push(this.messages.summary(summary));
        this.push();
        if this.place != LossPlace::Output && !this.shared.failing.load(Ordering::Relaxed) {
            this.shared.end_by(Instant::now() + LAST);
        }
        // Without the thread there is nothing to wait for.
        let _ = this.sender.send(Parcel::End);
        if this.done.recv_timeout(PATIENCE + LAST) == Err(mpsc::RecvTimeoutError::Timeout) {
            let place = match this.place {
                LossPlace::Journal => "the journal",
                LossPlace::Syslog => "the receiver of syslog messages",
                _ => "the output",
            };
            tracing::warn!("{place} takes too long: the end of the trace is not in it");
            return;
        }
        // What the courier leaves open ends with it.
        this.thread.join();
    }
}
