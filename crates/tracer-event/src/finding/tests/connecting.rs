//! What is said of handshakes that get no answer, and of resets that no end has sent.

use super::*;

pub(super) fn connects(attempts: u64, failures: Vec<ConnectFailure>) -> Finding {
    of(Problem::ConnectFailures(Box::new(ConnectFailures {
        others: 0,
        process: Some(app(900).process),
        peer: at("10.0.0.5", 443),
        attempts,
        failures,
        retransmitted: 6,
        answered: 0,
        delay: 6_060_000_000,
        p50: Some(1_200_000),
        p99: Some(1_010_000_000),
        since: 12_000_000_000,
        recovered: None,
        listener: None,
    })))
}

pub(super) fn failed(reason: Reason, attempts: u64) -> ConnectFailure {
    ConnectFailure { reason, icmp: None, lost: None, attempts }
}

fn stuck(state: State, service: Service, lost: Option<LostSegment>) -> Finding {
    let process = Some(app(900).process);
    let stuck = StuckHandshake {
        state,
        process,
        others: 0,
        service,
        sockets: 2,
        retransmits: 4,
        lost,
        answering: 0,
    };
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

pub(super) fn reset_between() -> Finding {
    let mut finding = resets(Service::There(at("10.0.0.5", 443)), &[(Reason::ResetReceived, 9)]);
    if let Problem::ConnectionResets(resets) = &mut finding.problem {
        let process = Some(named("server").process);
        resets.still_open = Some(StillOpen { connections: 8, process });
    }
    finding
}

#[test]
fn an_rst_of_nobody_s_is_looked_for_between() {
    let finding = reset_between();
    let words = "9 of 60 connections of app[900] to 10.0.0.5:443: reset by an RST that the peer has not sent, \
                 in the last 4 s";
    assert_eq!(finding.sentence().english(), words);
    let ends = &finding.evidence()[1].text;
    let words = "the last 8 are still open at the other end (server[900]): it has sent no RST";
    assert_eq!(ends.english(), words);
    assert_eq!(finding.remedies()[0].command.as_deref(), Some("nft list ruleset"));
}

#[test]
fn what_is_over_is_said_to_be() {
    let mut finding = connects(9, vec![failed(Reason::Refused, 6)]);
    if let Problem::ConnectFailures(failures) = &mut finding.problem {
        failures.recovered = Some(Recovered { outage: 3_000_000_000, since: 9_000_000_000 });
    }
    let words = "app[900] could not connect to 10.0.0.5:443 for 3.00s: 6 of 9 attempts refused; attempts have \
                 succeeded again for 9.00s";
    assert_eq!(finding.sentence().english(), words);
}

/// Who answers others is not down.
#[test]
fn a_peer_that_answers_on_other_connections_is_not_said_to_be_down() {
    let told = |answering| {
        let Problem::StuckHandshake(stuck) =
            stuck(State::SynSent, Service::There(at("10.0.0.5", 443)), None).problem
        else {
            panic!("it is not")
        };
        let finding = of(Problem::StuckHandshake(StuckHandshake { answering, ..stuck }));
        (shown(&finding), finding.remedies()[0].text.english().to_owned())
    };
    let (evidence, remedy) = told(0);
    assert_eq!(evidence, ["tries: SYN retransmitted up to 4 times"]);
    assert!(remedy.starts_with("the peer is down, or"), "{remedy}");
    let (evidence, remedy) = told(5);
    assert_eq!(evidence[1..], ["peer: answers on 5 other connections"]);
    assert!(remedy.starts_with("the peer is not down"), "{remedy}");
}
