//! Whether a socket belongs to the control group that is asked for.
//!
//! A socket has the group of the process that made it, for ever, and what a listener accepts has
//! the listener's: so this holds in softirq too, whatever runs on the CPU.

use tracer_wire::{GROUP_DEPTH, Offsets};

use super::{Common, Full, Probed};
use crate::programs::{
    constants::{constant, offset},
    memory::Memory,
};

/// Whether its group is surely neither the wanted one nor below it. Of a socket whose group cannot
/// be read, or lies deeper than [`GROUP_DEPTH`], the user half decides.
#[inline(always)]
fn is_outside(socket: impl Memory) -> bool {
    let wanted = constant!(FILTER.cgroup);
    // Renamed in 6.15.
    let parent = match offset!(kernfs_parent) {
        Offsets::ABSENT => offset!(kernfs_parent_rcu),
        parent => parent,
    };
    if wanted == 0 || parent == Offsets::ABSENT {
        return false;
    }
    let mut node = socket.follow(offset!(sk_cgroup)).follow(offset!(cgroup_kn));
    let mut level = 0;
    while level < GROUP_DEPTH {
        let id: u64 = node.load(offset!(kernfs_id));
        if id == wanted {
            return false;
        }
        if id == 0 {
            // Above the root; or nothing could be read.
            return level > 0;
        }
        node = node.follow(parent);
        level += 1;
    }
    false
}

impl Common {
    /// Of a full socket of any protocol.
    #[inline(always)]
    pub(in crate::programs) fn is_outside_group(self) -> bool {
        is_outside(self.0)
    }
}

impl Full {
    /// Whether it is surely not of the wanted group.
    #[inline(always)]
    pub(in crate::programs) fn is_outside_group(self) -> bool {
        is_outside(self.0)
    }
}

impl Probed {
    /// Whether it is surely not of the wanted group.
    #[inline(always)]
    pub(in crate::programs) fn is_outside_group(self) -> bool {
        is_outside(self.sk)
    }
}
