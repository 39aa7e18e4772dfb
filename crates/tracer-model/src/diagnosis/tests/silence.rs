//! Silent peers, closed windows, idle connections and those that are used once.

use tracer_wire::Timers;

use super::*;
use tracer_event::update::Subject;
use tracer_event::{
    close::{Close, Initiator, Reason},
    endpoint::{Endpoint, Tuple},
    finding::{DeadPeer, Unanswered},
    host::TimeWaitReuse,
    process::{Evidence, Owner, Process},
    update::{ConnectionSummary, Handshake, Observer as _, Role, Source, Update},
};

const MILLISECOND: u64 = 1_000_000;

/// A server's end with these timers.
fn with(record: Record, timers: Timers) -> Record {
    let mut record = Record { time_ns: 100 * SECOND, ..record };
    timers.put(&mut record);
    record
}

/// Data that was first retransmitted so many seconds ago, and an acknowledgement that came so many
/// seconds ago.
pub(super) fn retransmitting(
    n: u64,
    state: State,
    since: u64,
    heard: u64,
    retransmits: u8,
) -> Record {
    let record = Record {
        snd_una: 1_000,
        snd_nxt: 21_000,
        write_seq: 21_000,
        retransmits,
        timer: 1,
        timer_expires: JIFFIES + 100,
        ..socket(n, state, heard)
    };
    let retrans_stamp = (100_000 - since * 1_000) as u32;
    with(record, Timers { rto: 800, retrans_stamp, ..Timers::EMPTY })
}

/// The same at both snapshots: what is found, with its severity.
fn codes(records: &[Record]) -> Vec<(&'static str, Severity)> {
    let records = [records, &[listener(0, 128)]].concat();
    let diagnosis = find(&look(SECOND, records.clone()), &look(SECOND + OBSERVED, records));
    diagnosis.findings.iter().map(|finding| (finding.problem.code(), finding.severity)).collect()
}

const DEAD: &str = "dead_peer";
const NOT_READING: &str = "peer_not_reading";

fn alive(count: u64) -> Vec<Record> {
    (0..count).map(|n| with(socket(100 + n, State::Established, 1), Timers::EMPTY)).collect()
}

#[rstest]
#[case::dead(retransmitting(1, State::Established, 5, 9, 4), 1, Some(Severity::Warning))]
#[case::lost_twice(retransmitting(1, State::Established, 5, 9, 2), 1, None)]
// It answers something else: acknowledges again and again, or sends.
#[case::heard_since(retransmitting(1, State::Established, 5, 4, 4), 1, None)]
#[case::one_of_many(retransmitting(1, State::Established, 5, 9, 4), 40, Some(Severity::Info))]
#[case::still_connecting(retransmitting(1, State::SynSent, 5, 9, 1), 1, None)]
fn a_peer_is_dead_when_nothing_was_heard_since_the_first_retransmission(
    #[case] record: Record,
    #[case] others: u64,
    #[case] expected: Option<Severity>,
) {
    let records = [vec![record], alive(others)].concat();
    let expected: Vec<_> = expected.map(|severity| (DEAD, severity)).into_iter().collect();
    assert_eq!(codes(&records), expected);
}

fn dead_peer(records: &[Record]) -> DeadPeer {
    let records = [records, &[listener(0, 128)]].concat();
    let diagnosis = find(&look(SECOND, records.clone()), &look(SECOND + OBSERVED, records));
    let found = diagnosis.findings.into_iter().find_map(|finding| match finding.problem {
        Problem::DeadPeer(dead) => Some(*dead),
        _ => None,
    });
    found.expect("a dead peer")
}

#[test]
fn the_bytes_the_time_and_the_idle_ones_are_told() {
    let idle = |n, keepalive| {
        let record = Record { flags: flag::HAS_SOCKET, ..socket(n, State::Established, 60) };
        let timer_expires = if keepalive == 1 { JIFFIES + 7_000 * HZ } else { 0 };
        let flags = record.flags | if keepalive == 1 { flag::SK_TIMER } else { 0 };
        with(Record { timer_expires, flags, ..record }, Timers { keepalive, ..Timers::EMPTY })
    };
    let elsewhere = Record { peer_address: wire(3), ..idle(5, 0) };
    let records = [
        retransmitting(1, State::Established, 5, 9, 4),
        idle(2, 1),
        idle(3, 0),
        idle(4, 0),
        elsewhere,
    ];
    let dead = dead_peer(&records);
    assert_eq!(dead.unanswered, Unanswered::Data);
    assert_eq!((dead.unacknowledged, dead.tries), (20_000, 4));
    assert_eq!((dead.since, dead.silent), (5 * SECOND, Some(9 * SECOND)));
    assert!(dead.gives_up > Some(900 * SECOND), "{dead:?}");
    assert_eq!((dead.idle.probed, dead.idle.never), (1, 2), "{dead:?}");
    assert_eq!(dead.idle.probe_in, Some(7_000 * SECOND));
    assert_eq!(dead.connections.sockets, 1);
}

