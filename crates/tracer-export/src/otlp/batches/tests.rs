//! Losses, and when a batch is due.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn push(batches: &Batches, records: u64, bytes: usize) {
    let chunk: Chunk = vec![0; bytes].into();
    let size = size(&chunk, records);
    // What does not fit is counted.
    let _ = batches.queue.push(vec![(chunk, size)]);
}

#[test]
fn losses_are_told_once_there_is_room_again_and_only_once() {
    let batches = Batches::new(Limit::Records(10));
    (0..15).for_each(|_| push(&batches, 1, 100));
    assert_eq!(batches.queue.take_lost(), 0, "no room yet");
    let batch = batches.take();
    assert_eq!(batch.size.records, 5, "half of it");
    push(&batches, 1, 100);
    assert_eq!(batches.queue.take_lost(), 0, "what is being sent counts");
    batches.queue.settle(batch.size, 2);
    assert_eq!(batches.queue.take_lost(), 0, "the receiver has refused some");
    push(&batches, 1, 100);
    let batch = batches.take();
    batches.queue.settle(batch.size, 0);
    assert_eq!(batches.queue.take_lost(), 6 + 2);
    assert_eq!(batches.queue.take_lost(), 0);
}

#[test]
fn what_is_left_at_the_end_is_lost_and_so_is_the_record_that_tells_of_it() {
    let batches = Batches::new(Limit::Records(10));
    (0..3).for_each(|_| push(&batches, 2, 100));
    assert_eq!(batches.queue.drain(Duration::ZERO), 7);
    push(&batches, 1, 100);
    assert_eq!(batches.queue.held(), Size::default());
}

/// Waiting until it is old would leave no room for what comes meanwhile.
#[rstest]
#[case(Limit::Records(2500), 1250, 100)]
#[case(Limit::Bytes(1 << 20), 10, 1 << 19)]
fn half_a_queue_is_sent_at_once(#[case] limit: Limit, #[case] records: u64, #[case] bytes: usize) {
    let batches = Batches::new(limit);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let soon = |batches| tokio::time::timeout(DELAY / 2, Batches::next(batches));
        push(&batches, 1, 1);
        assert!(soon(&batches).await.is_err(), "a single record waits for others");
        push(&batches, records - 1, bytes);
        let batch = soon(&batches).await.expect("in time").expect("a batch");
        assert_eq!(batch.size.records, records);
    });
}

proptest! {
    /// What goes in comes out, or is counted; what is held never exceeds the limit.
    #[test]
    fn nothing_vanishes(
        limit in 500_usize..5_000,
        steps in prop::collection::vec((0_u8..3, 1_u64..40, 1_usize..400, 0_u64..5), 0..200),
    ) {
        let batches = Batches::new(Limit::Bytes(limit));
        let (mut pushed, mut taken, mut told) = (0, 0, 0);
        for (step, records, bytes, lost) in steps {
            match step {
                0 => {
                    pushed += records;
                    push(&batches, records, bytes);
                }
                1 => {
                    let held = batches.take().size;
                    taken += held.records - lost.min(held.records);
                    batches.queue.settle(held, lost.min(held.records));
                }
                _ => told += batches.queue.take_lost(),
            }
            prop_assert!(batches.queue.held().bytes <= limit);
        }
        let waiting = batches.queue.held().records;
        let said = batches.queue.drain(Duration::ZERO);
        let itself = u64::from(said > 0 && batches.queue.phase() == Phase::GivenUp);
        let given_up = if batches.queue.phase() == Phase::GivenUp { waiting } else { 0 };
        prop_assert_eq!(pushed + itself, taken + told + said);
        prop_assert!(said >= given_up);
    }
}
