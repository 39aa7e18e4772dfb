//! Why a socket lingers, as JSON.

use serde::Serialize;
use serde_json::Value;

use super::finding::{listener, process};
use crate::model::{cause::Why, close::Initiator, update::Segment};

/// `code` is the same as in findings; what else there is depends on it.
#[derive(Serialize)]
pub(super) struct Cause {
    code: &'static str,
    /// Who has closed first.
    #[serde(skip_serializing_if = "Option::is_none")]
    initiator: Option<Initiator>,
    /// What has not been answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    segment: Option<Segment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread_bytes: Option<u32>,
    /// Who has closed its own copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Value>,
    /// Who has not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<Value>,
}

impl From<&Why> for Cause {
    fn from(why: &Why) -> Self {
        let code = why.code();
        let bare = Self {
            code,
            initiator: None,
            segment: None,
            unread_bytes: None,
            parent: None,
            listener: None,
        };
        match why {
            Why::NotClosed(unclosed, unread) => Self {
                unread_bytes: (*unread > 0).then_some(*unread),
                parent: unclosed.parent.as_ref().map(process),
                listener: unclosed.listener.as_ref().map(listener),
                ..bare
            },
            Why::NotLookedAt => bare,
            Why::ClosedFirst | Why::PeerNotClosed => {
                Self { initiator: Some(Initiator::Local), ..bare }
            }
            Why::NoAnswer(segment) => Self { segment: Some(*segment), ..bare },
        }
    }
}
