//! Limits, losses, and when a batch is due.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

#[rstest]
#[case("64MiB", Ok(Limit::Bytes(64 << 20)))]
#[case("1000", Ok(Limit::Records(1000)))]
#[case("0", Err(()))]
#[case("0MiB", Err(()))]
#[case("much", Err(()))]
fn a_limit_is_a_size_or_a_number(#[case] text: &str, #[case] limit: Result<Limit, ()>) {
    assert_eq!(text.parse::<Limit>().map_err(|_| ()), limit);
}

fn chunk(records: u64, bytes: usize) -> Chunk {
    Chunk { bytes: vec![0; bytes].into(), records }
}

#[test]
fn losses_are_told_once_there_is_room_again_and_only_once() {
    let queue = Queue::new(Limit::Records(10));
    (0..15).for_each(|_| queue.push(chunk(1, 100)));
    assert_eq!(queue.take_lost(), 0, "no room yet");
    let batch = queue.take();
    assert_eq!(batch.held.records, 5, "half of it");
    queue.push(chunk(1, 100));
    assert_eq!(queue.take_lost(), 0, "what is being sent counts");
    queue.settle(batch.held, 2);
    assert_eq!(queue.take_lost(), 0, "the receiver has refused some");
    queue.push(chunk(1, 100));
    let batch = queue.take();
    queue.settle(batch.held, 0);
    assert_eq!(queue.take_lost(), 6 + 2);
    assert_eq!(queue.take_lost(), 0);
}

#[test]
fn what_is_left_at_the_end_is_lost_and_so_is_the_record_that_tells_of_it() {
    let queue = Queue::new(Limit::Records(10));
    (0..3).for_each(|_| queue.push(chunk(2, 100)));
    assert_eq!(queue.drain(Duration::ZERO), 7);
    queue.push(chunk(1, 100));
    assert_eq!(queue.lock().held, Held::default());
}

#[rstest]
#[case("999", false)]
#[case("1000", true)]
#[case("511KiB", false)]
#[case("512KiB", true)]
fn a_queue_that_cannot_keep_up_is_refused(#[case] text: &str, #[case] is_enough: bool) {
    let problem = text.parse::<Limit>().unwrap().problem();
    assert_eq!(problem.is_none(), is_enough, "{problem:?}");
}

/// Waiting until it is old would leave no room for what comes meanwhile.
#[rstest]
#[case(Limit::Records(2500), 1250, 100)]
#[case(Limit::Bytes(1 << 20), 10, 1 << 19)]
fn half_a_queue_is_sent_at_once(#[case] limit: Limit, #[case] records: u64, #[case] bytes: usize) {
    let queue = Queue::new(limit);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let soon = |queue| tokio::time::timeout(DELAY / 2, Queue::next(queue));
        queue.push(chunk(1, 1));
        assert!(soon(&queue).await.is_err(), "a single record waits for others");
        queue.push(chunk(records - 1, bytes));
        let batch = soon(&queue).await.expect("in time").expect("a batch");
        assert_eq!(batch.held.records, records);
    });
}

proptest! {
    /// What goes in comes out, or is counted; what is held never exceeds the limit.
    #[test]
    fn nothing_vanishes(
        limit in 500_usize..5_000,
        steps in prop::collection::vec((0_u8..3, 1_u64..40, 1_usize..400, 0_u64..5), 0..200),
    ) {
        let queue = Queue::new(Limit::Bytes(limit));
        let (mut pushed, mut taken, mut told) = (0, 0, 0);
        for (step, records, bytes, lost) in steps {
            match step {
                0 => {
                    pushed += records;
                    queue.push(chunk(records, bytes));
                }
                1 => {
                    let held = queue.take().held;
                    taken += held.records - lost.min(held.records);
                    queue.settle(held, lost.min(held.records));
                }
                _ => told += queue.take_lost(),
            }
            prop_assert!(queue.lock().held.bytes <= limit);
        }
        let waiting = queue.lock().held.records;
        let said = queue.drain(Duration::ZERO);
        let itself = u64::from(said > 0 && queue.phase() == Phase::GivenUp);
        let given_up = if queue.phase() == Phase::GivenUp { waiting } else { 0 };
        prop_assert_eq!(pushed + itself, taken + told + said);
        prop_assert!(said >= given_up);
    }
}
