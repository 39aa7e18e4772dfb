//! Catches the state changes that the kernel does not show to the main program.
//!
//! The kernel skips a BPF program that is already running on the CPU (a *recursion miss*), and a
//! softirq can interrupt the main program in the middle of one state change with another. Each
//! program has a recursion guard of its own, so a second program on the same tracepoint runs even
//! then. The main program notes what it handles; the guard, which runs after it, takes the note
//! away, or finds none and handles the event itself. At worst an event is told twice, which the
//! user half recognises by cookie and states.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use tracer_ebpf::Handled;

#[map]
static HANDLED: PerCpuArray<Handled> = PerCpuArray::with_max_entries(1, 0);

#[inline(always)]
fn notes() -> Option<&'static mut Handled> {
    // SAFETY: a valid pointer into this CPU's slot; interruptions are accounted for below.
    HANDLED.get_ptr_mut(0).map(|notes| unsafe { &mut *notes })
}

#[inline(always)]
fn edge(old: u8, new: u8) -> u32 {
    u32::from(old) << 8 | u32::from(new)
}

/// Main program: note that this event is being handled.
#[inline(always)]
pub(super) fn note(sk: u64, old: u8, new: u8) {
    let Some(notes) = notes() else { return };
    // A full stack holds notes that a skipped guard left behind: start over.
    if notes.depth == 1 {
        notes.sk[1] = sk;
        notes.edge[1] = edge(old, new);
        notes.depth = 2;
    } else {
        notes.sk[0] = sk;
        notes.edge[0] = edge(old, new);
        notes.depth = 1;
    }
}

/// Guard: whether the main program handled this event; takes the note away.
#[inline(always)]
pub(super) fn was_handled(sk: u64, old: u8, new: u8) -> bool {
    let Some(notes) = notes() else { return true };
    let depth = notes.depth;
    let edge = edge(old, new);
    // Both places are looked at: above the note may lie one of an interrupting event whose own
    // guard the kernel skipped.
    if depth == 2 && notes.sk[1] == sk && notes.edge[1] == edge {
        notes.depth = 1;
        return true;
    }
    if depth >= 1 && notes.sk[0] == sk && notes.edge[0] == edge {
        notes.depth = 0;
        return true;
    }
    false
}
