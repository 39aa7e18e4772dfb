//! `tracer trace`: kernel → table → sink.
//!
//! One thread reads, models and formats, so that no record is copied between threads; another
//! writes (`tracer_output::output`), so that a slow terminal stops neither. The main thread waits for the
//! reasons to end.

pub(crate) mod capture;
mod dispatch;
mod ending;
mod losses;
mod reports;
mod resync;

use std::{sync::Arc, time::Duration};

use self::{
    capture::{Capture, Programs, Stop},
    dispatch::Dispatcher,
    reports::Reports,
    resync::Resync,
};
use tracer_event::{enricher::Enricher, header::Header};
use tracer_health as health;
use tracer_kernel::{feature, load::Tracer, privileges, snapshot::Taken, stacks::Resolved, time};
use tracer_model::{
    diagnosis::HostSnapshot,
    filter::Filter,
    linger::Thresholds,
    selection::Selection,
    table::{self, Merged},
};
use tracer_output::Sink;

pub(crate) use self::capture::READER;

/// How long `CLOSED → SYN_SENT` waits for its local port where nothing can tell it.
const PORT_PATIENCE: u64 = 2_000_000_000;
/// The same where a look at the kernel's sockets will tell it, unless the port is never chosen.
const LOOK_PATIENCE: u64 = 15_000_000_000;
/// Batches that are read before anything else gets its turn: some tens of milliseconds.
const BATCHES: usize = 8;
/// Reading the rest takes no longer than this at a time: a program that was interrupted may not have
/// finished its record.
pub(crate) const REST_PATIENCE: u64 = 20_000_000;
/// The last look, of those that ask what is wrong, may take so long.
const LAST_LOOK_PATIENCE: u64 = 20_000_000_000;
/// The last look of any other trace, for which nobody is waiting.
const CHECK_PATIENCE: u64 = 3_000_000_000;
/// A socket that is being closed is shown no more a moment before the event says so.
const BETWEEN_CHECKS: Duration = Duration::from_millis(20);
/// Losses are looked for this often while events come.
const HOUSEKEEPING: u64 = 1_000_000_000;

/// Everything a trace consists of.
pub struct Trace {
    /// The attached programs.
    pub tracer: Tracer,
    /// What to show.
    pub filter: Filter,
    /// Which sockets to keep track of.
    pub tracked: Filter,
    /// Which records of it to write.
    pub selection: Selection,
    /// The kernel leaves out what is not of one control group.
    pub in_one_group: bool,
    /// What is known of containers and programs.
    pub enricher: Arc<dyn Enricher>,
    /// When to flag.
    pub thresholds: Thresholds,
    /// Sockets to keep track of at most.
    pub max_sockets: usize,
    /// Whom to tell.
    pub sinks: Vec<Box<dyn Sink>>,
    /// What to begin with.
    pub header: Header,
    /// Look at the sockets that are there, now and later.
    pub snapshots: bool,
    /// Report open connections this often.
    pub interval: Option<Duration>,
    /// Where to put the stacks that are looked up.
    pub resolved: Arc<Resolved>,
}

/// A trace that is set up and can be stopped.
pub struct Running {
    capture: Capture,
    dispatcher: Dispatcher,
    resync: Option<Resync>,
    /// Keeps the programs attached where no snapshots are taken.
    _programs: Option<Programs>,
    reports: Reports,
    /// A snapshot that has been taken, but not merged: events from before its end may be unread.
    look: Option<Taken>,
    /// When losses are looked for next.
    housekeeping: u64,
    /// Something was lost lately.
    lost: bool,
}

impl Trace {
    /// Sets the reader up.
    ///
    /// # Errors
    ///
    /// Where descriptors have run out.
    pub fn start(self) -> std::io::Result<Running> {
        let Self { tracer, filter, header, resolved, .. } = self;
        let looks = self.snapshots && tracer.has_iterators;
        let options = table::Options {
            filter: self.tracked,
            in_one_group: self.in_one_group,
            ticks: time::ticks(),
            thresholds: self.thresholds,
            resets_traced: tracer.resets_traced,
            port_patience: if looks { LOOK_PATIENCE } else { PORT_PATIENCE },
            look_patience: if looks { LOOK_PATIENCE } else { 0 },
            snapshots_skip: tracer.snapshots_skip,
            max_sockets: self.max_sockets,
        };
        let stacks = tracer.stacks.is_some();
        let netns = filter.netns();
        let (capture, programs) = Capture::new(tracer, options)?;
        let shown = (filter, self.selection);
        let mut dispatcher = Dispatcher::new(shown, self.enricher, self.sinks, time::wall_clock());
        dispatcher.header(&header);
        let (resync, programs) = if looks {
            let snapshots = capture.snapshots(programs, netns, resolved)?;
            let told = header.degraded.iter().any(|one| feature::NAMESPACES.is_in(one));
            (Some(Resync::new(snapshots, stacks, dispatcher.diagnoses(), told)), None)
        } else {
            (None, Some(programs))
        };
        let interval = self.interval.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        Ok(Running {
            capture,
            dispatcher,
            resync,
            _programs: programs,
            reports: Reports::new(interval, time::monotonic()),
            look: None,
            housekeeping: 0,
            lost: false,
        })
    }
}

