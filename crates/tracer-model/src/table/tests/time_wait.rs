//! Minisockets: predicted, replaced, found and lost.

use rstest::rstest;
use tracer_wire::{Record, kind, segment};

use super::{
    fixture::{Fixture, options},
    lives::{Kernel, Life, MILLISECOND, NETNS, SECOND, Step},
};
use crate::{table::Snapshot, time_wait::Ticks};
use Step::*;
use tracer_event::state::State;

const INTO_TIME_WAIT: &[Step] = &[Connect, Established, ShutdownWrite, FinAcked, PeerFin];
const INTO_ORPHAN: &[Step] = &[Connect, Established, Close, FinAcked];

fn staged(hz: u64, steps: &[Step]) -> (Fixture, Life) {
    let mut fixture = Fixture::with(options(hz));
    let mut life = Life::new(1).on(Kernel { hz, ..Kernel::NEW });
    fixture.play(&mut life, steps);
    fixture.told.take();
    (fixture, life)
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
    let (mut fixture, _) = staged(hz, &[Wait(delay)]);
    let mut life = Life::new(1).on(Kernel { hz, ..Kernel::NEW });
    fixture.play(&mut life, INTO_TIME_WAIT);
    fixture.told.take();
    let armed = fixture.told.transitions.last().unwrap().time;
    let expected = removal(&life, hz, armed, 60);
    assert!(expected > armed + 60 * SECOND && expected < armed + 66 * SECOND);
    fixture.until(expected - 1);
    assert_eq!(fixture.told.take(), [""; 0]);
    fixture.until(expected + SECOND);
    assert_eq!(fixture.told.take(), ["TIME_WAIT>CLOSED [Timer] Graceful by Local"]);
    assert_eq!(fixture.told.transitions.last().unwrap().time, expected);
    assert!(fixture.table.is_empty());
}

#[rstest]
#[case::default_time(0, 60)]
#[case::of_the_socket(5, 5)]
fn an_orphan_is_given_up_when_its_time_is_over(#[case] linger2: i32, #[case] seconds: u64) {
    let steps = [&[Linger2(linger2)], INTO_ORPHAN].concat();
    let (mut fixture, life) = staged(250, &steps);
    let expected = removal(&life, 250, life.now, seconds);
    fixture.until(expected - 1);
    assert_eq!(fixture.told.take(), [""; 0]);
    fixture.until(expected + SECOND);
    assert_eq!(
        fixture.told.take(),
        [
            "FIN_WAIT2>CLOSED [Timer] FinWait2Timeout by Local",
            "story: FinWait2Timeout by Local [Timer]"
        ]
    );
    assert_eq!(fixture.told.transitions.last().unwrap().time, expected);
}

/// What exceeds a minute is spent as a minisocket, the rest before (tcp_keepalive_timer).
#[test]
fn an_orphan_with_a_long_time_is_a_minisocket_for_what_exceeds_a_minute() {
    let (mut fixture, mut life) = staged(250, &[&[Linger2(90)], INTO_ORPHAN].concat());
    fixture.play(&mut life, &[Wait(30_000), OrphanTimer]);
    assert_eq!(fixture.told.take(), ["FIN_WAIT2>FIN_WAIT2, kernel FIN_WAIT2>CLOSED"]);
    let expected = removal(&life, 250, life.now, 30);
    fixture.until(expected + SECOND);
    assert_eq!(fixture.told.transitions.last().unwrap().time, expected);
    assert!(fixture.table.is_empty());
}

