//! Sockets that outlast the threshold of their state, and deadlines.

use rstest::rstest;

use super::{
    fixture::{Fixture, holder, options},
    lives::{Life, MILLISECOND, SECOND, Step},
};
use crate::{
    linger::LOOK_LEAD,
    table::{Options, Snapshot},
};
use Step::*;
use tracer_event::{state::State, update::LingerStatus};

const INTO_CLOSE_WAIT: &[Step] = &[Connect, Established, PeerFin];

/// Runs the table as the program does: nothing happens but at its deadlines.
///
/// Panics where a deadline is in the past after it was served: that is a busy loop.
fn run(fixture: &mut Fixture, end: u64) -> usize {
    let mut wakes = 0;
    while let Some(deadline) = fixture.table.next_deadline().filter(|&deadline| deadline <= end) {
        let now = deadline.max(fixture.now);
        fixture.until(now);
        let next = fixture.table.next_deadline();
        assert!(next.is_none_or(|next| next > now), "{next:?} is due at {now} still");
        wakes += 1;
        assert!(wakes < 1_000, "no progress");
    }
    fixture.until(end);
    wakes
}

fn times(fixture: &Fixture, status: LingerStatus) -> Vec<u64> {
    fixture.told.lingers.iter().filter(|l| l.status == status).map(|l| l.time).collect()
}

#[test]
fn lingering_is_raised_at_the_threshold_and_told_again_at_each_doubling() {
    let (mut fixture, mut life) =
        Fixture::lingering("close-wait=30s,time-wait=off,last-ack=off").playing(INTO_CLOSE_WAIT);
    let since = fixture.told.transitions.last().unwrap().time;
    fixture.told.take();
    let end = fixture.now + 300 * SECOND;
    let wakes = run(&mut fixture, end);
    assert_eq!(wakes, 4);
    assert_eq!(
        fixture.told.take(),
        [
            "Raised CLOSE_WAIT 30000 ms",
            "Continues CLOSE_WAIT 60000 ms",
            "Continues CLOSE_WAIT 120000 ms",
            "Continues CLOSE_WAIT 240000 ms",
        ]
    );
    assert_eq!(times(&fixture, LingerStatus::Raised), [since + 30 * SECOND]);
    fixture.play(&mut life, &[Close]);
    let [.., last] = &fixture.told.transitions[..] else { panic!() };
    let cleared = fixture.told.lingers.last().unwrap();
    assert_eq!(cleared.status, LingerStatus::Cleared);
    assert_eq!((cleared.state, cleared.age), (State::CloseWait, last.time - since));
    assert_eq!(cleared.threshold, 30 * SECOND);
    fixture.told.take();
    let end = fixture.now + 300 * SECOND;
    run(&mut fixture, end);
    assert_eq!(fixture.told.take(), [""; 0]);
}

#[test]
fn a_late_look_at_the_clock_raises_once_and_skips_the_doublings_passed() {
    let (mut fixture, life) =
        Fixture::lingering("close-wait=1s,time-wait=off").playing(INTO_CLOSE_WAIT);
    fixture.told.take();
    fixture.until(life.now + 9 * SECOND);
    assert_eq!(fixture.told.take(), ["Raised CLOSE_WAIT 9000 ms"]);
    let end = life.now + 17 * SECOND;
    run(&mut fixture, end);
    assert_eq!(fixture.told.take(), ["Continues CLOSE_WAIT 16000 ms"]);
}

#[test]
fn a_state_that_is_left_in_time_is_not_flagged() {
    let (mut fixture, mut life) = Fixture::lingering("close-wait=30s").playing(INTO_CLOSE_WAIT);
    fixture.play(&mut life, &[Wait(29_000), Close, FinAcked]);
    run(&mut fixture, life.now + 100 * SECOND);
    assert!(fixture.told.lingers.is_empty());
}

#[rstest]
#[case(State::SynSent, "syn-sent=1s", &[Connect, SynAgain])]
#[case(State::SynSent, "syn-sent=1s", &[Connect])]
#[case(State::SynRecv, "syn-recv=1s", &[FastOpenSyn])]
#[case(State::Established, "established=1s", &[Connect, Established])]
#[case(State::FinWait1, "fin-wait1=1s", &[Connect, Established, Close])]
#[case(State::FinWait2, "fin-wait2=1s", &[Connect, Established, ShutdownWrite, FinAcked])]
#[case(State::FinWait2, "fin-wait2=1s", &[Connect, Established, Close, FinAcked])]
#[case(State::Closing, "closing=1s", &[Connect, Established, Close, PeerFin])]
#[case(State::LastAck, "last-ack=1s", &[Connect, Established, PeerFin, Close])]
#[case(State::TimeWait, "time-wait=1s", &[Connect, Established, ShutdownWrite, FinAcked, PeerFin])]
fn every_state_may_have_a_threshold(
    #[case] state: State,
    #[case] list: &str,
    #[case] steps: &[Step],
) {
    let (mut fixture, life) = Fixture::lingering(list).playing(steps);
    run(&mut fixture, life.now + 3 * SECOND);
    let statuses: Vec<_> = fixture.told.lingers.iter().map(|l| (l.state, l.status)).collect();
    assert_eq!(statuses, [(state, LingerStatus::Raised), (state, LingerStatus::Continues)]);
}

