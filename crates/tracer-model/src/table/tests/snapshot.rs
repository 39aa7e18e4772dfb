//! What a snapshot of all sockets adds.

use rstest::rstest;

use super::{
    fixture::{Fixture, holder},
    lives::{Life, MICROSECOND, NETNS, SECOND, Step, opens::LISTENER},
};
use crate::table::Merged;
use Step::*;
use tracer_event::{
    process::Evidence,
    state::State,
    update::{Role, Source},
};

/// A socket in each state that a snapshot can show.
const STATES: [(&[Step], State); 10] = [
    (&[Listen], State::Listen),
    (&[Connect], State::SynSent),
    (&[FastOpenSyn], State::SynRecv),
    (&[Connect, Established], State::Established),
    (&[Connect, Established, Close], State::FinWait1),
    (&[Connect, Established, Close, FinAcked], State::FinWait2),
    (&[Connect, Established, PeerFin], State::CloseWait),
    (&[Connect, Established, PeerFin, Close], State::LastAck),
    (&[Connect, Established, Close, PeerFin], State::Closing),
    (&[Connect, Established, ShutdownWrite, FinAcked, PeerFin], State::TimeWait),
];

fn lives() -> Vec<Life> {
    (1..).zip(STATES).map(|(cookie, _)| Life::new(cookie)).collect()
}

fn expected() -> Vec<(u64, State)> {
    (1..).zip(STATES).map(|(cookie, (_, state))| (cookie, state)).collect()
}

#[test]
fn sockets_of_before_are_found_without_a_word() {
    let mut fixture = Fixture::new();
    let mut lives = lives();
    for (life, (steps, _)) in lives.iter_mut().zip(STATES) {
        fixture.play_unseen(life, steps);
    }
    let all: Vec<&Life> = lives.iter().collect();
    assert_eq!(fixture.look(&all), Merged { found: 10, ..Merged::default() });
    assert_eq!(fixture.told.take(), [""; 0]);
    assert_eq!(fixture.sockets(), expected());
    assert_eq!(fixture.look(&all), Merged::default());
    assert_eq!(fixture.told.take(), [""; 0]);
    assert_eq!(fixture.sockets(), expected());
}

#[test]
fn a_socket_that_is_new_to_a_later_look_was_born_unseen() {
    let mut fixture = Fixture::new();
    fixture.look(&[]);
    let mut life = Life::new(1);
    fixture.play_unseen(&mut life, &[Connect, Established, PeerFin]);
    fixture.look(&[&life]);
    let states: Vec<_> = fixture.told.transitions.iter().map(|told| (told.from, told.to)).collect();
    let path = [State::Closed, State::SynSent, State::Established, State::CloseWait];
    assert_eq!(states, path.windows(2).map(|step| (step[0], step[1])).collect::<Vec<_>>());
    assert!(fixture.told.transitions.iter().all(|told| told.source == Source::Inferred));
    assert_eq!(fixture.told.lost, 3);
    fixture.look(&[&life]);
    assert_eq!(fixture.told.transitions.len(), 3);
}

#[test]
fn sockets_that_the_events_told_are_not_found_twice() {
    let mut fixture = Fixture::new();
    let mut lives = lives();
    for (life, (steps, _)) in lives.iter_mut().zip(STATES) {
        fixture.play(life, steps);
    }
    let all: Vec<&Life> = lives.iter().collect();
    fixture.told.take();
    assert_eq!(fixture.look(&all), Merged::default());
    // The port of the SYN_SENT is known now.
    assert_eq!(fixture.told.take(), ["CLOSED>SYN_SENT"]);
    assert_eq!(fixture.sockets(), expected());
}

#[test]
fn a_socket_that_a_look_shows_twice_is_one() {
    let (mut fixture, mut life) = Fixture::new().playing(&[]);
    fixture.play_unseen(&mut life, &[Connect, Established]);
    assert_eq!(fixture.look(&[&life, &life]).found, 1);
    assert_eq!(fixture.sockets(), [(1, State::Established)]);
}

#[test]
fn a_request_socket_is_no_socket_of_the_table() {
    let (mut fixture, mut life) = Fixture::new().playing(&[]);
    fixture.play_unseen(&mut life, &[Syn]);
    assert_eq!(fixture.look(&[&life]), Merged::default());
    assert!(fixture.table.is_empty());
}

