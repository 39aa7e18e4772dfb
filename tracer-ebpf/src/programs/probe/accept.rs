//! `syscalls:sys_exit_accept` and `sys_exit_accept4`: who has accepted a connection.
//!
//! accept() changes no state, and no other tracepoint runs in it: `fexit/inet_csk_accept` would
//! cost nothing elsewhere but is refused on some hosts, and does not know the descriptor. While
//! one of these is attached, every system call of the host takes the kernel's slow way out, some
//! 30 ns longer. Not seen: accept by io_uring, and by 32-bit programs.

use aya_ebpf::{macros::tracepoint, programs::TracePointContext};
use tracer_wire::{Record, kind};

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
fn report(context: &TracePointContext, socket: Probed, inode: u64, fd: u32) {
    if !filter::is_empty()
        && (socket.is_outside_group()
            || !filter::passes_described(|record| socket.describe(record)))
    {
        return;
    }
    program::report();
    emit(context, kind::ACCEPTED, |record: &mut Record| {
        socket.describe(record);
        record.cookie = socket.cookie();
        record.uid = socket.uid();
        record.old_state = socket.state();
        record.new_state = record.old_state;
        record.inode = inode;
        record.fd = fd;
        record.stack = stack::of_caller(context);
        actor::describe_process(record);
    });
}
