//! Data that a server does not read, and servers that have a reason not to.

use std::collections::BTreeSet;

use super::*;
use tracer_event::{
    activity::{Activity, Wait},
    finding::NotReading,
};

/// A request that came so many seconds ago.
fn asked(n: u64, seconds: u64) -> Record {
    Record {
        flags: flag::HAS_SOCKET,
        rcv_nxt: 16,
        copied_seq: 1,
        last_received: (JIFFIES - seconds * HZ) as u32,
        ..socket(n, State::Established, seconds)
    }
}

/// Process 900 sleeps in `function`, and waits for the descriptors of epoll that `served` says.
fn server(time: u64, records: &[Record], function: &str, served: Option<&[u32]>) -> HostSnapshot {
    let mut look = look(time, [records, &[listener(0, 128)]].concat());
    let waits = vec![Wait { function: function.into(), threads: 1 }];
    let served = served.map(|fds| fds.iter().copied().collect::<BTreeSet<u32>>());
    look.host.processes.get_mut(&900).unwrap().activity =
        Activity { waits, served, ..Activity::default() };
    look
}

fn unread(diagnosis: &Diagnosis) -> Option<(Severity, &NotReading)> {
    diagnosis.findings.iter().find_map(|finding| match &finding.problem {
        Problem::NotReading(unread) => Some((finding.severity, &**unread)),
        _ => None,
    })
}

/// The same at both looks.
fn told(records: &[Record], function: &str, served: Option<&[u32]>) -> Diagnosis {
    let at = |time| server(time, records, function, served);
    find(&at(SECOND), &at(SECOND + OBSERVED))
}

#[rstest]
#[case::one(1, 8, Severity::Info)]
#[case::one_for_long(1, 30, Severity::Warning)]
#[case::several(3, 8, Severity::Warning)]
fn requests_that_nobody_waits_for_are_told(
    #[case] count: u64,
    #[case] seconds: u64,
    #[case] severity: Severity,
) {
    let records: Vec<Record> = (0..count).map(|n| asked(n, seconds)).collect();
    let diagnosis = told(&records, "ep_poll", Some(&[]));
    assert_eq!(diagnosis.findings.len(), 1, "{:?}", diagnosis.findings);
    let (found, unread) = unread(&diagnosis).unwrap();
    assert_eq!((found, unread.unread, unread.waiting), (severity, 15 * count, seconds * SECOND));
    assert_eq!(unread.connections.holders[0].process.pid, 900);
}

#[rstest]
#[case::it_waits_for_that_one("ep_poll", Some(&[5][..]))]
#[case::for_what_it_waits_is_not_known("ep_poll", None)]
#[case::it_may_poll("do_sys_poll", Some(&[][..]))]
#[case::it_waits_for_a_disk("folio_wait_bit", Some(&[][..]))]
fn who_may_read_is_not_accused(#[case] function: &str, #[case] served: Option<&[u32]>) {
    assert!(unread(&told(&[asked(0, 8)], function, served)).is_none());
}

/// Ticks from the answer of another server to a later request, and bytes that it does not take.
#[rstest]
#[case::answered(0, 0, true)]
#[case::asked(1, 0, false)]
#[case::it_does_not_take_more(0, 9, false)]
fn who_waits_for_others_is_not_accused(
    #[case] later: u32,
    #[case] unsent: u32,
    #[case] is_told: bool,
) {
    let answered = (JIFFIES - 9 * HZ) as u32;
    let upstream = Record {
        flags: flag::HAS_SOCKET,
        local_port: 40_001,
        peer_port: 5_432,
        last_received: answered,
        last_sent: answered + later,
        write_seq: unsent,
        ..socket(50, State::Established, 9)
    };
    let diagnosis = told(&[asked(0, 8), upstream], "ep_poll", Some(&[]));
    assert_eq!(unread(&diagnosis).is_some(), is_told);
}

#[test]
fn what_is_read_slowly_or_not_asked_is_not_told() {
    let (before, now) = (asked(0, 8), Record { copied_seq: 3, ..asked(0, 8) });
    let at = |time, record| server(time, &[record], "ep_poll", Some(&[]));
    assert!(unread(&find(&at(SECOND, before), &at(SECOND + OBSERVED, now))).is_none());
    // A client's: what its server says unasked is read with the next answer.
    let client = Record { local_port: 40_001, peer_port: 443, ..asked(0, 60) };
    assert!(unread(&told(&[client], "ep_poll", Some(&[]))).is_none());
}

#[rstest]
#[case::a_server(8_080, 40_001, Some(Halt::Stopped), true)]
#[case::a_client(40_001, 443, Some(Halt::Frozen), true)]
#[case::a_client_that_may_read_later(40_001, 443, None, false)]
fn who_is_halted_is_told_with_that(
    #[case] local_port: u16,
    #[case] peer_port: u16,
    #[case] halted: Option<Halt>,
    #[case] is_told: bool,
) {
    let at = |time| {
        let record = Record { local_port, peer_port, ..asked(0, 8) };
        let mut look = server(time, &[record], "do_signal_stop", None);
        look.host.processes.get_mut(&900).unwrap().halted = halted;
        look
    };
    let diagnosis = find(&at(SECOND), &at(SECOND + OBSERVED));
    assert_eq!(unread(&diagnosis).map(|(_, unread)| unread.halted), is_told.then_some(halted));
}

