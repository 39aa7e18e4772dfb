//! Each sentence of an explanation is said where what it says was seen, and nowhere else.

use rstest::rstest;

use super::{
    scene::{CLIENT, MILLISECOND, SERVER, Scene, Wire},
    *,
};

const NUMBERS_OF_FINS: &str = "The number of a FIN is higher";
const OPEN_STILL: &str = "FIN_WAIT2: this direction is closed";
const SAME_WAIT: &str = "The wait was as long as before";
const DOUBLE_WAIT: &str = "The wait has doubled";
const BOTH_CLOSED: &str = "Both have sent their FIN";
const OWN_SYN: &str = "the socket is the peer of itself";
const SECOND_SYN: &str = "both open at once";
const OWN_FIN: &str = "own FIN has come back";
const RELEASED: &str = "A graceful release";
const ORPHAN: &str = "No process holds the socket any more";
const ACK_NAMES: &str = "ack names the next byte";
const AGAIN: &str = "the same segment with the same number is sent again";
const WAITS: &str = "TIME_WAIT stays with the end that closed first";
const REFUSED: &str = "Nobody listens on this port";
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

fn in_order(scene: &mut Scene) {
    let mut wire = Wire::loopback();
    scene.open(&mut wire);
    wire.sent = [82, 4_998];
    scene.shut(&mut wire);
}

fn without_data(scene: &mut Scene) {
    let mut wire = Wire::loopback();
    scene.open(&mut wire);
    scene.shut(&mut wire);
}

fn half_closed(scene: &mut Scene) {
    let mut wire = Wire::loopback();
    scene.open(&mut wire);
    scene.fin(&mut wire, CLIENT, FinWait1);
    scene.go(&mut wire, SERVER, CloseWait);
    wire.acked[CLIENT] = 1;
    scene.go(&mut wire, CLIENT, FinWait2);
}

fn reset_with_data(scene: &mut Scene) {
    let mut wire = Wire::loopback();
    scene.open(&mut wire);
    wire.sent = [82, 0];
    scene.close(&mut wire, SERVER, Reason::ResetSentUnreadData);
}

fn waits(scene: &mut Scene, seconds: &[u64]) {
    let mut wire = Wire::between("10.0.0.1:42906", "192.0.2.7:443");
    scene.go(&mut wire, CLIENT, SynSent);
    for (ordinal, seconds) in (1..).zip(seconds) {
        // A timer is a little late.
        scene.now += (1_000 * seconds + 20) * MILLISECOND;
        scene.again(&wire, CLIENT, Segment::Syn, ordinal);
    }
}

fn one_retransmission(scene: &mut Scene) {
    waits(scene, &[1]);
}

fn linear_waits(scene: &mut Scene) {
    waits(scene, &[1, 1, 1, 1]);
}

fn doubling_waits(scene: &mut Scene) {
    waits(scene, &[1, 2, 4]);
}

fn linear_then_doubling_waits(scene: &mut Scene) {
    waits(scene, &[1, 1, 2]);
}

fn half_open(scene: &mut Scene) {
    let wire = Wire::between("192.0.2.7:42907", "10.0.0.1:80");
    scene.again(&wire, SERVER, Segment::SynAck, 1);
}

fn refused(scene: &mut Scene) {
    let mut wire = Wire::loopback();
    scene.go(&mut wire, CLIENT, SynSent);
    scene.close(&mut wire, CLIENT, Reason::Refused);
}

fn with_itself(scene: &mut Scene) {
    let mut wire = Wire::between("127.0.0.1:4000", "127.0.0.1:4000");
    for state in [SynSent, SynRecv, Established, FinWait1, Closing, TimeWait] {
        scene.go(&mut wire, CLIENT, state);
    }
}

fn closed_at_once(scene: &mut Scene) {
    let mut wire = Wire::loopback();
    scene.open(&mut wire);
    scene.go(&mut wire, CLIENT, FinWait1);
    scene.go(&mut wire, SERVER, FinWait1);
    wire.fins = [1, 1];
    scene.go(&mut wire, CLIENT, Closing);
    scene.go(&mut wire, SERVER, Closing);
}

/// Its last FIN has been sent, but is not known to have arrived.
fn closed_last(scene: &mut Scene) {
    let mut wire = Wire::between("192.0.2.7:42906", "10.0.0.1:443");
    scene.go(&mut wire, SERVER, SynRecv);
    scene.go(&mut wire, SERVER, Established);
    wire.fins[CLIENT] = 1;
    scene.go(&mut wire, SERVER, CloseWait);
    scene.fin(&mut wire, SERVER, LastAck);
}

fn found_waiting(scene: &mut Scene) {
    let mut wire = Wire::between("10.0.0.1:42906", "192.0.2.7:443");
    wire.states[CLIENT] = FinWait1;
    scene.step(&mut wire, CLIENT, FinWait2, Source::Snapshot, None);
}

fn orphaned(scene: &mut Scene) {
    let mut wire = Wire::between("10.0.0.1:42906", "192.0.2.7:443");
    wire.states[CLIENT] = FinWait2;
    scene.go(&mut wire, CLIENT, FinWait2);
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
fn a_sentence_is_said_where_it_is_true(#[case] happens: fn(&mut Scene), #[case] said: &[&str]) {
    let mut scene = Scene::new(80, EXPLAIN);
    happens(&mut scene);
    let text = scene.text();
    let middle = text.lines().filter_map(|line| line.split('│').nth(1));
    let words: Vec<&str> = middle.flat_map(str::split_whitespace).collect();
    let words = words.join(" ");
    let found: Vec<&str> = ALL.into_iter().filter(|sentence| words.contains(sentence)).collect();
    let expected: Vec<&str> = ALL.into_iter().filter(|sentence| said.contains(sentence)).collect();
    assert_eq!(found, expected, "{text}");
}

/// The RST is told of first: by the end whose data it answers.
#[test]
fn data_is_drawn_before_the_reset_that_answers_it() {
    let mut scene = Scene::new(80, PLAIN);
    let mut wire = Wire::loopback();
    scene.open(&mut wire);
    scene.fin(&mut wire, CLIENT, FinWait1);
    scene.go(&mut wire, SERVER, CloseWait);
    wire.acked[CLIENT] = 1;
    scene.go(&mut wire, CLIENT, FinWait2);
    scene.wait(60);
    wire.sent[SERVER] = 500;
    scene.reset(&wire, SERVER, Direction::Received);
    scene.close(&mut wire, CLIENT, Reason::ResetSentDataAfterClose);
    scene.close(&mut wire, SERVER, Reason::ResetReceived);
    let text = scene.text();
    let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words}: {text}"));
    assert!(at("◁ 500B") < at(" RST "), "{text}");
}

#[test]
fn what_is_told_late_is_drawn_where_it_happened() {
    let mut scene = Scene::new(80, PLAIN);
    let mut wire = Wire::loopback();
    scene.open(&mut wire);
    scene.now += MILLISECOND;
    scene.reset(&wire, SERVER, Direction::Received);
    scene.now -= MILLISECOND / 2;
    scene.again(&wire, CLIENT, Segment::Fin, 1);
    let text = scene.text();
    let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words}: {text}"));
    assert!(at("↻1 FIN") < at(" RST "), "{text}");
}
