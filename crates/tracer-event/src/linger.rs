//! `linger`: a socket outlasts the threshold of its state, and why.

mod words;

use std::{borrow::Cow, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::IntoDeserializer as _};

use super::{
    close::Initiator,
    finding::{Cause, Listener},
    process::{Owner, Process},
    segment::Segment,
    stack::Creator,
    state::State,
    subject::{Role, Subject, role},
};

/// How a lingering socket stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LingerStatus {
    /// It has just outlasted the threshold.
    #[default]
    Raised,
    /// It still does: told at each doubling of the age.
    Continues,
    /// It has left the state.
    Cleared,
}

/// A socket that outlasts the threshold of its state.
///
/// Status, cause, holders and stack stand beside `tcp`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Linger {
    /// When this was noticed.
    #[serde(skip)]
    pub time: u64,
    /// The state it lingers in; lingered in, where cleared.
    pub state: State,
    /// Which part the socket plays.
    #[serde(rename = "role", with = "role")]
    #[schemars(with = "Option<Role>")]
    pub subject: Subject,
    /// Time in the state.
    #[serde(rename = "age_ns")]
    pub age: u64,
    /// Time without progress, which counts for the threshold, where data went on moving after one
    /// end had closed.
    #[serde(rename = "idle_ns", default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<u64>,
    /// The true age is larger: the state was entered before the tracer looked.
    pub at_least: bool,
    /// The threshold that it outlasted (`--linger`).
    #[serde(rename = "threshold_ns")]
    pub threshold: u64,
    /// No process holds the socket any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub orphaned: bool,
    /// How it stands.
    #[serde(skip)]
    pub status: LingerStatus,
    /// Who holds a descriptor of it, as far as known.
    #[serde(skip)]
    pub holders: Vec<Owner>,
    /// Why it stays, unless it may.
    #[serde(skip)]
    pub why: Option<LingerCause>,
    /// Who made it, where that was seen.
    #[serde(skip)]
    pub creator: Option<Creator>,
}

/// Why a socket stays in its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "Coded", try_from = "Coded")]
pub enum LingerCause {
    /// CLOSE_WAIT: what a look has shown, and received bytes that nobody has read.
    NotClosed(Arc<CloseWaitCause>, u32),
    /// CLOSE_WAIT, of which no look has shown who holds it.
    NotLookedAt,
    /// TIME_WAIT: this end has closed first, or both at once.
    ClosedFirst,
    /// FIN_WAIT2: the peer has not closed.
    PeerNotClosed,
    /// The segment that the peer does not acknowledge.
    NoAnswer(Segment),
    /// SYN_RECV: the peer has answered; the listener waits for its first data
    /// (`TCP_DEFER_ACCEPT`).
    NoData,
    /// SYN_RECV: the peer has answered, and there was no room in the accept queue.
    NoRoom,
    /// The segment that this end has not sent: the peer takes no data, or none has been written
    /// that a SYN of Fast Open could carry.
    NotSent(Segment),
}

impl LingerCause {
    /// Its name in JSON; of CLOSE_WAIT as in findings.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotClosed(close_wait_cause, _) => close_wait_cause.cause.name(),
            Self::NotLookedAt => "unknown",
            Self::ClosedFirst => "closed_first",
            Self::PeerNotClosed => "peer_not_closed",
            Self::NoAnswer(_) => "no_answer",
            Self::NoData => "no_data",
            Self::NoRoom => "accept_queue_full",
            Self::NotSent(_) => "not_sent",
        }
    }
}

/// Why a socket in CLOSE_WAIT is not closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseWaitCause {
    /// In a word.
    pub cause: Cause,
    /// The parent that closed its copy, of [`Cause::Inherited`].
    pub parent: Option<Process>,
    /// The listener it came from, of [`Cause::NeverAccepted`].
    pub listener: Option<Listener>,
}

/// `code` is the same as in findings; what else there is depends on it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Cause")]
struct Coded {
    /// Why.
    code: Cow<'static, str>,
    /// Who has closed first.
    #[serde(skip_serializing_if = "Option::is_none")]
    initiator: Option<Initiator>,
    /// What has not been answered, or not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    segment: Option<Segment>,
    /// Received bytes that nobody has read.
    #[serde(skip_serializing_if = "Option::is_none")]
    unread_bytes: Option<u32>,
    /// Who has closed its own copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Process>,
    /// Who has not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<Listener>,
}

impl From<LingerCause> for Coded {
    fn from(why: LingerCause) -> Self {
        let code = why.code().into();
        let (mut initiator, mut segment) = (None, None);
        let (mut unread_bytes, mut parent, mut listener) = (None, None, None);
        match why {
            LingerCause::NotClosed(close_wait_cause, unread) => {
                unread_bytes = (unread > 0).then_some(unread);
                parent = close_wait_cause.parent;
                listener.clone_from(&close_wait_cause.listener);
            }
            LingerCause::ClosedFirst | LingerCause::PeerNotClosed => {
                initiator = Some(Initiator::Local);
            }
            LingerCause::NoAnswer(one) | LingerCause::NotSent(one) => segment = Some(one),
            LingerCause::NotLookedAt | LingerCause::NoData | LingerCause::NoRoom => {}
        }
        Self { code, initiator, segment, unread_bytes, parent, listener }
    }
}

impl TryFrom<Coded> for LingerCause {
    type Error = serde::de::value::Error;

    fn try_from(coded: Coded) -> Result<Self, Self::Error> {
        let Coded { code, initiator: _, segment, unread_bytes, parent, listener } = coded;
        let bare = [Self::NotLookedAt, Self::ClosedFirst, Self::PeerNotClosed, Self::NoData];
        let of_segment = segment.map(|segment| [Self::NoAnswer(segment), Self::NotSent(segment)]);
        let mut known =
            bare.into_iter().chain([Self::NoRoom]).chain(of_segment.into_iter().flatten());
        if let Some(why) = known.find(|why| why.code() == code) {
            return Ok(why);
        }
        let cause = Cause::deserialize((*code).into_deserializer())?;
        let close_wait_cause = Arc::new(CloseWaitCause { cause, parent, listener });
        Ok(Self::NotClosed(close_wait_cause, unread_bytes.unwrap_or(0)))
    }
}
