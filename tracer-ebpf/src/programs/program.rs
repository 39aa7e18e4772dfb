//! Program and parent of the task on this CPU, reported once for each process that it runs: of one
//! that ends at once, nobody finds them later. Its command line is left out: it may hold secrets.
//!
//! All by addresses, as names lie behind a pointer that the verifier knows nothing of: under
//! lockdown=confidentiality nothing is reported.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_probe_read_kernel_str},
    macros::map,
    maps::LruHashMap,
};
use tracer_wire::{Offsets, PATH_DEPTH, PATH_NAME, Program, kind};

use super::{
    actor,
    constants::{constant, offset},
    emit::{count, emit_program},
    memory::{Address, Memory},
};

/// Process, its start and its address space, which is another one after execve(): what has been
/// reported. Whatever falls out is reported again.
#[map]
static PROGRAMS: LruHashMap<[u64; 3], u8> = LruHashMap::with_max_entries(4096, 0);

/// To be called where the task acts, before its event is reported.
///
/// A function of its own, so that what it takes of the stack is free again (see `probe::passes`).
#[inline(never)]
pub(super) fn report() -> u32 {
    if constant!(SETTINGS.reads_addresses) == 1 {
        try_report();
    }
    0
}

#[inline(always)]
fn try_report() {
    let task = actor::task();
    let leader = task.follow(offset!(task_group_leader));
    let start_ns = leader.load(offset!(task_start_boottime));
    let space = task.follow(offset!(task_mm));
    let pid = bpf_get_current_pid_tgid() >> 32;
    let key = [start_ns, pid, space.0];
    // SAFETY: whether it is there is all that is asked. A thread of the kernel has no space.
    if space.0 == 0 || unsafe { PROGRAMS.get(&key) }.is_some() {
        return;
    }
    let reported = emit_program(|program| {
        // SAFETY: memory of the ring buffer, which nobody else sees before it is submitted.
        let program = unsafe { &mut *program };
        program.start_ns = start_ns;
        program.pid = pid as u32;
        describe_parent(program, leader);
        describe_path(program, space);
    });
    if reported {
        let _ = PROGRAMS.insert(&key, &1, 0);
    } else {
        count(kind::PROGRAM, |counters| counters.ring_full += 1);
    }
}

#[inline(always)]
fn describe_parent(program: &mut Program, leader: Address) {
    let parent = leader.follow(offset!(task_real_parent));
    program.parent = parent.load(offset!(task_tgid));
    let leader = parent.follow(offset!(task_group_leader));
    // SAFETY: the name has sixteen bytes.
    unsafe { copy_text(program.parent_comm.as_mut_ptr(), 16, leader, offset!(task_comm)) };
}

#[inline(always)]
fn describe_path(program: &mut Program, space: Address) {
    let mut entry = space.follow(offset!(mm_exe_file)).follow(offset!(file_dentry));
    let names = program.names.as_mut_ptr().cast::<u8>();
    let mut index = 0;
    while index < PATH_DEPTH {
        // SAFETY: the names lie in the program, each as long as it is said to be.
        unsafe {
            let name = names.add(index * PATH_NAME);
            copy_text(name, PATH_NAME as u32, entry.follow(offset!(dentry_name)), 0);
        }
        let parent = entry.follow(offset!(dentry_parent));
        entry = if parent.0 == entry.0 { Address(0) } else { parent };
        index += 1;
    }
}

/// Copies what is there up to its NUL, and leaves it empty where nothing can be read, as the helper
/// does behind NULL. Straight to where it belongs: there is little room on the stack.
///
/// # Safety
///
/// `room` has `size` bytes.
#[inline(always)]
unsafe fn copy_text(room: *mut u8, size: u32, base: Address, offset: u32) {
    // SAFETY: the caller's; the helper checks the address.
    unsafe {
        if offset == Offsets::ABSENT {
            room.write(0);
        } else {
            let text = base.0.wrapping_add(u64::from(offset));
            bpf_probe_read_kernel_str(room.cast::<c_void>(), size, text as *const c_void);
        }
    }
}