/// Whoever answers on other connections is there: the path is asked about.
#[rstest]
#[case::silent(5, 6, &[], (0, false))]
#[case::was_there_before(5, 6, &[7, 9], (0, false))]
#[case::is_there(5, 6, &[7, 1, 2], (2, true))]
#[case::was_idle_for_long(5, 600, &[1], (1, false))]
fn a_peer_that_answers_on_others_is_there(
    #[case] since: u64,
    #[case] heard: u64,
    #[case] others: &[u64],
    #[case] expected: (u64, bool),
) {
    let other =
        |(n, heard): (u64, &u64)| with(socket(100 + n, State::Established, *heard), Timers::EMPTY);
    let record = retransmitting(1, State::Established, since, heard, 4);
    let others: Vec<Record> = (0..).zip(others).map(other).collect();
    let told = |record: Record| {
        let dead = dead_peer(&[&[record][..], &others].concat());
        (dead.answering, dead.black_hole)
    };
    assert_eq!(told(record), expected);
    // What does not fill a segment is not lost for its size.
    assert_eq!(told(Record { snd_nxt: 1_100, ..record }), (expected.0, false));
    let elsewhere = Record { peer_address: wire(3), ..record };
    assert_eq!(told(elsewhere), (0, false));
}

/// The server's accept queue was full when the last ACK of the handshake came: it is dropped, and so
/// is the data behind it.
#[rstest]
#[case::our_syn_alone(1, 0, true)]
#[case::data_was(500, 0, false)]
#[case::data_came(1, 4, false)]
#[case::not_our_syn(0, 0, false)]
fn what_was_never_answered_is_told(
    #[case] bytes_acked: u64,
    #[case] bytes_received: u64,
    #[case] never: bool,
) {
    let record = retransmitting(1, State::Established, 5, 6, 4);
    let dead = dead_peer(&[Record { bytes_acked, bytes_received, ..record }]);
    assert_eq!(dead.never_answered, never);
}

#[test]
fn of_several_peers_those_that_are_there_are_told_apart() {
    let records = [
        retransmitting(1, State::Established, 5, 6, 4),
        Record { peer_address: wire(3), ..retransmitting(2, State::Established, 5, 6, 4) },
        with(socket(3, State::Established, 1), Timers::EMPTY),
    ];
    assert_eq!(codes(&records), [(DEAD, Severity::Warning); 2]);
    assert_eq!(dead_peer(&records).connections.sockets, 1);
}

/// Nobody waits for what is closed: the kernel ends it soon.
#[rstest]
#[case(State::FinWait1)]
#[case(State::LastAck)]
fn a_fin_without_an_answer_is_information(#[case] state: State) {
    let record = retransmitting(1, state, 5, 9, 4);
    let fin = Record { snd_una: 20_999, flags: flag::DEAD, ..record };
    assert_eq!(codes(&[fin]), [(DEAD, Severity::Info)]);
    let dead = dead_peer(&[fin]);
    assert_eq!((dead.unanswered, dead.unacknowledged), (Unanswered::Fin, 0));
    assert_eq!(dead.connections.orphans, 1);
}

#[rstest]
#[case(1, None)]
#[case(2, Some(DEAD))]
fn keepalive_probes_without_an_answer_are_a_dead_peer(
    #[case] probes_out: u8,
    #[case] expected: Option<&str>,
) {
    let record = Record {
        flags: flag::HAS_SOCKET | flag::SK_TIMER,
        timer_expires: JIFFIES + HZ,
        ..socket(1, State::Established, 3_000)
    };
    let timers = Timers { keepalive: 1, keepalive_intvl: 2_500, probes_out, ..Timers::EMPTY };
    let found: Vec<&str> = codes(&[with(record, timers)]).iter().map(|(code, _)| *code).collect();
    assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
}

