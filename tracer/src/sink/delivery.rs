//! The sink that delivers one record after the other, by a [`Courier`] that may take its time.

#[cfg(test)]
mod tests;

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Hello, Sink, Undelivered,
    escape::without_numbers,
    flat::{Row, Rows},
    json::Json,
    message::{Message, Messages, Severity},
    queue::{Limit, Outlet, Phase, Queue, Size, Worker},
    summary::Summary,
    surroundings::Surroundings,
    trouble::{Seldom, again},
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
/// The last records are delivered within this time.
const LAST: Duration = Duration::from_millis(1500);
/// A courier is called at least this often, so that it can hand over what it has gathered.
pub const TURN: Duration = Duration::from_secs(10);

/// One record, as it is delivered.
#[derive(Debug)]
pub struct Record<'a> {
    /// Its fields.
    pub row: &'a Row,
    /// The record as a sentence.
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
    /// What is wrong; the record then counts as lost. With `WouldBlock`, to be returned only after
    /// some time, it is given again until the trace ends.
    fn deliver(&mut self, record: &Record<'_>) -> io::Result<()>;

    /// After how long without a record [`Self::pause`] is called.
    fn turn(&self) -> Duration {
        TURN
    }

    /// What turned out to be lost of what had been taken, since the last call.
    fn lost(&mut self) -> Option<Lost> {
        None
    }

    /// Finds out, by the deadline, whether all that was taken has arrived.
    fn settle(&mut self, _deadline: Instant) {}

    /// No record has come for a while.
    ///
    /// # Errors
    ///
    /// What is wrong.
    fn pause(&mut self) -> io::Result<()> {
        Ok(())
    }

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
    /// What is wrong.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Records and what to say of each.
type Batch = Vec<(Row, Message)>;

fn size((row, message): &(Row, Message)) -> Size {
    Size { bytes: row.size() + message.text.len(), records: 1 }
}

/// Records on their way to a courier.
pub struct Delivery {
    place: LossPlace,
    json: Json,
    messages: Messages,
    batch: Batch,
    size: Size,
    outlet: Outlet<Batch>,
}

impl Delivery {
    /// Starts the courier's thread; what is lost is reported to be so at `place`.
    ///
    /// # Errors
    ///
    /// Where no thread can be had.
    pub fn start(
        courier: impl Courier + 'static,
        place: LossPlace,
        surroundings: Arc<dyn Surroundings>,
    ) -> io::Result<Self> {
        let worker = Round { courier, failures: Seldom::default() };
        Ok(Self {
            place,
            json: Json::new(Arc::clone(&surroundings)),
            messages: Messages::new(surroundings),
            batch: Batch::new(),
            size: Size::default(),
            outlet: Outlet::start("tracer-delivery", Limit::Bytes(LIMIT), worker)?,
        })
    }

    /// The queue and its thread.
    pub fn outlet(&self) -> &Outlet<Batch> {
        &self.outlet
    }

    /// Adds the objects that `tell` gives, each with the message that stands at its place.
    fn add(&mut self, messages: Vec<Message>, tell: impl FnOnce(&mut Json, &mut dyn FnMut(Row))) {
        let Self { json, batch, size: total, .. } = self;
        let mut messages = messages.into_iter();
        tell(json, &mut |row| {
            if let Some(message) = messages.next() {
                let record = (row, message);
                *total = total.plus(size(&record));
                batch.push(record);
            }
        });
    }

    fn push(&mut self) {
        let (batch, size) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.size));
        if size.records > 0 {
            // Where there is no room it is counted.
            let _ = self.outlet.push(batch, size);
        }
    }
}

impl Sink for Delivery {
    fn hello(&mut self, hello: &Hello, clock: WallClock) {
        let message = self.messages.hello(hello);
        self.add(vec![message], |json, take| json.tell_hello(hello, clock, &mut Rows(take)));
    }

    fn update(&mut self, update: &Update<'_>, clock: WallClock) {
        let messages = self.messages.of(update);
        self.add(messages, |json, take| json.tell(update, clock, &mut Rows(take)));
        if self.batch.len() >= BATCH {
            self.push();
        }
    }

