//! How connections end in order.

use rstest::rstest;

use super::{
    fixture::{Fixture, Told, tell},
    lives::{Kernel, Life, MILLISECOND, SECOND, Step},
};
use Step::*;
use tracer_event::{
    state::State,
    update::{ConnectionSummary, Life as Lived},
};

/// What is reported after ESTABLISHED.
fn after_opening(open: &[Step], steps: &[Step]) -> Told {
    let (mut fixture, mut life) = Fixture::new().playing(open);
    fixture.told = Told::default();
    fixture.play(&mut life, steps);
    fixture.until(fixture.now + SECOND);
    fixture.told
}

const CLIENT: &[Step] = &[Connect, Established];
const SERVER: &[Step] = &[Syn, Ack, Accept];

#[rstest]
#[case::active_close(&[Close, FinAcked, PeerFin], &[
    "ESTABLISHED>FIN_WAIT1",
    "FIN_WAIT1>FIN_WAIT2",
    "FIN_WAIT2>FIN_WAIT2, kernel FIN_WAIT2>CLOSED",
])]
#[case::half_close(&[ShutdownWrite, FinAcked, Receive(5), Read, PeerFin, Close], &[
    "ESTABLISHED>FIN_WAIT1",
    "FIN_WAIT1>FIN_WAIT2",
    "FIN_WAIT2>TIME_WAIT, kernel FIN_WAIT2>CLOSED",
    "story: Graceful by Local",
])]
#[case::half_close_then_close(&[ShutdownWrite, FinAcked, Close], &[
    "ESTABLISHED>FIN_WAIT1",
    "FIN_WAIT1>FIN_WAIT2",
    "FIN_WAIT2>FIN_WAIT2, kernel FIN_WAIT2>CLOSED",
])]
#[case::close_after_shutdown_in_fin_wait1(&[ShutdownWrite, Close, FinAcked], &[
    "ESTABLISHED>FIN_WAIT1",
    "FIN_WAIT1>FIN_WAIT2",
    "FIN_WAIT2>FIN_WAIT2, kernel FIN_WAIT2>CLOSED",
])]
#[case::long_linger_keeps_a_full_orphan(&[Linger2(120), Close, FinAcked, PeerFin], &[
    "ESTABLISHED>FIN_WAIT1",
    "FIN_WAIT1>FIN_WAIT2",
    "FIN_WAIT2>TIME_WAIT, kernel FIN_WAIT2>CLOSED",
    "story: Graceful by Local",
])]
#[case::passive_close(&[PeerFin, Close, FinAcked], &[
    "ESTABLISHED>CLOSE_WAIT",
    "CLOSE_WAIT>LAST_ACK",
    "LAST_ACK>CLOSED Graceful by Peer",
    "story: Graceful by Peer",
])]
#[case::passive_close_by_shutdown(&[PeerFin, Receive(0), ShutdownWrite, FinAcked, Close], &[
    "ESTABLISHED>CLOSE_WAIT",
    "CLOSE_WAIT>LAST_ACK",
    "LAST_ACK>CLOSED Graceful by Peer",
    "story: Graceful by Peer",
])]
#[case::simultaneous_close(&[Close, PeerFin, FinAcked], &[
    "ESTABLISHED>FIN_WAIT1",
    "FIN_WAIT1>CLOSING",
    "CLOSING>TIME_WAIT, kernel CLOSING>CLOSED",
    "story: Graceful by Local",
])]
#[case::fin_is_sent_again(&[Close, FinAgain, FinAgain], &[
    "ESTABLISHED>FIN_WAIT1",
    "FIN again, 1",
    "FIN again, 2",
])]
#[case::last_fin_is_sent_again(&[PeerFin, Close, FinAgain, FinAcked], &[
    "ESTABLISHED>CLOSE_WAIT",
    "CLOSE_WAIT>LAST_ACK",
    "FIN again, 1",
    "LAST_ACK>CLOSED Graceful by Peer",
    "story: Graceful by Peer",
])]
fn a_close_is_told_as_it_happens(
    #[values(CLIENT, SERVER)] open: &[Step],
    #[case] steps: &[Step],
    #[case] lines: &[&str],
) {
    let mut told = after_opening(open, steps);
    assert_eq!(told.take(), lines);
}

