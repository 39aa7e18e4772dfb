//! How connections break off, and that each reset is reported once.

use rstest::rstest;

use super::{
    fixture::{Fixture, Told},
    lives::{Failure, SECOND, Step},
};
use Step::*;
use tracer_event::{close::Reason, state::State, update::Direction};

fn broken_off(open: &[Step], steps: &[Step]) -> Told {
    let (mut fixture, mut life) = Fixture::new().playing(open);
    fixture.told = Told::default();
    fixture.play(&mut life, steps);
    fixture.until(fixture.now + SECOND);
    assert!(fixture.table.is_empty());
    fixture.told
}

#[rstest]
#[case::established(&[], "ESTABLISHED", "Peer")]
#[case::close_wait(&[PeerFin], "CLOSE_WAIT", "Peer")]
#[case::half_closed(&[ShutdownWrite], "FIN_WAIT1", "Local")]
#[case::half_closed_and_acknowledged(&[ShutdownWrite, FinAcked], "FIN_WAIT2", "Local")]
#[case::orphan_in_fin_wait1(&[Close], "FIN_WAIT1", "Local")]
#[case::orphan_in_fin_wait2(&[Linger2(120), Close, FinAcked], "FIN_WAIT2", "Local")]
#[case::orphan_in_closing(&[Close, PeerFin], "CLOSING", "Local")]
#[case::closing(&[ShutdownWrite, PeerFin], "CLOSING", "Local")]
#[case::last_ack(&[PeerFin, ShutdownWrite], "LAST_ACK", "Peer")]
#[case::orphan_in_last_ack(&[PeerFin, Close], "LAST_ACK", "Peer")]
fn a_received_reset_is_told_with_the_end_that_it_causes(
    #[case] before: &[Step],
    #[case] state: &str,
    #[case] by: &str,
) {
    let open = [&[Connect, Established], before].concat();
    let mut told = broken_off(&open, &[PeerReset]);
    assert_eq!(
        told.take(),
        [
            format!("RST Received in {state}"),
            format!("{state}>CLOSED ResetReceived by {by}"),
            format!("story: ResetReceived by {by}"),
        ]
    );
    assert!(told.resets[0].time <= told.transitions[0].time);
}

/// `(what was before, what ends it, state at the end, reason, state of the reset sent)`.
#[rstest]
#[case::unread_data(&[Receive(3)], Close, "ESTABLISHED", "ResetSentUnreadData by Local", Some("CLOSED"))]
#[case::unread_data_in_close_wait(
    &[Receive(3), PeerFin], Close, "CLOSE_WAIT", "ResetSentUnreadData by Peer", Some("CLOSED")
)]
#[case::unread_data_in_fin_wait2(
    &[ShutdownWrite, FinAcked, Receive(3)], Close,
    "FIN_WAIT2", "ResetSentUnreadData by Local", Some("CLOSED")
)]
#[case::linger_zero(&[LingerZero], Close, "ESTABLISHED", "ResetSentLingerZero by Local", Some("CLOSED"))]
#[case::linger_zero_in_close_wait(
    &[LingerZero, PeerFin], Close, "CLOSE_WAIT", "ResetSentLingerZero by Peer", Some("CLOSED")
)]
#[case::linger_zero_in_closing(
    &[LingerZero, ShutdownWrite, PeerFin], Close,
    "CLOSING", "AbortedLocally by Local", None
)]
#[case::linger_zero_in_last_ack(
    &[PeerFin, ShutdownWrite, LingerZero], Close, "LAST_ACK", "AbortedLocally by Peer", None
)]
#[case::disconnected(&[], Disconnect, "ESTABLISHED", "Disconnected by Local", Some("CLOSED"))]
#[case::disconnected_in_fin_wait2(
    &[ShutdownWrite, FinAcked], Disconnect, "FIN_WAIT2", "Disconnected by Local", Some("CLOSED")
)]
#[case::killed(&[], Kill, "ESTABLISHED", "Killed by Local", Some("ESTABLISHED"))]
#[case::repair(&[Repair], Close, "ESTABLISHED", "AbortedLocally by Local", None)]
#[case::unanswered(&[], Fail(Failure::Unanswered), "ESTABLISHED", "RetransmitTimeout by Kernel", None)]
#[case::unanswered_fin(&[Close], Fail(Failure::Unanswered), "FIN_WAIT1", "RetransmitTimeout by Local", None)]
#[case::unanswered_last_fin(
    &[PeerFin, Close], Fail(Failure::Unanswered), "LAST_ACK", "RetransmitTimeout by Peer", None
)]
#[case::zero_window(&[], Fail(Failure::ZeroWindow), "ESTABLISHED", "ZeroWindowTimeout by Kernel", None)]
#[case::keepalive(
    &[], Fail(Failure::Keepalive), "ESTABLISHED", "KeepaliveTimeout by Kernel", Some("ESTABLISHED")
)]
#[case::unreachable_meanwhile(
    &[], Fail(Failure::NotedIcmp(113)), "ESTABLISHED", "RetransmitTimeout by Kernel", None
)]
fn a_break_has_its_reason(
    #[case] before: &[Step],
    #[case] last: Step,
    #[case] state: &str,
    #[case] close: &str,
    #[case] reset: Option<&str>,
) {
    let open = [&[Connect, Established], before].concat();
    let mut told = broken_off(&open, &[last]);
    let mut lines = vec![format!("{state}>CLOSED {close}"), format!("story: {close}")];
    if let Some(at) = reset {
        let position = if at == "CLOSED" { 2 } else { 0 };
        lines.insert(position, format!("RST Sent in {at}"));
    }
    assert_eq!(told.take(), lines);
}

