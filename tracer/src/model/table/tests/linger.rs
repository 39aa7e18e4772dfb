//! Sockets that outlast the threshold of their state, and deadlines.

use rstest::rstest;

use super::{
    lives::{Life, MILLISECOND, SECOND, Step},
    stage::{Stage, holder, options},
};
use crate::model::{
    linger::LOOK_LEAD,
    state::State,
    table::{Options, Snapshot},
    update::LingerStatus,
};
use Step::*;

const INTO_CLOSE_WAIT: &[Step] = &[Connect, Established, PeerFin];

/// Runs the table as the program does: nothing happens but at its deadlines.
///
/// Panics where a deadline is in the past after it was served: that is a busy loop.
fn run(stage: &mut Stage, end: u64) -> usize {
    let mut wakes = 0;
    while let Some(deadline) = stage.table.next_deadline().filter(|&deadline| deadline <= end) {
        let now = deadline.max(stage.now);
        stage.until(now);
        let next = stage.table.next_deadline();
        assert!(next.is_none_or(|next| next > now), "{next:?} is due at {now} still");
        wakes += 1;
        assert!(wakes < 1_000, "no progress");
    }
    stage.until(end);
    wakes
}

fn times(stage: &Stage, status: LingerStatus) -> Vec<u64> {
    stage.told.lingers.iter().filter(|l| l.status == status).map(|l| l.time).collect()
}

#[test]
fn lingering_is_raised_at_the_threshold_and_told_again_at_each_doubling() {
    let mut stage = Stage::lingering("close-wait=30s,time-wait=off,last-ack=off");
    let mut life = Life::new(1);
    stage.play(&mut life, INTO_CLOSE_WAIT);
    let since = stage.told.transitions.last().unwrap().time;
    stage.told.take();
    let end = stage.now + 300 * SECOND;
    let wakes = run(&mut stage, end);
    assert_eq!(wakes, 4);
    assert_eq!(
        stage.told.take(),
        [
            "Raised CLOSE_WAIT 30000 ms",
            "Continues CLOSE_WAIT 60000 ms",
            "Continues CLOSE_WAIT 120000 ms",
            "Continues CLOSE_WAIT 240000 ms",
        ]
    );
    assert_eq!(times(&stage, LingerStatus::Raised), [since + 30 * SECOND]);
    stage.play(&mut life, &[Close]);
    let [.., last] = &stage.told.transitions[..] else { panic!() };
    let cleared = stage.told.lingers.last().unwrap();
    assert_eq!(cleared.status, LingerStatus::Cleared);
    assert_eq!((cleared.state, cleared.age), (State::CloseWait, last.time - since));
    assert_eq!(cleared.threshold, 30 * SECOND);
    stage.told.take();
    let end = stage.now + 300 * SECOND;
    run(&mut stage, end);
    assert_eq!(stage.told.take(), [""; 0]);
}

#[test]
fn a_late_look_at_the_clock_raises_once_and_skips_the_doublings_passed() {
    let mut stage = Stage::lingering("close-wait=1s,time-wait=off");
    let mut life = Life::new(1);
    stage.play(&mut life, INTO_CLOSE_WAIT);
    stage.told.take();
    stage.until(life.now + 9 * SECOND);
    assert_eq!(stage.told.take(), ["Raised CLOSE_WAIT 9000 ms"]);
    let end = life.now + 17 * SECOND;
    run(&mut stage, end);
    assert_eq!(stage.told.take(), ["Continues CLOSE_WAIT 16000 ms"]);
}

#[test]
fn a_state_that_is_left_in_time_is_not_flagged() {
    let mut stage = Stage::lingering("close-wait=30s");
    let mut life = Life::new(1);
    stage.play(&mut life, INTO_CLOSE_WAIT);
    stage.play(&mut life, &[Wait(29_000), Close, FinAcked]);
    run(&mut stage, life.now + 100 * SECOND);
    assert!(stage.told.lingers.is_empty());
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
    let mut stage = Stage::lingering(list);
    let mut life = Life::new(1);
    stage.play(&mut life, steps);
    run(&mut stage, life.now + 3 * SECOND);
    let statuses: Vec<_> = stage.told.lingers.iter().map(|l| (l.state, l.status)).collect();
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
    let mut stage = Stage::lingering("fin-wait2=10s,time-wait=off");
    let mut life = Life::new(1);
    stage.play(&mut life, &[&[Connect, Established], before].concat());
    stage.play(&mut life, &[Wait(15_000)]);
    stage.play(&mut life, takes_over);
    run(&mut stage, life.now + 30 * SECOND);
    let statuses: Vec<_> = stage.told.lingers.iter().map(|l| (l.status, l.age / SECOND)).collect();
    let expected = [(LingerStatus::Raised, 15), (LingerStatus::Continues, 20)];
    assert_eq!(statuses[..2], expected, "{statuses:?}");
    assert_eq!(statuses.len(), 3, "{statuses:?}");
    assert_eq!(statuses[2].0, LingerStatus::Continues);
}

