//! What a process does that does not accept, and what it waits for.

use super::{
    accepting::{OPEN, SERVER_PID, shared, wait, waiting},
    *,
};
use tracer_event::activity::{Activity, Wait};

#[test]
fn what_the_process_does_instead_is_told() {
    let connections = vec![waiting(1, 9, OPEN)];
    let (mut first, mut last) =
        (shared(connections.clone(), SECOND), shared(connections, SECOND + OBSERVED));
    let activity = |cpu| Activity { cpu, running: 1, ..Activity::default() };
    let facts = |look: &mut HostSnapshot, cpu| {
        let facts = look.host.processes.get_mut(&SERVER_PID).unwrap();
        (facts.activity, facts.leaderless) = (activity(cpu), true);
    };
    facts(&mut first, 3 * SECOND);
    facts(&mut last, 12 * SECOND);
    let diagnosis = find(&first, &last);
    let doing = wait(&diagnosis).1.listener.doing.as_ref().unwrap();
    assert_eq!(doing.cpu_percent, Some(90), "nine of ten seconds");
    assert!(wait(&diagnosis).1.leaderless);
    last.host.processes.get_mut(&SERVER_PID).unwrap().halted = Some(Halt::Stopped);
    assert_eq!(wait(&find(&first, &last)).1.listener.halted, Some(Halt::Stopped));
}

/// Percent of the time that it was ready and waited, and periods in which its group has used its quota
/// up, of sixty.
#[rstest]
#[case::most(90, 58, true)]
#[case::some(90, 20, false)]
#[case::others_of_its_group(9, 58, false)]
fn who_is_throttled_is_told_with_the_group(
    #[case] ready: u64,
    #[case] throttled: u64,
    #[case] is_told: bool,
) {
    let at = |time, delayed, quota| {
        let mut look = shared(vec![waiting(1, 9, OPEN)], time);
        let facts = look.host.processes.get_mut(&SERVER_PID).unwrap();
        facts.activity = Activity { running: 1, delayed: Some(delayed), ..Activity::default() };
        facts.quotas = [("/a".into(), quota), ("/".into(), [900, 0])].into();
        look
    };
    let (first, last) = (
        at(SECOND, 0, [40, 40]),
        at(SECOND + OBSERVED, OBSERVED * ready / 100, [100, 40 + throttled]),
    );
    let diagnosis = find(&first, &last);
    let doing = wait(&diagnosis).1.listener.doing.as_ref().unwrap();
    let told = doing.throttled.as_ref().map(|one| (&*one.group, one.periods, one.throttled));
    assert_eq!(told, is_told.then_some(("/a", 60, throttled)));
}

/// By the system calls of its threads: both directions sleep in one function.
#[rstest]
#[case::it_reads("wait_woken", Some(false), Some(false))]
#[case::it_sends("wait_woken", Some(true), Some(true))]
#[case::it_waits_for_events("ep_poll", Some(false), None)]
#[case::the_call_cannot_be_read("wait_woken", None, None)]
#[case::it_connects("inet_wait_for_connect", Some(false), Some(false))]
fn whom_the_process_waits_for_is_told(
    #[case] function: &str,
    #[case] sends: Option<bool>,
    #[case] takes_nothing: Option<bool>,
) {
    let state = if function.contains("connect") { State::SynSent } else { State::Established };
    let asked = Record { local_port: 40_001, peer_port: 5432, ..socket(7, state, 9) };
    let at = |time| {
        let mut look = shared(vec![waiting(1, 9, OPEN)], time);
        look.snapshot.records.push(asked);
        let held = holder(&asked, SERVER_PID);
        look.snapshot.holders.push(held);
        let waits = vec![Wait { function: function.into(), threads: 1 }];
        let calls = sends.map(|sends| (held.fd, sends)).into_iter().collect();
        look.host.processes.get_mut(&SERVER_PID).unwrap().activity =
            Activity { waits, calls, ..Activity::default() };
        look
    };
    let mut diagnosis = find(&at(SECOND), &at(SECOND + OBSERVED));
    diagnosis.findings.retain(|one| one.problem.code() == "accept_wait");
    let on = wait(&diagnosis).1.listener.doing.as_ref().unwrap().on;
    assert_eq!(on.map(|on| (on.takes_nothing, on.peer.port)), takes_nothing.map(|it| (it, 5432)));
}
