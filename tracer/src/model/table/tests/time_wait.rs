//! Minisockets: predicted, replaced, found and lost.

use rstest::rstest;
use tracer_wire::{Record, kind, segment};

use super::{
    lives::{Kernel, Life, MILLISECOND, NETNS, SECOND, Step},
    stage::{Stage, options},
};
use crate::model::{state::State, table::Snapshot, time_wait::Ticks};
use Step::*;

const INTO_TIME_WAIT: &[Step] = &[Connect, Established, ShutdownWrite, FinAcked, PeerFin];
const INTO_ORPHAN: &[Step] = &[Connect, Established, Close, FinAcked];

fn staged(hz: u64, steps: &[Step]) -> (Stage, Life) {
    let mut stage = Stage::with(options(hz));
    let mut life = Life::new(1).on(Kernel { hz, ..Kernel::NEW });
    stage.play(&mut life, steps);
    stage.told.take();
    (stage, life)
}

/// When the kernel's timer removes the minisocket of `life`, armed at `armed` for `seconds`.
fn removal(life: &Life, hz: u64, armed: u64, seconds: u64) -> u64 {
    let ticks = Ticks { hz };
    let jiffies = life.jiffies_at(armed);
    armed + ticks.nanoseconds(ticks.fires_at(jiffies, jiffies + seconds * hz) - jiffies)
}

#[rstest]
fn time_wait_ends_at_the_jiffy_at_which_the_kernels_timer_fires(
    #[values(100, 250, 300, 1000)] hz: u64,
    #[values(0, 777, 1_999)] delay: u64,
) {
    let (mut stage, _) = staged(hz, &[Wait(delay)]);
    let mut life = Life::new(1).on(Kernel { hz, ..Kernel::NEW });
    stage.play(&mut life, INTO_TIME_WAIT);
    stage.told.take();
    let armed = stage.told.transitions.last().unwrap().time;
    let expected = removal(&life, hz, armed, 60);
    assert!(expected > armed + 60 * SECOND && expected < armed + 66 * SECOND);
    stage.until(expected - 1);
    assert_eq!(stage.told.take(), [""; 0]);
    stage.until(expected + SECOND);
    assert_eq!(stage.told.take(), ["TIME_WAIT>CLOSED [Timer] Graceful by Local"]);
    assert_eq!(stage.told.transitions.last().unwrap().time, expected);
    assert!(stage.table.is_empty());
}

#[rstest]
#[case::default_time(0, 60)]
#[case::of_the_socket(5, 5)]
fn an_orphan_is_given_up_when_its_time_is_over(#[case] linger2: i32, #[case] seconds: u64) {
    let steps = [&[Linger2(linger2)], INTO_ORPHAN].concat();
    let (mut stage, life) = staged(250, &steps);
    let expected = removal(&life, 250, life.now, seconds);
    stage.until(expected - 1);
    assert_eq!(stage.told.take(), [""; 0]);
    stage.until(expected + SECOND);
    assert_eq!(
        stage.told.take(),
        [
            "FIN_WAIT2>CLOSED [Timer] FinWait2Timeout by Local",
            "story: FinWait2Timeout by Local [Timer]"
        ]
    );
    assert_eq!(stage.told.transitions.last().unwrap().time, expected);
}

/// What exceeds a minute is spent as a minisocket, the rest before (tcp_keepalive_timer).
#[test]
fn an_orphan_with_a_long_time_is_a_minisocket_for_what_exceeds_a_minute() {
    let (mut stage, mut life) = staged(250, &[&[Linger2(90)], INTO_ORPHAN].concat());
    stage.play(&mut life, &[Wait(30_000), OrphanTimer]);
    assert_eq!(stage.told.take(), ["FIN_WAIT2>FIN_WAIT2, kernel FIN_WAIT2>CLOSED"]);
    let expected = removal(&life, 250, life.now, 30);
    stage.until(expected + SECOND);
    assert_eq!(stage.told.transitions.last().unwrap().time, expected);
    assert!(stage.table.is_empty());
}

