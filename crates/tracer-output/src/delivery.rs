//! The sink that delivers one record after the other, by a [`Worker`] that may take its time.

#[cfg(test)]
mod tests;

use std::{io, time::Duration};

use super::{
    Sink, Undelivered,
    flat::{Row, Rows},
    flatten::Memory,
    json::Json,
    message::{Message, Messages},
    queue::{Limit, Outlet, Size, Worker},
};
use tracer_event::update::{LossPlace, Update};
use tracer_event::{enricher::Context, header::Header, summary::Summary, wall_clock::WallClock};

/// Bytes that may wait to be delivered.
const LIMIT: usize = 16 << 20;
/// Records that are handed over at once.
const BATCH: usize = 256;
/// How long the end of the trace waits for a receiver that does not receive.
const PATIENCE: Duration = Duration::from_secs(3);
/// The last records are delivered within this time.
const LAST: Duration = Duration::from_millis(1500);
/// A worker that gathers records gets its turn at least this often.
pub const TURN: Duration = Duration::from_secs(10);

/// One record.
#[derive(Debug)]
pub struct Record {
    /// Its fields.
    pub row: Row,
    /// The same as a sentence.
    pub message: Message,
}

/// Records on their way to a worker.
pub struct Delivery {
    place: LossPlace,
    json: Json,
    messages: Messages,
    memory: Memory,
    batch: Vec<(Record, Size)>,
    outlet: Outlet<Record>,
}

impl Delivery {
    /// Starts the worker's thread; what is lost is reported to be so at `place`.
    ///
    /// # Errors
    ///
    /// Where no thread can be had.
    pub fn start(worker: impl Worker<Record> + 'static, place: LossPlace) -> io::Result<Self> {
        Ok(Self {
            place,
            json: Json::default(),
            messages: match place {
                LossPlace::Journal | LossPlace::Syslog => Messages::grouped(),
                _ => Messages::default(),
            },
            memory: Memory::default(),
            batch: Vec::new(),
            outlet: Outlet::start("tracer-delivery", Limit::Bytes(LIMIT), worker)?,
        })
    }

    /// The queue and its thread.
    pub fn outlet(&self) -> &Outlet<Record> {
        &self.outlet
    }

    /// Adds the objects that `tell` gives, each with the message at the same position; those without
    /// one are left out.
    fn add(
        &mut self,
        messages: Vec<Option<Message>>,
        tell: impl FnOnce(&mut Json, &mut Rows<'_, &mut dyn FnMut(Row)>),
    ) {
        let Self { json, memory, batch, .. } = self;
        let mut messages = messages.into_iter();
        let mut take = |row: Row| {
            if let Some(message) = messages.next().flatten() {
                let size = Size { bytes: row.size() + message.text.len(), records: 1 };
                batch.push((Record { row, message }, size));
            }
        };
        tell(json, &mut Rows { memory, take: &mut take });
    }

    fn push(&mut self) {
        // Where there is no room they are counted.
        let _ = self.outlet.push(std::mem::take(&mut self.batch));
    }
}

impl Sink for Delivery {
    fn header(&mut self, header: &Header, clock: WallClock) {
        let message = self.messages.header(header);
        self.add(vec![Some(message)], |json, rows| json.tell_hello(header, clock, rows));
    }

    fn update(&mut self, update: &Update<'_>, context: Context<'_>) {
        let messages = self.messages.of(update, context);
        self.add(messages, |json, rows| json.tell(update, context, rows));
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

    fn finish(mut self: Box<Self>, summary: &Summary, context: Context<'_>) {
        let message = self.messages.summary(summary);
        self.add(vec![Some(message)], |json, rows| json.tell_summary(summary, context.clock, rows));
        let (name, patience, grace) = match self.place {
            LossPlace::Journal => ("the journal", LAST, Some(PATIENCE)),
            LossPlace::Syslog => ("the receiver of syslog messages", LAST, Some(PATIENCE)),
            _ => ("the output", PATIENCE + LAST, None),
        };
        let Self { batch, outlet, .. } = *self;
        if !outlet.finish(batch, patience, grace) {
            tracing::warn!("{name} takes too long: the end of the trace is not in it");
        }
    }
}