#[test]
fn the_far_fin_reaches_a_minisocket_without_a_word() {
    let (mut fixture, mut life) = Fixture::new().playing(&[Connect, Established, Close, FinAcked]);
    fixture.told.take();
    fixture.play(&mut life, &[PeerFin]);
    assert_eq!(fixture.told.take(), [""; 0]);
    fixture.look(&[&life]);
    assert_eq!(
        fixture.told.take(),
        ["FIN_WAIT2>TIME_WAIT [Snapshot]", "story: Graceful by Local [Snapshot]"]
    );
}

#[rstest]
#[case::close(&[Connect, Established, Close], false)]
#[case::acknowledged(&[Connect, Established, Close, FinAcked], true)]
#[case::half_close(&[Connect, Established, ShutdownWrite, FinAcked], false)]
#[case::half_close_and_far_fin(&[Connect, Established, ShutdownWrite, FinAcked, PeerFin], true)]
fn nobody_holds_a_minisocket(#[case] steps: &[Step], #[case] orphaned: bool) {
    let mut fixture = Fixture::new();
    fixture.play(&mut Life::new(1), steps);
    let connection = fixture.table.connections().next().unwrap();
    assert_eq!(connection.is_orphaned(), orphaned);
}

/// What full sockets have done that have ended.
fn lives(told: &Told) -> Vec<Lived> {
    told.transitions.iter().filter_map(|transition| transition.life).collect()
}

#[test]
fn the_story_of_a_passive_close_has_all_of_it() {
    let steps = [
        Connect,
        Established,
        Receive(500),
        Read,
        Wait(100),
        PeerFin,
        Wait(200),
        Close,
        FinAgain,
        FinAcked,
    ];
    let told = tell(&steps);
    let [story] = &told.stories[..] else { panic!("{:?}", told.stories) };
    let times: Vec<u64> = told.transitions.iter().map(|step| step.time).collect();
    assert_eq!(story.began, Some(times[0]));
    assert_eq!(story.time, *times.last().unwrap());
    assert_eq!(story.spent.iter().sum::<u64>(), story.time - times[0]);
    assert!(!story.at_least);
    for pair in told.transitions.windows(2) {
        let spent = pair[1].time - pair[0].time;
        assert_eq!(story.spent[pair[0].to.index()], spent, "{}", pair[0].to);
        assert_eq!(pair[1].elapsed, Some(spent));
    }
    assert_eq!((story.bytes_sent, story.bytes_received), (Some(0), Some(500)));
    assert_eq!(story.retransmits, Some(1));
    let [life] = lives(&told)[..] else { panic!("{:?}", told.transitions) };
    assert_eq!((life.began, life.sent.again), (times[0], 1));
    assert_eq!(story.handshake, told.transitions[1].handshake);
}

#[test]
fn an_active_close_is_over_before_time_wait() {
    let steps =
        [Connect, Established, Receive(500), Read, ShutdownWrite, FinAcked, PeerFin, Wait(64_000)];
    let told = tell(&steps);
    let [story] = &told.stories[..] else { panic!("{:?}", told.stories) };
    assert_eq!((story.bytes_sent, story.bytes_received), (Some(0), Some(500)));
    assert_eq!(story.duration, story.time - story.began.unwrap());
    let [.., into, out_of] = &told.transitions[..] else { panic!("{:?}", told.transitions) };
    assert_eq!((into.to, out_of.from), (State::TimeWait, State::TimeWait));
    assert_eq!((story.time, story.state), (into.time, State::TimeWait));
    assert_eq!(into.elapsed, Some(story.spent[into.from.index()]));
    assert_eq!(story.spent[State::TimeWait.index()], 0);
}

/// An orphan's peer closes later: that is the end, however it becomes known.
#[test]
fn an_orphan_is_over_when_its_peer_has_closed() {
    let (mut fixture, mut life) =
        Fixture::new().playing(&[Connect, Established, Receive(7), Read, Close, FinAcked]);
    assert!(fixture.told.stories.is_empty());
    assert_eq!(lives(&fixture.told).len(), 1, "the full socket has ended");
    fixture.play(&mut life, &[Wait(5_000), PeerFin]);
    fixture.look(&[&life]);
    let [story] = &fixture.told.stories[..] else { panic!("{:?}", fixture.told.stories) };
    assert_eq!(lives(&fixture.told).len(), 1);
    assert_eq!(story.bytes_received, Some(7));
    assert!(story.spent[State::FinWait2.index()] >= 5_000 * MILLISECOND);
}

