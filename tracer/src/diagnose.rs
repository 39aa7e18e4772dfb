//! `tracer diagnose`: a look at the host, some seconds of events, another look, and what they show
//! to be wrong.

use std::{io, sync::Arc, time::Duration};

use crate::trace::{
    READER, REST_PATIENCE,
    capture::{Capture, Stop},
};
use tracer_event::{diagnosis::Diagnosis, stack::Stacks, state::State};
use tracer_health as health;
use tracer_health::{self, Trouble};
use tracer_kernel::{
    enricher::Host,
    load::Tracer,
    privileges,
    snapshot::{Creators, Snapshots, Taken, Wanted},
    stacks::Resolved,
    time,
};
use tracer_model::{
    diagnosis::{Baseline, Input, Observed, diagnose},
    filter::Filter,
    linger::Thresholds,
    table,
};

/// How long a SYN_SENT waits for its local port, which the last look tells.
const PORT_PATIENCE: u64 = 15_000_000_000;
/// How long the names of functions may take (`--stacks`): longer than any program is given.
const NAMES_PATIENCE: Duration = Duration::from_secs(12);
/// Losses are looked for this often, and the end at the latest.
const HOUSEKEEPING: Duration = Duration::from_millis(500);

/// An observation that is set up and can be ended early.
pub struct Observation {
    capture: Capture,
    observed: Observed,
    snapshots: Snapshots,
    /// The stacks that have been looked up, if they are asked for.
    resolved: Option<Arc<Resolved>>,
    filter: Filter,
    host: Host,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What is wrong.
    pub diagnosis: Diagnosis,
    /// Namespaces that could not be looked into, with the reason.
    pub refused: Vec<(u32, String)>,
}

impl Observation {
    /// Sets the reader up. The tracer must have iterators, and see all sockets of the namespaces
    /// that the filter wants: ports and queues are shared with those that are not asked about.
    ///
    /// # Errors
    ///
    /// Where descriptors or threads have run out.
    pub fn new(tracer: Tracer, filter: Filter, host: Host) -> io::Result<Self> {
        let options = table::Options {
            filter: filter.of_namespace(),
            in_one_group: false,
            ticks: time::ticks(),
            thresholds: Thresholds::NONE,
            resets_traced: tracer.resets_traced,
            port_patience: PORT_PATIENCE,
            look_patience: 0,
            snapshots_skip: tracer.snapshots_skip,
            max_sockets: table::MAX_SOCKETS,
        };
        let resolved = tracer.stacks.is_some().then(|| host.stacks());
        let (capture, programs) = Capture::new(tracer, options)?;
        let snapshots = capture.snapshots(programs, filter.netns(), host.stacks())?;
        Ok(Self { capture, observed: Observed::default(), snapshots, resolved, filter, host })
    }

    /// Ends it from elsewhere.
    pub fn stop(&self) -> Arc<Stop> {
        self.capture.stop()
    }

    /// Looks, watches for a time or until asked to stop, looks again.
    ///
    /// # Errors
    ///
    /// Where a thread has died or hangs.
    pub fn run(mut self, duration: Duration) -> Result<Outcome, Trouble> {
        let _life = health::watch(READER);
        privileges::keep_only(privileges::READ);
        // What happens while the first look is taken counts as well.
        let first = Baseline::of(&self.look()?.look, time::ticks());
        self.observed.since = first.begun();
        let end = first.begun().saturating_add(duration.as_nanos() as u64);
        while !self.capture.is_asked_to_stop() {
            let now = time::monotonic();
            if now >= end {
                break;
            }
            let (busy, more) = self.read();
            self.capture.count_losses(&mut self.observed);
            self.capture.table.expire(now, &mut self.observed);
            if !more {
                let rest = Duration::from_nanos(end.saturating_sub(time::monotonic()));
                self.capture.wait(busy, Some(rest.min(HOUSEKEEPING)));
            }
        }
        let last = self.look()?;
        self.capture.count_losses(&mut self.observed);
        let mut diagnosis = diagnose(&Input {
            filter: &self.filter,
            enricher: &self.host,
            ticks: time::ticks(),
            first: &first,
            recent: &first,
            last: &last.look,
            observed: &self.observed,
            table: &self.capture.table,
            stacks: self.resolved.as_deref().map(|resolved| resolved as &dyn Stacks),
        });
        diagnosis.refused = last.refused.len();
        Ok(Outcome { diagnosis, refused: last.refused })
    }

    /// Takes a look, with all events up to its end read before it is merged.
    fn look(&mut self) -> Result<Taken, Trouble> {
        self.capture.table.expect_snapshot();
        let mut seen: Vec<u32> =
            self.capture.table.connections().map(|life| life.tuple.netns).collect();
        seen.sort_unstable();
        seen.dedup();
        // What is too young to be in it is too young to be told.
        let told = self.capture.table.creators(|life| life.state == State::CloseWait);
        let creators = Creators { processes: Vec::new(), told, patience: NAMES_PATIENCE };
        self.snapshots.request(Wanted::ALL, seen, creators);
        let taken = loop {
            if let Some(taken) = self.snapshots.ready() {
                break taken;
            }
            if let Some(trouble) = health::trouble() {
                return Err(trouble);
            }
            let (busy, more) = self.read();
            if !more {
                self.capture.wait(busy, Some(HOUSEKEEPING));
            }
        };
        let until = time::monotonic();
        while self.capture.read_until < until && time::monotonic() < until + REST_PATIENCE {
            self.read();
        }
        self.capture.table.merge(&taken.look.snapshot, &mut self.observed);
        Ok(taken)
    }

    /// Reads what there is; whether there was anything, and whether there is more.
    fn read(&mut self) -> (bool, bool) {
        // Findings name the programs of what is there.
        let (batch, _) = self.capture.read(&mut self.observed, |_, _| {});
        (batch.records > 0, batch.more)
    }
}
