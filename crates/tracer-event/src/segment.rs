//! Segments that events are about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_wire::segment;

/// Segments that are reported one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Opens.
    Syn,
    /// Answers.
    SynAck,
    /// Ends one direction.
    Fin,
    /// Aborts.
    Rst,
    /// Carries data.
    Data,
    /// Carries data after which the sender has no more for now.
    PushedData,
}

impl Segment {
    /// By its flags, one that is retransmitted.
    pub fn of(flags: u8) -> Self {
        let has = |flag| flags & flag != 0;
        match (has(segment::SYN), has(segment::ACK), has(segment::FIN)) {
            (true, false, _) => Self::Syn,
            (true, true, _) => Self::SynAck,
            (false, _, true) => Self::Fin,
            (false, ..) if has(segment::PSH) => Self::PushedData,
            (false, ..) => Self::Data,
        }
    }

    /// Whether it carries data alone.
    pub fn is_data(self) -> bool {
        matches!(self, Self::Data | Self::PushedData)
    }
}

named!(Segment, "a segment" {
    [Self::Syn] "SYN",
    [Self::SynAck] "SYN+ACK",
    [Self::Fin] "FIN",
    [Self::Rst] "RST",
    [Self::Data] "ACK",
    [Self::PushedData] "PSH+ACK",
});

/// Which way a segment went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From this end.
    Sent,
    /// To this end.
    Received,
}

/// What an RST answers where there is no socket for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Answered {
    /// Nobody listens on that port.
    #[serde(rename = "SYN")]
    Syn,
    /// The same from the other side.
    #[serde(rename = "SYN+ACK")]
    SynAck,
    /// The end of a connection that is not known here.
    #[serde(rename = "FIN")]
    Fin,
    /// Anything else of such a connection.
    #[serde(rename = "ACK")]
    Ack,
}

impl Answered {
    /// By the flags of the segment.
    pub fn of(flags: u8) -> Self {
        match (flags & segment::SYN != 0, flags & segment::ACK != 0, flags & segment::FIN != 0) {
            (true, false, _) => Self::Syn,
            (true, true, _) => Self::SynAck,
            (false, _, true) => Self::Fin,
            (false, _, false) => Self::Ack,
        }
    }
}
