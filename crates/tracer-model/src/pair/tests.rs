use proptest::prelude::*;
use rstest::rstest;

use super::{Joined, Recording, Side, Skew, Verdict, join, verdicts};
use tracer_event::{
    close::{Close, Initiator, Reason},
    endpoint::{Endpoint, Tuple},
    header::Host,
    reset::{Reset, Rst},
    retransmit::{Retransmit, Retransmitted},
    sequence::Sequence,
    state::State::{self, *},
    subject::{Role, Subject},
    transition::{Handshake, Transition},
    update::{Answered, Direction, OwnedUpdate, Segment},
};

const MS: i64 = 1_000_000;
const ISN: [u32; 2] = [4_000_000_000, 77];
/// On its way from one end to the other.
const WAY: i64 = 20 * MS;

/// One end of a connection, and what its host records. Times are the client's, milliseconds.
struct Fixture {
    recording: Recording,
    subject: Subject,
    role: Role,
    /// How far the clock is ahead, nanoseconds.
    ahead: i64,
    isn: [u32; 2],
}

fn subject(role: Role, cookie: u64) -> Subject {
    let end = |last, port| Endpoint::new([10, 0, 0, last].into(), port);
    let tuple = Tuple { local: end(1, 40_000), peer: end(2, 80), netns: 1 };
    let tuple = if role == Role::Client { tuple } else { tuple.reversed() };
    Subject { cookie: Some(cookie), ordinal: 1, role: Some(role), ..Subject::of_addresses(tuple) }
}

impl Fixture {
    fn new(role: Role, ahead: i64) -> Self {
        let mut recording = Recording::new();
        let host = |name: &str| Host { name: name.into(), boot_id: Some("x".into()) };
        recording.host = Some(host(if role == Role::Client { "A" } else { "B" }));
        recording.until = 60_000 * MS + ahead;
        let isn = if role == Role::Client { ISN } else { [ISN[1], ISN[0]] };
        Self { recording, subject: subject(role, 1), role, ahead, isn }
    }

    fn add(&mut self, time: i64, update: &OwnedUpdate) {
        self.recording.add(time * MS + self.ahead, update);
    }

    /// A change of state, having sent and received so many bytes; those sent are acknowledged.
    fn step(&mut self, time: i64, from: State, to: State, bytes: [u32; 2]) -> &mut Self {
        self.changed(time, from, to, bytes, |_| ())
    }

    fn changed(
        &mut self,
        time: i64,
        from: State,
        to: State,
        [sent, received]: [u32; 2],
        change: impl FnOnce(&mut Transition),
    ) -> &mut Self {
        let [local, peer] = self.isn;
        let una = local.wrapping_add(1 + sent);
        let syn = u32::from(self.role == Role::Client);
        let sequence = Sequence {
            snd_una: una,
            snd_nxt: una,
            write_seq: una,
            rcv_nxt: peer.wrapping_add(1 + received),
            acked: (sent + syn).into(),
            received: received.into(),
        };
        let mut step = Transition {
            sequence: (to != SynSent && to != SynRecv).then_some(sequence),
            sent: matches!(to, FinWait1 | LastAck | SynSent).then_some(true),
            ..Transition::new(self.subject, 0, from, to)
        };
        change(&mut step);
        self.add(time, &OwnedUpdate::Transition(step));
        self
    }

    /// The handshake: the client's SYN at 0.
    fn open(&mut self) -> &mut Self {
        let [local, peer] = self.isn;
        let (from, time) = match self.role {
            Role::Client => (SynSent, 2 * WAY),
            _ => (SynRecv, 3 * WAY),
        };
        let before = if self.role == Role::Client { 0 } else { time / MS };
        let begun = if self.role == Role::Client { Closed } else { Listen };
        self.step(before, begun, from, [0, 0]);
        self.changed(time / MS, from, Established, [0, 0], |step| {
            step.handshake = Some(Handshake {
                duration_ns: Some((2 * WAY).cast_unsigned()),
                rtt_ns: None,
                syn_retransmits: Some(0),
                local_isn: Some(local),
                peer_isn: Some(peer),
            });
        })
    }