#[rstest]
#[case::client_that_knows_its_port(&[Bind, Connect], "CLOSED>SYN_SENT")]
#[case::server(&[Syn, Ack], "LISTEN>SYN_RECV")]
fn a_new_connection_between_the_same_ends_replaces_a_minisocket(
    #[values(Kernel::NEW, Kernel::OLD)] kernel: Kernel,
    #[case] again: &[Step],
    #[case] first: &str,
) {
    let mut fixture = Fixture::new();
    let mut old = Life::new(1).with_ports(7_000, 80);
    fixture.play(&mut old, INTO_TIME_WAIT);
    fixture.told.take();
    let mut new = Life::new(2).on(kernel).with_ports(7_000, 80);
    fixture.play(&mut new, again);
    let lines = fixture.told.take();
    assert_eq!(
        lines[..2],
        ["TIME_WAIT>CLOSED [Inferred] Graceful by Local".to_owned(), first.to_owned()]
    );
    assert_eq!(fixture.table.len(), 1);
    assert_eq!(fixture.table.count(State::TimeWait), 0);
}

#[test]
fn a_client_whose_port_is_told_later_replaces_a_minisocket() {
    let mut fixture = Fixture::new();
    let mut old = Life::new(1).with_ports(30_102, 80);
    fixture.play(&mut old, INTO_TIME_WAIT);
    fixture.told.take();
    fixture.play(&mut Life::new(2), &[Connect, Established]);
    assert_eq!(
        fixture.told.take(),
        [
            "TIME_WAIT>CLOSED [Inferred] Graceful by Local",
            "CLOSED>SYN_SENT",
            "SYN_SENT>ESTABLISHED",
        ]
    );
    assert_eq!(fixture.sockets(), [(2, State::Established)]);
}

/// Both ends on this host: no event reports the FIN, but the peer's last state does.
#[test]
fn the_far_end_on_this_host_takes_an_orphan_into_time_wait() {
    let (mut fixture, mut here) = staged(250, INTO_ORPHAN);
    let mut there = far_end(&here);
    fixture.play(&mut there, &[Syn, Ack, Accept, PeerFin, Close]);
    fixture.play_unseen(&mut here, &[PeerFin]);
    fixture.told.take();
    fixture.play(&mut there, &[FinAcked]);
    assert_eq!(
        fixture.told.take(),
        [
            "LAST_ACK>CLOSED Graceful by Peer",
            "story: Graceful by Peer",
            "FIN_WAIT2>TIME_WAIT [Inferred]",
            "story: Graceful by Local [Inferred]",
        ]
    );
    fixture.until(fixture.now + 66 * SECOND);
    assert_eq!(fixture.told.take(), ["TIME_WAIT>CLOSED [Timer] Graceful by Local"]);
}

#[rstest]
#[case::linger_zero(&[Syn, Ack, Accept, PeerFin, LingerZero, Close])]
#[case::unread(&[Syn, Ack, Accept, Receive(7), PeerFin, Close])]
#[case::killed(&[Syn, Ack, Accept, PeerFin, Kill])]
fn a_reset_of_the_far_end_on_this_host_ends_an_orphan(#[case] steps: &[Step]) {
    let (mut fixture, here) = staged(250, INTO_ORPHAN);
    fixture.play(&mut far_end(&here), steps);
    let lines = fixture.told.take();
    assert!(lines.contains(&"FIN_WAIT2>CLOSED [Inferred] ResetReceived by Local".to_owned()));
    assert!(fixture.table.is_empty());
}

/// Before 6.12 no event tells that a minisocket sends an RST; that it has arrived is one.
#[test]
fn a_reset_that_arrives_from_an_orphan_on_this_host_was_its_end() {
    let (mut fixture, here) = staged(250, INTO_ORPHAN);
    fixture.play(&mut far_end(&here), &[Syn, Ack, Accept, PeerFin, PeerReset]);
    let lines = fixture.told.take();
    let end = "FIN_WAIT2>CLOSED [Inferred] ResetSentDataAfterClose by Local".to_owned();
    assert!(lines.contains(&end), "{lines:?}");
    assert!(fixture.table.is_empty());
}

