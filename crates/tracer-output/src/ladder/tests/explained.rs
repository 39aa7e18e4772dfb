//! Each sentence of an explanation is said where what it says was seen, and nowhere else.

use rstest::rstest;

use super::{
    fixture::{CLIENT, Fixture, MILLISECOND, SERVER, Wire},
    *,
};

const NUMBERS_OF_FINS: &str = "The number of a FIN exceeds";
const OPEN_STILL: &str = "FIN_WAIT2: this direction is closed";
const SAME_WAIT: &str = "The timeout was as long as before";
const DOUBLE_WAIT: &str = "The timeout doubles each time";
const BOTH_CLOSED: &str = "Both have sent their FIN";
const OWN_SYN: &str = "the socket is the peer of itself";
const SECOND_SYN: &str = "both open at once";
const OWN_FIN: &str = "own FIN has come back";
const RELEASED: &str = "A graceful release";
const ORPHAN: &str = "no process holds the socket any more";
const ACK_NAMES: &str = "ack names the next byte";
const AGAIN: &str = "the same segment is retransmitted";
const WAITS: &str = "TIME_WAIT stays with the end that closed first";
const REFUSED: &str = "Nothing listens on this port";
const ABORTS: &str = "RST aborts immediately";

/// Of which some are to be said, and all others not.
const ALL: [&str; 15] = [
    NUMBERS_OF_FINS,
    OPEN_STILL,
    SAME_WAIT,
    DOUBLE_WAIT,
    BOTH_CLOSED,
    OWN_SYN,
    SECOND_SYN,
    OWN_FIN,
    RELEASED,
    ORPHAN,
    ACK_NAMES,
    AGAIN,
    WAITS,
    REFUSED,
    ABORTS,
];

fn in_order(fixture: &mut Fixture) {
    let mut wire = Wire::loopback();
    fixture.open(&mut wire);
    wire.sent = [82, 4_998];
    fixture.shut(&mut wire);
}

fn without_data(fixture: &mut Fixture) {
    let mut wire = Wire::loopback();
    fixture.open(&mut wire);
    fixture.shut(&mut wire);
}

fn half_closed(fixture: &mut Fixture) {
    let mut wire = Wire::loopback();
    fixture.open(&mut wire);
    fixture.fin(&mut wire, CLIENT, FinWait1);
    fixture.go(&mut wire, SERVER, CloseWait);
    wire.acked[CLIENT] = 1;
    fixture.go(&mut wire, CLIENT, FinWait2);
}

fn reset_with_data(fixture: &mut Fixture) {
    let mut wire = Wire::loopback();
    fixture.open(&mut wire);
    wire.sent = [82, 0];
    fixture.close(&mut wire, SERVER, Reason::ResetSentUnreadData);
}

fn waits(fixture: &mut Fixture, seconds: &[u64]) {
    let mut wire = Wire::between("10.0.0.1:42906", "192.0.2.7:443");
    fixture.go(&mut wire, CLIENT, SynSent);
    for (ordinal, seconds) in (1..).zip(seconds) {
        // A timer is a little late.
        fixture.now += (1_000 * seconds + 20) * MILLISECOND;
        fixture.retransmit(&wire, CLIENT, Segment::Syn, ordinal);
    }
}

fn one_retransmission(fixture: &mut Fixture) {
    waits(fixture, &[1]);
}

fn linear_waits(fixture: &mut Fixture) {
    waits(fixture, &[1, 1, 1, 1]);
}

fn doubling_waits(fixture: &mut Fixture) {
    waits(fixture, &[1, 2, 4]);
}

fn linear_then_doubling_waits(fixture: &mut Fixture) {
    waits(fixture, &[1, 1, 2]);
}

fn half_open(fixture: &mut Fixture) {
    let wire = Wire::between("192.0.2.7:42907", "10.0.0.1:80");
    fixture.retransmit(&wire, SERVER, Segment::SynAck, 1);
}

fn refused(fixture: &mut Fixture) {
    let mut wire = Wire::loopback();
    fixture.go(&mut wire, CLIENT, SynSent);
    fixture.close(&mut wire, CLIENT, Reason::Refused);
}

fn with_itself(fixture: &mut Fixture) {
    let mut wire = Wire::between("127.0.0.1:4000", "127.0.0.1:4000");
    for state in [SynSent, SynRecv, Established, FinWait1, Closing, TimeWait] {
        fixture.go(&mut wire, CLIENT, state);
    }
}