#[rstest]
#[case::client_that_knows_its_port(&[Bind, Connect], "CLOSED>SYN_SENT")]
#[case::server(&[Syn, Ack], "LISTEN>SYN_RECV")]
fn a_new_connection_between_the_same_ends_replaces_a_minisocket(
    #[values(Kernel::NEW, Kernel::OLD)] kernel: Kernel,
    #[case] again: &[Step],
    #[case] first: &str,
) {
    let mut stage = Stage::new();
    let mut old = Life::new(1).with_ports(7_000, 80);
    stage.play(&mut old, INTO_TIME_WAIT);
    stage.told.take();
    let mut new = Life::new(2).on(kernel).with_ports(7_000, 80);
    stage.play(&mut new, again);
    let lines = stage.told.take();
    assert_eq!(
        lines[..2],
        ["TIME_WAIT>CLOSED [Inferred] Graceful by Local".to_owned(), first.to_owned()]
    );
    assert_eq!(stage.table.len(), 1);
    assert_eq!(stage.table.count(State::TimeWait), 0);
}

#[test]
fn a_client_whose_port_is_told_later_replaces_a_minisocket() {
    let mut stage = Stage::new();
    let mut old = Life::new(1).with_ports(30_102, 80);
    stage.play(&mut old, INTO_TIME_WAIT);
    stage.told.take();
    stage.play(&mut Life::new(2), &[Connect, Established]);
    assert_eq!(
        stage.told.take(),
        [
            "TIME_WAIT>CLOSED [Inferred] Graceful by Local",
            "CLOSED>SYN_SENT",
            "SYN_SENT>ESTABLISHED",
        ]
    );
    assert_eq!(stage.sockets(), [(2, State::Established)]);
}

/// Both ends on this host: no event tells of the FIN, but the far end's last state does.
#[test]
fn the_far_end_on_this_host_takes_an_orphan_into_time_wait() {
    let (mut stage, mut here) = staged(250, INTO_ORPHAN);
    let mut there = far_end(&here);
    stage.play(&mut there, &[Syn, Ack, Accept, PeerFin, Close]);
    stage.play_unseen(&mut here, &[PeerFin]);
    stage.told.take();
    stage.play(&mut there, &[FinAcked]);
    assert_eq!(
        stage.told.take(),
        [
            "LAST_ACK>CLOSED Graceful by Peer",
            "story: Graceful by Peer",
            "FIN_WAIT2>TIME_WAIT [Inferred]",
            "story: Graceful by Local [Inferred]",
        ]
    );
    stage.until(stage.now + 66 * SECOND);
    assert_eq!(stage.told.take(), ["TIME_WAIT>CLOSED [Timer] Graceful by Local"]);
}

#[rstest]
#[case::linger_zero(&[Syn, Ack, Accept, PeerFin, LingerZero, Close])]
#[case::unread(&[Syn, Ack, Accept, Receive(7), PeerFin, Close])]
#[case::killed(&[Syn, Ack, Accept, PeerFin, Kill])]
fn a_reset_of_the_far_end_on_this_host_ends_an_orphan(#[case] steps: &[Step]) {
    let (mut stage, here) = staged(250, INTO_ORPHAN);
    stage.play(&mut far_end(&here), steps);
    let lines = stage.told.take();
    assert!(lines.contains(&"FIN_WAIT2>CLOSED [Inferred] ResetReceived by Local".to_owned()));
    assert!(stage.table.is_empty());
}

/// Before 6.12 no event tells that a minisocket sends an RST; that it has arrived is one.
#[test]
fn a_reset_that_arrives_from_an_orphan_on_this_host_was_its_end() {
    let (mut stage, here) = staged(250, INTO_ORPHAN);
    stage.play(&mut far_end(&here), &[Syn, Ack, Accept, PeerFin, PeerReset]);
    let lines = stage.told.take();
    let end = "FIN_WAIT2>CLOSED [Inferred] ResetSentDataAfterClose by Local".to_owned();
    assert!(lines.contains(&end), "{lines:?}");
    assert!(stage.table.is_empty());
}

