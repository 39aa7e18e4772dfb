//! `tracer replay`: what was recorded is told again, to any sinks, at any speed.
//!
//! A recording is read line by line and never held as a whole. [`decode`] makes updates of lines,
//! [`source`] lines of files, [`pace`] decides when; here they meet. What is not recorded, as the
//! table of sockets, sinks do without.

pub mod anonymize;
pub mod decode;
pub mod enricher;
pub mod pace;
pub mod rotated;
pub mod source;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use self::{
    decode::{Decoder, Item, OwnedUpdate},
    enricher::Recorded,
    pace::{Pace, Speed},
    source::{Error, Source},
};
use tracer_event::{
    enricher::Context,
    summary::Summary,
    update::{Linger, Update},
    wall_clock::WallClock,
};
use tracer_model::filter::{self, Facts, Filter};
use tracer_output::{Sink, Tick};

/// Sinks are asked how full they are after so many updates.
const BATCH: u64 = 256;
/// Sinks may tell what they hold back this often, nanoseconds of the recording.
const PAUSES: u64 = 5_000_000;
/// Fuller than this a sink gets no more for the moment.
const FULL: f64 = 0.1;
/// Flags of one moment, or holders of their sockets, that are told together.
const TOGETHER: usize = 4096;

/// Whom to tell what of a recording, and how fast.
pub struct Replay {
    /// Whom.
    pub sinks: Vec<Box<dyn Sink>>,
    /// What the sinks ask for containers and programs.
    pub enricher: Arc<Recorded>,
    /// What.
    pub filter: Filter,
    /// How fast.
    pub speed: Speed,
    /// Ends it from another thread.
    pub stop: Arc<AtomicBool>,
}

/// How a replay went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Lines that were passed over: not of a trace, or of a kind not known here.
    pub passed: u64,
    /// Where a recording breaks off in the middle of a line.
    pub cut: Vec<String>,
    /// No summary came at the end.
    pub unfinished: bool,
    /// Lines or records that a sink could not deliver.
    pub undelivered: u64,
}

/// The summaries that were recorded. A file may have any number of them.
#[derive(Default)]
struct Summaries {
    count: u64,
    /// Where there is no other, it is the summary of all.
    first: Option<Summary>,
    /// One said that something was lost.
    incomplete: bool,
    reader_lag_ns: u64,
}

impl Summaries {
    fn add(&mut self, summary: Summary) {
        self.count += 1;
        self.incomplete |= !summary.complete;
        self.reader_lag_ns = self.reader_lag_ns.max(summary.reader_lag_ns);
        self.first.get_or_insert(summary);
    }

    /// Of one trace, its own.
    fn only(&self) -> Option<&Summary> {
        self.first.as_ref().filter(|_| self.count == 1)
    }
}

/// A replay at work.
struct Player {
    replay: Replay,
    pace: Pace,
    counted: Summary,
    recorded: Summaries,
    traces: u64,
    /// Of these, what flight recorders have kept.
    excerpts: u64,
    /// By which clock the last one began: its further files say the same.
    began: Option<WallClock>,
    told: u64,
    last_pause: u64,
    /// Flags of one moment, and the clock by which their times are to be read.
    held: (Vec<Linger>, WallClock),
    /// Of these, with their holders.
    weight: usize,
    /// Which findings are wanted.
    findings: filter::Recorded,
    outcome: Outcome,
}