    fn backlog(&self) -> f64 {
        self.outlet.fill()
    }

    fn flush(&mut self) -> Option<Undelivered> {
        self.push();
        Undelivered::new(self.place, self.outlet.take_lost())
    }

    fn last(&mut self) -> Option<Undelivered> {
        self.push();
        let lost = match self.place {
            LossPlace::Output => self.outlet.take_all_lost(PATIENCE),
            _ => self.outlet.drain(PATIENCE),
        };
        Undelivered::new(self.place, lost)
    }

    fn finish(self: Box<Self>, summary: &Summary, clock: WallClock) {
        let mut this = self;
        let message = this.messages.summary(summary);
        this.add(vec![message], |json, take| json.tell_summary(summary, clock, &mut Rows(take)));
        let Self { place, batch, size, outlet, .. } = *this;
        let (name, patience, grace) = match place {
            LossPlace::Journal => ("the journal", LAST, Some(PATIENCE)),
            LossPlace::Syslog => ("the receiver of syslog messages", LAST, Some(PATIENCE)),
            _ => ("the output", PATIENCE + LAST, None),
        };
        if !outlet.finish(batch, size, patience, grace) {
            tracing::warn!("{name} takes too long: the end of the trace is not in it");
        }
    }
}

/// Gives records to a courier, counts those that it does not deliver, and says so once.
struct Round<C> {
    courier: C,
    failures: Seldom,
}

impl<C: Courier> Worker<Batch> for Round<C> {
    fn work(&mut self, batch: Batch, _: Size, queue: &Queue<Batch>) {
        for record in batch {
            let size = size(&record);
            let (row, Message { text, severity }) = record;
            let record = Record { row: &row, message: &text, severity };
            let delivered = self.insist(&record, queue);
            if let Err(error) = &delivered {
                self.report(error, queue);
            }
            queue.settle(size, u64::from(delivered.is_err()) + self.note_lost(queue));
        }
    }

    fn turn(&self) -> Option<Duration> {
        Some(self.courier.turn())
    }

    fn idle(&mut self, queue: &Queue<Batch>) {
        let result = self.courier.pause();
        self.note(result, queue);
    }

    fn reopen(&mut self, queue: &Queue<Batch>) {
        let result = self.courier.reopen();
        self.note(result, queue);
    }

    fn settle(&mut self, deadline: Instant, queue: &Queue<Batch>) {
        self.courier.settle(deadline);
        let lost = self.note_lost(queue);
        queue.lose(lost);
    }

    fn finish(&mut self, queue: &Queue<Batch>) -> bool {
        let result = self.courier.finish();
        self.note(result, queue)
    }
}

impl<C: Courier> Round<C> {
    /// Until it is taken, or fails for good, or is given up: meanwhile the queue fills.
    fn insist(&mut self, record: &Record<'_>, queue: &Queue<Batch>) -> io::Result<()> {
        while queue.phase() != Phase::GivenUp {
            // A receiver that takes nothing is no fault of this thread.
            health::alive();
            match self.courier.deliver(record) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.report(&error, queue);
                }
                result => return result,
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "not taken by the end of the trace"))
    }

    /// How many records have turned out to be lost.
    fn note_lost(&mut self, queue: &Queue<Batch>) -> u64 {
        let Some(Lost { count, error }) = self.courier.lost() else { return 0 };
        self.report(&error, queue);
        count
    }

    fn note(&mut self, result: io::Result<()>, queue: &Queue<Batch>) -> bool {
        result.inspect_err(|error| self.report(error, queue)).is_ok()
    }

    /// Says it once, until it works again; seldom where it works and fails in turns.
    fn report(&mut self, error: &io::Error, queue: &Queue<Batch>) {
        if !queue.set_failing(true)
            && let Some(held) = self.failures.say()
        {
            let error = without_numbers(&error.to_string());
            tracing::error!("cannot write to {}: {error}{}", self.courier.name(), again(held));
        }
    }
}
