//! Kernel iterators: what is there, as against what happens.

mod task_file;
mod tcp;

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_seq_write;
use tracer_wire::Plain;

/// A member of an iterator's context, each of which has eight bytes.
///
/// # Safety
///
/// The context has such a member; the verifier checks the access.
#[inline(always)]
unsafe fn argument<T: Copy>(context: *mut c_void, index: usize) -> T {
    // SAFETY: the caller's.
    unsafe { core::ptr::read_volatile(context.cast_const().cast::<u64>().add(index).cast::<T>()) }
}

/// Appends a value to the iterator's output, which the user half reads from a file descriptor.
#[inline(always)]
fn write(meta: *const u8, value: &impl Plain) {
    let bytes = value.as_bytes();
    // SAFETY: `bpf_iter_meta` begins with the seq_file; the helper copies the bytes. When the
    // seq_file is full the kernel itself shows the same object again in the next read().
    unsafe {
        let seq = core::ptr::read_volatile(meta.cast::<*mut c_void>());
        bpf_seq_write(seq.cast(), bytes.as_ptr().cast_mut().cast(), bytes.len() as u32);
    }
}