    fn closed(&mut self, time: i64, from: State, reason: Reason, bytes: [u32; 2]) -> &mut Self {
        self.changed(time, from, Closed, bytes, |step| {
            step.close = Some(Close::new(reason, Some(Initiator::Local)));
        })
    }

    fn again(&mut self, time: i64, state: State, segment: Segment) -> &mut Self {
        let number = (segment == Segment::SynAck).then_some(self.isn[0]);
        let segment = Retransmitted::new(segment, 1, number);
        let one = Retransmit { time: 0, state, subject: self.subject, segment };
        self.add(time, &OwnedUpdate::Retransmit(one));
        self
    }

    fn reset(&mut self, time: i64, state: State, subject: Subject, segment: Rst) -> &mut Self {
        self.add(time, &OwnedUpdate::Reset(Reset { time: 0, state, subject, segment }));
        self
    }
}

fn ends(ahead: i64) -> [Fixture; 2] {
    [Fixture::new(Role::Client, 0), Fixture::new(Role::Server, ahead)]
}

fn opened() -> [Fixture; 2] {
    let mut both = ends(5_000 * MS);
    for one in &mut both {
        one.open();
    }
    both
}

fn judged(both: [Fixture; 2]) -> (Joined, Vec<Verdict>) {
    let recordings = both.map(|one| one.recording);
    let joined = join(&recordings);
    let found = joined.pairs.iter().flat_map(|pair| verdicts(&recordings, &joined, pair)).collect();
    (joined, found)
}

fn codes(both: [Fixture; 2]) -> Vec<&'static str> {
    judged(both).1.iter().map(Verdict::code).collect()
}

/// The client closes and is answered.
fn graceful([client, server]: &mut [Fixture; 2]) {
    client.step(100, Established, FinWait1, [5, 7]);
    server.step(120, Established, CloseWait, [7, 6]).step(130, CloseWait, LastAck, [7, 6]);
    client.step(140, FinWait1, FinWait2, [6, 7]).step(150, FinWait2, TimeWait, [6, 8]);
    server.closed(170, LastAck, Reason::Graceful, [8, 6]);
}

#[test]
fn of_a_connection_that_is_closed_by_both_nothing_is_said() {
    let mut both = opened();
    graceful(&mut both);
    let (joined, found) = judged(both);
    assert_eq!(found, []);
    assert_eq!((joined.pairs.len(), joined.alone), (1, 0));
    let skew = joined.skew(0, 1).unwrap();
    assert!(skew.ahead.abs_diff(5_000 * MS) <= skew.within.unwrap().unsigned_abs(), "{skew:?}");
    assert_eq!(joined.skew(1, 0), Some(Skew { ahead: -skew.ahead, ..skew }));
}

#[test]
fn ends_are_joined_through_nat() {
    let mut both = opened();
    graceful(&mut both);
    let [client, mut server] = both;
    for end in &mut server.recording.ends {
        end.tuple.peer = Endpoint::new([192, 0, 2, 1].into(), 61_000);
    }
    let (joined, found) = judged([client, server]);
    assert_eq!((joined.pairs[0].second.is_some(), found.len()), (true, 0));
}

#[test]
fn a_fin_that_has_not_arrived_is_lost() {
    let mut both = opened();
    both[0].step(100, Established, FinWait1, [0, 0]).again(300, FinWait1, Segment::Fin);
    let (_, found) = judged(both);
    let [Verdict::FinLost { retransmits: 1, state: Established, sent, .. }] = found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(sent, 100 * MS);
}