/// FIN_WAIT2 goes on as a minisocket: it is the same stay.
#[rstest]
#[case::closed_at_last(&[ShutdownWrite, FinAcked], &[Close])]
#[case::timer(&[Linger2(120), Close, FinAcked], &[OrphanTimer])]
fn fin_wait2_is_raised_once_although_a_minisocket_takes_over(
    #[case] before: &[Step],
    #[case] takes_over: &[Step],
) {
    let (mut fixture, mut life) = Fixture::lingering("fin-wait2=10s,time-wait=off")
        .playing(&[&[Connect, Established], before].concat());
    fixture.play(&mut life, &[Wait(15_000)]);
    fixture.play(&mut life, takes_over);
    run(&mut fixture, life.now + 30 * SECOND);
    let statuses: Vec<_> =
        fixture.told.lingers.iter().map(|l| (l.status, l.age / SECOND)).collect();
    let expected = [(LingerStatus::Raised, 15), (LingerStatus::Continues, 20)];
    assert_eq!(statuses[..2], expected, "{statuses:?}");
    assert_eq!(statuses.len(), 3, "{statuses:?}");
    assert_eq!(statuses[2].0, LingerStatus::Continues);
}

#[test]
fn the_end_of_time_wait_clears_it() {
    let (mut fixture, life) = Fixture::lingering("time-wait=30s").playing(&[
        Connect,
        Established,
        ShutdownWrite,
        FinAcked,
        PeerFin,
    ]);
    fixture.told.take();
    run(&mut fixture, life.now + 70 * SECOND);
    let lines = fixture.told.take();
    let [raised, doubled, closed, cleared] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(raised, "Raised TIME_WAIT 30000 ms");
    assert_eq!(doubled, "Continues TIME_WAIT 60000 ms");
    assert_eq!(closed, "TIME_WAIT>CLOSED [Timer] Graceful by Local");
    assert!(cleared.starts_with("Cleared TIME_WAIT 6"), "{cleared}");
    let [.., last] = &fixture.told.transitions[..] else { panic!() };
    assert_eq!(last.elapsed, Some(fixture.told.lingers.last().unwrap().age));
}

/// How long it has been in the state is not known, so it is counted from the snapshot.
#[test]
fn a_socket_of_before_is_at_least_as_old_as_it_was_watched() {
    let (mut fixture, mut life) = Fixture::lingering("close-wait=30s").playing(&[]);
    fixture.play_unseen(&mut life, INTO_CLOSE_WAIT);
    fixture.now += 100 * SECOND;
    fixture.look(&[&life]);
    let looked = fixture.now;
    assert_eq!(fixture.told.take(), [""; 0]);
    run(&mut fixture, looked + 40 * SECOND);
    assert_eq!(fixture.told.take(), ["Raised CLOSE_WAIT ≥30000 ms"]);
    fixture.play(&mut life, &[Close, FinAcked]);
    assert!(fixture.told.lingers.last().unwrap().at_least);
    assert_eq!(fixture.told.transitions[0].elapsed, None);
    let [story] = &fixture.told.stories[..] else { panic!() };
    assert!(story.at_least);
    assert_eq!(story.began, None);
}

#[test]
fn a_time_wait_of_before_is_as_old_as_its_timer_says() {
    let (mut fixture, mut life) = Fixture::lingering("time-wait=30s").playing(&[]);
    fixture.play_unseen(
        &mut life,
        &[Connect, Established, ShutdownWrite, FinAcked, PeerFin, Wait(40_000)],
    );
    fixture.look(&[&life]);
    let [raised] = &fixture.told.lingers[..] else { panic!("{:?}", fixture.told.lingers) };
    assert!(!raised.at_least);
    assert!(raised.age.abs_diff(40 * SECOND) < 20 * MILLISECOND, "{}", raised.age);
}

