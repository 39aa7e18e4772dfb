//! Events that the guard tells: the kernel skipped the main program, or both told.

use rstest::rstest;
use tracer_wire::{Record, kind};

use super::{
    fixture::{Fixture, Told},
    lives::{Failure, Kernel, Life, SECOND, Step},
};
use Step::*;

const LIVES: [&[Step]; 18] = [
    &[Listen, Close, Listen, Close],
    &[Connect, Established, Close, FinAcked, PeerFin],
    &[Connect, Established, ShutdownWrite, FinAcked, PeerFin, Close],
    &[Connect, Established, ShutdownWrite, FinAcked, Close],
    &[Connect, Established, Close, PeerFin, FinAcked],
    &[Connect, CrossedSyn, Established, PeerFin, Close, FinAcked],
    &[Syn, Ack, Accept, PeerFin, Close, FinAcked],
    &[Syn, Ack, Accept, Close, FinAcked],
    &[FastOpenSyn, Accept, Close, FinAcked],
    &[Connect, PeerReset, Connect, Established, PeerReset],
    &[Connect, Established, Close, PeerReset],
    &[Connect, Established, Close, DataAfterClose],
    &[Connect, Established, Close, FinAckedWithData],
    &[Linger2(-1), Connect, Established, Close, FinAcked],
    &[Connect, Established, Disconnect, Connect, Established, Kill],
    &[ConnectWithoutPort],
    &[Syn, Ack, ListenerClosed],
    &[Connect, Fail(Failure::Unanswered)],
];

fn caught(record: &Record) -> Record {
    Record { kind: kind::STATE_CAUGHT, ..*record }
}

/// Feeds what `change` makes of each record of the life.
fn told(kernel: Kernel, steps: &[Step], change: impl Fn(usize, &Record) -> Vec<Record>) -> Told {
    let mut fixture = Fixture::new();
    let mut life = Life::new(1).on(kernel);
    let mut position = 0;
    for &step in steps {
        for record in life.apply(step) {
            for record in change(position, &record) {
                fixture.ingest(&record);
            }
            position += 1;
        }
        fixture.until(life.now);
    }
    fixture.until(fixture.now + 100 * SECOND);
    fixture.told
}

#[rstest]
fn an_event_told_twice_is_told_once(
    #[values(Kernel::NEW, Kernel::OLD, Kernel::WITHOUT_COOKIES)] kernel: Kernel,
) {
    for steps in LIVES {
        let once = told(kernel, steps, |_, record| vec![*record]).take();
        for position in 0..once.len() {
            let twice = told(kernel, steps, |at, record| {
                if at == position && record.kind == kind::STATE {
                    vec![*record, caught(record)]
                } else {
                    vec![*record]
                }
            });
            assert_eq!({ twice }.take(), once, "{steps:?}, event {position} twice");
        }
    }
}

#[rstest]
fn every_event_may_be_told_twice(
    #[values(Kernel::NEW, Kernel::OLD, Kernel::WITHOUT_COOKIES)] kernel: Kernel,
) {
    for steps in LIVES {
        let once = told(kernel, steps, |_, record| vec![*record]).take();
        let twice = told(kernel, steps, |_, record| match record.kind {
            kind::STATE => vec![*record, caught(record)],
            _ => vec![*record],
        });
        assert_eq!({ twice }.take(), once, "{steps:?}");
    }
}

#[rstest]
fn an_event_that_only_the_guard_tells_counts(
    #[values(Kernel::NEW, Kernel::OLD, Kernel::WITHOUT_COOKIES)] kernel: Kernel,
) {
    for steps in LIVES {
        let once = told(kernel, steps, |_, record| vec![*record]).take();
        for position in 0..once.len() {
            let only = told(kernel, steps, |at, record| match record.kind {
                kind::STATE if at == position => vec![caught(record)],
                _ => vec![*record],
            });
            assert_eq!({ only }.take(), once, "{steps:?}, event {position} caught");
        }
    }
}

/// On a busy processor an interrupting event lies between the two.
#[test]
fn another_socket_may_come_between() {
    for steps in LIVES {
        let mut other = Life::new(2);
        let between = other.apply(Listen);
        let once = told(Kernel::NEW, steps, |at, record| {
            if at == 0 { [&[*record], &between[..]].concat() } else { vec![*record] }
        });
        let twice = told(Kernel::NEW, steps, |at, record| {
            if at == 0 {
                [&[*record], &between[..], &[caught(record)]].concat()
            } else {
                vec![*record]
            }
        });
        assert_eq!({ twice }.take(), { once }.take(), "{steps:?}");
    }
}

/// The slot of a connection that was ended twice must not end the next one.
#[test]
fn the_end_of_an_orphan_told_twice_does_not_touch_the_next_socket() {
    let mut fixture = Fixture::new();
    let mut first = Life::new(1);
    fixture.play(&mut first, &[Connect, Established, Close]);
    for record in first.apply(DataAfterClose) {
        fixture.ingest(&record);
        if record.kind == kind::STATE {
            fixture.ingest(&caught(&record));
        }
    }
    let mut next = Life::new(2);
    next.now = first.now - 900_000;
    for record in [next.apply(Bind), next.apply(Connect)].concat() {
        fixture.ingest(&record);
    }
    fixture.until(fixture.now + SECOND);
    assert_eq!(fixture.table.len(), 1);
    assert_eq!(fixture.told.stories.len(), 1);
}
