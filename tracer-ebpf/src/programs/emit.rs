//! Getting a record out: reserve, fill, submit; the wake-up policy; what was lost.

use aya_ebpf::{
    EbpfContext,
    bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    btf_maps::{ArrayOfMaps, RingBuf},
    helpers::generated::{bpf_get_smp_processor_id, bpf_jiffies64, bpf_ktime_get_ns},
    macros::{btf_map, map},
    maps::{Array, PerCpuArray},
};
use aya_log_ebpf::debug;
use tracer_wire::{Counters, Program, Record, kind};

use super::memory::zeroed;

/// What a ring buffer is like; how large, the user half decides.
type Ring = RingBuf<u8, 65_536>;

/// The ring buffer of each CPU, see [`ring`].
#[btf_map]
static EVENTS: ArrayOfMaps<Ring, 1> = ArrayOfMaps::new();

/// One `u32`, see [`wake_up`].
#[map]
static READER: Array<u32> = Array::with_max_entries(1, 0);

#[map]
static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(kind::LIMIT as u32, 0);

/// Puts one record into the ring buffer; `fill` describes the socket in it.
#[inline(always)]
pub(super) fn emit(context: &impl EbpfContext, kind: u8, fill: impl FnOnce(&mut Record)) {
    let Some(mut entry) = ring().and_then(|ring| ring.reserve_untyped::<Record>(0)) else {
        count(kind, |counters| counters.ring_full += 1);
        debug!(context, "ring buffer full: a record of kind {} is lost", kind);
        return;
    };
    let record = zeroed(&mut entry);
    record.kind = kind;
    stamp(record);
    fill(record);
    entry.submit(wake_up());
    count(kind, |counters| counters.submitted += 1);
}

/// Puts what `fill` describes into the ring buffer; false where that is full. Not counted in `seen`.
/// An event follows at once, which wakes the reader.
#[inline(always)]
pub(super) fn emit_program(fill: impl FnOnce(*mut Program)) -> bool {
    let Some(mut entry) = ring().and_then(|ring| ring.reserve_untyped::<Program>(0)) else {
        return false;
    };
    fill(entry.as_mut_ptr());
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
    count(kind::PROGRAM, |counters| counters.submitted += 1);
    true
}

/// The ring buffer of this CPU: what costs is CPUs contending for one.
///
/// The user half puts their records into the order of their times. For that a time is taken after
/// its record was reserved, and [`emit`] must not be changed to do otherwise.
#[inline(always)]
fn ring() -> Option<&'static Ring> {
    // SAFETY: a helper without arguments. No program changes its CPU.
    EVENTS.get(unsafe { bpf_get_smp_processor_id() })
}

/// Sets the clocks.
#[inline(always)]
pub(super) fn stamp(record: &mut Record) {
    // SAFETY: helpers without arguments.
    unsafe {
        record.time_ns = bpf_ktime_get_ns();
        record.jiffies = bpf_jiffies64();
    }
}

/// Wakes the reader only when it sleeps, and once.
///
/// A wake-up costs more than all the rest of the event. The reader sets the flag before it blocks
/// and looks into the buffer again after that; while it is awake it reads in batches.
#[inline(always)]
fn wake_up() -> u64 {
    let Some(sleeping) = READER.get_ptr_mut(0) else {
        return u64::from(BPF_RB_FORCE_WAKEUP);
    };
    // SAFETY: a valid pointer into the map. Two CPUs may both see 1: one wake-up too many.
    unsafe {
        if core::ptr::read_volatile(sleeping) == 0 {
            return u64::from(BPF_RB_NO_WAKEUP);
        }
        core::ptr::write_volatile(sleeping, 0);
    }
    u64::from(BPF_RB_FORCE_WAKEUP)
}

/// Changes this CPU's counters of a kind of record.
#[inline(always)]
pub(super) fn count(kind: u8, change: impl FnOnce(&mut Counters)) {
    if let Some(counters) = COUNTERS.get_ptr_mut(u32::from(kind)) {
        // SAFETY: a valid pointer into this CPU's slot, which stays as long as the program runs.
        change(unsafe { &mut *counters });
    }
}