#[rstest]
#[case::under_way(|both: &mut [Fixture; 2]| both[1].recording.until = both[1].ahead + 900 * MS)]
#[case::events_lost(|both: &mut [Fixture; 2]| both[1].recording.complete = false)]
#[case::problems_only(|both: &mut [Fixture; 2]| both[1].recording.whole = false)]
#[case::acknowledged(|both: &mut [Fixture; 2]| { both[0].step(300, FinWait1, FinWait2, [1, 0]); })]
#[case::received(|both: &mut [Fixture; 2]| { both[1].step(300, Established, CloseWait, [0, 1]); })]
#[case::gone_before(|both: &mut [Fixture; 2]| {
    both[1].closed(150, Established, Reason::AbortedLocally, [0, 0]);
})]
fn a_fin_is_not_lost_where_that_is_not_proved(#[case] change: fn(&mut [Fixture; 2])) {
    let mut both = opened();
    both[0].step(100, Established, FinWait1, [0, 0]);
    change(&mut both);
    assert_eq!(codes(both), [""; 0]);
}

#[test]
fn a_fin_that_arrives_after_retransmissions_is_late() {
    let mut both = opened();
    both[0].step(100, Established, FinWait1, [0, 0]).again(300, FinWait1, Segment::Fin);
    both[0].step(3_040, FinWait1, FinWait2, [1, 0]);
    both[1].step(3_020, Established, CloseWait, [0, 1]);
    assert_eq!(codes(both), ["fin_late"]);
}

#[test]
fn an_rst_that_nobody_heard_of_is_lost() {
    let mut both = opened();
    both[0].closed(100, Established, Reason::ResetSentLingerZero, [0, 0]);
    let (_, found) = judged(both);
    assert!(matches!(found[..], [Verdict::ResetLost { heard: None, .. }]), "{found:?}");
}

#[rstest]
#[case(120, &[])]
#[case(9_000, &["reset_lost"])]
fn an_rst_that_is_heard_is_lost_only_where_it_comes_late(
    #[case] time: i64,
    #[case] expected: &[&str],
) {
    let mut both = opened();
    both[0].closed(100, Established, Reason::ResetSentUnreadData, [0, 0]);
    let subject = both[1].subject;
    both[1].reset(time, Established, subject, Rst::new(Direction::Received));
    both[1].closed(time, Established, Reason::ResetReceived, [0, 0]);
    assert_eq!(codes(both), expected);
}

#[test]
fn data_that_left_and_did_not_arrive_is_lost() {
    let mut both = opened();
    both[1].changed(200, Established, FinWait1, [0, 8], |step| {
        let sequence = step.sequence.as_mut().unwrap();
        sequence.write_seq = sequence.snd_una.wrapping_add(100);
        sequence.snd_nxt = sequence.write_seq;
    });
    both[0].step(3_000, Established, FinWait1, [8, 0]);
    let (_, found) = judged(both);
    // The server's FIN waits behind it; the client's has not arrived either.
    let [Verdict::FinLost { from: Side::First, .. }, Verdict::DataLost { bytes: 100, .. }] =
        found[..]
    else {
        panic!("{found:?}")
    };
}

#[test]
fn an_answer_to_a_syn_that_did_not_arrive_is_lost() {
    let mut both = ends(0);
    both[0].changed(0, Closed, SynSent, [0, 0], |step| {
        step.sequence = Some(Sequence {
            snd_una: ISN[0],
            snd_nxt: ISN[0] + 1,
            write_seq: ISN[0] + 1,
            rcv_nxt: 0,
            acked: 0,
            received: 0,
        });
    });
    both[0].again(1_000, SynSent, Segment::Syn);
    both[1].again(1_020, SynRecv, Segment::SynAck);
    both[0].closed(3_000, SynSent, Reason::ConnectTimeout, [0, 0]);
    assert_eq!(codes(both), ["syn_ack_lost"]);
}

#[test]
fn a_host_that_was_started_meanwhile_has_rebooted() {
    let mut both = opened();
    let other = Subject::of_addresses(both[1].subject.tuple);
    both[0].closed(9_000, Established, Reason::ResetReceived, [0, 0]);
    // The recording of after the reboot knows nothing of the connection.
    let mut after = Fixture::new(Role::Server, 0);
    after.recording.addresses.insert(other.tuple.local);
    after.reset(8_990, Closed, other, Rst::answering(Answered::Ack));
    let [client, _] = both;
    let mut both = [client, after];
    assert_eq!(codes_of(&both), ["peer_forgot"]);
    both[1].recording.booted = 4_000 * MS;
    assert_eq!(codes_of(&both), ["peer_rebooted"]);
}

