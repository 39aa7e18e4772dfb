//! `reset`: an RST was sent or received.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    segment::{Answered, Direction},
    state::State,
    subject::{Role, Subject, role},
};

/// An RST was sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reset {
    /// When.
    #[serde(skip)]
    pub time: u64,
    /// State of the socket.
    pub state: State,
    /// Which part the socket plays.
    #[serde(rename = "role", with = "role")]
    #[schemars(with = "Option<Role>")]
    pub subject: Subject,
    /// The segment.
    pub segment: Rst,
}

/// An RST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rst {
    /// Always `RST`.
    pub r#type: RstType,
    /// Which way it went.
    pub direction: Direction,
    /// Of an RST without a socket: what it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answered>,
}

/// The one type of a segment that resets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RstType {
    /// It aborts the connection.
    Rst,
}

impl Rst {
    /// Of a socket.
    pub fn new(direction: Direction) -> Self {
        Self { r#type: RstType::Rst, direction, answers: None }
    }

    /// The one that answers a segment for no socket of this host.
    pub fn answering(answered: Answered) -> Self {
        Self { answers: Some(answered), ..Self::new(Direction::Sent) }
    }
}
