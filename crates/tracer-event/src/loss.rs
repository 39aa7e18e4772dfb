//! `loss`: something was lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossPlace {
    /// The ring buffer was full: the reader could not keep up.
    RingBuffer,
    /// The kernel skipped the programs because they were running on that CPU.
    Recursion,
    /// A record was damaged or of another version.
    Decode,
    /// State changes that must have happened without being seen, found by what followed and counted
    /// nowhere else.
    Unseen,
    /// More sockets than may be tracked: some were given up.
    Table,
    /// The output could not take more: what follows was traced but not written.
    Output,
    /// The journal could not take more.
    Journal,
    /// The receiver of syslog messages could not take more.
    Syslog,
    /// The OTLP receiver did not take it in time: traced but not sent.
    Otlp,
}

/// Something was lost since the last time this was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// When this was noticed.
    #[serde(skip)]
    pub time: u64,
    /// Where.
    #[serde(rename = "where")]
    pub place: LossPlace,
    /// How many events since the last time this was said; of `output` lines, of `journal`,
    /// `syslog` and `otlp` records.
    pub count: u64,
    /// The states told are right all the same.
    pub healed: bool,
    /// There may have been more: of `unseen` the fewest transitions that lead to what is there. Left
    /// out where it is false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
}

impl Loss {
    /// Something that is lost for good, `count` times.
    pub fn final_loss(time: u64, place: LossPlace, count: u64) -> Self {
        Self { time, place, count, healed: false, at_least: false }
    }
}
