//! Catches the state changes that the kernel does not show to the main program.
//!
//! The kernel skips a BPF program that is already running on the CPU (a *recursion miss*), and a
//! softirq can interrupt the main program in the middle of one state change with many others. Each
//! program has a recursion guard of its own, so a second program on the same tracepoint runs even
//! then. The main program notes what it handles; the guard, which runs after it, takes the note
//! away, or finds none and handles the event itself.
//!
//! Preemption is off around the tracepoint and nothing interrupts a softirq with another state
//! change, so there are two levels, a process and a softirq on top of it; only the upper one is
//! ever skipped, and by one of the two programs only. A note that stays, because its own guard was
//! skipped, could be taken for one of the next socket at the same address; the guard that was
//! interrupted therefore takes them away. An event is reported twice where a softirq brings more events
//! between main program and guard than there are notes; the user half recognises it.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use tracer_wire::{Handled, NOTES};

#[map]
static HANDLED: PerCpuArray<Handled> = PerCpuArray::with_max_entries(1, 0);

#[inline(always)]
fn notes() -> Option<&'static mut Handled> {
    // SAFETY: a valid pointer into this CPU's slot. Only the main program makes notes and nothing
    // interrupts it with itself; a note is taken away by the guard of its own event or later.
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
    let index = notes.next as usize % NOTES;
    notes.sk[index] = sk;
    notes.edge[index] = edge(old, new);
    notes.next = notes.next.wrapping_add(1);
}

/// Guard: runs `handle` if the main program has not handled this event.
#[inline(always)]
pub(super) fn unless_handled(sk: u64, old: u8, new: u8, handle: impl FnOnce()) {
    let Some(notes) = notes() else { return };
    // SAFETY: a reference is valid; volatile, as an interruption may change it.
    let begun = unsafe { core::ptr::read_volatile(&raw const notes.next) };
    if !take(notes, begun, sk, edge(old, new)) {
        handle();
    }
    // SAFETY: as above.
    if begun != unsafe { core::ptr::read_volatile(&raw const notes.next) } {
        forget(begun);
    }
}

/// Takes away the notes that were made meanwhile: by a softirq whose guards the kernel has skipped,
/// this one being at work.
///
/// A function that is seen from outside: the verifier looks at it once, and not wherever the guard
/// may have come from.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn forget(begun: u32) -> u32 {
    let Some(notes) = notes() else { return 0 };
    let mut stale = 0;
    while stale < NOTES as u32 && begun.wrapping_add(stale) != notes.next {
        notes.sk[begun.wrapping_add(stale) as usize % NOTES] = 0;
        stale += 1;
    }
    stale
}

/// Takes the note of an event away; whether there was one. The newest first: it nearly always is.
#[inline(always)]
fn take(notes: &mut Handled, next: u32, sk: u64, edge: u32) -> bool {
    let index = next.wrapping_sub(1) as usize % NOTES;
    if notes.sk[index] == sk && notes.edge[index] == edge {
        notes.sk[index] = 0;
        return true;
    }
    // SAFETY: a reference. Volatile, as it is read elsewhere.
    unsafe { core::ptr::write_volatile(&raw mut notes.wanted, sk) };
    take_older(next, edge) != 0
}

/// The same of the others, for `wanted`: the verifier takes an address in memory for a number, and in
/// an argument for none. See [`forget`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn take_older(next: u32, edge: u32) -> u32 {
    let Some(notes) = notes() else { return 0 };
    let mut back = 2;
    while back <= NOTES as u32 {
        let index = next.wrapping_sub(back) as usize % NOTES;
        // One question, not two.
        if (notes.sk[index] ^ notes.wanted) | u64::from(notes.edge[index] ^ edge) == 0 {
            notes.sk[index] = 0;
            return 1;
        }
        back += 1;
    }
    0
}
