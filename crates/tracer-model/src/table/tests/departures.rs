//! Whether SYN and FIN have left this host.

use rstest::rstest;
use tracer_wire::{Record, kind};

use super::{
    fixture::{Fixture, tell},
    lives::{Kernel, Life, SECOND, Step},
};
use Step::*;
use tracer_event::{
    linger::LingerCause,
    state::State,
    update::{Answered, Direction, Segment},
};

#[rstest]
#[case::connect(&[Connect], Some(true))]
#[case::told_late(&[Connect, Established], Some(true))]
#[case::from_a_bound_port(&[Bind, Connect], Some(true))]
#[case::without_a_port(&[ConnectWithoutPort], Some(false))]
fn a_syn_is_sent_unless_there_is_no_port(#[case] steps: &[Step], #[case] sent: Option<bool>) {
    let told = tell(&[steps, &[Wait(3_000)]].concat());
    assert_eq!(told.transitions[0].to, State::SynSent);
    assert_eq!(told.transitions[0].sent, sent);
}

#[test]
fn the_classic_tracepoint_does_not_know() {
    let mut fixture = Fixture::new();
    let mut life = Life::new(1).on(Kernel::CLASSIC);
    fixture.play(&mut life, &[Bind, Connect, Established, Close]);
    let sent: Vec<_> = fixture.told.transitions.iter().map(|told| told.sent).collect();
    assert_eq!(sent, [None; 3]);
}

/// The kernel's record says that the FIN has to wait; a snapshot shows when it has gone.
#[test]
fn a_fin_that_waits_is_not_said_to_be_unanswered() {
    let (mut fixture, mut life) =
        Fixture::lingering("fin-wait1=1s").playing(&[Connect, Established]);
    for record in life.apply(Close) {
        fixture.ingest(&Record { segment_flags: 0, ..record });
    }
    assert_eq!(fixture.told.transitions.last().unwrap().sent, Some(false));
    // Still there a second later.
    let sent = life.socket.snd_nxt;
    life.socket.snd_nxt = sent.wrapping_sub(1);
    fixture.look(&[&life]);
    fixture.until(fixture.now + SECOND);
    life.socket.snd_nxt = sent;
    fixture.look(&[&life]);
    fixture.until(fixture.now + 2 * SECOND);
    let told: Vec<_> = fixture.told.lingers.iter().map(|linger| linger.why.clone()).collect();
    assert_eq!(told[0], Some(LingerCause::NotSent(Segment::Fin)));
    assert_eq!(told[1], Some(LingerCause::NoAnswer(Segment::Fin)));
}

#[test]
fn a_look_shows_what_waits_since_before() {
    let (mut fixture, mut life) = Fixture::lingering("last-ack=1s").playing(&[]);
    fixture.play_unseen(&mut life, &[Connect, Established, PeerFin, Close]);
    life.socket.write_seq = life.socket.snd_nxt.wrapping_add(100);
    fixture.look(&[&life]);
    fixture.until(fixture.now + 2 * SECOND);
    assert_eq!(fixture.told.lingers[0].why, Some(LingerCause::NotSent(Segment::Fin)));
}

#[rstest]
#[case(0x02, Answered::Syn)]
#[case(0x12, Answered::SynAck)]
#[case(0x11, Answered::Fin)]
#[case(0x10, Answered::Ack)]
#[case(0x18, Answered::Ack)]
fn an_rst_without_a_socket_says_what_it_answers(#[case] flags: u8, #[case] answers: Answered) {
    let mut fixture = Fixture::new();
    let known = Life::new(1).with_ports(80, 40_000).socket;
    let record = Record {
        kind: kind::RESET_WITHOUT_SOCKET,
        segment_flags: flags,
        local_port: known.local_port,
        peer_port: known.peer_port,
        netns: known.netns,
        time_ns: 5,
        ..Record::EMPTY
    };
    fixture.ingest(&record);
    let told = fixture.told.resets[0];
    assert_eq!((told.segment.answers, told.segment.direction), (Some(answers), Direction::Sent));
    assert_eq!((told.subject.ordinal, told.subject.cookie), (0, None));
    assert_eq!(told.subject.tuple.netns, known.netns);
    assert!(fixture.table.is_empty());
}
