//! Events into blocks, by size and age.

use crate::{
    json::Json,
    packed::{Block, Packer},
    queue::Size,
};
use tracer_event::{enricher::Context, update::Update};

/// A block is handed over from this size on, bytes.
const FULL: usize = 128 << 10;
/// Older than this nothing is held back, nanoseconds: so much is lost when the tracer is killed.
pub(super) const AGE: u64 = 1_000_000_000;

/// A block, and when what is in it happened.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) block: Block,
    /// The time of the first event, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) began: u64,
    /// That of the last one.
    pub(super) ended: u64,
}

/// Gathers them.
#[derive(Default)]
pub(super) struct Batches {
    json: Json,
    packer: Packer,
    /// Times of what is gathered.
    span: Option<(u64, u64)>,
}

impl Batches {
    /// Whether a block is full with it.
    pub(super) fn update(&mut self, update: &Update<'_>, context: Context<'_>) -> bool {
        self.note(update.time());
        self.json.tell(update, context, &mut self.packer);
        self.packer.len() >= FULL
    }

    /// A line that is no event.
    pub(super) fn line(&mut self, time: u64, tell: impl FnOnce(&mut Json, &mut Packer)) {
        self.note(time);
        tell(&mut self.json, &mut self.packer);
    }

    fn note(&mut self, time: u64) {
        let (began, ended) = self.span.unwrap_or((time, time));
        self.span = Some((began.min(time), ended.max(time)));
    }

    /// By when it should be handed over.
    pub(super) fn due(&self) -> Option<u64> {
        self.span.map(|(began, _)| began.saturating_add(AGE))
    }

    /// What was gathered, and what it takes of a queue.
    pub(super) fn take(&mut self) -> Option<(Batch, Size)> {
        let (began, ended) = self.span.take()?;
        let block = self.packer.block()?;
        let size = Size { bytes: block.size(), records: block.lines };
        Some((Batch { block, began, ended }, size))
    }
}

/// One line, alone in a block.
pub(super) fn alone(tell: impl FnOnce(&mut Packer)) -> Option<Block> {
    let mut packer = Packer::default();
    tell(&mut packer);
    packer.block()
}
