//! The thread that sends: batches of log records until they are taken or refused, and the metrics
//! at their interval.

use std::{
    io,
    sync::{Arc, mpsc},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use prost::{Message as _, encoding::encoded_len_varint};
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior},
};

use super::{
    attributes::bytes,
    batches::{Batch, Batches},
    client::Client,
    measurements::{self, Span},
    resource::{Resource, SCHEMA_URL, scope},
    response::Answer,
    settings::Settings,
};
use crate::metrics::measuring::Shared;
use tracer_health as health;
use tracer_output::queue::Phase;

/// Before the second attempt; twice as long before each further one, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// At the end.
const LAST_WAIT: Duration = Duration::from_millis(200);

/// Ends when finished.
#[derive(Debug)]
pub(super) struct Exporter {
    end: Arc<Notify>,
    done: mpsc::Receiver<()>,
}

impl Exporter {
    pub(super) fn start(
        settings: Settings,
        resource: &Resource,
        metrics: Shared,
        batches: Batches,
    ) -> io::Result<Self> {
        let Settings { logs, metrics: to, interval } = settings;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let end = Arc::new(Notify::new());
        let asked = Arc::clone(&end);
        let (finished, done) = mpsc::channel();
        let envelope = Envelope::new(resource);
        let resource = resource.clone();
        health::spawn("tracer-otlp", move || {
            runtime.block_on(async {
                tokio::spawn(health::beat());
                let logs = Logs { client: Client::new(logs), envelope, batches };
                let measurements = Measurements { client: Client::new(to), resource, metrics };
                tokio::join!(logs.run(), measurements.run(interval, &asked));
            });
            // A look-up of a name may hang; the end does not wait for it.
            runtime.shutdown_background();
            // Nobody may wait for it any more.
            let _ = finished.send(());
        })?;
        Ok(Self { end, done })
    }

    /// Sends the metrics for the last time. The queue must have been closed.
    pub(super) fn finish(self, patience: Duration) {
        self.end.notify_one();
        if self.done.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("the last metrics were not taken by the OTLP receiver");
        }
    }
}

/// Waits between attempts, and what has been said of them.
#[derive(Debug)]
struct Attempts {
    wait: Duration,
    down: bool,
}

impl Attempts {
    fn new() -> Self {
        Self { wait: FIRST_WAIT, down: false }
    }

    /// How long to wait before the next one: half of it is chance, so that the senders of many
    /// hosts do not come all at once.
    fn next(&mut self, after: Option<Duration>) -> Duration {
        let chosen = self.wait.mul_f64(0.5 + 0.5 * chance());
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        chosen.max(after.unwrap_or_default())
    }

    /// Says that the receiver is not there, once.
    fn failed(&mut self, client: &Client, reason: &str, consequence: &str) {
        if !std::mem::replace(&mut self.down, true) {
            let target = client.target();
            let (signal, uri) = (target.signal.name(), &target.uri);
            tracing::warn!("OTLP {signal} cannot be sent to {uri}: {reason}; {consequence}");
        }
    }

    fn worked(&mut self, client: &Client) {
        self.wait = FIRST_WAIT;
        if std::mem::take(&mut self.down) {
            let target = client.target();
            tracing::warn!("OTLP {} are sent again to {}", target.signal.name(), target.uri);
        }
    }
}

/// From 0 to 1.
fn chance() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

struct Logs {
    client: Client,
    envelope: Envelope,
    batches: Batches,
}

impl Logs {
    async fn run(&self) {
        let mut attempts = Attempts::new();
        while let Some(batch) = self.batches.next().await {
            self.deliver(batch, &mut attempts).await;
        }
    }

