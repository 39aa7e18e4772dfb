//! How connections end: the numbers of an RST, what each ending means, and that nothing is
//! explained twice.

use rstest::rstest;

use super::{
    fixture::{CLIENT, Fixture, INITIAL, SERVER, Wire},
    *,
};

/// The words between the lifelines.
fn words(text: &str) -> String {
    let middle = text.lines().filter_map(|line| line.split('│').nth(1));
    middle.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[rstest]
#[case(Reason::Unreachable, "ICMP error that stands here")]
#[case(Reason::ConnectTimeout, "Nobody answered any SYN")]
#[case(Reason::AbortedLocally, "before the handshake was complete")]
#[case(Reason::NoLocalPort, "EADDRNOTAVAIL")]
#[case(Reason::Refused, "ECONNREFUSED")]
#[case(Reason::RetransmitTimeout, "TCP_USER_TIMEOUT says how long")]
#[case(Reason::KeepaliveTimeout, "none of the keepalive probes")]
#[case(Reason::ZeroWindowTimeout, "accepted no more data")]
#[case(Reason::Killed, "An administrator ended it")]
#[case(Reason::Disconnected, "AF_UNSPEC dissolves")]
#[case(Reason::ResetReceived, "RST aborts immediately")]
fn every_ending_is_explained(#[case] reason: Reason, #[case] said: &str) {
    let mut fixture = Fixture::new(80, EXPLAIN);
    let mut wire = Wire::between("10.0.0.1:42906", "192.0.2.7:443");
    fixture.go(&mut wire, CLIENT, SynSent);
    let opening = [
        Reason::Unreachable,
        Reason::ConnectTimeout,
        Reason::AbortedLocally,
        Reason::NoLocalPort,
        Reason::Refused,
    ];
    if !opening.contains(&reason) {
        fixture.go(&mut wire, CLIENT, Established);
    }
    fixture.close(&mut wire, CLIENT, reason);
    let text = fixture.text();
    assert!(words(&text).contains(said), "{text}");
}

#[test]
fn what_has_been_explained_in_a_trace_is_only_named_afterwards() {
    let mut fixture = Fixture::new(80, EXPLAIN);
    for port in [42_906_u16, 42_907] {
        let mut wire = Wire::between(&format!("127.0.0.1:{port}"), "127.0.0.1:8080");
        wire.shift = u32::from(port == 42_907) * 1_000;
        wire.ends[SERVER].cookie = Some(u64::from(port));
        wire.ends[CLIENT].cookie = Some(u64::from(port) + 1_000);
        fixture.open(&mut wire);
        fixture.shut(&mut wire);
        fixture.wait(60);
    }
    let text = fixture.text();
    let (first, second) = text.split_once("━━ #2 ━━").unwrap();
    for sentence in ["SYN asks for a connection", "A graceful release", "TIME_WAIT stays with"] {
        assert!(words(first).contains(sentence), "{sentence}: {text}");
        assert!(!words(second).contains(sentence), "{sentence}: {text}");
    }
    for name in ["(three-way handshake)", "(graceful release)"] {
        assert!(words(second).contains(name) && !words(first).contains(name), "{name}: {text}");
    }
}

/// RFC 9293, 3.10.7.1; a firewall may put any number of its own.
#[test]
fn a_refusal_acknowledges_the_syn() {
    let mut fixture = Fixture::new(80, PLAIN);
    let mut wire = Wire::loopback();
    fixture.go(&mut wire, CLIENT, SynSent);
    fixture.close(&mut wire, CLIENT, Reason::Refused);
    let text = fixture.text();
    let expected = format!("RST ack={}", INITIAL[CLIENT] + 1);
    assert!(text.contains(&expected), "{expected}: {text}");
}

#[rstest]
#[case::reported_by_the_sender(SERVER, Reason::ResetSentUnreadData)]
#[case::reported_by_the_receiver(CLIENT, Reason::ResetReceived)]
fn an_rst_has_the_next_number_of_its_sender(#[case] end: usize, #[case] reason: Reason) {
    let (mut fixture, mut wire) = Fixture::opened(80, PLAIN);
    wire.sent = [82, 500];
    fixture.close(&mut wire, end, reason);
    let text = fixture.text();
    let expected = format!("RST seq={}", INITIAL[SERVER].wrapping_add(501));
    assert!(text.contains(&expected), "{expected}: {text}");
}

/// Its bytes and the numbers of the FINs can be added up.
#[test]
fn data_is_counted_exactly() {
    let (mut fixture, mut wire) = Fixture::opened(80, PLAIN);
    wire.sent = [1_293_104, 4_998];
    fixture.shut(&mut wire);
    let text = fixture.text();
    assert!(text.contains("data: 1,293,104B ▷   ◁ 4,998B"), "{text}");
    assert!(text.contains(&format!("FIN seq={}", INITIAL[CLIENT] + 1 + 1_293_104)), "{text}");
}