#[rstest]
#[case(&[Connect, Established], &[PeerFin, Close, FinAcked], &[
    "ESTABLISHED>CLOSE_WAIT",
    "CLOSE_WAIT>LAST_ACK",
    "LAST_ACK>CLOSED Graceful by Peer",
    "story: Graceful by Peer",
])]
#[case(&[Connect, Established, ShutdownWrite, FinAcked], &[PeerFin], &[
    "FIN_WAIT2>TIME_WAIT, kernel FIN_WAIT2>CLOSED",
    "story: Graceful by nobody",
])]
#[case(&[Listen], &[Close], &["LISTEN>CLOSED"])]
fn a_socket_of_before_goes_on_by_events(
    #[case] before: &[Step],
    #[case] after: &[Step],
    #[case] lines: &[&str],
) {
    let (mut fixture, mut life) = Fixture::new().playing(&[]);
    fixture.play_unseen(&mut life, before);
    fixture.look(&[&life]);
    fixture.play(&mut life, after);
    assert_eq!(fixture.told.take(), lines);
    let first = &fixture.told.transitions[0];
    assert_eq!(first.elapsed, None);
    assert_eq!(first.source, Source::Tracepoint);
}

/// The socket is in the snapshot, and closed before that is merged.
#[rstest]
#[case::known(true)]
#[case::of_before(false)]
fn what_closes_during_a_look_does_not_come_back(#[case] known: bool) {
    let (mut fixture, mut life) = Fixture::new().playing(&[]);
    if known {
        fixture.play(&mut life, &[Connect, Established]);
    } else {
        fixture.play_unseen(&mut life, &[Connect, Established]);
    }
    fixture.table.expect_snapshot();
    let snapshot = fixture.picture(&[&life]);
    fixture.play(&mut life, &[PeerReset]);
    assert_eq!(fixture.merge(&snapshot), Merged::default());
    assert!(fixture.table.is_empty());
}

#[test]
fn what_begins_again_during_a_look_is_the_new_one() {
    let (mut fixture, mut life) = Fixture::new().playing(&[Connect, Established]);
    fixture.table.expect_snapshot();
    let snapshot = fixture.picture(&[&life]);
    fixture.play(&mut life, &[Disconnect, Connect, Established]);
    assert_eq!(fixture.merge(&snapshot), Merged::default());
    assert_eq!(fixture.sockets(), [(1, State::Established)]);
    let connection = fixture.table.connections().next().unwrap();
    assert_eq!((connection.ordinal, connection.tuple.local.port), (2, 30_201));
}

#[test]
fn what_moves_during_a_look_is_left_to_the_events() {
    let (mut fixture, mut life) = Fixture::new().playing(&[Connect, Established]);
    fixture.table.expect_snapshot();
    let snapshot = fixture.picture(&[&life]);
    fixture.play(&mut life, &[ShutdownWrite, FinAcked, PeerFin]);
    assert_eq!(fixture.merge(&snapshot), Merged::default());
    assert_eq!(fixture.sockets(), [(1, State::TimeWait)]);
}

#[test]
fn what_begins_during_a_look_need_not_be_in_it() {
    let mut fixture = Fixture::new();
    fixture.table.expect_snapshot();
    let snapshot = fixture.picture(&[]);
    fixture.play(&mut Life::new(1), &[Syn, Ack]);
    assert_eq!(fixture.merge(&snapshot), Merged::default());
    let snapshot = fixture.picture(&[]);
    fixture.play(&mut Life::new(2), &[Syn, Ack]);
    fixture.merge(&snapshot);
    assert_eq!(fixture.table.len(), 2);
}

/// Before Linux 6.18 a snapshot may miss a socket: one more is taken.
#[test]
fn a_full_socket_is_gone_when_two_looks_do_not_show_it() {
    let (mut fixture, life) = Fixture::new().playing(&[Connect, Established]);
    fixture.told.take();
    assert_eq!(fixture.look(&[]).gone, 0);
    assert_eq!(fixture.look(&[&life]).gone, 0);
    assert_eq!(fixture.look(&[]).gone, 0);
    assert_eq!(fixture.told.take(), [""; 0]);
    assert_eq!(fixture.look(&[]).gone, 1);
    assert_eq!(
        fixture.told.take(),
        [
            "ESTABLISHED>CLOSED [Snapshot] Unknown by nobody",
            "story: Unknown by nobody [Snapshot]",
            "lost ≥1 Unseen",
        ]
    );
    assert!(fixture.table.is_empty());
}

#[test]
fn other_namespaces_are_left_alone() {
    let (mut fixture, mut life) = Fixture::new().playing(&[]);
    life.socket.netns = NETNS + 1;
    fixture.play(&mut life, &[Connect, Established]);
    fixture.look(&[]);
    fixture.look(&[]);
    assert_eq!(fixture.table.len(), 1);
}