impl Replay {
    /// Tells all of it.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read or holds something else than a recording. What came before has
    /// been told.
    pub fn run(self, source: &mut Source) -> Result<Outcome, Error> {
        source.stops_with(&self.stop);
        let mut decoder = Decoder::new(Arc::clone(&self.enricher));
        let mut player = Player::new(self);
        let mut result = Ok(());
        while !player.is_over() {
            match source.next(&mut decoder) {
                Ok(Some(item)) => player.item(item, decoder.clock()),
                Ok(None) => break,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        if player.traces == 0 && player.told == 0 && !player.is_over() {
            // Nothing has begun that could be ended.
            return Err(result.err().unwrap_or_else(|| source.no_trace()));
        }
        player.outcome.cut = source.take_cut();
        let outcome = player.finish(decoder.clock());
        result.map(|()| outcome)
    }
}

impl Player {
    fn new(replay: Replay) -> Self {
        Self {
            pace: Pace::new(replay.speed),
            replay,
            counted: Summary::default(),
            recorded: Summaries::default(),
            traces: 0,
            excerpts: 0,
            began: None,
            told: 0,
            last_pause: 0,
            held: (Vec::new(), WallClock { lead: 0, now: 0 }),
            weight: 0,
            findings: filter::Recorded::default(),
            outcome: Outcome::default(),
        }
    }

    fn is_over(&self) -> bool {
        self.replay.stop.load(Ordering::Relaxed)
            || self.replay.sinks.iter().all(|sink| sink.is_closed())
    }

    fn item(&mut self, item: Item, clock: WallClock) {
        let item = match item {
            Item::Update(OwnedUpdate::Linger(lingers)) => return self.hold(lingers, clock),
            item => item,
        };
        self.release();
        match item {
            // Of the same trace, in its next file.
            Item::Header(header)
                if self.began == Some(clock)
                    && header.file.is_some_and(|file| file.sequence > 1) => {}
            Item::Header(mut header) => {
                header.partial = header.partial.or_else(|| self.replay.filter.partial());
                self.began = Some(clock);
                self.traces += 1;
                self.excerpts += u64::from(header.is_of_excerpt());
                self.pace.begin(clock.now);
                self.last_pause = clock.now;
                // Of a recording in several files, or of several, the first one is the beginning.
                if self.traces == 1 {
                    self.replay.sinks.iter_mut().for_each(|sink| sink.header(&header, clock));
                    self.flush();
                }
            }
            Item::Update(told) => self.tell(&told, clock),
            Item::Summary(summary) => self.recorded.add(*summary),
            Item::Passed => self.outcome.passed += 1,
        }
        // Also where nobody was told.
        self.replay.enricher.forget();
    }

    /// Keeps flags until it is clear that no more of the same moment follow.
    fn hold(&mut self, lingers: Vec<Linger>, clock: WallClock) {
        let (held, of) = &self.held;
        let apart = held.first().map(|linger| linger.time) != lingers.first().map(|l| l.time);
        if apart || of.lead != clock.lead || self.weight >= TOGETHER {
            self.release();
        }
        self.weight += lingers.iter().map(|linger| 1 + linger.holders.len()).sum::<usize>();
        self.held.0.extend(lingers);
        self.held.1 = clock;
        // What they say may be long: it can be forgotten only when they are told.
        if self.replay.enricher.is_full() {
            self.release();
            self.replay.enricher.forget();
        }
    }

    fn release(&mut self) {
        let (mut lingers, clock) = (std::mem::take(&mut self.held.0), self.held.1);
        self.weight = 0;
        lingers.iter().for_each(|linger| self.findings.note(&linger.subject.tuple));
        lingers.retain(|linger| {
            self.replay.filter.may_want(&Facts::from(linger), &*self.replay.enricher)
        });
        if !lingers.is_empty() {
            self.tell(&OwnedUpdate::Linger(lingers), clock);
        }
    }

    fn tell(&mut self, told: &OwnedUpdate, clock: WallClock) {
        let update = told.update();
        if !self.wants(&update) {
            return;
        }
        self.wait_until(told.time(), clock);
        let Replay { sinks, enricher, .. } = &mut self.replay;
        let context = Context { clock, enricher: &**enricher };
        sinks.iter_mut().for_each(|sink| sink.update(&update, context));
        self.counted.count(&update);
        self.told += 1;
        if self.told.is_multiple_of(BATCH) {
            self.flush();
            self.drain(FULL);
        }
    }

    fn wants(&mut self, update: &Update<'_>) -> bool {
        let Replay { filter, enricher, .. } = &self.replay;
        if let Update::Finding(finding) = update {
            return self.findings.may_want(filter, finding);
        }
        update.subject().iter().for_each(|subject| self.findings.note(&subject.tuple));
        filter.wants(update, &**enricher)
    }

    /// Until `time` of the recording has come.
    fn wait_until(&mut self, time: u64, clock: WallClock) {
        while let Some(rest) = self.pace.wait(time)
            && !self.is_over()
        {
            self.pause(self.pace.now(), clock);
            self.flush();
            thread::sleep(rest.min(Duration::from_millis(20)));
        }
        if time.abs_diff(self.last_pause) >= PAUSES {
            self.pause(time, clock);
        }
    }

    /// Lets sinks tell what they have held back.
    fn pause(&mut self, now: u64, clock: WallClock) {
        self.last_pause = now;
        let moment = Tick { now, read_until: now, sockets: None };
        let Replay { sinks, enricher, .. } = &mut self.replay;
        let context = Context { clock, enricher: &**enricher };
        for sink in sinks {
            sink.pause(&moment, context);
        }
    }

    fn flush(&mut self) {
        let undelivered = self.replay.sinks.iter_mut().filter_map(|sink| sink.flush());
        self.outcome.undelivered += undelivered.map(|lost| lost.count).sum::<u64>();
    }

    /// Waits until no sink is fuller than that: a replay has time, other than a live trace.
    fn drain(&mut self, full: f64) {
        let busy = |sink: &dyn Sink| !sink.is_closed() && sink.backlog() > full;
        while self.replay.sinks.iter().any(|sink| busy(&**sink))
            && !self.replay.stop.load(Ordering::Relaxed)
        {
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn finish(mut self, clock: WallClock) -> Outcome {
        self.release();
        self.flush();
        self.drain(0.0);
        let last = self.replay.sinks.iter_mut().filter_map(|sink| sink.last());
        self.outcome.undelivered += last.map(|lost| lost.count).sum::<u64>();
        let summary = self.summary();
        self.outcome.unfinished = self.recorded.count == 0;
        let context = Context { clock, enricher: &*self.replay.enricher };
        for sink in self.replay.sinks {
            sink.finish(&summary, context);
        }
        self.outcome
    }

    /// Of one whole trace what it has recorded; else what was counted.
    fn summary(&self) -> Summary {
        let counted = self.counted.clone();
        let Summaries { count, incomplete, reader_lag_ns, .. } = self.recorded;
        let is_cut = !self.outcome.cut.is_empty();
        if let Some(recorded) = self.recorded.only()
            && self.replay.filter == Filter::default()
            && !is_cut
        {
            return Summary { lives: counted.lives, ..recorded.clone() };
        }
        let ends = count + self.excerpts;
        let whole = ends > 0 && ends >= self.traces && !incomplete && !is_cut;
        Summary { reader_lag_ns, complete: whole && !counted.lost.is_final(), ..counted }
    }
}
