//! A state that a trace flags is never "OK".

use tracer_event::update::{LingerStatus, Observer, Update};

use super::*;
use crate::linger::Thresholds;

/// Sockets of each state, in which nothing moves, from the first to the last of these seconds.
const FIRST: u64 = 1;
const LAST: u64 = 121;

fn stuck(state: State, second: u64) -> Record {
    let jiffies = JIFFIES + second * HZ;
    let record = Record {
        time_ns: second * SECOND,
        jiffies,
        local_port: 40_001,
        peer_port: SERVER,
        ..socket(1, state, 0)
    };
    let timer_expires = jiffies + 50 * HZ;
    match state {
        State::SynRecv => Record {
            kind: kind::REQUEST_SOCKET,
            local_port: SERVER,
            peer_port: 40_001,
            last_ack: ((second - FIRST) * 1_000 + 1) as u32,
            flags: 0,
            ..record
        },
        State::TimeWait => {
            Record { kind: kind::TIME_WAIT_SOCKET, timer_expires, flags: 0, ..record }
        }
        _ => record,
    }
}

/// Whether a flag has been raised.
#[derive(Default)]
struct Flags {
    raised: bool,
}

impl Observer for Flags {
    fn observe(&mut self, update: Update<'_>) {
        if let Update::Linger(lingers) = update {
            self.raised |= lingers.iter().any(|one| one.status == LingerStatus::Raised);
        }
    }
}

/// Whether a trace flags it, and what a diagnosis of the last ten seconds finds.
fn judge(state: State) -> (bool, Vec<&'static str>) {
    let thresholds = Thresholds::default();
    let ticks = Ticks { hz: HZ };
    let mut table = Table::new(table::Options { thresholds, ticks, ..table::Options::default() });
    let mut flags = Flags::default();
    let at = |second| look(second * SECOND, vec![stuck(state, second)]);
    for second in (FIRST..=LAST).step_by(10) {
        table.merge(&at(second).snapshot, &mut flags);
        table.expire(second * SECOND, &mut flags);
    }
    let (filter, observed) = (Filter::default(), Observed::default());
    let diagnosis = find_in(&filter, &at(LAST - 10), &at(LAST), &observed, &table);
    let codes = diagnosis.findings.iter().map(|finding| finding.problem.code()).collect();
    (flags.raised, codes)
}

#[test]
fn whatever_a_trace_flags_a_diagnosis_finds() {
    for state in Thresholds::default().states() {
        let (flagged, found) = judge(state);
        assert!(flagged, "{state} is not flagged");
        assert_eq!(found.len(), 1, "{state}: {found:?}");
    }
    // Flagged where that is asked for.
    assert_eq!(judge(State::FinWait1).1, ["stuck_state"]);
    assert_eq!(judge(State::Established), (false, Vec::new()));
}

/// Whoever asks for problems alone is told of those that snapshots show.
#[test]
fn what_is_found_is_a_problem() {
    let sockets: Vec<Record> = (1..6).map(|n| close_wait(n, 60)).collect();
    let [first, last] = [SECOND, SECOND + OBSERVED].map(|time| look(time, sockets.clone()));
    for (filter, findings) in [("problem", 1), ("not problem", 0), ("problem and pid 1", 0)] {
        let filter: Filter = filter.parse().unwrap();
        assert_eq!(find_wanted(&filter, &first, &last).findings.len(), findings, "{filter:?}");
    }
}

/// Clients on this host that are connected, and whose ACK a packet filter drops: their data is not
/// answered either, which is the same.
#[rstest]
#[case::both_ends(true, &[("stuck_handshake", Severity::Warning)])]
#[case::the_client_alone(false, &[("dead_peer", Severity::Warning)])]
fn an_ack_that_does_not_arrive_is_one_finding(
    #[case] listener_is_here: bool,
    #[case] expected: &[(&str, Severity)],
) {
    let half_open = Record {
        kind: kind::REQUEST_SOCKET,
        retransmits: 3,
        flags: 0,
        ..socket(1, State::SynRecv, 9)
    };
    let client = Record {
        local_address: half_open.peer_address,
        local_port: half_open.peer_port,
        peer_address: half_open.local_address,
        peer_port: half_open.local_port,
        bytes_acked: 1,
        ..silence::retransmitting(2, State::Established, 5, 9, 4)
    };
    let mut records = vec![client];
    if listener_is_here {
        records.extend([listener(0, 128), half_open]);
    }
    let found = between(records.clone(), records).findings;
    let found: Vec<_> =
        found.iter().map(|finding| (finding.problem.code(), finding.severity)).collect();
    assert_eq!(found, expected);
}

/// A client's end to port 443 of 10.0.0.2, of which something came so many seconds ago.
fn to_https(n: u64, state: State, seconds: u64, retransmits: u8) -> Record {
    let (local_port, peer_port) = (40_000 + n as u16, 443);
    Record { local_port, peer_port, retransmits, ..socket(n, state, seconds) }
}

#[rstest]
#[case::just_now(1, 2)]
#[case::before(60, 0)]
fn others_of_a_service_that_gets_no_syn_answered(#[case] seconds: u64, #[case] expected: u64) {
    let records = vec![
        to_https(1, State::SynSent, 5, 3),
        to_https(2, State::Established, seconds, 0),
        to_https(3, State::Established, seconds, 0),
    ];
    let found = between(records.clone(), records).findings;
    let stuck = found.iter().find_map(|finding| match &finding.problem {
        Problem::StuckHandshake(stuck) => Some(stuck.answering),
        _ => None,
    });
    assert_eq!(stuck, Some(expected), "{found:?}");
}

/// The peer repeats its request, as it does not get the answer; so do those of a busy connection on
/// which three retransmissions were lost.
#[rstest]
#[case::one_way(6, 9, 1, 100, Some(false))]
#[case::full_segments(6, 9, 1, 2_000, Some(true))]
#[case::five_are_chance(5, 9, 1, 100, None)]
#[case::heard_when_it_was_lost(6, 9, 7, 100, None)]
fn a_peer_that_sends_and_acknowledges_nothing_does_not_get_it(
    #[case] tries: u8,
    #[case] since: u64,
    #[case] heard: u64,
    #[case] bytes: u32,
    #[case] expected: Option<bool>,
) {
    let record = silence::retransmitting(1, State::Established, since, heard, tries);
    let record = Record { snd_nxt: 1_000 + bytes, write_seq: 1_000 + bytes, ..record };
    let found = between(vec![record], vec![record]).findings;
    let one_way = found.iter().find_map(|finding| match &finding.problem {
        Problem::DeadPeer(dead) => {
            assert_eq!(dead.unanswered, tracer_event::finding::Unanswered::OneWay);
            Some(dead.black_hole)
        }
        _ => None,
    });
    assert_eq!(one_way, expected, "{found:?}");
}