/// Events were lost; the snapshot shows where that has led.
#[rstest]
#[case::handshake(&[Connect], &[Established], &[
    "CLOSED>SYN_SENT",
    "SYN_SENT>ESTABLISHED [Snapshot]",
    "lost 1 Unseen",
])]
#[case::far_fin(&[Connect, Established], &[PeerFin], &[
    "ESTABLISHED>CLOSE_WAIT [Snapshot]",
    "lost 1 Unseen",
])]
#[case::two(&[Connect, Established], &[PeerFin, Close], &[
    "ESTABLISHED>CLOSE_WAIT [Inferred]",
    "CLOSE_WAIT>LAST_ACK [Snapshot]",
    "lost 2 Unseen",
])]
#[case::all_of_an_active_close(&[Connect, Established], &[Close, FinAcked], &[
    "ESTABLISHED>FIN_WAIT1 [Inferred]",
    "FIN_WAIT1>FIN_WAIT2 [Snapshot]",
    "lost 3 Unseen",
])]
#[case::fin_of_an_orphan(&[Connect, Established, Close, FinAcked], &[PeerFin], &[
    "FIN_WAIT2>TIME_WAIT [Snapshot]",
    "story: Graceful by Local [Snapshot]",
])]
fn a_look_heals_what_was_lost(
    #[case] seen: &[Step],
    #[case] unseen: &[Step],
    #[case] lines: &[&str],
) {
    let (mut fixture, mut life) = Fixture::new().playing(seen);
    if !seen.ends_with(&[Connect]) {
        fixture.told.take();
    }
    fixture.play_unseen(&mut life, unseen);
    assert_eq!(fixture.look(&[&life]).corrected, 1);
    assert_eq!(fixture.told.take(), lines);
    assert_eq!(fixture.sockets(), [(1, life.state())]);
    assert_eq!(fixture.look(&[&life]), Merged::default());
    assert_eq!(fixture.told.take(), [""; 0]);
}

#[test]
fn a_time_wait_found_late_began_when_its_timer_was_armed() {
    let (mut fixture, mut life) =
        Fixture::new().playing(&[Connect, Established, Close, FinAcked, Wait(5_000)]);
    fixture.play_unseen(&mut life, &[PeerFin]);
    let armed = life.now;
    fixture.now += 10 * SECOND;
    fixture.look(&[&life]);
    let [.., last] = &fixture.told.transitions[..] else { panic!() };
    assert_eq!((last.from, last.to), (State::FinWait2, State::TimeWait));
    // To the tick, and not before what came before.
    assert!((armed..=armed + 8_000 * MICROSECOND).contains(&last.time));
}

#[test]
fn holders_name_the_owners() {
    let mut fixture = Fixture::new();
    let (mut listener, mut child) = (Life::new(LISTENER), Life::new(2));
    fixture.play_unseen(&mut listener, &[Listen]);
    fixture.play_unseen(&mut child, &[Syn, Ack, Accept]);
    let mut snapshot = fixture.picture(&[&listener, &child]);
    snapshot.holders = vec![holder(&listener, 7, 4), holder(&listener, 7, 3), holder(&child, 8, 5)];
    fixture.merge(&snapshot);
    for connection in fixture.table.connections() {
        let owner = connection.owner().unwrap();
        let expected = if connection.role == Some(Role::Listener) { (7, 3) } else { (8, 5) };
        assert_eq!((owner.process.pid, owner.fd.unwrap()), expected);
        assert_eq!(owner.evidence, Evidence::TaskFile);
        assert_eq!(owner.process.name(), b"prog");
    }
    // A guess for the listener's next child.
    fixture.play(&mut Life::new(3), &[Syn, Ack]);
    let owner = fixture.told.transitions[0].subject.owner.unwrap();
    assert_eq!((owner.process.pid, owner.evidence, owner.fd), (7, Evidence::Listener, None));
}

/// A snapshot may have been taken before the minisocket took over, in the same state.
#[test]
fn a_full_socket_of_before_is_not_another_connection() {
    let (mut fixture, mut life) =
        Fixture::new().playing(&[Connect, Established, ShutdownWrite, FinAcked]);
    fixture.table.expect_snapshot();
    let picture = fixture.picture(&[&life]);
    fixture.play(&mut life, &[Wait(1), Close]);
    fixture.told.take();
    fixture.merge(&picture);
    assert_eq!(fixture.told.take(), [""; 0]);
    assert_eq!(fixture.sockets(), [(1, State::FinWait2)]);
}