fn codes_of(both: &[Fixture; 2]) -> Vec<&'static str> {
    // A recording is not copied.
    let copy = |one: &Fixture| {
        let mut recording = Recording::new();
        recording.ends.clone_from(&one.recording.ends);
        recording.answers.clone_from(&one.recording.answers);
        recording.addresses.clone_from(&one.recording.addresses);
        (recording.until, recording.booted) = (one.recording.until, one.recording.booted);
        recording
    };
    let recordings = both.each_ref().map(copy);
    let joined = join(&recordings);
    let judge = |pair| verdicts(&recordings, &joined, pair);
    joined.pairs.iter().flat_map(judge).map(|one| one.code()).collect()
}

#[test]
fn two_boots_of_a_host_with_the_connection_in_between_are_a_reboot() {
    let mut both = opened();
    both[0].closed(9_000, Established, Reason::ResetReceived, [0, 0]);
    let mut after = Recording::new();
    after.host = Some(Host { name: "B".into(), boot_id: Some("y".into()) });
    after.booted = 4_000 * MS + 5_000 * MS;
    let [client, server] = both.map(|one| one.recording);
    let recordings = [client, server, after];
    let joined = join(&recordings);
    let found = verdicts(&recordings, &joined, &joined.pairs[0]);
    assert!(found.iter().any(|one| one.code() == "peer_rebooted"), "{found:?}");
}

#[test]
fn other_numbers_at_the_same_addresses_are_a_proxys() {
    let mut both = ends(0);
    both[1].isn = [5, 6];
    for one in &mut both {
        one.open();
    }
    assert_eq!(codes(both), ["numbers_rewritten"]);
}

proptest! {
    /// Handshakes over ways of any length, in either direction, by a clock that is anywhere.
    #[test]
    fn the_true_difference_of_the_clocks_is_within_what_is_said(
        ahead in -(1_i64 << 50)..(1 << 50),
        ways in prop::collection::vec((0..200 * MS, 0..200 * MS, 0..200 * MS), 1..20),
    ) {
        let mut recordings = [Recording::new(), Recording::new()];
        for (number, (syn, syn_ack, ack)) in ways.into_iter().enumerate() {
            let number = number as u32;
            let sent = i64::from(number) * 1_000 * MS;
            let arrived = sent + syn + syn_ack;
            let times = [[sent, arrived], [arrived + ack, arrived + ack]];
            for (side, role) in [Role::Client, Role::Server].into_iter().enumerate() {
                let mut one = Fixture::new(role, ahead * side as i64);
                one.recording = std::mem::take(&mut recordings[side]);
                one.subject = subject(role, number.into());
                one.isn = if side == 0 { [number, !number] } else { [!number, number] };
                let (begun, opening) = if side == 0 { (Closed, SynSent) } else { (Listen, SynRecv) };
                let mut add = |time: i64, from, to, handshake| {
                    let mut other = Fixture::new(role, 0);
                    (other.subject, other.isn) = (one.subject, one.isn);
                    other.changed(0, from, to, [0, 0], |step| step.handshake = handshake);
                    let step = other.recording.ends.remove(0).events.remove(0).what.into_update();
                    one.recording.add(time + one.ahead, &step);
                };
                let duration = (syn_ack + ack).cast_unsigned();
                let handshake = Handshake {
                    duration_ns: Some(duration),
                    rtt_ns: None,
                    syn_retransmits: Some(0),
                    local_isn: Some(one.isn[0]),
                    peer_isn: Some(one.isn[1]),
                };
                add(times[side][0], begun, opening, None);
                add(times[side][1], opening, Established, Some(handshake));
                recordings[side] = one.recording;
            }
        }
        let skew = join(&recordings).skew(0, 1).unwrap();
        prop_assert!(skew.ahead.abs_diff(ahead) <= skew.within.unwrap().unsigned_abs() + 1, "{:?}", skew);
    }
}