    /// Until the batch is taken or refused, or is not to be sent any more.
    async fn deliver(&self, batch: Batch, attempts: &mut Attempts) {
        let size = batch.size;
        let body = self.client.body(self.envelope.around(batch));
        loop {
            let answer = tokio::select! {
                biased;
                () = self.batches.reached(Phase::GivenUp) => {
                    return self.batches.queue.settle(size, size.records);
                }
                answer = self.client.send(body.clone()) => answer,
            };
            let (rejected, reason) = match answer {
                Answer::Later { reason, after } => {
                    let limit = self.batches.queue.limit();
                    let wait = format!("it is tried again, up to {limit} wait");
                    attempts.failed(&self.client, &reason, &wait);
                    self.wait(attempts.next(after)).await;
                    continue;
                }
                Answer::Taken { rejected, reason } => (rejected.min(size.records), reason),
                Answer::Refused(reason) => (size.records, reason),
            };
            if rejected == 0 {
                attempts.worked(&self.client);
            } else {
                let consequence = "what is refused is counted as lost";
                attempts.failed(&self.client, &reason, consequence);
            }
            return self.batches.queue.settle(size, rejected);
        }
    }

    /// At the end not that long.
    async fn wait(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.batches.reached(Phase::Hurrying) => tokio::time::sleep(time.min(LAST_WAIT)).await,
        }
    }
}

struct Measurements {
    client: Client,
    resource: Resource,
    metrics: Shared,
}

impl Measurements {
    async fn run(&self, interval: Duration, end: &Notify) {
        let start = since_1970();
        let mut attempts = Attempts::new();
        let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = end.notified() => break,
            }
            tokio::select! {
                () = self.deliver(start, &mut attempts) => {}
                // The next ones say all that these would have said.
                _ = ticks.tick() => ticks.reset_immediately(),
                () = end.notified() => break,
            }
        }
        self.export(start).await;
    }

    async fn deliver(&self, start: u64, attempts: &mut Attempts) {
        loop {
            match self.export(start).await {
                Answer::Taken { rejected: 0, .. } => return attempts.worked(&self.client),
                Answer::Taken { reason, .. } | Answer::Refused(reason) => {
                    return attempts.failed(&self.client, &reason, "they are refused");
                }
                Answer::Later { reason, after } => {
                    attempts.failed(&self.client, &reason, "it is tried again");
                    tokio::time::sleep(attempts.next(after)).await;
                }
            }
        }
    }

    async fn export(&self, start: u64) -> Answer {
        let span = Span { start, now: since_1970() };
        let request = measurements::request(self.metrics.families(), &self.resource, span);
        self.client.send(self.client.body(request.encode_to_vec())).await
    }
}

fn since_1970() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What is around log records in each request.
#[derive(Debug)]
pub(super) struct Envelope {
    /// `ResourceLogs.resource` and `schema_url`, `ScopeLogs.scope`.
    resource: Vec<u8>,
    scope: Vec<u8>,
}

impl Envelope {
    pub(super) fn new(resource: &Resource) -> Self {
        let resource = ResourceLogs {
            resource: Some(resource.message()),
            schema_url: SCHEMA_URL.to_owned(),
            ..ResourceLogs::default()
        };
        let scope = ScopeLogs { scope: Some(scope()), ..ScopeLogs::default() };
        Self { resource: resource.encode_to_vec(), scope: scope.encode_to_vec() }
    }

    /// `ExportLogsServiceRequest`.
    pub(super) fn around(&self, batch: Batch) -> Vec<u8> {
        let records: usize = batch.chunks.iter().map(|chunk| chunk.len()).sum();
        let mut of_scope = Vec::with_capacity(self.scope.len() + records);
        of_scope.extend_from_slice(&self.scope);
        for chunk in batch.chunks {
            of_scope.extend_from_slice(&chunk);
        }
        let len = of_scope.len() + 1 + encoded_len_varint(of_scope.len() as u64);
        let mut of_resource = Vec::with_capacity(self.resource.len() + len);
        of_resource.extend_from_slice(&self.resource);
        bytes(2, &of_scope, &mut of_resource);
        drop(of_scope);
        let mut request = Vec::with_capacity(of_resource.len() + 8);
        bytes(1, &of_resource, &mut request);
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_are_never_shorter_than_asked_for() {
        let mut attempts = Attempts::new();
        let mut longest = FIRST_WAIT;
        for _ in 0..12 {
            let wait = attempts.next(None);
            assert!(wait <= longest && wait >= longest / 2, "{wait:?} of {longest:?}");
            longest = (longest * 2).min(LONGEST_WAIT);
        }
        assert!(attempts.next(Some(Duration::from_secs(120))) >= Duration::from_secs(120));
    }
}
