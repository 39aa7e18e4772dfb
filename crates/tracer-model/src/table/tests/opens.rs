//! How connections begin.

use rstest::rstest;
use tracer_wire::{Record, kind};

use super::{
    fixture::{Fixture, tell},
    lives::{Failure, Kernel, Life, SECOND, Step, opens::LOCAL_ISN, opens::PEER_ISN},
};
use Step::*;
use tracer_event::{
    close::Reason,
    update::{Direction, Role, Segment},
};

#[rstest]
#[case::active_open(&[Connect, Established], &[
    "CLOSED>SYN_SENT",
    "SYN_SENT>ESTABLISHED",
])]
#[case::active_open_from_a_bound_port(&[Bind, Connect, Established], &[
    "CLOSED>SYN_SENT",
    "SYN_SENT>ESTABLISHED",
])]
#[case::a_request_socket_is_not_told(&[Syn], &[])]
#[case::a_reset_of_a_request_socket_is_not_told(&[Syn, PeerReset], &[])]
#[case::passive_open(&[Syn, Ack, Accept], &[
    "LISTEN>SYN_RECV",
    "SYN_RECV>ESTABLISHED",
])]
#[case::fast_open_server(&[FastOpenSyn, Accept, Ack], &[
    "LISTEN>SYN_RECV",
    "SYN_RECV>ESTABLISHED",
])]
#[case::fast_open_server_closes_before_the_ack(&[FastOpenSyn, Accept, Close], &[
    "LISTEN>SYN_RECV",
    "SYN_RECV>FIN_WAIT1",
])]
#[case::fast_open_server_meets_a_reset(&[FastOpenSyn, PeerReset], &[
    "LISTEN>SYN_RECV",
    "RST Received in SYN_RECV",
    "SYN_RECV>CLOSED ResetReceived by Peer",
    "story: ResetReceived by Peer",
])]
#[case::simultaneous_open(&[Connect, CrossedSyn, Established], &[
    "CLOSED>SYN_SENT",
    "SYN_SENT>SYN_RECV",
    "SYN_RECV>ESTABLISHED",
])]
#[case::listener(&[Listen, Close], &[
    "CLOSED>LISTEN",
    "LISTEN>CLOSED",
])]
#[case::listener_listens_again(&[Listen, Kill, Listen], &[
    "CLOSED>LISTEN",
    "LISTEN>CLOSED",
    "CLOSED>LISTEN",
])]
#[case::syn_is_sent_again(&[Connect, SynAgain, SynAgain, Established], &[
    "CLOSED>SYN_SENT",
    "SYN again, 1",
    "SYN again, 2",
    "SYN_SENT>ESTABLISHED",
])]
#[case::refused(&[Connect, PeerReset], &[
    "CLOSED>SYN_SENT",
    "RST Received in SYN_SENT",
    "SYN_SENT>CLOSED Refused by Peer",
    "story: Refused by Peer",
])]
#[case::port_unreachable(&[Connect, Fail(Failure::Icmp(111))], &[
    "CLOSED>SYN_SENT",
    "SYN_SENT>CLOSED Unreachable by Network",
    "story: Unreachable by Network",
])]
#[case::host_unreachable(&[Connect, Fail(Failure::Icmp(113))], &[
    "CLOSED>SYN_SENT",
    "SYN_SENT>CLOSED Unreachable by Network",
    "story: Unreachable by Network",
])]
#[case::no_answer(&[Connect, SynAgain, Fail(Failure::Unanswered)], &[
    "CLOSED>SYN_SENT",
    "SYN again, 1",
    "SYN_SENT>CLOSED ConnectTimeout by Kernel",
    "story: ConnectTimeout by Kernel",
])]
#[case::closed_while_connecting(&[Connect, Close], &[
    "CLOSED>SYN_SENT",
    "SYN_SENT>CLOSED AbortedLocally by Local",
    "story: AbortedLocally by Local",
])]
#[case::disconnected_while_connecting(&[Connect, Disconnect], &[
    "CLOSED>SYN_SENT",
    "SYN_SENT>CLOSED Disconnected by Local",
    "story: Disconnected by Local",
])]
#[case::no_local_port(&[ConnectWithoutPort], &[
    "CLOSED>SYN_SENT",
    "SYN_SENT>CLOSED NoLocalPort by Local",
    "story: NoLocalPort by Local",
])]
fn an_open_is_told_as_it_happens(#[case] steps: &[Step], #[case] lines: &[&str]) {
    let mut told = tell(steps);
    assert_eq!(told.take(), lines);
    let portless = told.transitions.iter().any(|step| step.subject.tuple.local.port == 0);
    let no_port =
        told.stories.iter().any(|story| story.close.unwrap().reason == Reason::NoLocalPort);
    assert_eq!(portless, no_port, "{:?}", told.transitions);
}