#[test]
fn the_end_of_time_wait_clears_it() {
    let mut stage = Stage::lingering("time-wait=30s");
    let mut life = Life::new(1);
    stage.play(&mut life, &[Connect, Established, ShutdownWrite, FinAcked, PeerFin]);
    stage.told.take();
    run(&mut stage, life.now + 70 * SECOND);
    let lines = stage.told.take();
    let [raised, doubled, closed, cleared] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(raised, "Raised TIME_WAIT 30000 ms");
    assert_eq!(doubled, "Continues TIME_WAIT 60000 ms");
    assert_eq!(closed, "TIME_WAIT>CLOSED [Timer] Graceful by Local");
    assert!(cleared.starts_with("Cleared TIME_WAIT 6"), "{cleared}");
    let [.., last] = &stage.told.transitions[..] else { panic!() };
    assert_eq!(last.elapsed, Some(stage.told.lingers.last().unwrap().age));
}

/// How long it has been in the state is not known, so it is counted from the look.
#[test]
fn a_socket_of_before_is_at_least_as_old_as_it_was_watched() {
    let mut stage = Stage::lingering("close-wait=30s");
    let mut life = Life::new(1);
    stage.play_unseen(&mut life, INTO_CLOSE_WAIT);
    stage.now += 100 * SECOND;
    stage.look(&[&life]);
    let looked = stage.now;
    assert_eq!(stage.told.take(), [""; 0]);
    run(&mut stage, looked + 40 * SECOND);
    assert_eq!(stage.told.take(), ["Raised CLOSE_WAIT ≥30000 ms"]);
    stage.play(&mut life, &[Close, FinAcked]);
    assert!(stage.told.lingers.last().unwrap().at_least);
    assert_eq!(stage.told.transitions[0].elapsed, None);
    let [story] = &stage.told.stories[..] else { panic!() };
    assert!(story.at_least);
    assert_eq!(story.began, None);
}

#[test]
fn a_time_wait_of_before_is_as_old_as_its_timer_says() {
    let mut stage = Stage::lingering("time-wait=30s");
    let mut life = Life::new(1);
    stage.play_unseen(
        &mut life,
        &[Connect, Established, ShutdownWrite, FinAcked, PeerFin, Wait(40_000)],
    );
    stage.look(&[&life]);
    let [raised] = &stage.told.lingers[..] else { panic!("{:?}", stage.told.lingers) };
    assert!(!raised.at_least);
    assert!(raised.age.abs_diff(40 * SECOND) < 20 * MILLISECOND, "{}", raised.age);
}

#[test]
fn it_is_known_beforehand_when_a_holder_will_be_wanted() {
    let mut stage = Stage::lingering("close-wait=30s");
    let mut life = Life::new(1);
    stage.play(&mut life, INTO_CLOSE_WAIT);
    let due = stage.table.next_deadline().unwrap();
    assert_eq!(stage.table.next_raise(), Some(due));
    stage.table.merge_holders(&[holder(&life, life.socket.pid, 5)]);
    stage.until(due);
    assert_eq!(stage.told.lingers[0].subject.owner.unwrap().fd, Some(5));
    assert_eq!(stage.table.next_raise(), None);
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
    let mut stage = Stage::lingering("syn-sent=1s,close-wait=2s,fin-wait2=3s,time-wait=4s");
    let mut life = Life::new(1);
    for &step in steps {
        for record in life.apply(step) {
            stage.ingest(&record);
            let now = record.time_ns;
            stage.until(now);
            let next = stage.table.next_deadline();
            assert!(next.is_none_or(|next| next > now), "{next:?} is due at {now} still");
        }
    }
    let wakes = run(&mut stage, life.now + 100 * SECOND);
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
    let mut stage = Stage::lingering("syn-sent=1s,close-wait=2s,fin-wait2=3s,time-wait=4s");
    let mut life = Life::new(1);
    for &step in steps {
        for record in life.apply(step) {
            stage.ingest(&record);
        }
    }
    stage.told.take();
    for _ in 0..4 {
        let Some(deadline) = stage.table.next_deadline() else { return };
        if deadline > stage.now {
            stage.until(deadline - 1);
            assert_eq!(stage.told.take(), [""; 0]);
        }
        stage.until(deadline);
        stage.told.take();
    }
}

/// A table as of a trace that takes looks.
fn looking(list: &str) -> Stage {
    let thresholds = list.parse().unwrap();
    Stage::with(Options { thresholds, look_patience: 15 * SECOND, ..options(250) })
}

