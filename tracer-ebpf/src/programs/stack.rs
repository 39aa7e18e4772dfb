//! The user stack of the system call that makes a socket: which code it was.
//!
//! The kernel follows frame pointers, so a program that is built without them has a short stack.
//! Equal stacks have one number. Where it is not asked for, nothing of this is left in the programs.

use aya_ebpf::{
    bindings::BPF_F_USER_STACK, macros::map, maps::StackTrace, programs::tracing::StackIdContext,
};

use super::constants::constant;

/// The user half makes room where stacks are asked for.
#[map]
static STACKS: StackTrace = StackTrace::with_max_entries(1, 0);

/// See `Record::stack`. To be called where the current task is the one that makes the socket.
#[inline(always)]
pub(super) fn of_caller(context: &impl StackIdContext) -> i32 {
    if constant!(SETTINGS.stacks) == 0 {
        return 0;
    }
    match context.get_stackid(&STACKS, u64::from(BPF_F_USER_STACK)) {
        Ok(number) => number as i32 + 1,
        Err(error) => error,
    }
}
