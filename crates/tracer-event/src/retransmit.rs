//! `retransmit`: a segment of the handshake or teardown was retransmitted, or data where that is
//! asked for (the ladder does).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    segment::Segment,
    state::State,
    subject::{Role, Subject, role},
};

/// A segment of the handshake or teardown that was retransmitted; data (`ACK`, `PSH+ACK`) in the
/// traces of `--format ladder` and of `tracer demo` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retransmit {
    /// When.
    #[serde(skip)]
    pub time: u64,
    /// State of the socket.
    pub state: State,
    /// Which part the socket plays.
    // For a SYN+ACK the socket is the half-open connection, whose owner is the listener's.
    #[serde(rename = "role", with = "role")]
    #[schemars(with = "Option<Role>")]
    pub subject: Subject,
    /// What was retransmitted.
    pub segment: Retransmitted,
}

/// A segment that was retransmitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retransmitted {
    /// Which.
    pub r#type: Segment,
    /// This end sent it.
    pub direction: Sent,
    /// Which retransmission of it, from 1.
    #[serde(rename = "retransmit")]
    pub ordinal: u32,
    /// Its sequence number, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
}

/// The one direction of what is retransmitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// From this end.
    Sent,
}

impl Retransmitted {
    /// The retransmission of that ordinal.
    pub fn new(r#type: Segment, ordinal: u32, sequence: Option<u32>) -> Self {
        Self { r#type, direction: Sent::Sent, ordinal, sequence }
    }
}
