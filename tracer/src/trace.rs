//! `tracer trace`: kernel → table → sink.
//!
//! One thread reads, models and formats, so that no record is copied between threads; another
//! writes (`sink::output`), so that a slow terminal stops neither. The main thread waits for the
//! reasons to end.

mod diagnosing;
mod ending;
mod healing;
pub(crate) mod losses;
mod reports;
mod telling;

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use self::{healing::Healing, losses::Losses, reports::Reports, telling::Teller};
use crate::{
    health,
    kernel::{
        feature,
        load::Tracer,
        privileges,
        ring::{self, Item, Reader},
        snapshot::{Snapshots, Snapshotter, Taken},
        stacks::{Recorded, Resolved},
        time,
    },
    model::{
        diagnosis::Look,
        filter::Filter,
        table::{self, Merged, Table},
    },
    sink::{Hello, Sink, surroundings::Surroundings},
};

/// How long `CLOSED → SYN_SENT` waits for its local port where nothing can tell it.
const PORT_PATIENCE: u64 = 2_000_000_000;
/// The same where a look at the kernel's sockets will tell it, unless the port is never chosen.
const LOOK_PATIENCE: u64 = 15_000_000_000;
/// Batches that are read before anything else gets its turn: some tens of milliseconds.
const BATCHES: usize = 8;
/// Reading the rest takes no longer than this at a time.
const REST_PATIENCE: u64 = 20_000_000;
/// The last look, of those that ask what is wrong, may take so long.
const LAST_LOOK_PATIENCE: u64 = 20_000_000_000;
/// The last look of any other trace, for which nobody is waiting.
const CHECK_PATIENCE: u64 = 3_000_000_000;
/// A socket that is being closed is shown no more a moment before the event says so.
const BETWEEN_CHECKS: Duration = Duration::from_millis(20);
/// Losses are looked for this often while events come.
const HOUSEKEEPING: u64 = 1_000_000_000;

/// The thread that reads events.
pub(crate) const READER: &str = "tracer-reader";

/// Everything a trace consists of.
pub struct Trace {
    /// The attached programs.
    pub tracer: Tracer,
    /// What to show.
    pub filter: Filter,
    /// What is known of containers and programs.
    pub surroundings: Arc<dyn Surroundings>,
    /// When to flag.
    pub thresholds: crate::model::linger::Thresholds,
    /// Sockets to keep track of at most.
    pub max_sockets: usize,
    /// Whom to tell.
    pub sinks: Vec<Box<dyn Sink>>,
    /// What to begin with.
    pub hello: Hello,
    /// Look at the sockets that are there, now and later.
    pub snapshots: bool,
    /// Tell of open connections this often, nanoseconds.
    pub interval: Option<u64>,
    /// Where to put the stacks that are looked up.
    pub resolved: Arc<Resolved>,
}

/// Ends a trace from another thread.
#[derive(Debug)]
pub struct Stop {
    asked: AtomicBool,
    waker: OwnedFd,
}

impl Stop {
    /// Of a loop that waits with the reader of this waker.
    pub(crate) fn new(waker: OwnedFd) -> Self {
        Self { asked: AtomicBool::new(false), waker }
    }