#[test]
fn it_is_known_beforehand_when_a_holder_will_be_wanted() {
    let (mut fixture, life) = Fixture::lingering("close-wait=30s").playing(INTO_CLOSE_WAIT);
    let due = fixture.table.next_deadline().unwrap();
    assert_eq!(fixture.table.next_raise(), Some(due));
    fixture.hold(&[holder(&life, life.socket.pid, 5)]);
    fixture.until(due);
    assert_eq!(fixture.told.lingers[0].subject.owner.unwrap().fd, Some(5));
    assert_eq!(fixture.table.next_raise(), None);
}

/// Whatever waits for its time: serving the deadline is progress.
#[rstest]
#[case::nothing(&[])]
#[case::port(&[Connect])]
#[case::port_after_others(&[Connect, Established, Disconnect, Connect])]
#[case::reset_of_an_orphan(&[Connect, Established, Close, PeerReset])]
#[case::orphan(&[Connect, Established, Close, FinAcked])]
#[case::short_orphan(&[Linger2(3), Connect, Established, Close, FinAcked])]
#[case::time_wait(&[Connect, Established, ShutdownWrite, FinAcked, PeerFin])]
#[case::close_wait(INTO_CLOSE_WAIT)]
fn a_deadline_that_was_served_is_over(#[case] steps: &[Step]) {
    let (mut fixture, mut life) =
        Fixture::lingering("syn-sent=1s,close-wait=2s,fin-wait2=3s,time-wait=4s").playing(&[]);
    for &step in steps {
        for record in life.apply(step) {
            fixture.ingest(&record);
            let now = record.time_ns;
            fixture.until(now);
            let next = fixture.table.next_deadline();
            assert!(next.is_none_or(|next| next > now), "{next:?} is due at {now} still");
        }
    }
    let wakes = run(&mut fixture, life.now + 100 * SECOND);
    assert!(wakes < 20, "{wakes}");
}

/// Nothing is done at a time before the deadline.
#[rstest]
#[case::port(&[Connect])]
#[case::reset_of_an_orphan(&[Connect, Established, Close, PeerReset])]
#[case::orphan(&[Connect, Established, Close, FinAcked])]
#[case::time_wait(&[Connect, Established, ShutdownWrite, FinAcked, PeerFin])]
#[case::close_wait(INTO_CLOSE_WAIT)]
fn nothing_happens_before_the_deadline(#[case] steps: &[Step]) {
    let (mut fixture, mut life) =
        Fixture::lingering("syn-sent=1s,close-wait=2s,fin-wait2=3s,time-wait=4s").playing(&[]);
    for &step in steps {
        for record in life.apply(step) {
            fixture.ingest(&record);
        }
    }
    fixture.told.take();
    for _ in 0..4 {
        let Some(deadline) = fixture.table.next_deadline() else { return };
        if deadline > fixture.now {
            fixture.until(deadline - 1);
            assert_eq!(fixture.told.take(), [""; 0]);
        }
        fixture.until(deadline);
        fixture.told.take();
    }
}

/// A table as of a trace that takes looks.
fn looking(list: &str) -> Fixture {
    let thresholds = list.parse().unwrap();
    Fixture::with(Options { thresholds, look_patience: 15 * SECOND, ..options(250) })
}

/// Lets data move between a snapshot and the next, `times` times a second.
fn work(fixture: &mut Fixture, life: &mut Life, seconds: u64, mut moves: impl FnMut(&mut Life)) {
    for _ in 0..2 * seconds {
        let end = fixture.now + SECOND / 2;
        run(fixture, end);
        moves(life);
        fixture.look(&[&*life]);
    }
}

#[rstest]
#[case::server_sends("close-wait=2s", INTO_CLOSE_WAIT, |life: &mut Life| {
    life.socket.bytes_acked += 1;
})]
#[case::client_receives(
    "fin-wait2=2s",
    &[Connect, Established, ShutdownWrite, FinAcked],
    |life: &mut Life| life.socket.bytes_received += 1
)]
fn a_half_close_at_work_is_not_flagged_until_it_stops(
    #[case] list: &str,
    #[case] steps: &[Step],
    #[case] moves: impl FnMut(&mut Life),
) {
    let (mut fixture, mut life) = looking(list).playing(steps);
    let began = fixture.now;
    work(&mut fixture, &mut life, 20, moves);
    assert!(fixture.told.lingers.is_empty(), "{:?}", fixture.told.lingers);
    let stopped = fixture.now;
    work(&mut fixture, &mut life, 7, |_| {});
    let [raised, continues] = &fixture.told.lingers[..] else {
        panic!("{:?}", fixture.told.lingers)
    };
    assert_eq!((raised.status, continues.status), (LingerStatus::Raised, LingerStatus::Continues));
    assert!(raised.idle.unwrap().abs_diff(2 * SECOND) < SECOND / 4, "{raised:?}");
    assert!(raised.age >= stopped - began + 2 * SECOND - SECOND / 4, "{raised:?}");
    assert!(continues.idle.unwrap().abs_diff(4 * SECOND) < SECOND / 4, "{continues:?}");
}

