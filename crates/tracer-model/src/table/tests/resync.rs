//! Events that do not follow from what was known.

use std::collections::BTreeSet;

use rstest::rstest;
use tracer_wire::{Record, kind};

use super::{
    fixture::Fixture,
    lives::{Kernel, Life, Step},
    record,
};
use crate::table::Merged;
use Step::*;
use tracer_event::{close::Reason, state::State, update::Source};

#[rstest]
#[case::far_fin(&[PeerFin], &[Close], &[
    "ESTABLISHED>CLOSE_WAIT [Inferred]",
    "CLOSE_WAIT>LAST_ACK",
    "lost 1 Unseen",
])]
#[case::close_and_far_fin(&[PeerFin, Close], &[FinAcked], &[
    "ESTABLISHED>CLOSE_WAIT [Inferred]",
    "CLOSE_WAIT>LAST_ACK [Inferred]",
    "LAST_ACK>CLOSED Graceful by Peer",
    "story: Graceful by Peer",
    "lost 2 Unseen",
])]
#[case::shutdown(&[ShutdownWrite], &[FinAcked], &[
    "ESTABLISHED>FIN_WAIT1 [Inferred]",
    "FIN_WAIT1>FIN_WAIT2",
    "lost 1 Unseen",
])]
fn what_must_have_happened_is_inferred(
    #[case] unseen: &[Step],
    #[case] seen: &[Step],
    #[case] lines: &[&str],
) {
    let (mut fixture, mut life) = Fixture::new().playing(&[Connect, Established]);
    fixture.told.take();
    fixture.play_unseen(&mut life, unseen);
    fixture.play(&mut life, seen);
    assert_eq!(fixture.told.take(), lines);
}

#[test]
fn a_lost_answer_does_not_hide_the_syn() {
    let (mut fixture, mut life) = Fixture::new().playing(&[Connect]);
    fixture.play_unseen(&mut life, &[Established]);
    fixture.play(&mut life, &[PeerFin]);
    assert_eq!(
        fixture.told.take(),
        [
            "CLOSED>SYN_SENT",
            "SYN_SENT>ESTABLISHED [Inferred]",
            "ESTABLISHED>CLOSE_WAIT",
            "lost 1 Unseen",
        ]
    );
    assert_ne!(fixture.told.transitions[0].subject.tuple.local.port, 0);
}

#[test]
fn an_event_of_a_socket_of_before_is_told_without_a_loss() {
    let (mut fixture, mut life) = Fixture::new().playing(&[]);
    fixture.play_unseen(&mut life, &[Connect, Established]);
    fixture.play(&mut life, &[PeerFin, Close, FinAcked]);
    assert_eq!(
        fixture.told.take(),
        [
            "ESTABLISHED>CLOSE_WAIT",
            "CLOSE_WAIT>LAST_ACK",
            "LAST_ACK>CLOSED Graceful by Peer",
            "story: Graceful by Peer",
        ]
    );
    assert_eq!(fixture.told.transitions[0].elapsed, None);
    assert!(fixture.told.transitions[1].elapsed.is_some());
    assert_eq!((fixture.told.stories[0].began, fixture.told.lost), (None, 0));
}

#[test]
fn where_nothing_leads_to_a_state_the_socket_has_another_connection() {
    let (mut fixture, life) = Fixture::new().playing(&[Connect, Established, PeerFin]);
    fixture.told.take();
    let wrong = Record { new_state: State::Closing as u8, ..life.socket };
    let wrong = Record {
        kind: kind::STATE,
        time_ns: fixture.now,
        old_state: State::FinWait1 as u8,
        ..wrong
    };
    fixture.ingest(&wrong);
    fixture.until(fixture.now);
    assert_eq!(
        fixture.told.take(),
        [
            "CLOSE_WAIT>CLOSED [Inferred] Unknown by Peer",
            "story: Unknown by Peer [Inferred]",
            "CLOSED>SYN_SENT [Inferred]",
            "SYN_SENT>ESTABLISHED [Inferred]",
            "ESTABLISHED>FIN_WAIT1 [Inferred]",
            "FIN_WAIT1>CLOSING",
            "lost ≥4 Unseen",
        ]
    );
    let last = fixture.told.transitions.last().unwrap();
    assert_eq!((last.elapsed, last.subject.ordinal), (None, 2));
}