    /// Asks the trace to end in order.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
        health::owe(READER);
        self.wake();
    }

    /// Has it look whether anybody is left to tell anything.
    pub fn wake(&self) {
        ring::wake(&self.waker);
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

/// A trace that is set up and can be stopped.
pub struct Running {
    reader: Reader,
    table: Table,
    teller: Teller,
    losses: Losses,
    healing: Option<Healing>,
    reports: Reports,
    /// Keeps the programs attached where no snapshots are taken.
    _ebpf: Option<aya::Ebpf>,
    stop: Arc<Stop>,
    /// Something was lost lately.
    lost: bool,
    /// Time of the last record read.
    read_until: u64,
}

impl Trace {
    /// Sets the reader up.
    ///
    /// # Errors
    ///
    /// Where descriptors have run out.
    pub fn start(self) -> std::io::Result<Running> {
        let Self {
            tracer,
            filter,
            surroundings,
            thresholds,
            max_sockets,
            sinks,
            hello,
            snapshots,
            interval,
            resolved,
        } = self;
        let Tracer {
            ebpf,
            main,
            others,
            has_iterators,
            ring,
            reader,
            counters,
            resets_traced,
            snapshots_skip,
            stacks,
            ..
        } = tracer;
        let reader = Reader::new(ring, reader)?;
        let netns = filter.netns;
        let looks = snapshots && has_iterators;
        let stop = Arc::new(Stop::new(reader.waker()?));
        let table = Table::new(table::Options {
            filter: filter.clone(),
            ticks: time::ticks(),
            thresholds,
            resets_traced,
            port_patience: if looks { LOOK_PATIENCE } else { PORT_PATIENCE },
            look_patience: if looks { LOOK_PATIENCE } else { 0 },
            snapshots_skip,
            max_sockets,
        });
        let mut teller = Teller::new(filter, surroundings, sinks, time::wall_clock());
        teller.hello(&hello);
        let (healing, ebpf) = if looks {
            let snapshotter = Snapshotter::new(ebpf, netns);
            let stacks = stacks.map(|map| Recorded { map, resolved });
            let recorded = stacks.is_some();
            let snapshots = Snapshots::start(snapshotter, stacks, reader.waker()?)?;
            let told = hello.degraded.iter().any(|one| feature::NAMESPACES.is_in(one));
            (Some(Healing::new(snapshots, recorded, teller.diagnoses(), told)), None)
        } else {
            (None, Some(ebpf))
        };
        let losses = Losses::new(main, others, counters);
        Ok(Running {
            reader,
            table,
            teller,
            losses,
            healing,
            reports: Reports::new(interval, time::monotonic()),
            _ebpf: ebpf,
            stop,
            lost: false,
            read_until: 0,
        })
    }
}

impl Running {
    /// Ends it from elsewhere.
    pub fn stop(&self) -> Arc<Stop> {
        Arc::clone(&self.stop)
    }

    /// Reads until asked to stop or until nobody reads the output, then writes the summary.
    pub fn run(mut self) {
        let _life = health::watch(READER);
        // Where that is refused, `Hello` says so.
        let _ = privileges::take_precedence();
        privileges::keep_only(privileges::READ);
        let mut housekeeping = 0;
        // Taken before the events are read that happened meanwhile.
        let mut look = None;
        loop {
            // Asked before the last batch is read, so that it is complete.
            let stopping = self.stop.is_asked();
            look = look.or_else(|| self.healing.as_mut().and_then(Healing::ready));
            // It may have been set, or the host suspended, since the last events.
            self.teller.set_clock(time::wall_clock());
            let (busy, more) = self.read();
            let now = time::monotonic();
            if now >= housekeeping || stopping {
                housekeeping = now + HOUSEKEEPING;
                self.teller.expire(now);
                // Said as soon as it is known.
                let _ = health::trouble();
                let lost = self.count_losses();
                // Not while it goes on: a look would make it worse.
                if std::mem::replace(&mut self.lost, lost) && !lost {
                    self.healing.iter_mut().for_each(Healing::hurry);
                }
            }
            if self.table.has_unseen() {
                self.lost |= self.count_losses();
            }
            if look.is_some()
                && self.read_rest()
                && let Some(look) = look.take()
            {
                self.merge(look);
            }
            self.table.expire(now, &mut self.teller);
            let due = self.teller.pause(time::monotonic(), &self.table);
            self.teller.flush();
            if stopping && self.read_rest() || self.teller.is_closed() {
                break;
            }
            let report = self.reports.next();
            let ask = match &mut self.healing {
                Some(healing) => healing.ask(now, report, &mut self.table),
                None => self.reports.without_look(now, &self.table, &mut self.teller),
            };
            let deadline = self.table.next_deadline().into_iter().chain([ask]).chain(due).min();
            let timeout = deadline
                .map(|deadline| Duration::from_nanos(deadline.saturating_sub(time::monotonic())));
            if !more {
                self.reader.wait(busy, timeout);
            }
        }
        self.losses.log();
        self.table.decide_rest(&mut self.teller);
        let look = if self.teller.diagnosing.is_some() { self.diagnose() } else { self.check() };
        self.count_losses();
        let now = time::monotonic();
        self.table.emit_unseen(now, &mut self.teller);
        let counters = look.as_ref().map(|look| &look.snapshot);
        self.table.report(counters, 0, now, &mut self.teller);
        self.table.emit_evicted(now, &mut self.teller);
        self.teller.summary();
    }

    /// Tells what the kernel half could not tell; whether there was anything. To be called before the
    /// table tells what was not seen: what is counted here is not counted there again.
    fn count_losses(&mut self) -> bool {
        self.losses.look(time::monotonic(), &mut self.table, &mut self.teller)
    }

    /// Merges a look and gives it back.
    fn merge(&mut self, look: Taken) -> Option<(Arc<Look>, Merged)> {
        self.lost |= self.count_losses();
        if let Some(diagnosing) = &mut self.teller.diagnosing {
            diagnosing.note(&look);
        }
        if look.wanted.settings {
            self.teller.look(&look.look);
        }
        let healing = self.healing.as_mut()?;
        let wanted = look.wanted;
        let (look, merged) = healing.merge(look, &mut self.table, &mut self.teller);
        let look = Arc::new(look);
        if wanted.settings && wanted.processes && look.snapshot.held_at.is_some() {
            self.teller.show(&look, &self.table);
        }
        self.reports.with_look(&look.snapshot, &self.table, &mut self.teller);
        Some((look, merged))
    }

    /// Reads on until everything is read that happened before this was called; false where that
    /// takes too long now, because a program that was interrupted has not finished its record.
    fn read_rest(&mut self) -> bool {
        let until = time::monotonic();
        loop {
            let (_, more) = self.read();
            if self.read_until >= until || !more && !self.reader.has_unread() {
                return true;
            }
            if time::monotonic() > until + REST_PATIENCE {
                return false;
            }
            if !more {
                std::thread::yield_now();
            }
        }
    }

    /// Reads what there is, but not for ever; whether there was anything, and whether there may be
    /// more.
    fn read(&mut self) -> (bool, bool) {
        let Self { reader, table, teller, losses, read_until, .. } = self;
        health::alive();
        let mut busy = false;
        for _ in 0..BATCHES {
            let mut oldest = None;
            let batch = reader.read(|item| {
                let record = match item {
                    Item::Record(record) => record,
                    Item::Program(program) => return teller.surroundings.learn(program),
                };
                oldest.get_or_insert(record.time_ns);
                *read_until = record.time_ns;
                table.ingest(record, teller);
            });
            busy |= batch.records > 0;
            losses.damaged(batch.damaged);
            if let Some(oldest) = oldest {
                teller.lag(time::monotonic().saturating_sub(oldest));
            }
            if !batch.more {
                return (busy, false);
            }
            teller.flush();
        }
        (busy, true)
    }
}
