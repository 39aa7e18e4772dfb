//! A table with lives around it, and what it reports of them, line by line.

use tracer_wire::{Holder, Record};

use super::lives::{Life, MICROSECOND, MILLISECOND, NETNS, SECOND, START, STARTED, Step};
use crate::{
    linger::Thresholds,
    table::{Merged, Options, Snapshot, Table},
    time_wait::Ticks,
};
use tracer_event::{
    state::State,
    update::{
        Close, ConnectionSummary, Edge, Linger, Observer, Reset, Retransmit, Retransmitted, Source,
        Transition, Update,
    },
};

/// Everything told, as records and as lines.
#[derive(Default)]
pub(super) struct Told {
    pub(super) transitions: Vec<Transition>,
    pub(super) stories: Vec<ConnectionSummary>,
    pub(super) resets: Vec<Reset>,
    pub(super) retransmits: Vec<Retransmit>,
    pub(super) lingers: Vec<Linger>,
    pub(super) lost: u64,
    /// More may have been lost.
    pub(super) at_least: bool,
    lines: Vec<String>,
}

impl Observer for Told {
    fn observe(&mut self, update: Update<'_>) {
        match update {
            Update::Transition(transition) => {
                self.lines.push(transition_line(transition));
                self.transitions.push(*transition);
            }
            Update::Connection(story) => {
                let close = story.close.map_or_else(|| "open".to_owned(), close_words);
                let source = source_words(story.source);
                self.lines.push(format!("story: {close}{source}"));
                self.stories.push(*story);
            }
            Update::Reset(reset) => {
                self.lines.push(format!("RST {:?} in {}", reset.segment.direction, reset.state));
                self.resets.push(*reset);
            }
            Update::Retransmit(again) => {
                let Retransmitted { r#type, ordinal, .. } = again.segment;
                self.lines.push(format!("{} again, {ordinal}", r#type.name()));
                self.retransmits.push(*again);
            }
            Update::Linger(lingers) => {
                for linger in lingers {
                    self.lines.push(linger_line(linger));
                    self.lingers.push(linger.clone());
                }
            }
            // The table makes none.
            Update::Finding(_) => {}
            Update::Loss(loss) => {
                self.lost += loss.count;
                self.at_least |= loss.at_least;
                let least = if loss.at_least { "≥" } else { "" };
                self.lines.push(format!("lost {least}{} {:?}", loss.count, loss.place));
            }
        }
    }
}

/// `FIN_WAIT2>TIME_WAIT, kernel FIN_WAIT2>CLOSED [Source] Reason by Initiator`.
fn transition_line(transition: &Transition) -> String {
    let Transition { from, to, kernel, source, close, .. } = *transition;
    let kernel =
        kernel.map(|Edge { from, to }| format!(", kernel {from}>{to}")).unwrap_or_default();
    let close = close.map(|close| format!(" {}", close_words(close))).unwrap_or_default();
    format!("{from}>{to}{kernel}{}{close}", source_words(source))
}

fn close_words(close: Close) -> String {
    let by = close.initiator.map_or_else(|| "nobody".to_owned(), |by| format!("{by:?}"));
    format!("{:?} by {by}", close.reason)
}

fn source_words(source: Source) -> String {
    match source {
        Source::Tracepoint => String::new(),
        other => format!(" [{other:?}]"),
    }
}

fn linger_line(linger: &Linger) -> String {
    let Linger { status, state, age, at_least, .. } = *linger;
    let least = if at_least { "≥" } else { "" };
    format!("{status:?} {state} {least}{} ms", age / MILLISECOND)
}

impl Told {
    /// The lines since the last time.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

pub(super) fn options(hz: u64) -> Options {
    Options { ticks: Ticks { hz }, thresholds: Thresholds::NONE, ..Options::default() }
}

/// A table and its audience.
pub(super) struct Fixture {
    pub(super) table: Table,
    pub(super) told: Told,
    pub(super) now: u64,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with(options(250))
    }

    pub(super) fn with(options: Options) -> Self {
        Self { table: Table::new(options), told: Told::default(), now: START }
    }

    pub(super) fn lingering(list: &str) -> Self {
        Self::with(Options { thresholds: list.parse().unwrap(), ..options(250) })
    }

    /// With the life of socket 1, in which that has happened.
    pub(super) fn playing(mut self, steps: &[Step]) -> (Self, Life) {
        let mut life = Life::new(1);
        self.play(&mut life, steps);
        (self, life)
    }

    /// A look that is begun now shows these holders.
    pub(super) fn hold(&mut self, holders: &[Holder]) {
        self.table.merge_holders(holders, self.now);
    }

    pub(super) fn ingest(&mut self, record: &Record) {
        self.now = self.now.max(record.time_ns);
        self.table.ingest(record, &mut self.told);
    }

    /// Lets a life go on and feeds what the kernel says of it.
    pub(super) fn play(&mut self, life: &mut Life, steps: &[Step]) {
        for &step in steps {
            life.now = life.now.max(self.now);
            for record in life.apply(step) {
                self.ingest(&record);
            }
            self.until(life.now);
        }
    }

    /// The same unseen by the tracer.
    pub(super) fn play_unseen(&mut self, life: &mut Life, steps: &[Step]) {
        for &step in steps {
            life.now = life.now.max(self.now);
            life.apply(step);
            self.now = life.now;
        }
    }

    /// Lets time pass.
    pub(super) fn until(&mut self, time: u64) {
        self.now = self.now.max(time);
        self.table.expire(self.now, &mut self.told);
    }

    /// A snapshot of `lives`, taken at once.
    pub(super) fn picture(&self, lives: &[&Life]) -> Snapshot {
        let time = self.now + 10 * MICROSECOND;
        let records = lives.iter().filter_map(|life| life.seen(time)).collect();
        Snapshot { begun: self.now, records, namespaces: vec![NETNS], ..Snapshot::default() }
    }

    /// Takes and merges a snapshot.
    pub(super) fn look(&mut self, lives: &[&Life]) -> Merged {
        self.now += MILLISECOND;
        self.table.expect_snapshot();
        let snapshot = self.picture(lives);
        self.merge(&snapshot)
    }

    pub(super) fn merge(&mut self, snapshot: &Snapshot) -> Merged {
        let merged = self.table.merge(snapshot, &mut self.told);
        self.until(self.now + MILLISECOND);
        merged
    }

    /// What there is: cookies and states, in order.
    pub(super) fn sockets(&self) -> Vec<(u64, State)> {
        let mut sockets: Vec<(u64, State)> = self
            .table
            .connections()
            .map(|connection| (connection.id.cookie().unwrap_or(0), connection.state))
            .collect();
        sockets.sort_unstable();
        sockets
    }
}

pub(super) fn holder(life: &Life, pid: u32, fd: u32) -> Holder {
    let mut comm = [0; 16];
    comm[..4].copy_from_slice(b"prog");
    let Record { cookie, sk, inode, netns, .. } = life.socket;
    Holder { cookie, sk, inode, start_ns: STARTED, pid, fd, netns, tid: pid, comm }
}

/// What is reported of one life from its beginning until a second after its last step.
pub(super) fn tell(steps: &[Step]) -> Told {
    let mut fixture = Fixture::new();
    fixture.play(&mut Life::new(1), steps);
    fixture.until(fixture.now + SECOND);
    fixture.told
}
