//! What a test does, again where the kernel has not shown all of it.

/// How often at most.
const TIMES: usize = 3;

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
