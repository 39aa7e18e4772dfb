//! The task on this CPU.
//!
//! It is the one that acts on the socket in a few transitions only; the user half decides which
//! (`tracer_model::owner`). For the others its name is not worth fetching.

use aya_ebpf::helpers::{
    bpf_get_current_comm, bpf_get_current_pid_tgid,
    generated::{bpf_get_current_task, bpf_get_current_task_btf},
};
use tracer_wire::{Record, flag, state};

use super::{
    constants::{constant, offset},
    memory::{Address, Memory, Typed},
};

/// Whether the task on the CPU may be the acting one in `old → new`.
#[inline(always)]
pub(super) fn may_act(old: u8, new: u8) -> bool {
    old == state::CLOSE || matches!(new, state::CLOSE | state::FIN_WAIT1 | state::LAST_ACK)
}

/// Whether control group or file may be others than at the event before: they come with the
/// socket or with accept(), which no state change reports, and not with segments.
#[inline(always)]
pub(super) fn may_have_changed(old: u8, new: u8) -> bool {
    !matches!(
        old,
        state::SYN_SENT | state::FIN_WAIT1 | state::FIN_WAIT2 | state::LAST_ACK | state::CLOSING
    ) && new != state::CLOSE_WAIT
}

/// The task on this CPU, read by address.
#[inline(always)]
pub(super) fn task() -> Address {
    // SAFETY: a helper without arguments.
    Address(unsafe { bpf_get_current_task() })
}

/// Fills in the process: its id, its start and the name of its first thread, which people know it
/// by; the name of the thread alone where the kernel lets nothing else be read.
#[inline(always)]
pub(super) fn describe_process(record: &mut Record) {
    if constant!(SETTINGS.has_cookie_helper) == 1 {
        // SAFETY: a helper without arguments that returns the BTF-typed task. It came with 5.11,
        // the cookies with 5.12.
        if let Some(task) = Typed::new(unsafe { bpf_get_current_task_btf() } as *const u8) {
            describe_task(task, record);
        }
    } else if constant!(SETTINGS.reads_addresses) == 1 {
        describe_task(task(), record);
    } else {
        describe_thread(record);
    }
}

#[inline(always)]
fn describe_task(task: impl Memory, record: &mut Record) {
    // `include/linux/sched.h`
    const PF_EXITING: u32 = 0x0000_0004;
    const PF_KTHREAD: u32 = 0x0020_0000;
    let flags: u32 = task.load(offset!(task_flags));
    // Read where they have been put: of flags that are kept the verifier remembers which are set, and
    // looks at all in between once for each combination.
    // SAFETY: a reference.
    let socket = unsafe { core::ptr::read_volatile(&raw const record.flags) };
    // Where a worker of the kernel acts for MPTCP, no process does.
    if socket & flag::MPTCP != 0 && flags & PF_KTHREAD != 0 {
        return;
    }
    record.exiting = u8::from(flags & PF_EXITING != 0);
    describe_ids(record);
    let leader = task.follow(offset!(task_group_leader));
    record.comm = leader.comm();
    record.start_ns = leader.load(offset!(task_start_boottime));
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
    record.pid = (bpf_get_current_pid_tgid() >> 32) as u32;
}