/// Both ends are on this host: nobody listens there, and the client's port is not known yet.
#[rstest]
#[case::it_reaches_the_client(&[PeerReset], &[
    "CLOSED>SYN_SENT",
    "RST Sent in CLOSED",
    "RST Received in SYN_SENT",
    "SYN_SENT>CLOSED Refused by Peer",
    "story: Refused by Peer",
])]
#[case::it_is_dropped(&[], &["CLOSED>SYN_SENT", "RST Sent in CLOSED"])]
fn an_rst_is_told_after_the_syn_that_it_answers(#[case] then: &[Step], #[case] lines: &[&str]) {
    let mut fixture = Fixture::new();
    let mut client = Life::new(1);
    fixture.play(&mut client, &[Connect]);
    fixture.ingest(&refusal(&fixture, &client));
    assert_eq!(fixture.told.take(), [""; 0]);
    fixture.play(&mut client, then);
    fixture.until(fixture.now + 3 * SECOND);
    assert_eq!(fixture.told.take(), lines);
}

/// The RST that answers a client's SYN, by no socket.
fn refusal(fixture: &Fixture, client: &Life) -> Record {
    let Record { local_port, local_address, peer_port, peer_address, netns, .. } = client.socket;
    Record {
        kind: kind::RESET_WITHOUT_SOCKET,
        segment_flags: 0x02,
        local_port: peer_port,
        local_address: peer_address,
        peer_port: local_port,
        peer_address: local_address,
        netns,
        time_ns: fixture.now,
        ..Record::EMPTY
    }
}

/// Of another host, or of so many that a flood would fill the memory; and at the end of the trace.
#[test]
fn an_rst_that_answers_no_syn_of_this_host_waits_for_none() {
    let mut fixture = Fixture::new();
    let mut client = Life::new(1);
    fixture.play(&mut client, &[Connect]);
    let refusal = refusal(&fixture, &client);
    fixture.ingest(&Record { peer_address: refusal.local_address, ..refusal });
    assert_eq!(fixture.told.take(), ["RST Sent in CLOSED"]);
    (0..1_000).for_each(|_| fixture.ingest(&refusal));
    let at_once = fixture.told.take().len();
    fixture.table.decide_rest(&mut fixture.told);
    let at_the_end = fixture.told.take().len();
    assert_eq!((at_once, at_the_end), (936, 64));
}

/// The port comes with a later event; the numbers of that one would be reported as of the SYN.
#[rstest]
#[case::answered(&[Connect, Established])]
#[case::sent_again(&[Connect, SynAgain, Established])]
#[case::refused(&[Connect, PeerReset])]
fn a_syn_that_is_told_late_has_its_own_numbers(#[case] steps: &[Step]) {
    let told = tell(steps);
    let numbers = told.transitions[0].sequence.unwrap();
    let syn = LOCAL_ISN.wrapping_add(1);
    assert_eq!((numbers.snd_una, numbers.write_seq), (LOCAL_ISN, syn), "{numbers:?}");
    assert_eq!((numbers.rcv_nxt, numbers.acked, numbers.received), (0, 0, 0), "{numbers:?}");
}

