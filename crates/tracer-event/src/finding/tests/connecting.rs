//! What is said of handshakes that get no answer.

use super::*;

fn stuck(state: State, service: Service, lost: Option<LostSegment>) -> Finding {
    let process = Some(app(900).process);
    let stuck =
        StuckHandshake { state, process, others: 0, service, sockets: 2, retransmits: 4, lost };
    of(Problem::StuckHandshake(stuck))
}

#[rstest]
#[case(None, "app[900] gets no answer: 2 connections to 127.0.0.1:80 in SYN_SENT")]
#[case(
    Some(LostSegment::Syn),
    "app[900] gets no answer: 2 connections to 127.0.0.1:80 in SYN_SENT; the SYN does not reach \
     the listener on this host"
)]
#[case(
    Some(LostSegment::SynAck),
    "app[900] gets no answer: 2 connections to 127.0.0.1:80 in SYN_SENT; the SYN arrives at the \
     listener on this host, its SYN+ACK does not reach the client"
)]
fn a_client_is_told_which_segment_is_lost(#[case] lost: Option<LostSegment>, #[case] words: &str) {
    let finding = stuck(State::SynSent, Service::There(at("127.0.0.1", 80)), lost);
    assert_eq!(finding.sentence().english(), words);
    let command = finding.remedies()[0].command.clone().unwrap();
    assert_eq!(command == "nft list ruleset", lost.is_some(), "{command}");
}

#[test]
fn a_listener_is_told_whether_the_ack_is_lost() {
    let lost = Some(LostSegment::Ack);
    let finding = stuck(State::SynRecv, Service::Here(at("127.0.0.1", 80)), lost);
    let words = "2 connections to 127.0.0.1:80 here half-open: the client on this host is connected, \
                 its ACK does not reach the listener";
    assert_eq!(finding.sentence().english(), words);
}

#[test]
fn attempts_that_failed_say_what_was_lost() {
    let lost =
        ConnectFailure { lost: Some(LostSegment::SynAck), ..failed(Reason::ConnectTimeout, 3) };
    let finding = connects(100, vec![lost]);
    let phase = &finding.evidence()[0].text;
    assert!(phase.english().starts_with("3 × no answer: the SYN arrives"), "{phase}");
    let remedies = finding.remedies();
    assert!(remedies.iter().any(|one| one.command.as_deref() == Some("nft list ruleset")));
    let delays = &finding.evidence()[1].text;
    assert_eq!(
        delays.english(),
        "SYN retransmitted in 6 of 97 handshakes that succeeded, which cost 6.06s in all"
    );
}