/// The peer's FIN came while the minisocket took over from the full socket: found neither, and
/// answered by an RST of no socket. The minisocket waits on.
#[test]
fn an_rst_of_no_socket_was_not_the_orphan_s() {
    let (mut fixture, here) = staged(250, INTO_ORPHAN);
    let mut there = far_end(&here);
    fixture.play(&mut there, &[Syn, Ack, Accept, PeerFin, Close]);
    let rst = Record {
        kind: kind::RESET_WITHOUT_SOCKET,
        segment_flags: segment::FIN | segment::ACK,
        time_ns: fixture.now,
        ..here.socket
    };
    fixture.ingest(&rst);
    fixture.play(&mut there, &[PeerReset]);
    fixture.until(fixture.now + SECOND);
    let lines = fixture.told.take();
    assert!(lines.contains(&"LAST_ACK>CLOSED ResetReceived by Peer".to_owned()), "{lines:?}");
    assert_eq!(fixture.sockets(), [(1, State::FinWait2)]);
    fixture.until(fixture.now + 66 * SECOND);
    assert_eq!(fixture.told.take()[0], "FIN_WAIT2>CLOSED [Timer] FinWait2Timeout by Local");
}

/// The server's end of the connection of `client`, which was accepted on this host.
fn far_end(client: &Life) -> Life {
    let Record { local_port, local_address, peer_port, peer_address, .. } = client.socket;
    Life::new(2).with_ports(peer_port, local_port).between(peer_address, local_address)
}

#[test]
fn a_minisocket_of_before_is_found_with_its_age() {
    let (mut fixture, mut life) = Fixture::new().playing(&[]);
    fixture.play_unseen(&mut life, INTO_TIME_WAIT);
    let armed = life.now;
    fixture.now += 20 * SECOND;
    let merged = fixture.look(&[&life]);
    assert_eq!(merged.found, 1);
    assert_eq!(fixture.told.take(), [""; 0]);
    let connection = fixture.table.connections().next().unwrap();
    assert!(connection.since.abs_diff(armed) <= 4 * MILLISECOND, "{}", connection.since - armed);
    assert!(connection.since_known());
    let expected = removal(&life, 250, armed, 60);
    fixture.until(expected + SECOND);
    assert_eq!(fixture.told.take(), ["TIME_WAIT>CLOSED [Timer] Graceful by nobody"]);
    let end = fixture.told.transitions.last().unwrap().time;
    assert!(end.abs_diff(expected) <= 4 * MILLISECOND);
}

#[test]
fn the_age_of_an_orphan_of_before_is_not_known() {
    let (mut fixture, mut life) = Fixture::new().playing(&[]);
    fixture.play_unseen(&mut life, INTO_ORPHAN);
    fixture.now += 20 * SECOND;
    fixture.look(&[&life]);
    let connection = fixture.table.connections().next().unwrap();
    assert_eq!((connection.state, connection.since_known()), (State::FinWait2, false));
    assert!(connection.is_orphaned());
}

#[rstest]
#[case::time_wait(INTO_TIME_WAIT, "TIME_WAIT>CLOSED [Snapshot] Graceful by Local")]
#[case::orphan(INTO_ORPHAN, "FIN_WAIT2>CLOSED [Snapshot] Unknown by Local")]
fn a_minisocket_that_a_look_does_not_show_is_gone(#[case] steps: &[Step], #[case] line: &str) {
    let (mut fixture, mut life) = staged(250, steps);
    fixture.look(&[&life]);
    assert_eq!(fixture.told.take(), [""; 0]);
    fixture.play_unseen(&mut life, &[Gone]);
    assert_eq!(fixture.look(&[&life]).gone, 1);
    assert_eq!(fixture.told.take()[0], line);
    assert!(fixture.table.is_empty());
}