/// Up to Linux 6.12 the child is first seen as a raw copy of its listener.
#[rstest]
fn both_forms_of_a_child_are_told_alike(#[values(Kernel::NEW, Kernel::OLD)] kernel: Kernel) {
    let mut fixture = Fixture::new();
    let mut listener = Life::new(super::lives::opens::LISTENER);
    fixture.play(&mut listener, &[Listen]);
    fixture.told.take();
    let mut child = Life::new(1).on(kernel);
    fixture.play(&mut child, &[Syn, Ack, Accept]);
    assert_eq!(fixture.told.take(), ["LISTEN>SYN_RECV", "SYN_RECV>ESTABLISHED"]);
    let [.., born, established] = &fixture.told.transitions[..] else { panic!() };
    assert_eq!(born.sequence, None, "nothing is numbered before the kernel has filled it in");
    for step in [born, established] {
        assert_eq!(step.subject.cookie, Some(1));
        assert_eq!(step.subject.role, Some(Role::Server));
        assert_eq!(step.subject.tuple.local.to_string(), "10.0.0.1:80");
        assert_eq!(step.subject.tuple.peer.to_string(), "10.0.0.2:40001");
    }
    assert!(born.time < established.time);
    assert_eq!(born.elapsed, None);
    assert_eq!(established.elapsed, Some(established.time - born.time));
    assert_eq!(fixture.table.len(), 2);
}

#[test]
fn the_handshake_of_a_client_is_timed_from_its_syn() {
    let told = tell(&[Connect, SynAgain, Established]);
    let [sent, established] = &told.transitions[..] else { panic!() };
    let handshake = established.handshake.unwrap();
    assert_eq!(handshake.duration_ns, Some(established.time - sent.time));
    assert_eq!(handshake.rtt_ns, Some(1_000_000));
    assert_eq!(handshake.syn_retransmits, Some(1));
    assert_eq!(handshake.local_isn, Some(LOCAL_ISN));
    assert_eq!(handshake.peer_isn, Some(PEER_ISN));
}

#[rstest]
#[case::ordinary(&[Syn, Ack])]
#[case::fast_open(&[FastOpenSyn, Receive(100), Ack])]
fn the_handshake_of_a_server_is_what_the_kernel_measured(#[case] steps: &[Step]) {
    let told = tell(steps);
    let handshake = told.transitions.last().unwrap().handshake.unwrap();
    assert_eq!((handshake.duration_ns, handshake.rtt_ns), (Some(250_000), Some(250_000)));
    assert_eq!(handshake.local_isn, Some(LOCAL_ISN));
    assert_eq!(handshake.peer_isn, Some(PEER_ISN));
}