#[test]
fn what_is_open_is_told_with_its_counters() {
    let mut fixture = Fixture::new();
    let mut lives = [1, 2, 3, 4].map(Life::new);
    let [busy, young, over, orphan] = &mut lives;
    fixture.play(busy, &[Connect, Established, Wait(60_000), Receive(9)]);
    fixture.play(over, &[Connect, Established, ShutdownWrite, FinAcked, PeerFin]);
    fixture.play(orphan, &[Connect, Established, Receive(3), Read, Close, FinAcked]);
    fixture.play(young, &[Connect, Established]);
    fixture.told.stories.clear();
    let seen = [&lives[0], &lives[1], &lives[2], &lives[3]];
    fixture.look(&seen);
    let snapshot = fixture.picture(&seen);
    fixture.table.report(Some(&snapshot), 0, fixture.now, &mut fixture.told);
    let told = |stories: &[ConnectionSummary]| {
        let mut told: Vec<_> = stories
            .iter()
            .map(|story| (story.subject.cookie.unwrap(), story.state, story.bytes_received))
            .collect();
        told.sort_unstable_by_key(|(cookie, ..)| *cookie);
        told
    };
    let all = [
        (1, State::Established, Some(9)),
        (2, State::Established, Some(0)),
        (4, State::FinWait2, Some(3)),
    ];
    assert_eq!(told(&fixture.told.stories), all);
    assert!(fixture.told.stories.iter().all(|story| story.close.is_none()));
    fixture.told.stories.clear();
    fixture.table.report(None, 60 * SECOND, fixture.now, &mut fixture.told);
    // Nothing has read its counters.
    assert_eq!(told(&fixture.told.stories), [(1, State::Established, None)]);
}

#[test]
fn a_listener_has_no_story() {
    let told = tell(&[Listen, Close]);
    assert!(told.stories.is_empty());
}

/// Of the classic tracepoint only states are known: what follows is what is most likely.
#[rstest]
#[case::active_close(&[Connect, Established, Close, FinAcked], &[
    "CLOSED>SYN_SENT",
    "SYN_SENT>ESTABLISHED",
    "ESTABLISHED>FIN_WAIT1",
    "FIN_WAIT1>FIN_WAIT2",
    "FIN_WAIT2>TIME_WAIT, kernel FIN_WAIT2>CLOSED",
    "story: Graceful by Local",
])]
#[case::passive_close(&[Syn, Ack, PeerFin, Close, FinAcked], &[
    "LISTEN>SYN_RECV",
    "SYN_RECV>ESTABLISHED",
    "ESTABLISHED>CLOSE_WAIT",
    "CLOSE_WAIT>LAST_ACK",
    "LAST_ACK>CLOSED Graceful by Peer",
    "story: Graceful by Peer",
])]
#[case::reset(&[Connect, Established, PeerReset], &[
    "CLOSED>SYN_SENT",
    "SYN_SENT>ESTABLISHED",
    "ESTABLISHED>CLOSED Unknown by nobody",
    "story: Unknown by nobody",
])]
fn a_classic_record_is_enough_for_the_states(
    #[values(false, true)] raw_children: bool,
    #[case] steps: &[Step],
    #[case] lines: &[&str],
) {
    let options = crate::table::Options { resets_traced: false, ..super::fixture::options(250) };
    let mut fixture = Fixture::with(options);
    let mut life = Life::new(1).on(Kernel { raw_children, ..Kernel::CLASSIC });
    fixture.play(&mut life, steps);
    assert_eq!(fixture.told.take(), lines);
    for step in &fixture.told.transitions {
        assert_eq!((step.subject.cookie, step.subject.uid), (None, None));
        assert_ne!(step.subject.tuple.local.port, 0);
        assert_ne!(step.subject.tuple.peer.port, 0);
    }
}
