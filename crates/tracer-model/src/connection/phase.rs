//! What only a full socket has to be known of, and what only the minisocket after it.

use std::sync::Arc;

use super::{Traffic, held::Held};
use crate::progress::Progress;
use tracer_event::{linger::CloseWaitCause, stack::Creator};

/// Which `struct` the kernel has for a connection.
///
/// Not of structures: their padding would be lost.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// `struct tcp_sock`.
    Full {
        /// Whether data still moves although it is being closed.
        progress: Progress,
        /// Retransmissions reported in the present state.
        segments: u16,
        /// The last snapshot did not show it although it should have.
        missing: bool,
        /// Whether the SYN or FIN of the present state has left this host, where that is known.
        left: Option<bool>,
        /// What few have.
        rare: Option<Box<Rare>>,
    },
    /// `struct inet_timewait_sock`.
    Mini {
        /// When the kernel is expected to remove it; 0 where that is not known.
        removal: u64,
        /// Low bits of the jiffy for which its timer is armed: it is armed for a minute at most,
        /// which is less than they count even if a jiffy is a millisecond.
        timer: u16,
        /// When data was last seen to have moved on the full socket, in a state that goes on.
        moved: u64,
        /// Counters at the end of the full socket, if `counted`.
        sent: u64,
        received: u64,
        retransmits: u32,
        counted: bool,
        /// The last snapshot did not show it although it should have.
        missing: bool,
        /// Who made it, if that is more than the owner says.
        creator: Option<Box<Creator>>,
    },
}

/// What few full sockets have.
#[derive(Clone, Debug, Default)]
pub(super) struct Rare {
    /// All descriptors that the last snapshot of them has shown, if more than the owner's one.
    pub(super) holders: Box<[Held]>,
    /// `tcp_receive_reset` fired.
    pub(super) reset_received: bool,
    /// When, until the transition that follows from it is reported.
    pub(super) reset_at: Option<u64>,
    /// Who made it, if that is more than the owner says.
    pub(super) creator: Option<Creator>,
    /// Why it is not closed and how many bytes nobody has read, as a snapshot has shown it.
    pub(super) close_wait_cause: Option<(Arc<CloseWaitCause>, u32)>,
}

impl Phase {
    /// A full socket of which nothing is known.
    pub(super) fn full() -> Self {
        let progress = Progress::default();
        Self::Full { progress, segments: 0, missing: false, left: None, rare: None }
    }

    /// The minisocket after a full socket.
    pub(super) fn mini(&self, traffic: Option<Traffic>) -> Self {
        let counted = traffic.is_some();
        let Traffic { sent, received, retransmits } = traffic.unwrap_or_default();
        let moved = match self {
            Self::Full { progress, .. } => progress.since(0),
            Self::Mini { moved, .. } => *moved,
        };
        let creator = self.creator().map(Box::new);
        let (removal, timer, missing) = (0, 0, false);
        Self::Mini { removal, timer, moved, sent, received, retransmits, counted, missing, creator }
    }

    /// Who made it, if that is more than the owner says.
    pub(super) fn creator(&self) -> Option<Creator> {
        match self {
            Self::Full { rare, .. } => rare.as_ref()?.creator,
            Self::Mini { creator, .. } => creator.as_deref().copied(),
        }
    }

    pub(super) fn rare(&self) -> Option<&Rare> {
        match self {
            Self::Full { rare, .. } => rare.as_deref(),
            Self::Mini { .. } => None,
        }
    }

    pub(super) fn rare_mut(&mut self) -> Option<&mut Option<Box<Rare>>> {
        match self {
            Self::Full { rare, .. } => Some(rare),
            Self::Mini { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_little() {
        assert_eq!(size_of::<Phase>(), 48);
    }
}
