//! What has not left the host is no arrow; what was answered without a socket is one.

use insta::assert_snapshot;

use super::{
    super::*,
    PLAIN,
    fixture::{CLIENT, Fixture, MILLISECOND, SERVER, Wire, subject},
};
use State::*;
use tracer_event::{
    close::Reason,
    update::{Answered, Direction, Reset, Role, Rst, Segment},
};

/// The server closes behind data that its client does not read: only this end is on this host.
fn queued() -> (Fixture, Wire) {
    let mut fixture = Fixture::new(80, PLAIN);
    let mut wire = Wire::between("192.0.2.7:42906", "10.0.0.1:443");
    fixture.go_on(&mut wire, &[(SERVER, SynRecv), (SERVER, Established)]);
    (wire.sent, wire.written) = ([82, 200_000], [0, 8_000_000]);
    fixture.go(&mut wire, SERVER, FinWait1);
    fixture.wait(60);
    (fixture, wire)
}

#[test]
fn a_queued_fin_is_drawn_once_it_must_have_gone() {
    let (mut fixture, mut wire) = queued();
    (wire.sent[SERVER], wire.fins[SERVER], wire.acked[SERVER]) = (8_000_000, 1, 1);
    fixture.go(&mut wire, SERVER, FinWait2);
    fixture.wait(60);
    assert_snapshot!(fixture.text());
}

#[test]
fn a_fin_that_never_went_is_not_drawn() {
    let (mut fixture, mut wire) = queued();
    fixture.close(&mut wire, SERVER, Reason::ZeroWindowTimeout);
    let text = fixture.text();
    assert!(!text.contains(" FIN seq") && text.contains("FIN queued, not sent yet"), "{text}");
}

#[test]
fn a_retransmitted_fin_was_sent_before() {
    let (mut fixture, wire) = queued();
    fixture.retransmit(&wire, SERVER, Segment::Fin, 1);
    let text = fixture.text();
    let rows: Vec<&str> = text.lines().filter(|line| line.contains("FIN seq")).collect();
    assert!(rows.len() == 2 && rows[0].contains('╌') && rows[1].contains("↻1"), "{text}");
}

/// Nothing listens: this host sends the RST, and has no socket that could report it.
#[test]
fn a_refusal_without_a_socket() {
    let mut fixture = Fixture::new(80, PLAIN);
    let here = Subject {
        cookie: None,
        ordinal: 0,
        owner: None,
        role: None,
        ..subject(Role::Server, "10.0.0.1:81", "192.0.2.7:42906", "", 0)
    };
    let refusal = Reset {
        time: fixture.now,
        subject: here,
        state: Closed,
        segment: Rst::answering(Answered::Syn),
    };
    fixture.emit(&Update::Reset(&refusal));
    fixture.wait(60);
    assert_eq!(fixture.ladder.pairs.len(), 0, "nothing more is to come");
    // Both ends on this host: one diagram.
    let mut wire = Wire::between("10.0.0.2:40000", "10.0.0.1:81");
    fixture.now += MILLISECOND;
    fixture.go(&mut wire, CLIENT, SynSent);
    let end = wire.ends[SERVER].tuple;
    let subject = Subject { tuple: end, ..here };
    fixture.emit(&Update::Reset(&Reset { time: fixture.now + 1, subject, ..refusal }));
    fixture.reset(&wire, CLIENT, Direction::Received);
    fixture.close(&mut wire, CLIENT, Reason::Refused);
    fixture.wait(60);
    assert_snapshot!(fixture.text());
}

/// What tells of the RST may come before what tells of the SYN: still one diagram.
#[test]
fn a_refusal_that_is_reported_before_its_syn() {
    let mut fixture = Fixture::new(80, PLAIN);
    let mut wire = Wire::between("10.0.0.1:40000", "10.0.0.1:81");
    let subject =
        Subject { cookie: None, ordinal: 0, owner: None, role: None, ..wire.ends[SERVER] };
    let (time, segment) = (fixture.now + 10, Rst::answering(Answered::Syn));
    fixture.emit(&Update::Reset(&Reset { time, subject, state: Closed, segment }));
    fixture.go(&mut wire, CLIENT, SynSent);
    fixture.now += 20;
    fixture.reset(&wire, CLIENT, Direction::Received);
    fixture.close(&mut wire, CLIENT, Reason::Refused);
    fixture.wait(60);
    let text = fixture.text();
    for once in ["━━ #", " SYN ", " RST seq"] {
        assert_eq!(text.matches(once).count(), 1, "{once}: {text}");
    }
}
