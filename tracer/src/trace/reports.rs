//! When to report the connections that are open (`--interval`): at the first look after each
//! interval, so that their counters are those of that time.

use tracer_event::update::Observer;
use tracer_model::table::{Snapshot, Table};

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub(super) struct Reports {
    interval: u64,
    next: u64,
}

impl Reports {
    pub(super) fn new(interval: Option<u64>, now: u64) -> Self {
        match interval {
            Some(interval) => Self { interval, next: now.saturating_add(interval) },
            None => Self { interval: u64::MAX, next: u64::MAX },
        }
    }

    /// When it is time.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// A look has been merged.
    pub(super) fn with_look(&mut self, look: &Snapshot, table: &Table, out: &mut impl Observer) {
        if look.begun >= self.next && !look.records.is_empty() {
            self.report(Some(look), look.ended.max(look.begun), table, out);
        }
    }

    /// Where no looks are taken: without counters; when to call again.
    pub(super) fn without_look(&mut self, now: u64, table: &Table, out: &mut impl Observer) -> u64 {
        if now >= self.next {
            self.report(None, now, table, out);
        }
        self.next
    }

    fn report(
        &mut self,
        look: Option<&Snapshot>,
        now: u64,
        table: &Table,
        out: &mut impl Observer,
    ) {
        table.report(look, self.interval, now, out);
        // A host that was suspended makes good none of those that it has missed.
        self.next = (now - (now - self.next) % self.interval).saturating_add(self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_event::update::Update;
    use tracer_model::table::Options;

    struct Nobody;

    impl Observer for Nobody {
        fn observe(&mut self, _: Update<'_>) {}
    }

    #[test]
    fn the_times_are_kept_and_none_is_made_good() {
        let table = Table::new(Options::default());
        let mut reports = Reports::new(Some(10), 100);
        let next = [109, 110, 111, 125, 129, 171]
            .map(|now| reports.without_look(now, &table, &mut Nobody));
        assert_eq!(next, [110, 120, 120, 130, 130, 180]);
        // Longer than there is time.
        let mut never = Reports::new(Some(u64::MAX), 100);
        assert_eq!(never.without_look(u64::MAX - 1, &table, &mut Nobody), u64::MAX);
    }
}
