//! Chunks of the queue that are sent together.

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::Instant};

use tracer_output::queue::{Limit, Phase, Queue, Size};

/// What a chunk costs beyond its bytes.
const OVERHEAD: usize = 64;
/// A request is sent this long after its first record at the latest.
const DELAY: Duration = Duration::from_secs(1);

/// Encoded records.
pub(super) type Chunk = Box<[u8]>;

/// The size of a chunk with this number of records.
pub(super) fn size(chunk: &Chunk, records: u64) -> Size {
    Size { bytes: chunk.len() + OVERHEAD, records }
}

/// Chunks that are sent together. Their size is released by [`Queue::settle`].
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) chunks: Vec<Chunk>,
    pub(super) size: Size,
}

/// The end of the queue at which the sending task takes batches.
#[derive(Clone)]
pub(super) struct Batches {
    pub(super) queue: Arc<Queue<Chunk>>,
    changed: Arc<Notify>,
}

impl Batches {
    /// Of an empty queue.
    pub(super) fn new(limit: Limit) -> Self {
        let changed = Arc::new(Notify::new());
        let notify = Arc::clone(&changed);
        Self { queue: Arc::new(Queue::new(limit, move || notify.notify_one())), changed }
    }

    /// The next batch, once it is large enough, has waited long enough or takes half of the queue;
    /// `None` when nothing more comes.
    pub(super) async fn next(&self) -> Option<Batch> {
        let mut ripe = None;
        loop {
            let (waiting, phase) = self.queue.waiting();
            match (waiting.records > 0, phase) {
                (true, Phase::Running) if !self.queue.limit().is_due(waiting) => {
                    let ripe = *ripe.get_or_insert_with(|| Instant::now() + DELAY);
                    if tokio::time::timeout_at(ripe, self.changed.notified()).await.is_err() {
                        return Some(self.take());
                    }
                }
                (true, _) => return Some(self.take()),
                (false, Phase::Closed | Phase::GivenUp) => return None,
                (false, _) => self.changed.notified().await,
            }
        }
    }

    /// A batch; the other half of the queue is for what comes while it is sent.
    fn take(&self) -> Batch {
        let mut batch = Batch::default();
        while !self.queue.limit().is_due(batch.size)
            && let Some((chunk, size)) = self.queue.pop()
        {
            batch.size = batch.size.plus(size);
            batch.chunks.push(chunk);
        }
        batch
    }

    /// Returns when the queue has come to that phase.
    pub(super) async fn reached(&self, phase: Phase) {
        while self.queue.phase() < phase {
            self.changed.notified().await;
        }
    }
}