#[test]
fn a_lost_end_is_made_good_when_the_socket_connects_again() {
    let (mut fixture, mut life) = Fixture::new().playing(&[Connect, Established]);
    fixture.told.take();
    fixture.play_unseen(&mut life, &[Disconnect]);
    fixture.play(&mut life, &[Connect, Established]);
    let lines = fixture.told.take();
    assert_eq!(lines[0], "ESTABLISHED>CLOSED [Inferred] Unknown by nobody");
    assert_eq!(lines[2..], ["lost ≥1 Unseen", "CLOSED>SYN_SENT", "SYN_SENT>ESTABLISHED"]);
    assert_eq!(fixture.told.transitions.last().unwrap().subject.tuple.local.port, 30_201);
    assert_eq!(fixture.table.len(), 1);
}

/// Linux ≤ 6.12: the raw copy waits for its next event, which may get lost.
#[test]
fn a_raw_child_whose_next_event_was_lost_leaves_nothing_behind() {
    let mut fixture = Fixture::new();
    let mut child = Life::new(1).on(Kernel::OLD);
    fixture.play(&mut child, &[FastOpenSyn]);
    fixture.play_unseen(&mut child, &[Ack]);
    fixture.play(&mut child, &[PeerReset]);
    fixture.told.take();
    // Another socket at the same address opens at the same time as its peer.
    let mut next = Life::new(2).on(Kernel::OLD);
    next.socket.sk = child.socket.sk;
    fixture.play(&mut next, &[Connect, CrossedSyn, Established]);
    assert_eq!(
        fixture.told.take(),
        ["CLOSED>SYN_SENT", "SYN_SENT>SYN_RECV", "SYN_RECV>ESTABLISHED"]
    );
}

/// The end of an orphan waits for a reset while its address is used again.
#[test]
fn an_end_that_is_undecided_does_not_touch_the_next_socket_at_the_same_address() {
    let mut fixture = Fixture::new();
    let mut first = Life::new(1).on(Kernel::WITHOUT_COOKIES);
    fixture.play(&mut first, &[Bind, Connect, Established, Close]);
    for record in first.apply(PeerReset) {
        fixture.ingest(&record);
    }
    let mut next = Life::new(2).on(Kernel::WITHOUT_COOKIES);
    next.socket.sk = first.socket.sk;
    next.now = first.now - 900_000;
    for record in next.apply(Connect) {
        fixture.ingest(&record);
    }
    fixture.play(&mut next, &[Wait(10), Established]);
    assert_eq!(fixture.table.len(), 1);
    let [story] = &fixture.told.stories[..] else { panic!("{:?}", fixture.told.stories) };
    assert_eq!(story.close.unwrap().reason, Reason::ResetReceived);
    let [.., last] = &fixture.told.transitions[..] else { panic!() };
    assert_eq!((last.to, last.source), (State::Established, Source::Tracepoint));
}

#[rstest]
#[case::kind(Record { kind: 99, ..record(State::Closed, State::Listen) })]
#[case::old_state(Record { old_state: 0, ..record(State::Closed, State::Listen) })]
#[case::new_state(Record { new_state: 77, ..record(State::Closed, State::Listen) })]
fn a_damaged_record_is_counted_and_changes_nothing(#[case] record: Record) {
    let mut fixture = Fixture::new();
    fixture.ingest(&record);
    assert_eq!(fixture.told.take(), ["lost 1 Decode"]);
    assert!(fixture.table.is_empty());
}

/// A child with data (Fast Open) stays in SYN_RECV for a while: a snapshot shows who it is.
#[test]
fn a_raw_child_that_a_look_shows_is_told_once() {
    let mut fixture = Fixture::new();
    let mut child = Life::new(1).on(Kernel::OLD);
    fixture.play(&mut child, &[FastOpenSyn]);
    fixture.look(&[&child]);
    assert_eq!(fixture.sockets(), [(1, State::SynRecv)]);
    fixture.play(&mut child, &[Ack]);
    assert_eq!(fixture.told.take(), ["LISTEN>SYN_RECV", "SYN_RECV>ESTABLISHED"]);
    assert!(fixture.told.transitions[1].elapsed.is_some());
}