/// Lets data move between a look and the next, `times` times a second.
fn work(stage: &mut Stage, life: &mut Life, seconds: u64, mut moves: impl FnMut(&mut Life)) {
    for _ in 0..2 * seconds {
        let end = stage.now + SECOND / 2;
        run(stage, end);
        moves(life);
        stage.look(&[&*life]);
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
    let mut stage = looking(list);
    let mut life = Life::new(1);
    stage.play(&mut life, steps);
    let began = stage.now;
    work(&mut stage, &mut life, 20, moves);
    assert!(stage.told.lingers.is_empty(), "{:?}", stage.told.lingers);
    let stopped = stage.now;
    work(&mut stage, &mut life, 7, |_| {});
    let [raised, continues] = &stage.told.lingers[..] else { panic!("{:?}", stage.told.lingers) };
    assert_eq!((raised.status, continues.status), (LingerStatus::Raised, LingerStatus::Continues));
    assert!(raised.idle.unwrap().abs_diff(2 * SECOND) < SECOND / 4, "{raised:?}");
    assert!(raised.age >= stopped - began + 2 * SECOND - SECOND / 4, "{raised:?}");
    assert!(continues.idle.unwrap().abs_diff(4 * SECOND) < SECOND / 4, "{continues:?}");
}

/// Data in the other direction is no work: the socket has nothing to read any more.
#[test]
fn what_is_received_in_close_wait_is_no_progress() {
    let mut stage = looking("close-wait=2s");
    let mut life = Life::new(1);
    stage.play(&mut life, INTO_CLOSE_WAIT);
    work(&mut stage, &mut life, 3, |life| life.socket.bytes_received += 1);
    assert_eq!(stage.told.lingers.len(), 1);
}

#[test]
fn a_flag_waits_for_a_look_but_not_for_ever() {
    let mut stage = looking("close-wait=2s,time-wait=off");
    let mut life = Life::new(1);
    stage.play(&mut life, INTO_CLOSE_WAIT);
    let due = stage.now + 2 * SECOND;
    run(&mut stage, due + 10 * SECOND);
    assert!(stage.told.lingers.is_empty());
    assert!(stage.table.next_raise() <= Some(stage.now), "a look is wanted");
    stage.look(&[&life]);
    let [raised] = &stage.told.lingers[..] else { panic!("{:?}", stage.told.lingers) };
    assert!(raised.time >= due + 10 * SECOND && raised.idle.is_none());

    let mut other = Life::new(2);
    stage.play(&mut other, INTO_CLOSE_WAIT);
    let due = stage.now + 2 * SECOND;
    let end = due + 20 * SECOND;
    run(&mut stage, end);
    let raised = stage.told.lingers.iter().find(|l| l.subject.cookie == Some(2)).unwrap();
    assert!(raised.time.abs_diff(due + 15 * SECOND) < SECOND, "{raised:?}");
}

/// A look at the sockets alone does not tell who holds them.
#[test]
fn a_flag_waits_for_a_look_at_the_holders() {
    let mut stage = looking("close-wait=2s,time-wait=off");
    let mut life = Life::new(1);
    stage.play(&mut life, INTO_CLOSE_WAIT);
    let look = |stage: &mut Stage, life: &Life| {
        let holders = vec![holder(life, 500, 5)];
        let held_at = Some(stage.now);
        stage.table.expect_snapshot();
        let snapshot = Snapshot { holders, held_at, ..stage.picture(&[life]) };
        stage.merge(&snapshot);
    };
    look(&mut stage, &life);
    let due = stage.table.next_raise().unwrap();
    run(&mut stage, due);
    stage.look(&[&life]);
    assert!(stage.told.lingers.is_empty());
    look(&mut stage, &life);
    let [raised] = &stage.told.lingers[..] else { panic!("{:?}", stage.told.lingers) };
    assert_eq!(raised.holders.len(), 1);
}

#[test]
fn a_look_just_before_the_flag_is_enough() {
    let mut stage = looking("close-wait=2s,time-wait=off");
    let mut life = Life::new(1);
    stage.play(&mut life, INTO_CLOSE_WAIT);
    let due = stage.table.next_raise().unwrap();
    run(&mut stage, due - LOOK_LEAD / 2);
    stage.look(&[&life]);
    assert_eq!(stage.table.next_deadline(), Some(due));
    run(&mut stage, due);
    assert_eq!(times(&stage, LingerStatus::Raised), [due]);
}

#[test]
fn all_holders_of_a_lingering_socket_are_told_and_none_of_an_orphan() {
    let mut stage = Stage::lingering("close-wait=2s,time-wait=2s");
    let mut life = Life::new(1);
    stage.play(&mut life, INTO_CLOSE_WAIT);
    stage.table.merge_holders(&[holder(&life, 101, 5), holder(&life, 500, 5)]);
    let mut closed = Life::new(2);
    stage.play(&mut closed, &[Connect, Established]);
    stage.table.merge_holders(&[holder(&closed, 102, 6), holder(&closed, 500, 6)]);
    stage.play(&mut closed, &[ShutdownWrite, FinAcked, PeerFin]);
    let end = stage.now + 3 * SECOND;
    run(&mut stage, end);
    let told: Vec<_> = stage.told.lingers.iter().map(|l| (l.state, l.holders.len())).collect();
    assert_eq!(told, [(State::CloseWait, 2), (State::TimeWait, 0)]);
    assert_eq!(stage.told.lingers[1].subject.owner.unwrap().process.pid, 102);
}