impl Running {
    /// Ends it from elsewhere.
    pub fn stop(&self) -> Arc<Stop> {
        self.capture.stop()
    }

    /// Reads until asked to stop or until nobody reads the output, then writes the summary.
    pub fn run(mut self) {
        let _life = health::watch(READER);
        // Where that is refused, the header says so.
        let _ = privileges::take_precedence();
        privileges::keep_only(privileges::READ);
        while self.turn() {}
        self.end();
    }

    /// Reads, merges and waits once; whether to go on.
    fn turn(&mut self) -> bool {
        // Asked before the last batch is read, so that it is complete.
        let stopping = self.capture.is_asked_to_stop();
        // Taken before the events are read that happened meanwhile.
        self.look = self.look.take().or_else(|| self.resync.as_mut().and_then(Resync::ready));
        // It may have been set, or the host suspended, since the last events.
        self.dispatcher.set_clock(time::wall_clock());
        let (busy, more) = self.read();
        let now = time::monotonic();
        if now >= self.housekeeping || stopping {
            self.keep_house(now);
        }
        if self.capture.table.has_unseen() {
            self.lost |= self.count_losses();
        }
        if self.look.is_some()
            && self.read_rest()
            && let Some(look) = self.look.take()
        {
            self.merge(look);
        }
        self.capture.table.expire(now, &mut self.dispatcher);
        let Capture { read_until, table, .. } = &self.capture;
        let due = self.dispatcher.pause(time::monotonic(), *read_until, table);
        self.dispatcher.flush();
        if stopping && self.read_rest() || self.dispatcher.is_closed() {
            return false;
        }
        let deadline = self.deadline(now, due);
        if !more {
            let rest =
                deadline.map(|at| Duration::from_nanos(at.saturating_sub(time::monotonic())));
            self.capture.wait(busy, rest);
        }
        true
    }

    /// Looks for losses and for what is over.
    fn keep_house(&mut self, now: u64) {
        self.housekeeping = now + HOUSEKEEPING;
        self.dispatcher.tick(now, &self.capture.table);
        // Logged as soon as it is known.
        let _ = health::trouble();
        let lost = self.count_losses();
        // Not while it goes on: a snapshot would make it worse.
        if std::mem::replace(&mut self.lost, lost) && !lost {
            self.resync.iter_mut().for_each(Resync::hurry);
        }
    }

    /// When there is something to do, with or without events. Asks for a snapshot if it is time.
    fn deadline(&mut self, now: u64, due: Option<u64>) -> Option<u64> {
        let report = self.reports.next();
        let table = &mut self.capture.table;
        let ask = match &mut self.resync {
            Some(resync) => resync.ask(now, report, table),
            None => self.reports.without_look(now, table, &mut self.dispatcher),
        };
        table.next_deadline().into_iter().chain([ask]).chain(due).min()
    }

    /// Reports what only the end can show, and the summary.
    fn end(mut self) {
        self.capture.losses.log();
        self.capture.table.decide_rest(&mut self.dispatcher);
        let look = if self.dispatcher.wants_diagnosis() { self.diagnose() } else { self.check() };
        self.count_losses();
        let now = time::monotonic();
        let table = &mut self.capture.table;
        table.emit_unseen(now, &mut self.dispatcher);
        let counters = look.as_ref().map(|look| &look.snapshot);
        table.report(counters, 0, now, &mut self.dispatcher);
        table.emit_evicted(now, &mut self.dispatcher);
        self.dispatcher.summary();
    }

    fn count_losses(&mut self) -> bool {
        self.capture.count_losses(&mut self.dispatcher)
    }

    /// Merges a look and gives it back.
    fn merge(&mut self, look: Taken) -> Option<(Arc<HostSnapshot>, Merged)> {
        self.lost |= self.count_losses();
        let Self { capture, dispatcher, resync, reports, .. } = self;
        let resync = resync.as_mut()?;
        // With a hundred thousand sockets it takes some tenths of a second.
        Some(capture.meanwhile(|table| {
            let wanted = look.wanted;
            let (look, merged) = resync.merge(look, table, dispatcher);
            let look = Arc::new(look);
            if wanted.settings {
                dispatcher.look(&look);
            }
            if wanted.is_complete() {
                dispatcher.judge(&look, table);
            }
            reports.with_look(&look.snapshot, table, dispatcher);
            (look, merged)
        }))
    }

    /// Reads on until everything is read that happened before this was called; false where that
    /// takes too long now, because a program that was interrupted has not finished its record.
    fn read_rest(&mut self) -> bool {
        let until = time::monotonic();
        loop {
            let (_, more) = self.read();
            if self.capture.read_until >= until {
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
        health::alive();
        let mut busy = false;
        for _ in 0..BATCHES {
            let (batch, oldest) = self.capture.read(&mut self.dispatcher, |dispatcher, program| {
                dispatcher.enricher.learn(program);
            });
            busy |= batch.records > 0;
            if let Some(oldest) = oldest {
                self.dispatcher.lag(time::monotonic().saturating_sub(oldest));
            }
            if !batch.more {
                return (busy, false);
            }
            self.dispatcher.flush();
        }
        (busy, true)
    }
}
