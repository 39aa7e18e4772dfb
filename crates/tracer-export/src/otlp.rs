//! Log records and metrics for an OpenTelemetry receiver, by OTLP over HTTP or gRPC
//! (<https://opentelemetry.io/docs/specs/otlp/>).
//!
//! Each JSON line is one log record, with the same names. The reading thread encodes it and puts it
//! into the bounded queue; another thread sends it (`export`). Records that do not fit, that the
//! receiver refuses, and that it has not accepted at the end are counted; nothing behind the queue
//! drops anything. Left out: traces, JSON.

mod attributes;
mod batches;
mod client;
mod error;
mod export;
mod measurements;
mod records;
mod resource;
mod response;
mod settings;
#[cfg(test)]
mod tests;
mod tls;

use std::{io, time::Duration};

use self::{batches::Batches, export::Exporter, records::Records};
pub use self::{
    error::SettingsError,
    resource::{Identity, Resource},
    settings::Settings,
};
use super::metrics::measuring::Shared;
use tracer_event::update::{LossPlace, Update};
use tracer_event::{enricher::Context, header::Header, summary::Summary, wall_clock::WallClock};
pub use tracer_output::queue::Limit;
use tracer_output::{Sink, Undelivered};

/// Bytes of records that are handed over together at the latest.
const CHUNK: usize = 64 << 10;
/// At the end the receiver has this long to take what waits, and what is said after that.
const PATIENCE: Duration = Duration::from_secs(3);
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// The sink.
pub struct Otlp {
    records: Records,
    batches: Batches,
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
    ) -> io::Result<Self> {
        let batches = Batches::new(limit);
        let exporter = Exporter::start(settings, resource, metrics, batches.clone())?;
        Ok(Self { records: Records::new(), batches, exporter })
    }

    fn push(&mut self) {
        // What does not fit is counted.
        let _ = self.batches.queue.push(self.records.take_chunk().into_iter().collect());
    }
}

impl Sink for Otlp {
    fn header(&mut self, _: &Header, _: WallClock) {}

    fn update(&mut self, update: &Update<'_>, context: Context<'_>) {
        self.records.add(update, context);
        if self.records.len() >= CHUNK {
            self.push();
        }
    }

    fn flush(&mut self) -> Option<Undelivered> {
        self.push();
        Undelivered::new(LossPlace::Otlp, self.batches.queue.take_lost())
    }

    fn backlog(&self) -> f64 {
        self.batches.queue.fill()
    }

    fn last(&mut self) -> Option<Undelivered> {
        self.push();
        Undelivered::new(LossPlace::Otlp, self.batches.queue.drain(PATIENCE))
    }

    fn finish(mut self: Box<Self>, _: &Summary, _: Context<'_>) {
        self.push();
        let left = self.batches.queue.close(LAST_PATIENCE);
        if left > 0 {
            tracing::warn!("{left} log records at the end were not taken by the OTLP receiver");
        }
        self.exporter.finish(LAST_PATIENCE);
    }
}