#[test]
fn an_unaccepted_child_goes_with_its_listener() {
    let mut told = broken_off(&[Syn, Ack], &[ListenerClosed]);
    assert_eq!(
        told.take(),
        [
            "ESTABLISHED>CLOSED ResetSentUnaccepted by Local",
            "story: ResetSentUnaccepted by Local",
            "RST Sent in CLOSED",
        ]
    );
    assert_eq!(told.resets[0].subject.tuple.peer.port, 40_001);
}

/// The hook for received resets fires, although we send one.
#[rstest]
#[case::in_fin_wait1(&[Close], "FIN_WAIT1")]
#[case::in_fin_wait2(&[Linger2(120), Close, FinAcked], "FIN_WAIT2")]
fn data_after_close_is_answered_by_one_reset(#[case] before: &[Step], #[case] state: &str) {
    let open = [&[Connect, Established], before].concat();
    let mut told = broken_off(&open, &[DataAfterClose]);
    let lines = told.take();
    assert!(
        lines.contains(&format!("{state}>CLOSED ResetSentDataAfterClose by Local")),
        "{lines:?}"
    );
    assert_eq!(told.resets.len(), 1, "{lines:?}");
    assert_eq!(told.resets[0].segment.direction, Direction::Sent);
    assert_eq!(told.stories.len(), 1);
}

#[test]
fn what_looked_like_an_orphan_was_data_after_close() {
    let mut told = broken_off(&[Connect, Established, Close], &[FinAckedWithData]);
    assert_eq!(
        told.take(),
        [
            "FIN_WAIT1>FIN_WAIT2",
            "FIN_WAIT2>FIN_WAIT2, kernel FIN_WAIT2>CLOSED",
            "RST Sent in CLOSED",
            "FIN_WAIT2>CLOSED [Inferred] ResetSentDataAfterClose by Local",
            "story: ResetSentDataAfterClose by Local [Inferred]",
        ]
    );
}

/// TCP_LINGER2 below zero: no waiting for the peer's FIN.
#[rstest]
#[case::orphan(&[Linger2(-1), Close], &[FinAcked])]
#[case::half_closed(&[Linger2(-1), ShutdownWrite, FinAcked], &[Close])]
fn an_orphan_that_may_not_wait_is_reset(#[case] before: &[Step], #[case] steps: &[Step]) {
    let open = [&[Connect, Established], before].concat();
    let told = broken_off(&open, steps);
    let [story] = &told.stories[..] else { panic!("{:?}", told.stories) };
    assert_eq!(story.close.unwrap().reason, Reason::ResetSentLingerZero);
    let [reset] = &told.resets[..] else { panic!("{:?}", told.resets) };
    assert_eq!((reset.segment.direction, reset.state), (Direction::Sent, State::Closed));
    assert_eq!(reset.subject.tuple.local.port, 30_101);
}

#[test]
fn without_the_hooks_on_resets_nothing_waits_for_them() {
    let options = crate::table::Options { resets_traced: false, ..super::fixture::options(250) };
    let (mut fixture, mut life) = Fixture::with(options).playing(&[Connect, Established, Close]);
    fixture.told.take();
    for record in life.apply(PeerReset) {
        if record.kind == tracer_wire::kind::STATE {
            fixture.ingest(&record);
        }
    }
    assert_eq!(
        fixture.told.take(),
        ["FIN_WAIT1>CLOSED ResetReceived by Local", "story: ResetReceived by Local"]
    );
}

/// The decision waits for what follows; the transition keeps its time.
#[test]
fn an_end_that_is_decided_late_keeps_its_time() {
    let (mut fixture, mut life) = Fixture::new().playing(&[Connect, Established, Close]);
    let records = life.apply(PeerReset);
    for record in &records {
        fixture.ingest(record);
    }
    let closed = records.last().unwrap().time_ns;
    assert_eq!(fixture.table.len(), 1);
    fixture.until(closed + SECOND);
    assert!(fixture.table.is_empty());
    assert_eq!(fixture.told.transitions.last().unwrap().time, closed);
    assert_eq!(fixture.told.stories[0].time, closed);
}
