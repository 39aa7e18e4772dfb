//! Log records and metrics for an OpenTelemetry receiver, by OTLP over HTTP or gRPC
//! (<https://opentelemetry.io/docs/specs/otlp/>).
//!
//! A log record stands for what is a line in JSON, with the same names. The reading thread makes
//! it and puts it into a queue with a bound (`queue`); a thread of its own sends
//! (`export`). What does not fit, what the receiver refuses and what it has not taken at the end
//! is counted; nothing behind the queue drops anything. Left out: traces, TLS, JSON.

mod attributes;
mod client;
mod export;
mod measurements;
mod queue;
mod records;
mod resource;
mod response;
mod settings;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc, time::Duration};

use self::{export::Exporter, queue::Queue, records::Records};
pub use self::{
    queue::Limit,
    resource::{Identity, Resource},
    settings::{Settings, SettingsError},
};
use super::{
    Hello, Moment, Sink, Undelivered, metrics::Shared, summary::Summary,
    surroundings::Surroundings, wall_clock::WallClock,
};
use crate::model::update::{LossPlace, Update};

/// Bytes of records that are handed over together at the latest.
const CHUNK: usize = 64 << 10;
/// At the end the receiver has this long to take what waits, and what is said after that.
const PATIENCE: Duration = Duration::from_secs(3);
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// The sink.
pub struct Otlp {
    records: Records,
    queue: Arc<Queue>,
    exporter: Exporter,
}

impl Otlp {
    /// Starts the thread that sends. `metrics` are sent as well.
    ///
    /// # Errors
    ///
    /// Where no thread can be had.
    pub fn start(
        settings: Settings,
        limit: Limit,
        resource: &Resource,
        metrics: Shared,
        surroundings: Arc<dyn Surroundings>,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(limit));
        let exporter = Exporter::start(settings, resource, metrics, Arc::clone(&queue))?;
        Ok(Self { records: Records::new(surroundings), queue, exporter })
    }

    fn push(&mut self) {
        if let Some(chunk) = self.records.take_chunk() {
            self.queue.push(chunk);
        }
    }
}

impl Sink for Otlp {
    fn hello(&mut self, _: &Hello, _: WallClock) {}

    fn update(&mut self, update: &Update<'_>, clock: WallClock) {
        self.records.add(update, clock);
        if self.records.len() >= CHUNK {
            self.push();
        }
    }

    fn pause(&mut self, _: &Moment<'_>, _: WallClock) -> Option<u64> {
        None
    }

    fn flush(&mut self) -> Option<Undelivered> {
        self.push();
        undelivered(self.queue.take_lost())
    }

    fn backlog(&self) -> f64 {
        self.queue.fill()
    }

    fn last(&mut self) -> Option<Undelivered> {
        self.push();
        undelivered(self.queue.drain(PATIENCE))
    }

    fn finish(mut self: Box<Self>, _: &Summary, _: WallClock) {
        self.push();
        self.queue.close(LAST_PATIENCE);
        self.exporter.finish(LAST_PATIENCE);
    }
}

fn undelivered(count: u64) -> Option<Undelivered> {
    (count > 0).then_some(Undelivered { place: LossPlace::Otlp, count })
}
