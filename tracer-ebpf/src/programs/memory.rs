//! Loads from kernel memory, nearly all through BTF-typed pointers.

use aya_ebpf::helpers::bpf_probe_read_kernel;
use core::mem::MaybeUninit;

use tracer_ebpf::{Offsets, Record};

use super::constants::constant;

/// Loads a `T` at `base + offset`; the zero pattern where the kernel lacks the member, and where
/// `base` is NULL.
///
/// The verifier checks the access against the BTF type behind `base`, and a fault reads as zero
/// (`PROBE_MEM` loads). Faults must not be relied on, though: until 6.4 ("bpf: ensure main program
/// has an extable", in 6.1.35 too, never in 5.10) one in a program that calls functions can stop
/// the kernel ("Kernel panic - not syncing: Fatal exception in interrupt", of a socket without
/// file on 5.10). So NULL is tested. The load is volatile because LLVM must neither widen nor merge
/// it: the verifier demands exactly the member's width.
///
/// # Safety
///
/// `base` is a BTF-typed kernel pointer, and `T` an integer or pointer of the member's width.
#[inline(always)]
pub(super) unsafe fn load<T: Copy>(base: *const u8, offset: u32) -> T {
    if offset == Offsets::ABSENT || base.is_null() {
        // SAFETY: integers and raw pointers, for which zero is a value (contract above).
        return unsafe { core::mem::zeroed() };
    }
    // SAFETY: see above; the verifier refuses the program otherwise.
    unsafe { core::ptr::read_volatile(base.add(offset as usize).cast::<T>()) }
}

/// [`load`] of a pointer to follow.
///
/// # Safety
///
/// As [`load`].
#[inline(always)]
pub(super) unsafe fn follow(base: *const u8, offset: u32) -> *const u8 {
    // SAFETY: passed on.
    unsafe { load::<*const u8>(base, offset) }
}

/// Copies a `T` from an address that the verifier knows nothing of; `None` where nothing is mapped
/// or the kernel lacks the member. The helper is not to be had under lockdown=confidentiality.
///
/// # Safety
///
/// Every bit pattern is a `T`.
#[inline(always)]
pub(super) unsafe fn probe<T: Copy>(base: u64, offset: u32) -> Option<T> {
    if base == 0 || offset == Offsets::ABSENT {
        return None;
    }
    let address = base.wrapping_add(u64::from(offset)) as *const T;
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(address) }.ok()
}

/// A byte of `sk_buff.cb`, an array of `char`: the verifier takes no wider loads. 0 where the kernel
/// lacks the member, and where `skb` is NULL.
///
/// `skb` is a BTF-typed `sk_buff`; the verifier refuses the program otherwise.
#[inline(always)]
pub(super) fn control_byte(skb: *const u8, offset: u32) -> u8 {
    let control = constant!(OFFSETS.skb_cb);
    if control == Offsets::ABSENT || offset == Offsets::ABSENT {
        return 0;
    }
    // SAFETY: BTF-typed pointer, a byte of an array of bytes.
    unsafe { load(skb, control + offset) }
}

/// Four bytes of `sk_buff.cb` in this host's order; see [`control_byte`].
#[inline(always)]
pub(super) fn control_word(skb: *const u8, offset: u32) -> u32 {
    if offset == Offsets::ABSENT {
        return 0;
    }
    u32::from_ne_bytes([
        control_byte(skb, offset),
        control_byte(skb, offset + 1),
        control_byte(skb, offset + 2),
        control_byte(skb, offset + 3),
    ])
}

/// `task_struct.comm`, an array of `char`: the verifier takes no wider loads.
///
/// # Safety
///
/// `task` is a BTF-typed `task_struct`.
#[inline(always)]
pub(super) unsafe fn comm(task: *const u8) -> [u8; 16] {
    let start = constant!(OFFSETS.task_comm);
    let mut comm = [0; 16];
    if start == Offsets::ABSENT {
        return comm;
    }
    let mut index = 0;
    while index < comm.len() {
        // SAFETY: a byte of an array of bytes.
        comm[index] = unsafe { load(task, start + index as u32) };
        index += 1;
    }
    comm
}

/// Makes a record of zeros.
///
/// In words: for anything else LLVM calls its own `memset`, which the BPF target has as a loop over
/// bytes that takes longer than all the rest of an event.
#[inline(always)]
pub(super) fn zeroed(record: &mut MaybeUninit<Record>) -> &mut Record {
    const WORDS: usize = size_of::<Record>() / size_of::<u64>();
    let words = record.as_mut_ptr().cast::<u64>();
    let mut index = 0;
    while index < WORDS {
        // SAFETY: within the record, which is aligned to words and a multiple of them.
        unsafe { core::ptr::write_volatile(words.add(index), 0) };
        index += 1;
    }
    // SAFETY: every byte is written, and zero is a value of its fields.
    unsafe { record.assume_init_mut() }
}
