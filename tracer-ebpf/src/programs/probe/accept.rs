//! Who has accepted a connection: at the return of the kernel's own function where the kernel lets a
//! program be there (`fexit`), else at that of the system calls.
//!
//! accept() changes no state. `inet_accept` and `mptcp_stream_accept` are behind every way to accept,
//! io_uring's and that of 32-bit programs included, and cost other system calls nothing. They have put
//! the new socket into its file, but not yet the file into a descriptor: that is for the next snapshot
//! to tell. `inet_csk_accept`, further down, would know neither file nor user. While one of
//! `syscalls:sys_exit_accept` and `sys_exit_accept4` is attached, every system call of the host takes
//! the kernel's slow way out, some 10 ns longer; what io_uring and 32-bit programs accept is not seen.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext,
    macros::{fexit, tracepoint},
    programs::{FExitContext, TracePointContext, tracing::StackIdContext},
};
use tracer_wire::{NO_DESCRIPTOR, Record, kind};

use crate::programs::{
    actor,
    constants::offset,
    emit::emit,
    filter,
    memory::{Address, Memory},
    program,
    sock::Probed,
    stack,
};

/// `long ret` in `struct syscall_trace_exit`, after `trace_entry` and `int nr`: the same on every
/// 64-bit kernel, and the layout that BPF programs get (`struct syscall_tp_t`).
const RETURN_VALUE: usize = 16;

#[fexit(function = "inet_accept")]
fn accepted(context: FExitContext) -> i32 {
    returned(&context);
    0
}

#[fexit(function = "mptcp_stream_accept")]
fn accepted_mptcp(context: FExitContext) -> i32 {
    returned(&context);
    0
}

/// The functions' second argument is the new `struct socket` on every version; what comes behind it
/// changed with 6.10. Where they have failed, it has no `struct sock`; where the kernel accepts for
/// itself, no file.
#[inline(always)]
fn returned(context: &FExitContext) {
    let socket = Address(context.arg::<*const c_void>(1) as u64);
    if let Some((socket, inode)) = Probed::of_file(socket.follow(offset!(socket_file))) {
        report(context, socket, inode, NO_DESCRIPTOR);
    }
}

/// Attached to both.
#[tracepoint(category = "syscalls", name = "sys_exit_accept4")]
fn exit_accept(context: TracePointContext) -> u32 {
    // SAFETY: an integer of the tracepoint's record.
    let fd = unsafe { context.read_at::<i64>(RETURN_VALUE) }.unwrap_or(-1);
    if let Ok(fd) = u32::try_from(fd)
        && let Some((socket, inode)) = file(fd).and_then(Probed::of_file)
    {
        report(&context, socket, inode, fd);
    }
    0
}

/// The `struct file` of a descriptor of this process. By addresses: the array of files is one in
/// any case, and the helper for a typed task came with 5.11 only.
#[inline(always)]
fn file(fd: u32) -> Option<Address> {
    let table = actor::task().follow(offset!(task_files)).follow(offset!(files_fdt));
    let files = table.follow(offset!(fdt_fd));
    let is_there = files.0 != 0 && fd < table.load(offset!(fdt_max_fds));
    is_there.then(|| Address(files.0.wrapping_add(8 * u64::from(fd))).follow(0))
}

#[inline(always)]
fn report(context: &(impl EbpfContext + StackIdContext), socket: Probed, inode: u64, fd: u32) {
    if !filter::is_empty()
        && (socket.is_outside_group()
            || !filter::passes_described(|record| socket.describe(record)))
    {
        return;
    }
    program::report();
    // Nothing is captured by reference: of types that are only pointed to the linker describes the
    // forward declarations in any order, and the object would not be the same each time.
    let stack = stack::of_caller(context);
    emit(context, kind::ACCEPTED, move |record: &mut Record| {
        socket.describe(record);
        record.cookie = socket.cookie();
        record.uid = socket.uid();
        record.old_state = socket.state();
        record.new_state = record.old_state;
        record.inode = inode;
        record.fd = fd;
        record.stack = stack;
        actor::describe_process(record);
    });
}