/// The peer's FIN came while the minisocket took over from the full socket: found neither, and
/// answered by an RST of no socket. The minisocket waits on.
#[test]
fn an_rst_of_no_socket_was_not_the_orphan_s() {
    let (mut stage, here) = staged(250, INTO_ORPHAN);
    let mut there = far_end(&here);
    stage.play(&mut there, &[Syn, Ack, Accept, PeerFin, Close]);
    let rst = Record {
        kind: kind::RESET_WITHOUT_SOCKET,
        segment_flags: segment::FIN | segment::ACK,
        time_ns: stage.now,
        ..here.socket
    };
    stage.ingest(&rst);
    stage.play(&mut there, &[PeerReset]);
    stage.until(stage.now + SECOND);
    let lines = stage.told.take();
    assert!(lines.contains(&"LAST_ACK>CLOSED ResetReceived by Peer".to_owned()), "{lines:?}");
    assert_eq!(stage.sockets(), [(1, State::FinWait2)]);
    stage.until(stage.now + 66 * SECOND);
    assert_eq!(stage.told.take()[0], "FIN_WAIT2>CLOSED [Timer] FinWait2Timeout by Local");
}

/// The server's end of the connection of `client`, which was accepted on this host.
fn far_end(client: &Life) -> Life {
    let Record { local_port, local_address, peer_port, peer_address, .. } = client.socket;
    Life::new(2).with_ports(peer_port, local_port).between(peer_address, local_address)
}

#[test]
fn a_minisocket_of_before_is_found_with_its_age() {
    let mut stage = Stage::new();
    let mut life = Life::new(1);
    stage.play_unseen(&mut life, INTO_TIME_WAIT);
    let armed = life.now;
    stage.now += 20 * SECOND;
    let merged = stage.look(&[&life]);
    assert_eq!(merged.found, 1);
    assert_eq!(stage.told.take(), [""; 0]);
    let connection = stage.table.connections().next().unwrap();
    assert!(connection.since.abs_diff(armed) <= 4 * MILLISECOND, "{}", connection.since - armed);
    assert!(connection.since_known);
    let expected = removal(&life, 250, armed, 60);
    stage.until(expected + SECOND);
    assert_eq!(stage.told.take(), ["TIME_WAIT>CLOSED [Timer] Graceful by nobody"]);
    let end = stage.told.transitions.last().unwrap().time;
    assert!(end.abs_diff(expected) <= 4 * MILLISECOND);
}

#[test]
fn the_age_of_an_orphan_of_before_is_not_known() {
    let mut stage = Stage::new();
    let mut life = Life::new(1);
    stage.play_unseen(&mut life, INTO_ORPHAN);
    stage.now += 20 * SECOND;
    stage.look(&[&life]);
    let connection = stage.table.connections().next().unwrap();
    assert_eq!((connection.state, connection.since_known), (State::FinWait2, false));
    assert!(connection.orphaned);
}

#[rstest]
#[case::time_wait(INTO_TIME_WAIT, "TIME_WAIT>CLOSED [Snapshot] Graceful by Local")]
#[case::orphan(INTO_ORPHAN, "FIN_WAIT2>CLOSED [Snapshot] Unknown by Local")]
fn a_minisocket_that_a_look_does_not_show_is_gone(#[case] steps: &[Step], #[case] line: &str) {
    let (mut stage, mut life) = staged(250, steps);
    stage.look(&[&life]);
    assert_eq!(stage.told.take(), [""; 0]);
    stage.play_unseen(&mut life, &[Gone]);
    assert_eq!(stage.look(&[&life]).gone, 1);
    assert_eq!(stage.told.take()[0], line);
    assert!(stage.table.is_empty());
}

/// The table waits a little longer than the timer: a look may be faster.
#[rstest]
#[case::time_wait(INTO_TIME_WAIT, "TIME_WAIT>CLOSED [Timer] Graceful by Local")]
#[case::orphan(INTO_ORPHAN, "FIN_WAIT2>CLOSED [Timer] FinWait2Timeout by Local")]
fn a_minisocket_that_is_gone_when_its_timer_was_due_was_ended_by_it(
    #[case] steps: &[Step],
    #[case] line: &str,
) {
    let (mut stage, mut life) = staged(250, steps);
    let expected = removal(&life, 250, life.now, 60);
    stage.until(expected);
    stage.play_unseen(&mut life, &[Gone]);
    assert_eq!(stage.look(&[&life]).gone, 1);
    assert_eq!(stage.told.take()[0], line);
    assert_eq!(stage.told.transitions.last().unwrap().time, expected);
}

