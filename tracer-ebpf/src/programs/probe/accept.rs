//! `syscalls:sys_exit_accept` and `sys_exit_accept4`: who has accepted a connection.
//!
//! accept() changes no state, and no other tracepoint runs in it: `fexit/inet_csk_accept` would
//! cost nothing elsewhere but is refused on some hosts, and does not know the descriptor. While
//! one of these is attached, every system call of the host takes the kernel's slow way out, some
//! 30 ns longer. Not seen: accept by io_uring, and by 32-bit programs.

use core::mem::MaybeUninit;

use aya_ebpf::{
    helpers::generated::bpf_get_current_task_btf, macros::tracepoint, programs::TracePointContext,
};
use tracer_ebpf::{Record, kind};

use crate::programs::{
    actor,
    constants::constant,
    emit::emit,
    filter,
    memory::{follow, load, probe, zeroed},
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
        tell(&context, socket, inode, fd);
    }
    0
}

/// The `struct file` of a descriptor of this process.
#[inline(always)]
fn file(fd: u32) -> Option<u64> {
    // SAFETY: a helper without arguments that returns the BTF-typed task.
    let task = unsafe { bpf_get_current_task_btf() } as *const u8;
    // SAFETY: BTF-typed pointers and the members' own widths. `fd` is an array of pointers, of
    // which the verifier knows nothing: a number to it.
    unsafe {
        let files = follow(task, constant!(OFFSETS.task_files));
        let table = follow(files, constant!(OFFSETS.files_fdt));
        let files: u64 = load(table, constant!(OFFSETS.fdt_fd));
        if fd >= load::<u32>(table, constant!(OFFSETS.fdt_max_fds)) {
            return None;
        }
        probe(files.wrapping_add(8 * u64::from(fd)), 0)
    }
}

#[inline(always)]
fn tell(context: &TracePointContext, socket: Probed, inode: u64, fd: u32) {
    if !filter::is_empty() {
        let mut identity = MaybeUninit::uninit();
        let identity = zeroed(&mut identity);
        socket.describe(identity);
        if !filter::passes(identity) {
            return;
        }
    }
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
