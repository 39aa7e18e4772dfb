//! Both ends of a connection that an RST has ended, where both are on this host: one trouble.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use tracer_event::{
    close::Reason,
    endpoint::Endpoint,
    update::{Subject, Transition},
};

/// Ends whose other ends may be told next: in the same call of the kernel, or in one that follows soon.
const MOST: usize = 1_024;

/// Ends by RST, by their own address, the peer's and the namespace of a loopback.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs(HashMap<(Endpoint, Endpoint, u32), Half, RandomState>);

/// One end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Half {
    pub subject: Subject,
    pub is_bad: bool,
    has_sent: bool,
}

impl Pairs {
    /// One end of a connection is over: the other one, if it was the sender of an RST and this one
    /// its receiver, or the other way round.
    pub(super) fn meet(&mut self, transition: &Transition, is_bad: bool) -> Option<Half> {
        let subject = transition.subject;
        let has_sent = match transition.close?.reason {
            Reason::ResetReceived => false,
            Reason::ResetSentUnreadData
            | Reason::ResetSentLingerZero
            | Reason::ResetSentDataAfterClose
            | Reason::ResetSentUnaccepted => true,
            _ => return None,
        };
        let (local, peer) = (subject.tuple.local, subject.tuple.peer);
        let netns = if local.address().is_loopback() { subject.tuple.netns } else { 0 };
        let other = self.0.remove(&(peer, local, netns));
        if let Some(other) = other.filter(|other| other.has_sent != has_sent) {
            return Some(other);
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert((local, peer, netns), Half { subject, is_bad, has_sent });
        None
    }
}
