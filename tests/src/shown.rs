//! What a test does, again where the kernel has not shown all of it.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use crate::netns::{Namespace, isolated};

/// How often at most.
const TIMES: usize = 3;

thread_local! {
    /// Changes that the kernel has not shown to the traces that this thread has ended.
    static UNSEEN: Cell<u64> = const { Cell::new(0) };
}

/// Notes what was unseen in a trace that has ended.
pub fn note(unseen: u64) {
    UNSEEN.set(UNSEEN.get() + unseen);
}

/// Repeats an experiment until nothing in it was `unseen`, by the summary of its trace.
///
/// A hardened kernel may run no BPF program on top of a protected process, such as the init of a
/// micro-VM: what a timer's softirq changes while it interrupts that one, no tracer sees. Snapshots
/// find it out and the summary counts it, so that an exact test knows when to try again. The
/// experiment itself must wait for nothing that only a tracer that has seen all can tell.
pub fn shown<T>(experiment: impl FnMut() -> T, unseen: impl Fn(&T) -> u64) -> T {
    let is_shown = |done: &T| {
        let unseen = unseen(done);
        println!("{unseen} changes of state unseen");
        unseen == 0
    };
    let found = std::iter::repeat_with(experiment).take(TIMES).find(is_shown);
    found.unwrap_or_else(|| panic!("not once in {TIMES} times has the kernel shown all"))
}

/// An exact test in a namespace of its own, again where it has failed and changes were `unseen`.
pub fn isolated_and_shown<T: Send>(test: impl Fn(&Namespace) -> T + Sync) -> T {
    for _ in 1..TIMES {
        let done = isolated(|namespace| {
            UNSEEN.set(0);
            let done = catch_unwind(AssertUnwindSafe(|| test(namespace)));
            done.map_err(|panic| (panic, UNSEEN.get()))
        });
        match done {
            Ok(done) => return done,
            Err((panic, 0)) => resume_unwind(panic),
            Err((_, unseen)) => println!("{unseen} changes of state unseen: again"),
        }
    }
    isolated(&test)
}
