//! What a test does, again where the kernel has not shown all of it.

use std::{
    any::Any,
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

/// A test, again where it has failed and changes of state were unseen.
///
/// A hardened kernel may run no BPF program on top of a protected process, such as the init of a
/// micro-VM: what a timer's softirq changes while it interrupts that one, no tracer sees. Snapshots
/// find it out and the summary counts it, so that an exact test knows when to try again. Until its
/// trace has ended, the test must wait for nothing that only a tracer that has seen all can tell.
pub fn seen<T>(test: impl Fn() -> T) -> T {
    again(|| caught(&test))
}

/// The same in a namespace of the test's own.
pub fn shown<T: Send>(test: impl Fn(&Namespace) -> T + Sync) -> T {
    again(|| isolated(|namespace| caught(|| test(namespace))))
}

/// What a test returns, or its panic and what was unseen.
type Done<T> = Result<T, (Box<dyn Any + Send>, u64)>;

fn caught<T>(test: impl FnOnce() -> T) -> Done<T> {
    UNSEEN.set(0);
    catch_unwind(AssertUnwindSafe(test)).map_err(|panic| (panic, UNSEEN.get()))
}

fn again<T>(test: impl Fn() -> Done<T>) -> T {
    for _ in 1..TIMES {
        match test() {
            Ok(done) => return done,
            Err((panic, 0)) => resume_unwind(panic),
            Err((_, unseen)) => println!("{unseen} changes of state unseen: again"),
        }
    }
    test().unwrap_or_else(|(panic, _)| resume_unwind(panic))
}
