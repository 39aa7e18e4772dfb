//! `summary`: what a trace amounted to.

mod accepts;
mod lives;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    accepts::{Acceptor, Accepts},
    lives::Lives,
};
use super::{
    is_zero,
    linger::LingerStatus,
    loss::{Loss, LossPlace},
    state::State,
    transition::Source,
    update::Update,
};

/// Counts of what was told and of what was lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Summary {
    /// Transitions by how they are known: `tracepoint`, `snapshot`, `timer`, `inferred`.
    pub transitions: Transitions,
    /// Sockets that became ESTABLISHED: of a connection within this host both ends.
    pub established: u64,
    /// Sockets whose life ended.
    pub ended: u64,
    /// Sockets flagged as lingering.
    pub lingered: u64,
    /// Handshakes, ends and what lingers, as people want to know them.
    #[serde(skip)]
    pub lives: Lives,
    /// Records told, by kind.
    pub records: Records,
    /// Events lost, by place.
    pub lost: Lost,
    /// Longest time between an event and its reading, nanoseconds.
    pub reader_lag_ns: u64,
    /// Nothing was lost for good.
    pub complete: bool,
}

/// Records by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Records {
    /// Of the kind `transition`.
    pub transition: u64,
    /// Of the kind `retransmit`.
    pub retransmit: u64,
    /// Of the kind `reset`.
    pub reset: u64,
    /// Of the kind `connection`.
    pub connection: u64,
    /// Of the kind `linger`.
    pub linger: u64,
    /// Of the kind `loss`.
    pub loss: u64,
    /// Of the kind `finding`.
    pub finding: u64,
}

/// Transitions by source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Transitions {
    /// Seen by the kernel's tracepoint.
    pub tracepoint: u64,
    /// Found by a snapshot.
    pub snapshot: u64,
    /// By a predicted timer.
    pub timer: u64,
    /// Deduced.
    pub inferred: u64,
}

impl Transitions {
    fn add(&mut self, source: Source) {
        let by_source = match source {
            Source::Tracepoint => &mut self.tracepoint,
            Source::Snapshot => &mut self.snapshot,
            Source::Timer => &mut self.timer,
            Source::Inferred => &mut self.inferred,
        };
        *by_source += 1;
    }
}

/// Losses by place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Lost {
    /// The ring buffer was full.
    pub ring_buffer: u64,
    /// Skipped by the kernel.
    pub recursion: u64,
    /// Damaged records.
    pub decode: u64,
    /// State changes that no event told of, found by what followed; more where a `loss` says
    /// `at_least`. What is counted as lost elsewhere is not among them.
    pub unseen: u64,
    /// Sockets that were given up, there being too many.
    pub table: u64,
    /// Lines that the output could not take.
    pub output: u64,
    /// Records that the journal could not take.
    #[serde(skip_serializing_if = "is_zero")]
    pub journal: u64,
    /// Records that the receiver of syslog messages could not take.
    #[serde(skip_serializing_if = "is_zero")]
    pub syslog: u64,
    /// Log records that the OTLP receiver did not take.
    pub otlp: u64,
}

impl Lost {
    /// Whether anything was lost that has not been made good.
    pub fn is_final(&self) -> bool {
        let Self {
            ring_buffer,
            recursion,
            decode,
            unseen: _,
            table,
            output,
            journal,
            syslog,
            otlp,
        } = *self;
        ring_buffer + recursion + decode + table + output + journal + syslog + otlp > 0
    }

    fn add(&mut self, loss: &Loss) {
        let place = match loss.place {
            LossPlace::RingBuffer => &mut self.ring_buffer,
            LossPlace::Recursion => &mut self.recursion,
            LossPlace::Decode => &mut self.decode,
            LossPlace::Unseen => &mut self.unseen,
            LossPlace::Table => &mut self.table,
            LossPlace::Output => &mut self.output,
            LossPlace::Journal => &mut self.journal,
            LossPlace::Syslog => &mut self.syslog,
            LossPlace::Otlp => &mut self.otlp,
        };
        *place += loss.count;
    }
}

impl Summary {
    /// Counts one update that was wanted.
    pub fn count(&mut self, update: &Update<'_>) {
        self.lives.count(update);
        let records = &mut self.records;
        match update {
            Update::Transition(transition) => {
                self.transitions.add(transition.source);
                self.established += u64::from(transition.to == State::Established);
                records.transition += 1;
            }
            Update::Linger(lingers) => {
                let raised = lingers.iter().filter(|l| l.status == LingerStatus::Raised);
                self.lingered += raised.count() as u64;
                records.linger += lingers.len() as u64;
            }
            Update::Loss(loss) => {
                self.lost.add(loss);
                records.loss += 1;
            }
            Update::Connection(connection) => {
                self.ended += u64::from(connection.close.is_some());
                records.connection += 1;
            }
            Update::Retransmit(_) => records.retransmit += 1,
            Update::Reset(_) => records.reset += 1,
            Update::Finding(_) => records.finding += 1,
        }
    }
}