/// A window that has been closed for so long; the peer answers the probes.
fn closed(n: u64, state: State, seconds: u64) -> Record {
    let record = Record {
        snd_una: 1_000,
        snd_nxt: 1_000,
        write_seq: 5_001,
        timer: 3,
        timer_expires: JIFFIES + 100,
        last_sent: (JIFFIES - seconds * HZ) as u32,
        ..socket(n, state, 1)
    };
    with(record, Timers { rto: 50, backoff: 3, ..Timers::EMPTY })
}

#[rstest]
#[case::a_pause(vec![closed(1, State::Established, 2)], None)]
#[case::short(vec![closed(1, State::Established, 5)], Some(Severity::Info))]
#[case::long(vec![closed(1, State::Established, 20)], Some(Severity::Warning))]
#[case::several((1..4).map(|n| closed(n, State::FinWait1, 5)).collect(), Some(Severity::Warning))]
#[case::one_of_many([vec![closed(1, State::Established, 20)], alive(40)].concat(), Some(Severity::Info))]
#[case::nothing_waits(vec![Record { write_seq: 1_000, ..closed(1, State::Established, 20) }], None)]
fn a_peer_that_takes_nothing_for_long_does_not_read(
    #[case] records: Vec<Record>,
    #[case] expected: Option<Severity>,
) {
    let expected: Vec<_> = expected.map(|severity| (NOT_READING, severity)).into_iter().collect();
    assert_eq!(codes(&records), expected);
}

#[test]
fn the_fin_behind_unsent_bytes_is_none_of_them() {
    let records = vec![closed(1, State::FinWait1, 20), listener(0, 128)];
    let diagnosis = find(&look(SECOND, records.clone()), &look(SECOND + OBSERVED, records));
    let Problem::PeerNotReading(stuck) = &diagnosis.findings[0].problem else { panic!() };
    assert_eq!((stuck.unsent, stuck.fins_waiting), (4_000, 1));
    assert_eq!(stuck.closed, 20 * SECOND);
}

/// Hours without data, by who would notice that the peer is gone.
#[rstest]
#[case::nobody(7_200, 0, 0, 2, Some("no_keepalive"))]
#[case::keepalive(7_200, 1, 0, 2, None)]
#[case::user_timeout(7_200, 0, 30_000, 2, None)]
#[case::minutes(600, 0, 0, 2, None)]
// Both ends are here.
#[case::own_host(7_200, 0, 0, 1, None)]
fn who_would_never_notice_is_counted(
    #[case] seconds: u64,
    #[case] keepalive: u8,
    #[case] user_timeout: u32,
    #[case] peer: u8,
    #[case] expected: Option<&str>,
) {
    let jiffies = 100_000_000;
    let at = |n: u64| {
        let moved = (jiffies - seconds * HZ) as u32;
        let record = Record {
            flags: flag::HAS_SOCKET,
            jiffies,
            last_sent: moved,
            last_received: moved,
            peer_address: wire(peer),
            ..socket(n, State::Established, 0)
        };
        with(record, Timers { keepalive, user_timeout, ..Timers::EMPTY })
    };
    let mut records = vec![at(1)];
    if peer == 1 {
        let Record { local_port, peer_port, .. } = records[0];
        records.push(Record { local_port: peer_port, peer_port: local_port, ..at(2) });
    }
    let found = codes(&records);
    let expected: Vec<_> = expected.map(|code| (code, Severity::Info)).into_iter().collect();
    assert_eq!(found, expected);
}

/// A connection for one exchange that ended so many milliseconds after the first snapshot.
pub(super) fn exchange(ended: u64, handshake: u64) -> ConnectionSummary {
    let end = |last, port| Endpoint::from_wire(wire(last), port);
    let tuple = Tuple { local: end(1, 40_001), peer: end(2, 80), netns: NETNS };
    let mut comm = [0; 16];
    comm[..4].copy_from_slice(b"curl");
    let process = Process { pid: 900, comm, start_ns: 0 };
    let owner = Owner { process, evidence: Evidence::Connect, fd: Some(5), others: 0 };
    let time = SECOND + ended * MILLISECOND;
    let mut spent = [0; State::COUNT];
    spent[State::Established.index()] = 2 * handshake;
    ConnectionSummary {
        time,
        state: State::TimeWait,
        subject: Subject {
            owner: Some(owner),
            role: Some(Role::Client),
            ..Subject::of_addresses(tuple)
        },
        source: Source::Tracepoint,
        began: Some(time - 3 * handshake),
        ended: Some(time),
        duration: 2 * handshake,
        spent,
        at_least: false,
        handshake: Some(Handshake {
            duration_ns: Some(handshake),
            rtt_ns: None,
            syn_retransmits: None,
            local_isn: None,
            peer_isn: None,
        }),
        bytes_sent: Some(30),
        bytes_received: Some(2),
        retransmits: Some(0),
        accept_wait: None,
        close: Some(Close::new(Reason::Graceful, Some(Initiator::Local))),
    }
}

