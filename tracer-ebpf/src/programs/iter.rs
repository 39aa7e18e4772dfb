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

/// The `seq_file` of an iterator's `struct bpf_iter_meta`, which begins with it.
#[inline(always)]
fn output(meta: *const u8) -> *mut c_void {
    // SAFETY: the context's first member, which the verifier checks.
    unsafe { core::ptr::read_volatile(meta.cast()) }
}

/// Appends a value to the iterator's output, which the user half reads from a file descriptor.
#[inline(always)]
fn write(output: *mut c_void, value: &impl Plain) {
    let bytes = value.as_bytes();
    // SAFETY: the helper copies the bytes. When the seq_file is full the kernel itself shows the same
    // object again in the next read().
    unsafe {
        bpf_seq_write(output.cast(), bytes.as_ptr().cast_mut().cast(), bytes.len() as u32);
    }
}
