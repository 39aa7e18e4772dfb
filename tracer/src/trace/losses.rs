//! What the kernel half could not tell, found in its counters.

use aya::{
    maps::{MapData, PerCpuArray},
    programs::ProgramFd,
};
use tracer_wire::{Counters, kind};

use tracer_event::update::{Loss, LossPlace, Observer, Update};
use tracer_kernel::load::{PodCounters, counters, recursion_misses};
use tracer_model::table::Table;

/// Reads the counters and tells what is new in them.
pub(super) struct Losses {
    main: ProgramFd,
    others: Vec<ProgramFd>,
    counters: PerCpuArray<MapData, PodCounters>,
    told: Told,
    damaged: u64,
}

#[derive(Default)]
struct Told {
    ring_full: u64,
    recursion: u64,
    damaged: u64,
    /// State changes among them.
    changes: u64,
}

impl Losses {
    pub(super) fn new(
        main: ProgramFd,
        others: Vec<ProgramFd>,
        counters: PerCpuArray<MapData, PodCounters>,
    ) -> Self {
        Self { main, others, counters, told: Told::default(), damaged: 0 }
    }

    /// Records that could not be decoded.
    pub(super) fn damaged(&mut self, count: u64) {
        self.damaged += count;
    }

    /// Tells what was lost since the last look, `table` too what it will miss; whether anything was.
    pub(super) fn look(&mut self, time: u64, table: &mut Table, out: &mut impl Observer) -> bool {
        let full = |kind| counters(&self.counters, kind).ring_full;
        let ring_full = (1..kind::LIMIT).map(full).sum();
        let skipped = self.skipped_main(table.duplicates());
        let recursion = skipped + self.others.iter().map(recursion_misses).sum::<u64>();
        let changes = skipped + full(kind::STATE) + full(kind::STATE_CAUGHT);
        if changes > self.told.changes {
            table.note_lost(changes - self.told.changes);
            self.told.changes = changes;
        }
        let mut lost = false;
        let Told { ring_full: full, recursion: skipped, damaged, changes: _ } = &mut self.told;
        for (place, count, told) in [
            (LossPlace::RingBuffer, ring_full, full),
            (LossPlace::Recursion, recursion, skipped),
            (LossPlace::Decode, self.damaged, damaged),
        ] {
            if count > *told {
                let count = count - std::mem::replace(told, count);
                out.observe(Update::Loss(&Loss::final_loss(time, place, count)));
                lost = true;
            }
        }
        lost
    }

    /// State changes that the kernel did not show to the main program and that the guard did not
    /// catch either.
    fn skipped_main(&self, duplicates: u64) -> u64 {
        let caught = counters(&self.counters, kind::STATE_CAUGHT).seen;
        recursion_misses(&self.main).saturating_sub(caught.saturating_sub(duplicates))
    }

    /// Logs what each program has counted.
    pub(super) fn log(&self) {
        for kind in 1..kind::LIMIT {
            let Counters { seen, submitted, ring_full } = counters(&self.counters, kind);
            tracing::debug!("kind {kind}: {seen} seen, {submitted} submitted, {ring_full} lost");
        }
        let others: Vec<u64> = self.others.iter().map(recursion_misses).collect();
        let main = recursion_misses(&self.main);
        tracing::debug!("recursion misses: {main} of the main program, {others:?} of others");
    }
}
