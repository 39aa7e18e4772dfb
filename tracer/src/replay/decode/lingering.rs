//! Why a socket lingers, by its code.

use std::sync::Arc;

use super::{Wrong, finding};
use crate::{
    model::{
        cause::{Unclosed, Why},
        finding::Cause,
        host::Halt,
    },
    sink::json::lingering,
};

pub(super) fn why(told: lingering::Cause) -> Result<Why, Wrong> {
    let lingering::Cause { code, initiator: _, segment, unread_bytes, parent, listener } = told;
    let bare = [Why::NotLookedAt, Why::ClosedFirst, Why::PeerNotClosed, Why::NoData, Why::NoRoom];
    if let Some(why) = bare.into_iter().find(|why| why.code() == code) {
        return Ok(why);
    }
    let of_segment = segment.map(|segment| [Why::NoAnswer(segment), Why::NotSent(segment)]);
    if let Some(why) = of_segment.into_iter().flatten().find(|why| why.code() == code) {
        return Ok(why);
    }
    let unclosed = Unclosed {
        cause: cause(&code)?,
        parent: parent.as_ref().map(finding::process).transpose()?,
        listener: listener.as_ref().map(finding::listener).transpose()?,
    };
    Ok(Why::NotClosed(Arc::new(unclosed), unread_bytes.unwrap_or(0)))
}

/// By [`Cause::name`].
pub(super) fn cause(code: &str) -> Result<Cause, Wrong> {
    const ALL: [Cause; 9] = [
        Cause::NeverAccepted,
        Cause::Halted(Halt::Stopped),
        Cause::Halted(Halt::Traced),
        Cause::Halted(Halt::Frozen),
        Cause::Inherited,
        Cause::Unread,
        Cause::Held,
        Cause::Orphaned,
        Cause::Unseen,
    ];
    let known = ALL.into_iter().find(|cause| cause.name() == code);
    known.ok_or_else(|| Wrong::Value(format!("{code:?} is no cause that is known here")))
}