/// A thread that comes back to its event loop, or has just begun to wait for something else.
#[rstest]
#[case::at_both_looks(["ep_poll", "ep_poll"], &[5], true)]
#[case::in_another_loop(["ep_poll", "do_sys_poll"], &[5], false)]
#[case::before(["do_sys_poll", "ep_poll"], &[5], false)]
#[case::it_is_registered_nowhere(["do_sys_poll", "ep_poll"], &[], true)]
fn who_waits_elsewhere_at_one_look_may_read(
    #[case] functions: [&str; 2],
    #[case] registered: &[u32],
    #[case] is_told: bool,
) {
    let at = |time, function| {
        let mut look = server(time, &[asked(0, 8)], function, Some(registered));
        let unattended = registered.iter().copied().collect();
        look.host.processes.get_mut(&900).unwrap().activity.unattended = unattended;
        look
    };
    let [first, last] = functions;
    let diagnosis = find(&at(SECOND, first), &at(SECOND + OBSERVED, last));
    assert_eq!(unread(&diagnosis).is_some(), is_told);
}

/// One thread has computed for nine tenths of the time: until it is done it reads nothing, nor do
/// others that have nothing to do.
#[rstest]
#[case::all_the_time(3, 12, 1, 95, &[], Some(Severity::Warning))]
#[case::for_a_while(3, 8, 1, 95, &[], Some(Severity::Info))]
#[case::half_of_the_time(3, 12, 1, 50, &[], None)]
#[case::beside_another_thread(3, 12, 2, 95, &[], None)]
#[case::beside_a_pool(3, 12, 1, 95, &["futex_do_wait"], Some(Severity::Warning))]
#[case::when_it_gets_a_processor(3, 12, 1, 40, &["futex_do_wait"], Some(Severity::Warning))]
#[case::beside_a_reader(3, 12, 1, 95, &["futex_do_wait", "do_sys_poll"], None)]
fn who_computes_reads_nothing(
    #[case] count: u64,
    #[case] seconds: u64,
    #[case] running: u32,
    #[case] percent: u64,
    #[case] beside: &[&str],
    #[case] severity: Option<Severity>,
) {
    let records: Vec<Record> = (0..count).map(|n| asked(n, seconds)).collect();
    let waits = beside.iter().map(|&one| Wait { function: one.into(), threads: 4 });
    let waits: Vec<Wait> = waits.collect();
    let at = |time, cpu| {
        let mut look = server(time, &records, "", Some(&[]));
        let activity = &mut look.host.processes.get_mut(&900).unwrap().activity;
        // Below a half of the time it waits for others: that is not its choice.
        let delayed = Some(if percent < 50 { time - SECOND - cpu } else { 0 });
        *activity = Activity { running, cpu, delayed, waits: waits.clone(), ..activity.clone() };
        look
    };
    let diagnosis = find(&at(SECOND, 0), &at(SECOND + OBSERVED, OBSERVED * percent / 100));
    assert_eq!(unread(&diagnosis).map(|(severity, _)| severity), severity);
}

/// The ends of a connection whose window is closed: process `sender` waits, process `reader` has read
/// up to `copied`.
fn full(n: u64, [sender, reader]: [u32; 2], copied: u32) -> [(Record, u32); 2] {
    let port = 50_000 + n as u16;
    let sends = Record {
        flags: flag::HAS_SOCKET,
        local_port: port,
        peer_port: 8_080,
        snd_una: 1_000,
        snd_nxt: 1_000,
        write_seq: 5_001,
        timer: 3,
        timer_expires: JIFFIES + 100,
        last_sent: (JIFFIES - 20 * HZ) as u32,
        ..socket(n, State::Established, 1)
    };
    let reads = Record {
        flags: flag::HAS_SOCKET,
        local_port: 8_080,
        peer_port: port,
        local_address: sends.peer_address,
        peer_address: sends.local_address,
        rcv_nxt: 1_000,
        copied_seq: copied,
        ..socket(n + 100, State::Established, 1)
    };
    [(sends, sender), (reads, reader)]
}

/// Who sends to whom, and what the readers have read meanwhile.
#[rstest]
#[case::a_reader(&[[901, 902]], 0, &[902])]
#[case::a_slow_reader(&[[901, 902]], 7, &[])]
#[case::a_proxy_and_its_slow_client(&[[901, 902], [902, 903]], 7, &[])]
#[case::a_proxy_and_its_client(&[[901, 902], [902, 903]], 0, &[903])]
#[case::two_that_wait_for_each_other(&[[901, 902], [902, 901]], 0, &[901, 902])]
#[case::three_in_a_ring(&[[901, 902], [902, 903], [903, 901]], 0, &[901, 902, 903])]
#[case::a_reader_with_a_slow_client_beside(
    &[[901, 902], [901, 902], [901, 902], [901, 902], [902, 903]], 7, &[902]
)]
fn who_does_not_read_is_the_last_of_a_chain(
    #[case] chain: &[[u32; 2]],
    #[case] meanwhile: u32,
    #[case] told: &[u32],
) {
    let at = |time, read| {
        // The last of the chain reads.
        let read_by = |n: u64| if n == chain.len() as u64 { read } else { 0 };
        let ends = (1..).zip(chain).flat_map(|(n, pids)| full(n, *pids, 100 + read_by(n)));
        let ends: Vec<(Record, u32)> = ends.collect();
        let mut look = look(time, ends.iter().map(|(record, _)| *record).collect());
        look.snapshot.holders = ends.iter().map(|(record, pid)| holder(record, *pid)).collect();
        look
    };
    let diagnosis = find(&at(SECOND, 0), &at(SECOND + OBSERVED, meanwhile));
    let readers = diagnosis.findings.iter().flat_map(|finding| match &finding.problem {
        Problem::PeerNotReading(stuck) => stuck.readers.as_slice(),
        other => panic!("{other:?}"),
    });
    let mut readers: Vec<u32> = readers.map(|reader| reader.process.pid).collect();
    readers.sort_unstable();
    readers.dedup();
    assert_eq!(readers, told);
}
