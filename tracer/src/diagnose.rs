//! `tracer diagnose`: a look at the host, some seconds of events, another look, and what they show
//! to be wrong.

use std::{io, sync::Arc, time::Duration};

use crate::{
    health::{self, Trouble},
    kernel::{
        load::Tracer,
        privileges,
        ring::{Item, Reader},
        snapshot::{Makers, Snapshots, Snapshotter, Taken, Wanted},
        stacks::{Recorded, Resolved},
        surroundings::Host,
        time,
    },
    model::{
        diagnosis::{Diagnosis, Input, Observed, diagnose},
        filter::Filter,
        linger::Thresholds,
        stack::Stacks,
        state::State,
        table::{self, Table},
    },
    trace::{READER, Stop, losses::Losses},
};

/// How long a SYN_SENT waits for its local port, which the last look tells.
const PORT_PATIENCE: u64 = 15_000_000_000;
/// How long the names of functions may take (`--stacks`): longer than any program is given.
const NAMES_PATIENCE: Duration = Duration::from_secs(12);
/// Losses are looked for this often, and the end at the latest.
const HOUSEKEEPING: Duration = Duration::from_millis(500);

/// An observation that is set up and can be ended early.
pub struct Observation {
    reader: Reader,
    table: Table,
    observed: Observed,
    losses: Losses,
    snapshots: Snapshots,
    /// The stacks that have been looked up, if they are asked for.
    resolved: Option<Arc<Resolved>>,
    filter: Filter,
    host: Host,
    stop: Arc<Stop>,
    /// Time of the last record read.
    read_until: u64,
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
        let Tracer {
            ebpf,
            main,
            others,
            ring,
            reader,
            counters,
            resets_traced,
            snapshots_skip,
            stacks,
            ..
        } = tracer;
        let reader = Reader::new(ring, reader)?;
        let snapshotter = Snapshotter::new(ebpf, filter.netns);
        let resolved = stacks.is_some().then(|| host.stacks());
        let recorded = stacks.zip(resolved.clone());
        let recorded = recorded.map(|(map, resolved)| Recorded { map, resolved });
        let snapshots = Snapshots::start(snapshotter, recorded, reader.waker()?)?;
        let stop = Arc::new(Stop::new(reader.waker()?));
        let table = Table::new(table::Options {
            filter: Filter { netns: filter.netns, ..Filter::default() },
            ticks: time::ticks(),
            thresholds: Thresholds::NONE,
            resets_traced,
            port_patience: PORT_PATIENCE,
            look_patience: 0,
            snapshots_skip,
            max_sockets: table::MAX_SOCKETS,
        });
        let losses = Losses::new(main, others, counters);
        let observed = Observed::default();
        Ok(Self {
            reader,
            table,
            observed,
            losses,
            snapshots,
            resolved,
            filter,
            host,
            stop,
            read_until: 0,
        })
    }

    /// Ends it from elsewhere.
    pub fn stop(&self) -> Arc<Stop> {
        Arc::clone(&self.stop)
    }

    /// Looks, watches for a time or until asked to stop, looks again.
    ///
    /// # Errors
    ///
    /// Where a thread has died or hangs.
    pub fn run(mut self, duration: Duration) -> Result<Outcome, Trouble> {
        let _life = health::watch(READER);
        privileges::keep_only(privileges::READ);
        let first = self.look()?;
        let end = first.look.snapshot.begun.saturating_add(duration.as_nanos() as u64);
        while !self.stop.is_asked() {
            let now = time::monotonic();
            if now >= end {
                break;
            }
            let (busy, more) = self.read();
            self.losses.look(now, &mut self.table, &mut self.observed);
            self.table.expire(now, &mut self.observed);
            if !more {
                let rest = Duration::from_nanos(end.saturating_sub(time::monotonic()));
                self.reader.wait(busy, Some(rest.min(HOUSEKEEPING)));
            }
        }
        let last = self.look()?;
        let now = time::monotonic();
        self.losses.look(now, &mut self.table, &mut self.observed);
        let diagnosis = diagnose(&Input {
            filter: &self.filter,
            is_within: &|subject| self.filter.passes(&self.host, subject),
            ticks: time::ticks(),
            first: &first.look,
            last: &last.look,
            observed: &self.observed,
            table: &self.table,
            stacks: self.resolved.as_deref().map(|resolved| resolved as &dyn Stacks),
        });
        Ok(Outcome { diagnosis, refused: last.refused })
    }

    /// Takes a look, with all events up to its end read before it is merged.
    fn look(&mut self) -> Result<Taken, Trouble> {
        self.table.expect_snapshot();
        let wanted = Wanted { sockets: true, holders: true, settings: true, processes: true };
        let mut seen: Vec<u32> = self.table.connections().map(|life| life.tuple.netns).collect();
        seen.sort_unstable();
        seen.dedup();
        // What is too young to be in it is too young to be told.
        let told = self.table.makers(|life| life.state == State::CloseWait);
        let makers = Makers { processes: Vec::new(), told, patience: NAMES_PATIENCE };
        self.snapshots.request(wanted, seen, makers);
        let taken = loop {
            if let Some(taken) = self.snapshots.ready() {
                break taken;
            }
            if let Some(trouble) = health::trouble() {
                return Err(trouble);
            }
            let (busy, more) = self.read();
            if !more {
                self.reader.wait(busy, Some(HOUSEKEEPING));
            }
        };
        let until = time::monotonic();
        while self.read().1 && self.read_until < until {}
        self.table.merge(&taken.look.snapshot, &mut self.observed);
        Ok(taken)
    }

    /// Reads what there is; whether there was anything, and whether there is more.
    fn read(&mut self) -> (bool, bool) {
        let Self { reader, table, observed, losses, read_until, .. } = self;
        let batch = reader.read(|item| {
            // Findings name the programs of what is there.
            let Item::Record(record) = item else { return };
            *read_until = record.time_ns;
            table.ingest(record, observed);
        });
        losses.damaged(batch.damaged);
        (batch.records > 0, batch.more)
    }
}
