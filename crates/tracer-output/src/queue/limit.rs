//! How much a queue may hold.

use std::{fmt, str::FromStr};

use bytesize::ByteSize;
use tracer_event::duration::count;

/// How much something takes of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes of memory.
    pub bytes: usize,
    /// Records or lines.
    pub records: u64,
}

impl Size {
    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, records: self.records + other.records }
    }

    /// What is left without the other; what was given up is gone already.
    #[must_use]
    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            records: self.records.saturating_sub(other.records),
        }
    }
}

/// A consumer that gathers takes no more than these records, or bytes, at once (OTLP receivers take
/// 4 MiB).
const BATCH: Size = Size { bytes: 1 << 20, records: 4096 };
/// A smaller queue would be full between two batches: half of it is sent while the other half
/// fills, and must hold what is handed over together.
const LEAST: [Limit; 2] = [Limit::Bytes(512 << 10), Limit::Records(1000)];

/// How much may wait, what is being delivered included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of encoded records.
    Bytes(usize),
    /// Records.
    Records(u64),
}

impl Limit {
    /// Whether there is room for so much.
    pub fn holds(self, size: Size) -> bool {
        match self {
            Self::Bytes(limit) => size.bytes <= limit,
            Self::Records(limit) => size.records <= limit,
        }
    }

    /// The part of it that is used, from 0.0 to 1.0.
    pub fn fill(self, held: Size) -> f64 {
        match self {
            Self::Bytes(limit) => held.bytes as f64 / limit as f64,
            Self::Records(limit) => held.records as f64 / limit as f64,
        }
    }

    /// Whether so much is not to wait for more: it is a batch, or takes half of the queue.
    pub fn is_due(self, size: Size) -> bool {
        let is_half = match self {
            Self::Bytes(limit) => size.bytes >= limit / 2,
            Self::Records(limit) => size.records >= limit / 2,
        };
        is_half || size.records >= BATCH.records || size.bytes >= BATCH.bytes
    }

    /// What is wrong with it, where it is too small to be of use.
    pub fn problem(self) -> Option<String> {
        let [bytes, records] = LEAST;
        let is_enough = match (self, bytes, records) {
            (Self::Bytes(given), Self::Bytes(least), _) => given >= least,
            (Self::Records(given), _, Self::Records(least)) => given >= least,
            _ => true,
        };
        (!is_enough).then(|| {
            format!("too little to keep up with a receiver: at least {bytes} or {records}")
        })
    }
}

impl FromStr for Limit {
    type Err = &'static str;

    /// A number alone is one of records, one with a unit is a size.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "expected a size such as 64MiB or a number of records such as 10000";
        let size = |text: &str| usize::try_from(text.parse::<ByteSize>().ok()?.0).ok();
        let records = text.parse().map(Self::Records).ok();
        match records.or_else(|| size(text).map(Self::Bytes)) {
            None | Some(Self::Records(0) | Self::Bytes(0)) => Err(WRONG),
            Some(limit) => Ok(limit),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => ByteSize(*bytes as u64).fmt(f),
            Self::Records(records) => f.write_str(&count(*records, "record")),
        }
    }
}

#[cfg(test)]
mod tests;
