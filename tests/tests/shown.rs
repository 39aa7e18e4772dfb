//! How an exact test tries again where the kernel has not shown all of what it did.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tracer_tests::shown::shown;

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
