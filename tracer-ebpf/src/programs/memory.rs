//! Reads kernel memory: nearly always through BTF-typed pointers, else by a helper that copies.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use tracer_wire::{Offsets, Record};

use super::constants::offset;

/// What can be read from kernel memory.
///
/// # Safety
///
/// Every bit pattern is a value.
pub(super) unsafe trait Word: Copy {}

macro_rules! words {
    ($($word:ty),+) => {$(
        // SAFETY: an integer, bytes, or an address.
        unsafe impl Word for $word {}
    )+};
}
words!(u8, u16, u32, u64, i32, [u8; 16], Typed, Address);

/// A way to read structs of the kernel. A member that this kernel lacks, and whatever is behind
/// NULL, reads as zero.
pub(super) trait Memory: Word {
    /// A member of the struct here.
    fn load<T: Word>(self, offset: u32) -> T;

    /// Where it is, 0 for NULL.
    fn address(self) -> u64;

    /// The struct that a member points to.
    #[inline(always)]
    fn follow(self, offset: u32) -> Self {
        self.load(offset)
    }

    /// `struct in6_addr`
    fn ipv6(self, offset: u32) -> [u8; 16];

    /// `task_struct.comm`
    fn comm(self) -> [u8; 16];

    /// A bit-field: loads its byte, picks its bit.
    #[inline(always)]
    fn bit(self, bit: u32) -> bool {
        bit != Offsets::ABSENT && (self.load::<u8>(bit / 8) >> (bit % 8)) & 1 == 1
    }
}

/// A pointer whose type the verifier knows from BTF: it checks each access against that type, and
/// refuses a program in which one is wrong. A fault reads as zero (`PROBE_MEM` loads).
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Typed(*const u8);

impl Typed {
    /// From an argument of the hook or the result of a helper; `None` where that is NULL.
    #[inline(always)]
    pub(super) fn new<T>(pointer: *const T) -> Option<Self> {
        if pointer.is_null() { None } else { Some(Self(pointer.cast())) }
    }

    /// For helpers.
    #[inline(always)]
    pub(super) fn pointer<T>(self) -> *mut T {
        self.0.cast_mut().cast()
    }

    #[inline(always)]
    pub(super) fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// A byte of `sk_buff.cb`, an array of `char`: the verifier takes no wider loads.
    #[inline(always)]
    pub(super) fn control_byte(self, offset: u32) -> u8 {
        let control = offset!(skb_cb);
        if control == Offsets::ABSENT || offset == Offsets::ABSENT {
            return 0;
        }
        self.load(control + offset)
    }

    /// Four bytes of `sk_buff.cb` in this host's order.
    #[inline(always)]
    pub(super) fn control_word(self, offset: u32) -> u32 {
        if offset == Offsets::ABSENT {
            return 0;
        }
        u32::from_ne_bytes([
            self.control_byte(offset),
            self.control_byte(offset + 1),
            self.control_byte(offset + 2),
            self.control_byte(offset + 3),
        ])
    }
}

impl Memory for Typed {
    /// Faults must not be relied on: until 6.4 ("bpf: ensure main program has an extable", in 6.1.35
    /// too, never in 5.10) one in a program that calls functions can stop the kernel ("Fatal
    /// exception in interrupt", of a socket without file on 5.10). So NULL is tested. The load is
    /// volatile because LLVM must neither widen nor merge it: the verifier demands exactly the
    /// member's width.
    #[inline(always)]
    fn load<T: Word>(self, offset: u32) -> T {
        if offset == Offsets::ABSENT || self.is_null() {
            // SAFETY: every bit pattern is a `T`.
            return unsafe { core::mem::zeroed() };
        }
        // SAFETY: checked by the verifier; every bit pattern is a `T`.
        unsafe { core::ptr::read_volatile(self.0.add(offset as usize).cast::<T>()) }
    }

    #[inline(always)]
    fn address(self) -> u64 {
        self.0 as u64
    }

    /// An array of four u32: the verifier takes loads of that width only.
    #[inline(always)]
    fn ipv6(self, offset: u32) -> [u8; 16] {
        bytes([
            self.load(offset),
            self.load(offset.saturating_add(4)),
            self.load(offset.saturating_add(8)),
            self.load(offset.saturating_add(12)),
        ])
    }

    /// An array of `char`: the verifier takes no wider loads.
    #[inline(always)]
    fn comm(self) -> [u8; 16] {
        let start = offset!(task_comm);
        let mut comm = [0; 16];
        if start == Offsets::ABSENT {
            return comm;
        }
        let mut index = 0;
        while index < comm.len() {
            comm[index] = self.load(start + index as u32);
            index += 1;
        }
        comm
    }
}

/// An address that the verifier knows nothing of. The helper that copies from it is not available
/// under lockdown=confidentiality.
///
/// Nothing is asked of it, nor of what the helper answers: each question would have the verifier look
/// at all that follows twice.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Address(pub(super) u64);

impl Address {
    /// The same, copied through memory: a number for the verifier too, which lets no pointer into a
    /// function that it looks at alone.
    #[inline(always)]
    pub(super) fn copied(self) -> Self {
        Self(&raw const self.0 as u64).load(0)
    }
}

impl Memory for Address {
    #[inline(always)]
    fn load<T: Word>(self, offset: u32) -> T {
        if offset == Offsets::ABSENT {
            // SAFETY: every bit pattern is a `T`.
            return unsafe { core::mem::zeroed() };
        }
        let mut value = MaybeUninit::<T>::uninit();
        let address = self.0.wrapping_add(u64::from(offset)) as *const c_void;
        // SAFETY: the helper checks the address, and leaves zeros where there is nothing, as behind
        // NULL; every bit pattern is a `T`.
        unsafe {
            bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, address);
            value.assume_init()
        }
    }

    #[inline(always)]
    fn address(self) -> u64 {
        self.0
    }

    #[inline(always)]
    fn ipv6(self, offset: u32) -> [u8; 16] {
        self.load(offset)
    }

    #[inline(always)]
    fn comm(self) -> [u8; 16] {
        self.load(offset!(task_comm))
    }
}

/// Four words as they lie in memory.
#[inline(always)]
pub(super) fn bytes(words: [u32; 4]) -> [u8; 16] {
    // SAFETY: sixteen bytes either way.
    unsafe { core::mem::transmute(words) }
}

/// `::ffff:a.b.c.d`, of an address in network order.
#[inline(always)]
pub(super) fn v4_mapped(address: u32) -> [u8; 16] {
    bytes([0, 0, 0xffff_u32.to_be(), address])
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