/// connect() with AF_UNSPEC after both FINs: the minisocket and the new connection have one cookie.
#[test]
fn a_socket_that_connects_again_leaves_its_minisocket_alone() {
    let (mut fixture, life) =
        Fixture::new().playing(&[Connect, Established, ShutdownWrite, FinAcked, PeerFin]);
    let minisocket = life.clone();
    let mut again = life.left_to_the_process();
    fixture.told.take();
    fixture.play(&mut again, &[Connect, Established]);
    assert_eq!(fixture.told.take(), ["CLOSED>SYN_SENT", "SYN_SENT>ESTABLISHED"]);
    for _ in 0..3 {
        fixture.look(&[&minisocket, &again]);
        fixture.look(&[&again, &minisocket]);
    }
    assert_eq!(fixture.told.take(), [""; 0]);
    assert_eq!(fixture.sockets(), [(1, State::Established), (1, State::TimeWait)]);
}

#[rstest]
#[case::minisocket_first(false)]
#[case::socket_first(true)]
fn both_connections_of_one_cookie_are_found(#[case] socket_first: bool) {
    let (mut fixture, mut life) = Fixture::new().playing(&[]);
    fixture.play_unseen(&mut life, &[Connect, Established, ShutdownWrite, FinAcked, PeerFin]);
    let minisocket = life.clone();
    let mut again = life.left_to_the_process();
    fixture.play_unseen(&mut again, &[Connect, Established]);
    let looks = [[&minisocket, &again], [&again, &minisocket]];
    let (first, second) = if socket_first { (1, 0) } else { (0, 1) };
    assert_eq!(fixture.look(&looks[first]), Merged { found: 2, ..Merged::default() });
    for order in [second, first, second] {
        assert_eq!(fixture.look(&looks[order]), Merged::default());
    }
    assert_eq!(fixture.told.take(), [""; 0]);
    assert_eq!(fixture.sockets(), [(1, State::Established), (1, State::TimeWait)]);
    let ordinals: BTreeSet<u32> = fixture.table.connections().map(|known| known.ordinal).collect();
    assert_eq!(ordinals.len(), 2);
    // What happens now is the socket's, not the minisocket's.
    fixture.play(&mut again, &[PeerFin]);
    assert_eq!(fixture.told.take(), ["ESTABLISHED>CLOSE_WAIT"]);
}

/// The entry that waits for its port is found although a minisocket has another address.
#[rstest]
#[case::time_wait(&[Established, ShutdownWrite, FinAcked, PeerFin], State::TimeWait)]
#[case::orphan(&[Established, Close, FinAcked], State::FinWait2)]
fn a_client_that_is_seen_again_as_a_minisocket_is_the_same(
    #[case] unseen: &[Step],
    #[case] state: State,
) {
    let (mut fixture, mut life) = Fixture::new().playing(&[]);
    fixture.look(&[]);
    fixture.play(&mut life, &[Connect]);
    assert_eq!(fixture.told.take(), [""; 0]);
    fixture.play_unseen(&mut life, unseen);
    fixture.look(&[&life]);
    assert_eq!(fixture.table.len(), 1);
    let told = &fixture.told.transitions;
    assert_eq!((told[0].from, told[0].source), (State::Closed, Source::Tracepoint));
    assert!(told.windows(2).all(|pair| pair[0].to == pair[1].from), "{:?}", fixture.told.take());
    assert_eq!(told.last().unwrap().to, state);
    assert!(told.iter().all(|one| one.subject.tuple.local.port == 30_101));
}

/// A cookie that is asked for at the last event comes too late for the minisocket, which gets
/// another one when a snapshot asks for it: what has the first is gone.
#[test]
fn a_minisocket_with_another_cookie_takes_the_place_of_the_one_known() {
    let (mut fixture, mut life) = Fixture::new().playing(&[]);
    fixture.look(&[]);
    fixture.play_unseen(&mut life, &[Connect, Established, ShutdownWrite, FinAcked]);
    fixture.play(&mut life, &[PeerFin]);
    assert_eq!(fixture.sockets(), [(1, State::TimeWait)]);
    fixture.until(fixture.now + 100_000_000);
    life.now = fixture.now;
    let mut snapshot = fixture.picture(&[&life]);
    for record in &mut snapshot.records {
        record.cookie = 2;
    }
    fixture.merge(&snapshot);
    fixture.merge(&snapshot);
    assert_eq!(fixture.sockets(), [(2, State::TimeWait)]);
}