fn closed_at_once(fixture: &mut Fixture) {
    let mut wire = Wire::loopback();
    fixture.open(&mut wire);
    fixture.go_on(&mut wire, &[(CLIENT, FinWait1), (SERVER, FinWait1)]);
    wire.fins = [1, 1];
    fixture.go_on(&mut wire, &[(CLIENT, Closing), (SERVER, Closing)]);
}

/// Its last FIN has been sent, but is not known to have arrived.
fn closed_last(fixture: &mut Fixture) {
    let mut wire = Wire::between("192.0.2.7:42906", "10.0.0.1:443");
    fixture.go_on(&mut wire, &[(SERVER, SynRecv), (SERVER, Established)]);
    wire.fins[CLIENT] = 1;
    fixture.go(&mut wire, SERVER, CloseWait);
    fixture.fin(&mut wire, SERVER, LastAck);
}

fn found_waiting(fixture: &mut Fixture) {
    let mut wire = Wire::between("10.0.0.1:42906", "192.0.2.7:443");
    wire.states[CLIENT] = FinWait1;
    fixture.step(&mut wire, CLIENT, FinWait2, Source::Snapshot, None);
}

fn orphaned(fixture: &mut Fixture) {
    let mut wire = Wire::between("10.0.0.1:42906", "192.0.2.7:443");
    wire.states[CLIENT] = FinWait2;
    fixture.go(&mut wire, CLIENT, FinWait2);
}

#[rstest]
#[case(in_order, &[ACK_NAMES, NUMBERS_OF_FINS, RELEASED, WAITS])]
#[case(without_data, &[ACK_NAMES, RELEASED, WAITS])]
#[case(half_closed, &[ACK_NAMES, OPEN_STILL])]
#[case(reset_with_data, &[ACK_NAMES, ABORTS])]
#[case(one_retransmission, &[AGAIN])]
#[case(linear_waits, &[AGAIN, SAME_WAIT])]
#[case(doubling_waits, &[AGAIN, DOUBLE_WAIT])]
#[case(linear_then_doubling_waits, &[AGAIN, SAME_WAIT, DOUBLE_WAIT])]
#[case(half_open, &[AGAIN])]
#[case(refused, &[REFUSED])]
#[case(with_itself, &[ACK_NAMES, OWN_SYN, OWN_FIN, WAITS])]
#[case(closed_at_once, &[ACK_NAMES, BOTH_CLOSED])]
#[case(closed_last, &[ACK_NAMES])]
#[case(found_waiting, &[OPEN_STILL])]
#[case(orphaned, &[ORPHAN])]
fn a_sentence_is_said_where_it_is_true(#[case] happens: fn(&mut Fixture), #[case] said: &[&str]) {
    let mut fixture = Fixture::new(80, EXPLAIN);
    happens(&mut fixture);
    let text = fixture.text();
    let middle = text.lines().filter_map(|line| line.split('│').nth(1));
    let words: Vec<&str> = middle.flat_map(str::split_whitespace).collect();
    let words = words.join(" ");
    let found: Vec<&str> = ALL.into_iter().filter(|sentence| words.contains(sentence)).collect();
    let expected: Vec<&str> = ALL.into_iter().filter(|sentence| said.contains(sentence)).collect();
    assert_eq!(found, expected, "{text}");
}

/// The RST is reported first by the end whose data it answers.
#[test]
fn data_is_drawn_before_the_reset_that_answers_it() {
    let (mut fixture, mut wire) = Fixture::opened(80, PLAIN);
    fixture.fin(&mut wire, CLIENT, FinWait1);
    fixture.go(&mut wire, SERVER, CloseWait);
    wire.acked[CLIENT] = 1;
    fixture.go(&mut wire, CLIENT, FinWait2);
    fixture.wait(60);
    wire.sent[SERVER] = 500;
    fixture.reset(&wire, SERVER, Direction::Received);
    fixture.close(&mut wire, CLIENT, Reason::ResetSentDataAfterClose);
    fixture.close(&mut wire, SERVER, Reason::ResetReceived);
    let text = fixture.text();
    let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words}: {text}"));
    assert!(at("◁ 500B") < at(" RST "), "{text}");
}

#[test]
fn what_is_reported_late_is_drawn_where_it_happened() {
    let (mut fixture, wire) = Fixture::opened(80, PLAIN);
    fixture.now += MILLISECOND;
    fixture.reset(&wire, SERVER, Direction::Received);
    fixture.now -= MILLISECOND / 2;
    fixture.retransmit(&wire, CLIENT, Segment::Fin, 1);
    let text = fixture.text();
    let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words}: {text}"));
    assert!(at("↻1 FIN") < at(" RST "), "{text}");
}
