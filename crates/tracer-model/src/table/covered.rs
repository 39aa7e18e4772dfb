//! Which namespaces snapshots have shown completely.

use foldhash::fast::RandomState;
use hashbrown::HashSet;

/// Namespaces that a snapshot has shown completely: all that begins there later has events.
#[derive(Debug, Default)]
pub(super) struct Covered {
    surely: HashSet<u32, RandomState>,
    /// Those that the last snapshot has shown, which may have missed some.
    last: HashSet<u32, RandomState>,
    /// When that snapshot was begun.
    begun: u64,
}

impl Covered {
    /// Whether a socket in this namespace that was there before would be known.
    pub(super) fn has(&self, netns: u32) -> bool {
        self.surely.contains(&netns)
    }

    /// The same of one that was there at `time`.
    pub(super) fn had(&self, netns: u32, time: u64) -> bool {
        self.has(netns) && time < self.begun
    }

    /// Sockets have been given up: one of them that is shown again is not new.
    pub(super) fn give_up(&mut self) {
        self.surely.clear();
    }

    /// A snapshot has shown these namespaces: of the others nobody knows whether they still exist.
    /// If snapshots may skip a socket, it takes two of them.
    pub(super) fn show(&mut self, namespaces: &[u32], begun: u64, skips: bool) {
        let shown = namespaces.iter().copied().collect();
        let before = std::mem::replace(&mut self.last, shown);
        self.surely.clear();
        self.surely.extend(namespaces.iter().filter(|netns| !skips || before.contains(*netns)));
        self.begun = begun;
    }

    /// A snapshot has not been taken in completely.
    pub(super) fn forget(&mut self) {
        self.surely.clear();
        self.last.clear();
    }
}
