//! The flight recorder: the last minutes of all events in memory, written when something happens.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{
    batches::{Batch, Batches},
    kept::Kept,
    settings::Settings,
    triggers::Triggers,
};
use crate::{
    Live, LiveSink, Sink, Tick, Undelivered,
    queue::{Limit, Outlet, Queue, Size, Worker},
};
use tracer_event::{
    enricher::Context,
    header::{Header, Partial},
    summary::Summary,
    update::{LossPlace, Update},
    wall_clock::WallClock,
};
use tracer_model::diagnosis::HostSnapshot;

/// Bytes that may wait to be compressed.
const LIMIT: usize = 64 << 20;
/// How long the end of the trace waits.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two files that nobody has asked for by a signal, and after one that could not be written.
const APART: Duration = Duration::from_secs(60);
/// What has happened by then is in the file: longer than a block is held back.
const SETTLED: Duration = Duration::from_millis(1500);

/// What its thread is given.
#[derive(Debug)]
enum Item {
    Begin(Box<(Header, WallClock)>),
    Batch(Batch),
    Write(Request),
}

/// That a file is to be written.
#[derive(Clone, Debug)]
struct Request {
    reason: String,
    /// Somebody waits for it.
    asked: bool,
}

/// Keeps the last minutes.
pub struct FlightRecorder {
    batches: Batches,
    triggers: Triggers,
    outlet: Outlet<Item>,
}

impl FlightRecorder {
    /// Starts its thread.
    ///
    /// # Errors
    ///
    /// Where no thread can be had.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let worker = Work { kept: Kept::new(settings.clone()), written: None, wanted: None };
        Ok(Self {
            batches: Batches::default(),
            triggers: Triggers::new(settings),
            outlet: Outlet::start("tracer-flight", Limit::Bytes(LIMIT), worker)?,
        })
    }

    /// Has it write what it has, when called.
    pub fn writes(&self) -> impl Fn() + Send + use<> {
        let queue = self.outlet.queue();
        move || {
            let request = Request { reason: "signal".into(), asked: true };
            push(&queue, Item::Write(request));
        }
    }

    fn push(&mut self) {
        let batch = self.batches.take().map(|(batch, size)| (Item::Batch(batch), size));
        // Where there is no room they are counted.
        let _ = self.outlet.push(batch.into_iter().collect());
    }

    fn trigger(&mut self, reason: Option<String>) {
        let Some(reason) = reason else { return };
        self.push();
        push(&self.outlet, Item::Write(Request { reason, asked: false }));
    }
}

fn push(queue: &Queue<Item>, item: Item) {
    // If there is no room for so little, the disk hangs, and says so.
    let _ = queue.push(vec![(item, Size::default())]);
}

impl Sink for FlightRecorder {
    fn header(&mut self, header: &Header, clock: WallClock) {
        // Whichever records are chosen, all are kept.
        let partial = header.partial.filter(|partial| *partial == Partial::Filter);
        let header = Header { partial, ..header.clone() };
        push(&self.outlet, Item::Begin(Box::new((header, clock))));
    }

    /// What led to a problem is no problem itself.
    fn counts(&self) -> bool {
        true
    }

    fn update(&mut self, update: &Update<'_>, context: Context<'_>) {
        if self.batches.update(update, context) {
            self.push();
        }
        let reason = self.triggers.update(update);
        self.trigger(reason);
    }

    fn pause(&mut self, moment: &Tick, _: Context<'_>) -> Option<u64> {
        if self.batches.due().is_some_and(|due| moment.now >= due) {
            self.push();
        }
        self.batches.due()
    }

    fn live(&mut self) -> Option<&mut dyn LiveSink> {
        Some(self)
    }

    fn flush(&mut self) -> Option<Undelivered> {
        Undelivered::new(LossPlace::Output, self.outlet.take_lost())
    }

    fn last(&mut self) -> Option<Undelivered> {
        self.push();
        Undelivered::new(LossPlace::Output, self.outlet.take_all_lost(PATIENCE))
    }

    fn finish(self: Box<Self>, _: &Summary, _: Context<'_>) {
        self.outlet.finish(Vec::new(), PATIENCE, None);
    }
}

impl LiveSink for FlightRecorder {
    fn observe(&mut self, live: &Live<'_>, _: Context<'_>) -> Option<u64> {
        let reason = self.triggers.ports(live.ports);
        self.trigger(reason);
        None
    }

    fn look(&mut self, seen: &HostSnapshot) {
        let reason = self.triggers.descriptors(seen);
        self.trigger(reason);
    }
}

struct Work {
    kept: Kept,
    /// When the last file was written that nobody had asked for.
    written: Option<Instant>,
    /// A file that is to be written from then on.
    wanted: Option<(Request, Instant)>,
}

impl Work {
    fn want(&mut self, request: Request) {
        let now = Instant::now();
        let due = if request.asked {
            now + SETTLED
        } else {
            self.written.map_or(now, |written| now.max(written + APART))
        };
        // The first of several names the file; whoever asks waits no longer for it.
        self.wanted = Some(match self.wanted.take() {
            Some((first, then)) => (first, then.min(due)),
            None => (request, due),
        });
    }

    /// Where it fails, what has been kept is still there, and it is tried again later.
    fn write_if_due(&mut self) -> io::Result<()> {
        let Some((request, _)) = self.wanted.take_if(|(_, due)| Instant::now() >= *due) else {
            return Ok(());
        };
        if !request.asked {
            self.written = Some(Instant::now());
        }
        match self.kept.write(&request.reason) {
            Ok(path) => {
                tracing::info!("wrote the last minutes to {} ({})", path.display(), request.reason);
                self.kept.remove_oldest()
            }
            Err(error) => {
                self.wanted = Some((request, Instant::now() + APART));
                Err(error)
            }
        }
    }
}

impl Worker<Item> for Work {
    fn name(&self) -> String {
        format!("{} (--recorder)", self.kept.directory().display())
    }

    fn deliver(&mut self, item: &mut Item) -> io::Result<()> {
        match item {
            Item::Begin(begun) => {
                let (header, clock) = &**begun;
                self.kept.begin(header.clone(), *clock);
            }
            Item::Batch(batch) => self.kept.push(batch)?,
            Item::Write(request) => self.want(request.clone()),
        }
        // What has been taken is not lost by that.
        if let Err(error) = self.write_if_due() {
            tracing::error!("cannot write to {}: {error} (tried again)", self.name());
        }
        Ok(())
    }

    fn turn(&self) -> Option<Duration> {
        let (_, due) = self.wanted.as_ref()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    fn pause(&mut self) -> io::Result<()> {
        self.write_if_due()
    }

    fn finish(&mut self) -> io::Result<()> {
        // The trace ends: nothing more comes.
        if let Some((_, due)) = &mut self.wanted {
            *due = Instant::now();
        }
        self.write_if_due()
    }
}