/// What is found of so many exchanges in ten seconds.
fn churning(
    exchanges: impl Iterator<Item = ConnectionSummary>,
    reuse: TimeWaitReuse,
) -> Vec<(Severity, String)> {
    let mut observed = Observed::default();
    exchanges.for_each(|exchange| observed.observe(Update::Connection(&exchange)));
    let at = |time| {
        let mut look = look(time, Vec::new());
        look.host.namespaces.get_mut(&NETNS).unwrap().reuse = reuse;
        look.host.namespaces.get_mut(&NETNS).unwrap().ports =
            Some(PortRange { low: 30_000, high: 32_999, reserved: Vec::new() });
        look
    };
    let table = Table::new(table::Options::default());
    let (first, last) = (at(SECOND), at(SECOND + OBSERVED));
    let diagnosis = find_in(&Filter::default(), &first, &last, &observed, &table);
    let found = diagnosis.findings.into_iter();
    found.map(|finding| (finding.severity, finding.sentence().to_string())).collect()
}

#[rstest]
#[case::checks(1_000, 200_000, TimeWaitReuse::Off, None)]
#[case::churn(50, 200_000, TimeWaitReuse::Off, Some(Severity::Info))]
// 100 a second × 60 s are more than 3,000 ports.
#[case::ports_run_out(10, 200_000, TimeWaitReuse::Off, Some(Severity::Warning))]
#[case::ports_are_taken_over(10, 200_000, TimeWaitReuse::On, Some(Severity::Info))]
#[case::slow_handshakes(50, 40_000_000, TimeWaitReuse::Off, Some(Severity::Warning))]
fn many_connections_for_one_exchange_each_are_told(
    #[case] every: u64,
    #[case] handshake: u64,
    #[case] reuse: TimeWaitReuse,
    #[case] expected: Option<Severity>,
) {
    let exchanges = (0..10_000 / every).map(|n| exchange(n * every, handshake));
    let found = churning(exchanges, reuse);
    let severities: Vec<Severity> = found.iter().map(|(severity, _)| *severity).collect();
    assert_eq!(severities, expected.into_iter().collect::<Vec<_>>(), "{found:?}");
    if let Some((_, words)) = found.first() {
        assert!(words.contains("curl[900] opens") && words.contains("save 50 %"), "{words}");
    }
}

/// Neither checks without data, nor downloads, nor a burst that is over, nor what was reset.
#[rstest]
#[case::no_data(|one: &mut ConnectionSummary| one.bytes_sent = Some(0))]
#[case::large(|one: &mut ConnectionSummary| one.bytes_received = Some(10_000_000))]
#[case::reset(|one: &mut ConnectionSummary| {
    one.close = Some(Close::new(Reason::ResetSentLingerZero, Some(Initiator::Local)));
})]
#[case::server(|one: &mut ConnectionSummary| one.subject.role = Some(Role::Server))]
#[case::seen_in_part(|one: &mut ConnectionSummary| one.began = None)]
#[case::burst(|one: &mut ConnectionSummary| one.time = 2 * SECOND)]
fn what_is_no_churn_is_not_told(#[case] change: fn(&mut ConnectionSummary)) {
    let exchanges = (0..500).map(|n| {
        let mut one = exchange(n * 20, 200_000);
        change(&mut one);
        one
    });
    assert_eq!(churning(exchanges, TimeWaitReuse::Off), []);
}

/// The client is connected, as the kernel has it, and the server has not taken its ACK: its queue is full.
#[rstest]
#[case::full(129, &["accept_queue_full"])]
#[case::with_room(0, &["dead_peer"])]
fn who_waits_before_a_full_queue_has_no_dead_peer(#[case] queue: u32, #[case] told: &[&str]) {
    let listens = listener(queue, 128);
    let waits = Record {
        local_port: 40_001,
        peer_port: listens.local_port,
        peer_address: listens.local_address,
        bytes_acked: 1,
        bytes_received: 0,
        ..retransmitting(1, State::Established, 5, 9, 4)
    };
    let at = |time| look(time, vec![listens, waits]);
    let found = find(&at(SECOND), &at(SECOND + OBSERVED)).findings;
    assert_eq!(found.iter().map(|one| one.problem.code()).collect::<Vec<_>>(), told);
}