/// Data in the other direction is no work: the socket has nothing to read any more.
#[test]
fn what_is_received_in_close_wait_is_no_progress() {
    let (mut fixture, mut life) = looking("close-wait=2s").playing(INTO_CLOSE_WAIT);
    work(&mut fixture, &mut life, 3, |life| life.socket.bytes_received += 1);
    assert_eq!(fixture.told.lingers.len(), 1);
}

#[test]
fn a_flag_waits_for_a_look_but_not_for_ever() {
    let (mut fixture, life) = looking("close-wait=2s,time-wait=off").playing(INTO_CLOSE_WAIT);
    let due = fixture.now + 2 * SECOND;
    run(&mut fixture, due + 10 * SECOND);
    assert!(fixture.told.lingers.is_empty());
    assert!(fixture.table.next_raise() <= Some(fixture.now), "a look is wanted");
    fixture.look(&[&life]);
    let [raised] = &fixture.told.lingers[..] else { panic!("{:?}", fixture.told.lingers) };
    assert!(raised.time >= due + 10 * SECOND && raised.idle.is_none());

    let mut other = Life::new(2);
    fixture.play(&mut other, INTO_CLOSE_WAIT);
    let due = fixture.now + 2 * SECOND;
    let end = due + 20 * SECOND;
    run(&mut fixture, end);
    let raised = fixture.told.lingers.iter().find(|l| l.subject.cookie == Some(2)).unwrap();
    assert!(raised.time.abs_diff(due + 15 * SECOND) < SECOND, "{raised:?}");
}

/// A snapshot of the sockets alone does not show who holds them.
#[test]
fn a_flag_waits_for_a_look_at_the_holders() {
    let (mut fixture, life) = looking("close-wait=2s,time-wait=off").playing(INTO_CLOSE_WAIT);
    let look = |fixture: &mut Fixture, life: &Life| {
        let holders = vec![holder(life, 500, 5)];
        let held_at = Some(fixture.now);
        fixture.table.expect_snapshot();
        let snapshot = Snapshot { holders, held_at, ..fixture.picture(&[life]) };
        fixture.merge(&snapshot);
    };
    look(&mut fixture, &life);
    let due = fixture.table.next_raise().unwrap();
    run(&mut fixture, due);
    fixture.look(&[&life]);
    assert!(fixture.told.lingers.is_empty());
    look(&mut fixture, &life);
    let [raised] = &fixture.told.lingers[..] else { panic!("{:?}", fixture.told.lingers) };
    assert_eq!(raised.holders.len(), 1);
}

#[test]
fn a_look_just_before_the_flag_is_enough() {
    let (mut fixture, life) = looking("close-wait=2s,time-wait=off").playing(INTO_CLOSE_WAIT);
    let due = fixture.table.next_raise().unwrap();
    run(&mut fixture, due - LOOK_LEAD / 2);
    fixture.look(&[&life]);
    assert_eq!(fixture.table.next_deadline(), Some(due));
    run(&mut fixture, due);
    assert_eq!(times(&fixture, LingerStatus::Raised), [due]);
}

#[test]
fn all_holders_of_a_lingering_socket_are_told_and_none_of_an_orphan() {
    let (mut fixture, life) =
        Fixture::lingering("close-wait=2s,time-wait=2s").playing(INTO_CLOSE_WAIT);
    fixture.hold(&[holder(&life, 101, 5), holder(&life, 500, 5)]);
    let mut closed = Life::new(2);
    fixture.play(&mut closed, &[Connect, Established]);
    fixture.hold(&[holder(&closed, 102, 6), holder(&closed, 500, 6)]);
    fixture.play(&mut closed, &[ShutdownWrite, FinAcked, PeerFin]);
    let end = fixture.now + 3 * SECOND;
    run(&mut fixture, end);
    let told: Vec<_> = fixture.told.lingers.iter().map(|l| (l.state, l.holders.len())).collect();
    assert_eq!(told, [(State::CloseWait, 2), (State::TimeWait, 0)]);
    assert_eq!(fixture.told.lingers[1].subject.owner.unwrap().process.pid, 102);
}
