//! The task on this CPU.
//!
//! It is the one that acts on the socket in a few transitions only; the user half decides which
//! (`tracer::model::owner`). For the others its name is not worth fetching.

use aya_ebpf::helpers::{
    bpf_get_current_comm, bpf_get_current_pid_tgid,
    generated::{bpf_get_current_task, bpf_get_current_task_btf},
};
use tracer_ebpf::{Record, flag, state};

use super::{
    constants::constant,
    memory::{comm, follow, load, probe},
};

/// Whether the task on the CPU may be the acting one in `old → new`.
#[inline(always)]
pub(super) fn may_act(old: u8, new: u8) -> bool {
    old == state::CLOSE || matches!(new, state::CLOSE | state::FIN_WAIT1 | state::LAST_ACK)
}

/// Whether control group or file may be others than at the event before: they come with the
/// socket or with accept(), of which no state change tells, and not with segments.
#[inline(always)]
pub(super) fn may_have_changed(old: u8, new: u8) -> bool {
    !matches!(
        old,
        state::SYN_SENT | state::FIN_WAIT1 | state::FIN_WAIT2 | state::LAST_ACK | state::CLOSING
    ) && new != state::CLOSE_WAIT
}

/// Fills in the process: its id, its start and the name of its first thread, which people know it
/// by; the name of the thread alone where the kernel lets nothing else be read.
#[inline(always)]
pub(super) fn describe_process(record: &mut Record) {
    if constant!(SETTINGS.has_cookie_helper) == 1 {
        // Came with 5.11, the cookies with 5.12.
        describe_by_type(record);
    } else if constant!(SETTINGS.reads_addresses) == 1 {
        describe_by_address(record);
    } else {
        describe_thread(record);
    }
}

#[inline(always)]
fn describe_by_type(record: &mut Record) {
    // SAFETY: a helper without arguments that returns the BTF-typed task.
    let task = unsafe { bpf_get_current_task_btf() } as *const u8;
    // SAFETY: BTF-typed pointer and the member's own width.
    if drives_subflow(record, unsafe { load(task, constant!(OFFSETS.task_flags)) }) {
        return;
    }
    describe_ids(record);
    // SAFETY: BTF-typed pointers.
    unsafe {
        let leader = follow(task, constant!(OFFSETS.task_group_leader));
        record.comm = comm(leader);
        record.start_ns = load(leader, constant!(OFFSETS.task_start_boottime));
    }
}

/// Where the kernel does not tell of which type the task is.
#[inline(always)]
fn describe_by_address(record: &mut Record) {
    // SAFETY: a helper without arguments.
    let task = unsafe { bpf_get_current_task() };
    // SAFETY: an integer.
    if drives_subflow(record, unsafe { probe(task, constant!(OFFSETS.task_flags)) }.unwrap_or(0)) {
        return;
    }
    describe_ids(record);
    // SAFETY: a pointer as an integer, bytes, and an integer.
    unsafe {
        let leader: u64 = probe(task, constant!(OFFSETS.task_group_leader)).unwrap_or(0);
        record.comm = probe(leader, constant!(OFFSETS.task_comm)).unwrap_or([0; 16]);
        record.start_ns = probe(leader, constant!(OFFSETS.task_start_boottime)).unwrap_or(0);
    }
}

/// Whether a worker of the kernel acts for MPTCP: then no process does.
#[inline(always)]
fn drives_subflow(record: &Record, task_flags: u32) -> bool {
    /// `include/linux/sched.h`
    const PF_KTHREAD: u32 = 0x0020_0000;
    record.has(flag::MPTCP) && task_flags & PF_KTHREAD != 0
}

/// Fills in the process with the name of the thread.
#[inline(always)]
pub(super) fn describe_thread(record: &mut Record) {
    describe_ids(record);
    if let Ok(comm) = bpf_get_current_comm() {
        record.comm = comm;
    }
}

#[inline(always)]
fn describe_ids(record: &mut Record) {
    let pid_tgid = bpf_get_current_pid_tgid();
    record.pid = (pid_tgid >> 32) as u32;
}