/// A look at many sockets, or on a slow machine, takes a while.
#[test]
fn a_minisocket_whose_timer_fires_during_a_look_was_ended_by_it() {
    let (mut stage, mut life) = staged(250, INTO_ORPHAN);
    let expected = removal(&life, 250, life.now, 60);
    stage.until(expected - 5 * MILLISECOND);
    stage.table.expect_snapshot();
    stage.play_unseen(&mut life, &[Gone]);
    let ended = expected + MILLISECOND;
    let snapshot = Snapshot { ended, ..stage.picture(&[&life]) };
    assert_eq!(stage.merge(&snapshot).gone, 1);
    assert_eq!(stage.told.take()[0], "FIN_WAIT2>CLOSED [Timer] FinWait2Timeout by Local");
}

#[test]
fn a_late_segment_arms_time_wait_again() {
    let (mut stage, mut life) = staged(250, INTO_TIME_WAIT);
    let first = removal(&life, 250, life.now, 60);
    stage.play(&mut life, &[Wait(30_000), LateSegment]);
    let expected = removal(&life, 250, life.now, 60);
    stage.look(&[&life]);
    stage.until(first + 10 * SECOND);
    assert_eq!(stage.told.take(), [""; 0]);
    stage.until(expected + SECOND);
    assert_eq!(stage.told.take()[0], "TIME_WAIT>CLOSED [Timer] Graceful by Local");
    let end = stage.told.transitions.last().unwrap().time;
    assert!(end.abs_diff(expected) <= 4 * MILLISECOND);
    assert_eq!(stage.told.transitions.len(), 6);
}

/// The wheel is coarse: both timers fire at the same jiffy.
#[rstest]
#[case::soon(100)]
#[case::later(5_000)]
fn an_orphan_that_is_seen_in_time_wait_ends_by_its_timer(#[case] delay: u64) {
    let (mut stage, mut life) = staged(250, INTO_ORPHAN);
    stage.play(&mut life, &[Wait(delay), PeerFin]);
    let expected = removal(&life, 250, life.now, 60);
    stage.look(&[&life]);
    assert_eq!(
        stage.told.take(),
        ["FIN_WAIT2>TIME_WAIT [Snapshot]", "story: Graceful by Local [Snapshot]"]
    );
    stage.until(expected + SECOND);
    assert_eq!(stage.told.take(), ["TIME_WAIT>CLOSED [Timer] Graceful by Local"]);
    let end = stage.told.transitions.last().unwrap().time;
    assert!(end.abs_diff(expected) <= 4 * MILLISECOND);
}

/// Only a timer that shows another time is news.
#[rstest]
fn a_look_leaves_a_right_prediction_alone(
    #[values(INTO_TIME_WAIT, INTO_ORPHAN)] steps: &[Step],
    #[values(0, 5)] linger2: i32,
    #[values(0, 300, 600)] delay: u64,
) {
    let steps = [&[Wait(delay), Linger2(linger2)], steps].concat();
    let (mut stage, mut life) = staged(250, &steps);
    let before = stage.table.connections().next().unwrap().removal();
    stage.play(&mut life, &[Wait(1_000)]);
    stage.look(&[&life]);
    assert_eq!(stage.table.connections().next().unwrap().removal(), before);
}

#[test]
fn another_namespace_has_its_own_ends() {
    let (mut stage, _) = staged(250, INTO_TIME_WAIT);
    let mut other = Life::new(2).with_ports(30_101, 80);
    other.socket.netns = NETNS + 1;
    stage.play(&mut other, &[Bind, Connect]);
    assert_eq!(stage.table.count(State::TimeWait), 1);
}
