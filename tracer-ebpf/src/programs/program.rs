//! Program and parent of the task on this CPU, told once for each process that it runs: of one that
//! ends at once, nobody finds them later. Its command line is not told: it may hold secrets.
//!
//! All by addresses, as names lie behind a pointer that the verifier knows nothing of: under
//! lockdown=confidentiality nothing is told.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_current_task, bpf_probe_read_kernel_str},
    },
    macros::map,
    maps::LruHashMap,
};
use tracer_ebpf::{Offsets, PATH_DEPTH, PATH_NAME, Program, kind};

use super::{
    constants::constant,
    emit::{count, emit_program},
    memory::probe,
};

/// Process, its start and its address space, which is another one after execve(): what has been told.
/// Whatever falls out is told again.
#[map]
static PROGRAMS: LruHashMap<[u64; 3], u8> = LruHashMap::with_max_entries(4096, 0);

/// To be called where the task acts, before its event is told.
///
/// A function of its own, so that what it takes of the stack is free again (see `probe::passes`).
#[inline(never)]
pub(super) fn tell() -> u32 {
    if constant!(SETTINGS.reads_addresses) == 1 {
        let _ = try_tell();
    }
    0
}

#[inline(always)]
fn try_tell() -> Option<()> {
    // SAFETY: a helper without arguments.
    let task = unsafe { bpf_get_current_task() };
    // SAFETY: pointers as integers, and an integer.
    let (leader, start_ns, space) = unsafe {
        let leader: u64 = probe(task, constant!(OFFSETS.task_group_leader))?;
        let start_ns: u64 = probe(leader, constant!(OFFSETS.task_start_boottime))?;
        (leader, start_ns, probe::<u64>(task, constant!(OFFSETS.task_mm))?)
    };
    let pid = bpf_get_current_pid_tgid() >> 32;
    let key = [start_ns, pid, space];
    // SAFETY: whether it is there is all that is asked. A thread of the kernel has no space.
    if space == 0 || unsafe { PROGRAMS.get(&key) }.is_some() {
        return None;
    }
    let told = emit_program(|program| {
        // SAFETY: memory of the ring buffer, which nobody else sees before it is submitted.
        let program = unsafe { &mut *program };
        program.start_ns = start_ns;
        program.pid = pid as u32;
        describe_parent(program, leader);
        describe_path(program, space);
    });
    if told {
        let _ = PROGRAMS.insert(&key, &1, 0);
    } else {
        count(kind::PROGRAM, |counters| counters.ring_full += 1);
    }
    Some(())
}

#[inline(always)]
fn describe_parent(program: &mut Program, leader: u64) {
    // SAFETY: pointers as integers, an integer, and the sixteen bytes of the name.
    unsafe {
        let parent: u64 = probe(leader, constant!(OFFSETS.task_real_parent)).unwrap_or(0);
        program.parent = probe(parent, constant!(OFFSETS.task_tgid)).unwrap_or(0);
        let leader: u64 = probe(parent, constant!(OFFSETS.task_group_leader)).unwrap_or(0);
        copy_text(program.parent_comm.as_mut_ptr(), 16, leader, constant!(OFFSETS.task_comm));
    }
}

#[inline(always)]
fn describe_path(program: &mut Program, space: u64) {
    // SAFETY: pointers as integers; the names lie in the program, each as long as it is said to be.
    unsafe {
        let file: u64 = probe(space, constant!(OFFSETS.mm_exe_file)).unwrap_or(0);
        let mut entry: u64 = probe(file, constant!(OFFSETS.file_dentry)).unwrap_or(0);
        let names = program.names.as_mut_ptr().cast::<u8>();
        let mut index = 0;
        while index < PATH_DEPTH {
            let name = names.add(index * PATH_NAME);
            let text: u64 = probe(entry, constant!(OFFSETS.dentry_name)).unwrap_or(0);
            copy_text(name, PATH_NAME as u32, text, 0);
            let parent: u64 = probe(entry, constant!(OFFSETS.dentry_parent)).unwrap_or(0);
            entry = if parent == entry { 0 } else { parent };
            index += 1;
        }
    }
}

/// Copies what is there up to its NUL, and leaves it empty where nothing is to be had. Straight to
/// where it belongs: there is little room on the stack.
///
/// # Safety
///
/// `room` has `size` bytes.
#[inline(always)]
unsafe fn copy_text(room: *mut u8, size: u32, base: u64, offset: u32) {
    // SAFETY: the caller's; the helper checks the address.
    unsafe {
        room.write(0);
        if base != 0 && offset != Offsets::ABSENT {
            let text = base.wrapping_add(u64::from(offset));
            bpf_probe_read_kernel_str(room.cast::<c_void>(), size, text as *const c_void);
        }
    }
}
