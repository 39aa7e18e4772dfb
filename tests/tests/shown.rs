//! How an exact test tries again where the kernel has not shown all of what it did.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
};

use tracer_tests::shown::{isolated_and_shown, note, shown};

/// An experiment of which so many changes are unseen the first time, the second, …; and how often it
/// was made.
fn tried(unseen: &[u64]) -> (Option<usize>, usize) {
    let times = Cell::new(0);
    let experiment = || times.replace(times.get() + 1);
    let found = catch_unwind(AssertUnwindSafe(|| shown(experiment, |&number| unseen[number])));
    (found.ok(), times.get())
}

#[test]
fn what_was_shown_at_once_is_done_once() {
    assert_eq!(tried(&[0]), (Some(0), 1));
}

#[test]
fn what_was_not_shown_is_done_again_and_only_the_last_counts() {
    assert_eq!(tried(&[2, 0]), (Some(1), 2));
    assert_eq!(tried(&[1, 5, 0]), (Some(2), 3));
}

#[test]
fn what_is_never_shown_fails_after_three_times() {
    assert_eq!(tried(&[1, 1, 1, 0]), (None, 3));
}

/// A test that fails the first time, of a trace in which so much was unseen; how often it was made.
fn failing_once(unseen: u64) -> (bool, usize) {
    let times = AtomicUsize::new(0);
    let test = |_: &_| {
        let first = times.fetch_add(1, Ordering::Relaxed) == 0;
        note(if first { unseen } else { 0 });
        assert!(!first);
    };
    let passed = catch_unwind(AssertUnwindSafe(|| isolated_and_shown(test))).is_ok();
    (passed, times.into_inner())
}

#[test]
fn a_test_that_fails_is_done_again_only_where_something_was_unseen() {
    assert_eq!(failing_once(1), (true, 2));
    assert_eq!(failing_once(0), (false, 1));
}
