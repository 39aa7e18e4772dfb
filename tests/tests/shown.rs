//! How an exact test tries again where the kernel has not shown all of what it did.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
};

use tracer_tests::shown::{note, shown};

/// A test that fails until it is made for that time, each time of a trace in which so much was
/// unseen; whether it has passed, and how often it was made.
fn tried(unseen: u64, until: usize) -> (bool, usize) {
    let times = AtomicUsize::new(0);
    let test = |_: &_| {
        let time = times.fetch_add(1, Ordering::Relaxed) + 1;
        note(unseen);
        assert!(time >= until);
    };
    let passed = catch_unwind(AssertUnwindSafe(|| shown(test))).is_ok();
    (passed, times.into_inner())
}

#[test]
fn what_is_right_is_done_once_whatever_was_unseen() {
    assert_eq!(tried(0, 1), (true, 1));
    assert_eq!(tried(5, 1), (true, 1));
}

#[test]
fn what_fails_is_done_again_only_where_something_was_unseen() {
    assert_eq!(tried(1, 2), (true, 2));
    assert_eq!(tried(1, 3), (true, 3));
    assert_eq!(tried(0, 2), (false, 1));
}

#[test]
fn what_is_never_right_fails_after_three_times() {
    assert_eq!(tried(1, 4), (false, 3));
}
