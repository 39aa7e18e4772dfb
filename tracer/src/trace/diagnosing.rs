//! What `tracer diagnose` would find, at the end of a trace, for sinks that ask for it: from the
//! first look and a last one, and what happened between them.

use tracer_event::{enricher::Enricher, finding::Finding};
use tracer_kernel::{snapshot::Taken, time};
use tracer_model::{
    diagnosis::{HostSnapshot, Input, Observed, diagnose},
    filter::Filter,
    table::Table,
};

/// Between the looks.
#[derive(Default)]
pub(super) struct Diagnosing {
    /// The first complete look.
    first: Option<HostSnapshot>,
    /// What has happened since the beginning.
    pub(super) observed: Observed,
}

impl Diagnosing {
    /// A look has been taken, and is to be merged.
    pub(super) fn note(&mut self, taken: &Taken) {
        if self.first.is_none() && is_complete(taken) {
            self.first = Some(taken.look.clone());
        }
    }

    /// What is wrong, now that the last look has been merged into `table`.
    pub(super) fn findings(
        &self,
        last: &HostSnapshot,
        filter: &Filter,
        enricher: &dyn Enricher,
        table: &Table,
    ) -> Vec<Finding> {
        let Some(first) = &self.first else { return Vec::new() };
        let is_within = |subject: &_| filter.passes(enricher, subject);
        let case = Input {
            filter,
            is_within: &is_within,
            ticks: time::ticks(),
            first,
            last,
            observed: &self.observed,
            table,
            stacks: None,
        };
        diagnose(&case).findings
    }
}

/// Whether a look shows all that a diagnosis needs.
pub(super) fn is_complete(taken: &Taken) -> bool {
    let wanted = taken.wanted;
    wanted.sockets && wanted.holders && wanted.settings && wanted.processes
}
