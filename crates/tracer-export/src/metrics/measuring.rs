//! The sink that counts events, and the counts that other threads read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Families, Metrics};
use tracer_event::{
    enricher::Context, header::Header, summary::Summary, update::Update, wall_clock::WallClock,
};
use tracer_output::{Live, LiveSink, Sink};

/// The metrics, to be read by other threads.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<Metrics>>);

impl Shared {
    /// All of them, as they are now.
    pub fn families(&self) -> Families {
        self.lock().families()
    }

    /// Whether the trace has begun: the programs are attached.
    pub fn has_begun(&self) -> bool {
        self.lock().has_kernel()
    }

    fn lock(&self) -> MutexGuard<'_, Metrics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts events.
///
/// The table is observed after each batch of events and each deadline
/// of the table: whatever changes a count wakes the reader anyway, so that a scrape shows the
/// counts of now and an idle host is not woken.
pub struct Measuring {
    shared: Shared,
    end: Box<dyn FnOnce() + Send>,
}

impl Measuring {
    /// Into these metrics; whatever shows them is ended by `end`.
    pub fn new(shared: Shared, end: impl FnOnce() + Send + 'static) -> Self {
        Self { shared, end: Box::new(end) }
    }
}

impl Sink for Measuring {
    fn header(&mut self, header: &Header, _: WallClock) {
        self.shared.lock().set_kernel(&header.kernel);
    }

    fn update(&mut self, update: &Update<'_>, context: Context<'_>) {
        self.shared.lock().count(update, context);
    }

    fn counts(&self) -> bool {
        true
    }

    fn live(&mut self) -> Option<&mut dyn LiveSink> {
        Some(self)
    }

    fn finish(self: Box<Self>, _: &Summary, _: Context<'_>) {
        (self.end)();
    }
}

impl LiveSink for Measuring {
    fn observe(&mut self, live: &Live<'_>, _: Context<'_>) -> Option<u64> {
        self.shared.lock().stand(live);
        None
    }
}
