//! Hidden events one case at a time: what proves them, and what does not.

use super::*;

/// Two hidden events and a TIME_WAIT that was used again before the next snapshot.
#[test]
fn the_far_end_proves_that_a_connection_was_closed_in_order() {
    let story = [OPEN, CLOSE].concat();
    // FIN_WAIT1 → FIN_WAIT2 → CLOSED of the client.
    let outcome = Host::new().tell(&story, 0b00_1100_0000, Rest::Replaced);
    let expected = [
        "ESTABLISHED>FIN_WAIT1",
        "ESTABLISHED>CLOSE_WAIT",
        "CLOSE_WAIT>LAST_ACK",
        "LAST_ACK>CLOSED Graceful by Peer",
        "story: Graceful by Peer",
        "CLOSED>SYN_SENT",
        "SYN_SENT>ESTABLISHED",
        "FIN_WAIT1>FIN_WAIT2 [Inferred]",
        "FIN_WAIT2>TIME_WAIT [Inferred]",
        "story: Graceful by Local [Inferred]",
        "TIME_WAIT>CLOSED [Snapshot] Graceful by Local",
        "lost 2 Unseen",
    ];
    assert_eq!(outcome.lines[4..], expected);
}

#[test]
fn losses_of_one_moment_are_one() {
    let mut fixture = Fixture::new();
    let mut lives: Vec<Life> = (1..=100).map(Life::new).collect();
    for life in &mut lives {
        fixture.play(life, &[Connect, Established]);
        fixture.play_unseen(life, &[PeerFin]);
    }
    fixture.told.take();
    fixture.look(&lives.iter().collect::<Vec<_>>());
    let lines = fixture.told.take();
    assert_eq!((lines.len(), &*lines[100]), (101, "lost 100 Unseen"));
    for life in &mut lives {
        fixture.play_unseen(life, &[Close]);
        fixture.now -= 2 * MILLISECOND;
    }
    let events: Vec<Record> =
        lines.iter().zip(&mut lives).flat_map(|(_, l)| l.apply(FinAcked)).collect();
    events.iter().for_each(|event| fixture.ingest(event));
    fixture.until(fixture.now);
    let lines = fixture.told.take();
    assert_eq!(lines.last().map(|line| &**line), Some("lost 100 Unseen"));
    assert_eq!(lines.iter().filter(|line| line.starts_with("lost")).count(), 1);
}

/// The ring buffer was full: that is counted once, whoever finds it out.
#[test]
fn what_is_counted_as_lost_is_not_counted_as_unseen() {
    let (mut fixture, mut life) = Fixture::new().playing(&[Connect, Established]);
    fixture.told.take();
    fixture.table.note_lost(3);
    fixture.play_unseen(&mut life, &[PeerFin]);
    fixture.look(&[&life]);
    assert_eq!(fixture.told.take(), ["ESTABLISHED>CLOSE_WAIT [Snapshot]"]);
    fixture.play_unseen(&mut life, &[Close, FinAcked]);
    for _ in 0..2 {
        fixture.look(&[]);
    }
    assert_eq!(fixture.told.lost, 0);
    // What leaves no trace in several snapshots never will: the next one is another.
    let mut lives: Vec<Life> = (2..5).map(Life::new).collect();
    for next in 0..lives.len() {
        fixture.play(&mut lives[next], &[Connect, Established]);
        fixture.play_unseen(&mut lives[next], &[PeerFin]);
        fixture.look(&lives.iter().collect::<Vec<_>>());
    }
    assert_eq!(fixture.told.lost, 2);
}

/// connect() chooses a port after its event; meanwhile a snapshot shows the TIME_WAIT that has it.
#[rstest]
#[case::during_the_snapshot(true)]
#[case::before_the_snapshot(false)]
fn a_time_wait_that_is_about_to_be_replaced_is_no_new_one(#[case] during: bool) {
    let mut fixture = Fixture::new();
    let mut old = Life::new(1).with_ports(7_000, 80);
    fixture.play(&mut old, &[Connect, Established, ShutdownWrite, FinAcked, PeerFin]);
    fixture.now += 1_000 * MILLISECOND;
    fixture.look(&[&old]);
    fixture.told.take();
    let mut next = Life::new(2).with_ports(7_000, 80);
    if during {
        fixture.table.expect_snapshot();
    }
    fixture.play(&mut next, &[Connect]);
    fixture.table.expect_snapshot();
    let snapshot = fixture.picture(&[&old]);
    fixture.play(&mut next, &[Established]);
    fixture.merge(&snapshot);
    fixture.look(&[&next]);
    let lines = [
        "TIME_WAIT>CLOSED [Inferred] Graceful by Local",
        "CLOSED>SYN_SENT",
        "SYN_SENT>ESTABLISHED",
    ];
    assert_eq!(fixture.told.take(), lines);
    assert_eq!(fixture.sockets(), [(2, State::Established)]);
}

/// A minisocket that such a snapshot leaves out is neither gone nor, when it is there again, new.
#[test]
fn where_snapshots_may_skip_sockets_one_of_them_proves_nothing() {
    let mut fixture = Fixture::with(Options { snapshots_skip: true, ..options(250) });
    let (mut before, mut mini, mut born) = (Life::new(1), Life::new(2), Life::new(3));
    fixture.play_unseen(&mut before, &[Connect, Established]);
    fixture.look(&[]);
    fixture.play(&mut mini, &[Connect, Established, ShutdownWrite, FinAcked, PeerFin]);
    fixture.told.take();
    fixture.look(&[&before]);
    fixture.look(&[&before, &mini]);
    assert_eq!(fixture.told.take(), [""; 0]);
    fixture.play_unseen(&mut born, &[Connect, Established]);
    fixture.look(&[&before, &mini, &born]);
    let lines = ["CLOSED>SYN_SENT [Inferred]", "SYN_SENT>ESTABLISHED [Inferred]", "lost 2 Unseen"];
    assert_eq!(fixture.told.take(), lines);
}

#[rstest]
#[case::server(Life::new(1), &[Syn, Ack], &[PeerFin], &[
    "LISTEN>SYN_RECV [Inferred]",
    "SYN_RECV>ESTABLISHED [Inferred]",
    "ESTABLISHED>CLOSE_WAIT",
    "lost 2 Unseen",
])]
#[case::client(Life::new(1), &[Connect, Established, Close], &[PeerReset], &[
    "RST Received in FIN_WAIT1",
    "CLOSED>SYN_SENT [Inferred]",
    "SYN_SENT>ESTABLISHED [Inferred]",
    "ESTABLISHED>FIN_WAIT1 [Inferred]",
    "lost 3 Unseen",
    "FIN_WAIT1>CLOSED ResetReceived by Local",
    "story: ResetReceived by Local",
])]
fn a_socket_whose_birth_was_hidden_is_known_by_its_next_event(
    #[case] mut life: Life,
    #[case] hidden: &[Step],
    #[case] shown: &[Step],
    #[case] lines: &[&str],
) {
    let mut fixture = Fixture::new();
    let mut listener = Life::new(9);
    fixture.play(&mut listener, &[Listen]);
    fixture.look(&[&listener]);
    fixture.told.take();
    fixture.play_unseen(&mut life, hidden);
    fixture.play(&mut life, shown);
    fixture.until(fixture.now + 105 * MILLISECOND);
    assert_eq!(fixture.told.take(), lines);
}
