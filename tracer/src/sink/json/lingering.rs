//! Why a socket lingers, as JSON.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::{ListenerBody, ProcessBody};
use crate::model::{cause::Why, close::Initiator, update::Segment};

/// `code` is the same as in findings; what else there is depends on it.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Cause {
    /// Why.
    pub(crate) code: Cow<'static, str>,
    /// Who has closed first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) initiator: Option<Initiator>,
    /// What has not been answered, or not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) segment: Option<Segment>,
    /// Received bytes that nobody has read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unread_bytes: Option<u32>,
    /// Who has closed its own copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<ProcessBody>,
    /// Who has not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listener: Option<ListenerBody>,
}

impl From<&Why> for Cause {
    fn from(why: &Why) -> Self {
        let code = why.code();
        let bare = Self {
            code: code.into(),
            initiator: None,
            segment: None,
            unread_bytes: None,
            parent: None,
            listener: None,
        };
        match why {
            Why::NotClosed(unclosed, unread) => Self {
                unread_bytes: (*unread > 0).then_some(*unread),
                parent: unclosed.parent.as_ref().map(ProcessBody::from),
                listener: unclosed.listener.as_ref().map(ListenerBody::from),
                ..bare
            },
            Why::NotLookedAt | Why::NoData | Why::NoRoom => bare,
            Why::ClosedFirst | Why::PeerNotClosed => {
                Self { initiator: Some(Initiator::Local), ..bare }
            }
            Why::NoAnswer(segment) | Why::NotSent(segment) => {
                Self { segment: Some(*segment), ..bare }
            }
        }
    }
}