/// The table waits a little longer than the timer: a snapshot may be faster.
#[rstest]
#[case::time_wait(INTO_TIME_WAIT, "TIME_WAIT>CLOSED [Timer] Graceful by Local")]
#[case::orphan(INTO_ORPHAN, "FIN_WAIT2>CLOSED [Timer] FinWait2Timeout by Local")]
fn a_minisocket_that_is_gone_when_its_timer_was_due_was_ended_by_it(
    #[case] steps: &[Step],
    #[case] line: &str,
) {
    let (mut fixture, mut life) = staged(250, steps);
    let expected = removal(&life, 250, life.now, 60);
    fixture.until(expected);
    fixture.play_unseen(&mut life, &[Gone]);
    assert_eq!(fixture.look(&[&life]).gone, 1);
    assert_eq!(fixture.told.take()[0], line);
    assert_eq!(fixture.told.transitions.last().unwrap().time, expected);
}

/// A snapshot of many sockets, or on a slow machine, takes a while.
#[test]
fn a_minisocket_whose_timer_fires_during_a_look_was_ended_by_it() {
    let (mut fixture, mut life) = staged(250, INTO_ORPHAN);
    let expected = removal(&life, 250, life.now, 60);
    fixture.until(expected - 5 * MILLISECOND);
    fixture.table.expect_snapshot();
    fixture.play_unseen(&mut life, &[Gone]);
    let ended = expected + MILLISECOND;
    let snapshot = Snapshot { ended, ..fixture.picture(&[&life]) };
    assert_eq!(fixture.merge(&snapshot).gone, 1);
    assert_eq!(fixture.told.take()[0], "FIN_WAIT2>CLOSED [Timer] FinWait2Timeout by Local");
}

#[test]
fn a_late_segment_arms_time_wait_again() {
    let (mut fixture, mut life) = staged(250, INTO_TIME_WAIT);
    let first = removal(&life, 250, life.now, 60);
    fixture.play(&mut life, &[Wait(30_000), LateSegment]);
    let expected = removal(&life, 250, life.now, 60);
    fixture.look(&[&life]);
    fixture.until(first + 10 * SECOND);
    assert_eq!(fixture.told.take(), [""; 0]);
    fixture.until(expected + SECOND);
    assert_eq!(fixture.told.take()[0], "TIME_WAIT>CLOSED [Timer] Graceful by Local");
    let end = fixture.told.transitions.last().unwrap().time;
    assert!(end.abs_diff(expected) <= 4 * MILLISECOND);
    assert_eq!(fixture.told.transitions.len(), 6);
}

/// The wheel is coarse: both timers fire at the same jiffy.
#[rstest]
#[case::soon(100)]
#[case::later(5_000)]
fn an_orphan_that_is_seen_in_time_wait_ends_by_its_timer(#[case] delay: u64) {
    let (mut fixture, mut life) = staged(250, INTO_ORPHAN);
    fixture.play(&mut life, &[Wait(delay), PeerFin]);
    let expected = removal(&life, 250, life.now, 60);
    fixture.look(&[&life]);
    assert_eq!(
        fixture.told.take(),
        ["FIN_WAIT2>TIME_WAIT [Snapshot]", "story: Graceful by Local [Snapshot]"]
    );
    fixture.until(expected + SECOND);
    assert_eq!(fixture.told.take(), ["TIME_WAIT>CLOSED [Timer] Graceful by Local"]);
    let end = fixture.told.transitions.last().unwrap().time;
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
    let (mut fixture, mut life) = staged(250, &steps);
    let before = fixture.table.connections().next().unwrap().removal();
    fixture.play(&mut life, &[Wait(1_000)]);
    fixture.look(&[&life]);
    assert_eq!(fixture.table.connections().next().unwrap().removal(), before);
}

#[test]
fn another_namespace_has_its_own_ends() {
    let (mut fixture, _) = staged(250, INTO_TIME_WAIT);
    let mut other = Life::new(2).with_ports(30_101, 80);
    other.socket.netns = NETNS + 1;
    fixture.play(&mut other, &[Bind, Connect]);
    assert_eq!(fixture.table.count(State::TimeWait), 1);
}