#[test]
fn a_retransmission_tells_the_port_at_once() {
    let mut told = tell(&[Connect, SynAgain]);
    assert_eq!(told.take(), ["CLOSED>SYN_SENT", "SYN again, 1"]);
    assert_eq!(told.transitions[0].subject.tuple.local.port, 30_101);
    assert!(told.transitions[0].time < told.retransmits[0].time);
    assert_eq!(told.retransmits[0].segment.r#type, Segment::Syn);
    assert_eq!(told.retransmits[0].segment.sequence, Some(LOCAL_ISN));
}

#[rstest]
#[case::known(LOCAL_ISN, Some(LOCAL_ISN))]
#[case::not_told_by_this_kernel(0, None)]
fn a_retransmitted_syn_ack_has_its_sequence_number(
    #[case] sequence: u32,
    #[case] told: Option<u32>,
) {
    let mut fixture = Fixture::new();
    let Life { socket, .. } = Life::new(1);
    let again = Record { kind: kind::RETRANSMIT_SYNACK, segment_seq: sequence, ..socket };
    fixture.ingest(&again);
    assert_eq!(fixture.told.take(), ["SYN+ACK again, 1"]);
    assert_eq!(fixture.told.retransmits[0].segment.sequence, told);
}

#[test]
fn a_look_tells_the_port() {
    let mut fixture = Fixture::new();
    let mut client = Life::new(1);
    fixture.play(&mut client, &[Connect]);
    assert_eq!(fixture.told.take(), [""; 0]);
    assert!(fixture.table.wants_ports(fixture.now));
    fixture.look(&[&client]);
    assert_eq!(fixture.told.take(), ["CLOSED>SYN_SENT"]);
    assert_eq!(fixture.told.transitions[0].subject.tuple.local.port, 30_101);
    assert!(!fixture.table.wants_ports(fixture.now));
}

/// `tcp_v4_connect` chooses the port first, and the number of the SYN after it.
#[test]
fn a_look_before_the_syn_leaves_the_number_to_what_follows() {
    let mut fixture = Fixture::new();
    let mut client = Life::new(1);
    fixture.play(&mut client, &[Connect]);
    let mut early = client.clone();
    early.socket.snd_una = 0;
    fixture.look(&[&early]);
    assert_eq!(fixture.told.take(), [""; 0]);
    fixture.play(&mut client, &[PeerReset]);
    assert_eq!(fixture.told.take()[..2], ["CLOSED>SYN_SENT", "RST Received in SYN_SENT"]);
    let syn = &fixture.told.transitions[0];
    assert_eq!(syn.subject.tuple.local.port, 30_101);
    assert_eq!(syn.sequence.unwrap().snd_una, LOCAL_ISN);
}

#[test]
fn a_port_that_nothing_tells_is_waited_for_no_longer_than_patience_lasts() {
    let mut fixture = Fixture::new();
    let mut client = Life::new(1);
    fixture.play(&mut client, &[Connect, Wait(1_990)]);
    assert_eq!(fixture.told.take(), [""; 0]);
    fixture.play(&mut client, &[Wait(20)]);
    assert_eq!(fixture.told.take(), ["CLOSED>SYN_SENT"]);
    fixture.play(&mut client, &[Established]);
    assert_eq!(fixture.told.take(), ["SYN_SENT>ESTABLISHED"]);
    assert_eq!(fixture.told.transitions[1].subject.tuple.local.port, 30_101);
}

/// The event still has the port of the connection before.
#[rstest]
#[case::after_af_unspec(&[Connect, Established, Disconnect])]
#[case::after_af_unspec_while_connecting(&[Connect, Disconnect])]
#[case::after_a_refusal(&[Connect, PeerReset])]
fn a_socket_that_connects_again_has_a_new_story(#[case] first: &[Step]) {
    let mut fixture = Fixture::new();
    let mut client = Life::new(1);
    fixture.play(&mut client, first);
    assert!(fixture.table.is_empty());
    fixture.told = super::fixture::Told::default();
    fixture.play(&mut client, &[Connect, Established]);
    assert_eq!(fixture.told.take(), ["CLOSED>SYN_SENT", "SYN_SENT>ESTABLISHED"]);
    for step in &fixture.told.transitions {
        assert_eq!((step.subject.cookie, step.subject.ordinal), (Some(1), 2));
        assert_eq!(step.subject.tuple.local.port, 30_201);
    }
}

#[test]
fn a_self_connect_is_told_to_its_end() {
    let steps = [Connect, CrossedSyn, Established, Close, PeerFin, FinAcked, Wait(65_000)];
    let mut life = Life::new(1).with_ports(80, 80);
    let mut fixture = Fixture::new();
    fixture.play(&mut life, &steps);
    assert_eq!(
        fixture.told.take(),
        [
            "CLOSED>SYN_SENT",
            "SYN_SENT>SYN_RECV",
            "SYN_RECV>ESTABLISHED",
            "ESTABLISHED>FIN_WAIT1",
            "FIN_WAIT1>CLOSING",
            "CLOSING>TIME_WAIT, kernel CLOSING>CLOSED",
            "story: Graceful by Local",
            "TIME_WAIT>CLOSED [Timer] Graceful by Local",
        ]
    );
}

#[test]
fn a_syn_ack_is_sent_again_by_what_is_no_socket_of_the_table() {
    let mut fixture = Fixture::new();
    let mut listener = Life::new(super::lives::opens::LISTENER);
    fixture.play(&mut listener, &[Listen]);
    fixture.told.take();
    let mut child = Life::new(1);
    fixture.play(&mut child, &[Syn]);
    let mut again = child.seen(fixture.now).unwrap();
    again.kind = kind::RETRANSMIT_SYNACK;
    fixture.ingest(&again);
    assert_eq!(fixture.told.take(), ["SYN+ACK again, 1"]);
    let owner = fixture.told.retransmits[0].subject.owner.unwrap();
    assert_eq!(owner.process.pid, listener.socket.pid);
    assert_eq!(fixture.table.len(), 1);
}

#[test]
fn a_refusal_is_a_received_reset() {
    let told = tell(&[Connect, PeerReset]);
    assert_eq!(told.resets.len(), 1);
    assert_eq!(told.resets[0].segment.direction, Direction::Received);
    assert_eq!(told.resets[0].subject.tuple.local.port, 30_101);
}
