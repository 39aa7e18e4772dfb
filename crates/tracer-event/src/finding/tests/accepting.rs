//! What is said of connections that wait, are held by somebody else, or are with themselves.

use super::*;
use crate::activity::{Awaited, Doing, Throttled, Wait};

fn doing(function: &str, cpu_percent: u32, blocked: u32) -> Doing {
    let waits = vec![Wait { function: function.into(), threads: 2 }];
    Doing { cpu_percent: Some(cpu_percent), blocked, waits, ..Doing::default() }
}

fn database() -> Awaited {
    Awaited { takes_nothing: false, peer: at("10.0.0.2", 5432), process: None }
}

fn wait(doing: Option<Doing>, moves: bool) -> AcceptWait {
    AcceptWait {
        listener: Listener { doing, ..from(30) },
        waiting: 30,
        given_up: 4,
        oldest: 65_000_000_000,
        at_least: true,
        moves,
        listened: None,
        leaderless: true,
        siblings: 1,
        siblings_waiting: 0,
        descriptors: None,
        workers: Vec::new(),
        uneven: false,
    }
}

fn waiting(doing: Option<Doing>, moves: bool) -> Finding {
    of(Problem::AcceptWait(Box::new(wait(doing, moves))))
}

pub(super) fn held() -> Finding {
    of(Problem::ClosedButHeld(Box::new(ClosedButHeld {
        sockets: 2,
        holders: vec![app(901)],
        fds: vec![4, 5],
        closed_by: app(900).process,
        is_parent: true,
        accepted: false,
        may_serve: false,
        service: Service::Here(at("10.0.0.1", 8080)),
        peer: at("10.0.0.2", 40_000),
        idle: 5_000_000_000,
        doing: Some(doing("do_wait", 0, 0)),
    })))
}

fn forked() -> Finding {
    let mut finding = held();
    if let Problem::ClosedButHeld(held) = &mut finding.problem {
        (held.sockets, held.may_serve) = (1, true);
    }
    finding
}

pub(super) fn itself(reserved: &[(u16, u16)]) -> Finding {
    of(Problem::SelfConnect(SelfConnect {
        processes: vec![app(900)],
        address: at("127.0.0.1", 40_000),
        range: Some((39_990, 40_010)),
        reserved: reserved.to_vec(),
    }))
}

pub(super) fn deferred() -> Finding {
    let deferred = DeferredAccept { listener: from(0), half_open: 40, oldest: 5_000_000_000 };
    of(Problem::DeferredAccept(deferred))
}

/// A thread that computes, as far as it gets a processor.
fn computing() -> Finding {
    let mut finding = silence::unread(None);
    if let Problem::NotReading(unread) = &mut finding.problem {
        let [cpu_percent, ready_percent] = [Some(40), Some(59)];
        unread.doing = Some(Doing { cpu_percent, ready_percent, ..Doing::default() });
    }
    finding
}

#[test]
fn who_computes_is_not_told_to_look_for_locks() {
    let words = "app[900] is ready to run and waits for a processor";
    let sentence = computing().sentence();
    assert!(sentence.english().ends_with(words), "{sentence}");
    let remedies = computing().remedies();
    assert!(remedies.iter().all(|one| one.command.is_none()), "{remedies:?}");
    assert!(remedies[0].text.english().contains("before that computation ends"), "{remedies:?}");
}

fn quota() -> Throttled {
    Throttled { group: "/a".into(), periods: 31, throttled: 29 }
}

#[test]
fn who_is_throttled_needs_a_larger_quota() {
    let throttled = Some(quota());
    let finding = waiting(Some(Doing { throttled, ..doing("0", 1, 0) }), true);
    let state = finding.evidence().into_iter().find(|line| line.label == "state").unwrap();
    let words =
        "app[900]: 1 % of a processor; throttled in 29 of 31 periods by the CPU quota of /a";
    assert_eq!(state.text.english(), words);
    let first = finding.remedies()[0].text.english().to_owned();
    assert!(first.starts_with("raise the CPU quota of control group /a (cpu.max;"), "{first}");
}

#[rstest]
#[case("/sys/fs/cgroup/a/cgroup.freeze", "echo 0 > '/sys/fs/cgroup/a/cgroup.freeze'")]
#[case("/f/it's/freezer.state", r"echo THAWED > '/f/it'\''s/freezer.state'")]
fn a_frozen_process_is_thawed_by_the_file_of_its_group(#[case] file: &str, #[case] echo: &str) {
    let mut wait = wait(None, false);
    wait.listener.halted = Some(Halt::Frozen);
    wait.listener.processes[0].freezer = Some(file.into());
    let remedies = of(Problem::AcceptWait(Box::new(wait))).remedies();
    assert_eq!(remedies[0].command.as_deref(), Some(echo));
}

/// What the threads of `app[900]` do, as evidence says it.
#[rstest]
#[case(doing("ep_poll", 0, 0), "threads wait in ep_poll × 2; 0 % of a processor")]
#[case(
    doing("ep_poll", 3, 1),
    "threads wait in ep_poll × 2; 1 thread in uninterruptible sleep; 3 % of a processor"
)]
#[case(
    Doing { waits: Vec::new(), cpu_percent: None, ..doing("", 0, 6) },
    "6 threads in uninterruptible sleep"
)]
fn where_threads_wait_is_evidence(#[case] doing: Doing, #[case] words: &str) {
    let lines = waiting(Some(doing), false).evidence();
    let state = lines.iter().find(|line| line.label == "state").unwrap();
    assert_eq!(state.text.english(), format!("app[900]: {words}"));
}

/// All of them, for what holds for each.
pub(super) fn all() -> [Finding; 9] {
    let throttled = Doing { throttled: Some(quota()), ready_percent: Some(9), ..doing("0", 1, 2) };
    let does = [None, Some(throttled)];
    let [waits, throttled] = does.map(|doing| waiting(doing, false));
    let connects = waiting(Some(doing("inet_wait_for_connect", 0, 0)), true);
    let [slow, computes] = [waiting(None, true), computing()];
    [waits, slow, throttled, connects, computes, held(), itself(&[]), deferred(), crowded()]
}

/// Who has no descriptor left cannot accept either.
fn crowded() -> Finding {
    let service = Service::There(at("10.0.0.9", 443));
    of(Problem::Descriptors(OutOfDescriptors {
        program: app(901),
        descriptors: Descriptors::new(1_000, 1_024, 0.0),
        holds: Some(Holds { sockets: 990, service, of_service: 980, idle: 970, others: 2 }),
    }))
}

#[rstest]
#[case(Some(doing("hrtimer_nanosleep", 0, 0)), ", which sleeps")]
#[case(Some(doing("futex_wait_queue", 3, 0)), ", which waits for a lock")]
#[case(Some(doing("wait_woken", 0, 0)), ", which waits for data from a peer")]
#[case(Some(doing("pipe_read", 0, 0)), ", which waits in pipe_read")]
#[case(Some(doing("inet_wait_for_connect", 0, 0)), ", which waits in connect()")]
#[case(
    Some(Doing { on: Some(database()), ..doing("inet_wait_for_connect", 0, 0) }),
    ", which waits for its connect() to 10.0.0.2:5432"
)]
#[case(Some(doing("anon_pipe_write", 0, 0)), ", which waits to write to a full pipe")]
#[case(
    Some(doing("__skb_wait_for_more_packets", 0, 0)),
    ", which waits for a datagram (UDP or a Unix socket)"
)]
#[case(
    Some(Doing { ready_percent: Some(95), throttled: Some(quota()), ..doing("futex", 1, 0) }),
    ", which is throttled by its CPU quota"
)]
#[case(
    Some(Doing { ready_percent: Some(60), ..doing("futex", 40, 0) }),
    ", which is ready to run and waits for a processor"
)]
#[case(Some(Doing { ready_percent: Some(9), ..doing("ep_poll", 0, 0) }), ", which waits for other events")]
#[case(Some(doing("pipe_read", 98, 0)), ", which is busy (98 % of a processor)")]
#[case(Some(doing("ep_poll", 0, 1)), ", which is blocked in the kernel (uninterruptible)")]
#[case(Some(doing("0", 0, 0)), "")]
#[case(None, "")]
fn what_a_process_does_that_does_not_accept(#[case] doing: Option<Doing>, #[case] words: &str) {
    assert_eq!(
        waiting(doing, false).sentence().english(),
        format!(
            "30 connections wait and nobody accepts them: listener :8080, app[900]{words}; \
             backlog 30 of 256, the oldest for ≥ 1m05s"
        )
    );
}

sentences! {
    a_sentence_says_who_what_and_since_when:
    waiting(None, true) =>
        "30 connections wait long for accept(): listener :8080, app[900]; backlog 30 of 256, the \
         oldest for ≥ 1m05s";
    forked() =>
        "app[901] still holds 1 connection to 10.0.0.1:8080 here that its parent app[900] has \
         closed: unless it serves that, no FIN is sent for it, the peer waits; silent for 5.00s";
    held() =>
        "app[901] still holds 2 connections to 10.0.0.1:8080 here that its parent app[900] has \
         closed: no FIN is sent for them, the peers wait; silent for 5.00s";
    itself(&[]) =>
        "app[900] is connected to itself at 127.0.0.1:40000: the port of its server is taken by a \
         client, and a server that wants it cannot start";
    deferred() =>
        "40 connections half-open for up to 5.00s: waiting for the client's first data \
         (TCP_DEFER_ACCEPT), listener :8080, app[900]?";
}

#[test]
fn ports_that_are_reserved_already_stay_reserved() {
    let remedies = itself(&[(8_080, 8_080), (9_148, 9_150)]).remedies();
    let command = remedies[0].command.as_deref();
    let expected = "sysctl -w net.ipv4.ip_local_reserved_ports=8080,9148-9150,40000";
    assert_eq!(command, Some(expected));
}

#[test]
fn who_has_no_descriptor_left_is_told_so_and_nothing_else() {
    let descriptors = Some(Descriptors::new(1_024, 1_024, 0.0));
    let finding =
        of(Problem::AcceptWait(Box::new(AcceptWait { descriptors, ..wait(None, false) })));
    let [remedy] = &finding.remedies()[..] else { panic!("{:?}", finding.remedies()) };
    assert!(remedy.text.english().contains("no descriptor left"), "{remedy:?}");
}

#[test]
fn workers_are_told_with_the_most_and_the_least_of_their_shares() {
    let worker = |(pid, accepted): (u32, u64)| Worker { process: app(pid).process, accepted };
    let shares = |workers: &[(u32, u64)], uneven| {
        let workers = workers.iter().copied().map(worker).collect();
        let finding =
            of(Problem::AcceptWait(Box::new(AcceptWait { workers, uneven, ..wait(None, false) })));
        let lines = finding.evidence();
        lines.into_iter().find(|line| line.label == "accepted").map(|line| line.text)
    };
    assert_eq!(
        shares(&[(1, 96), (2, 0)], true).unwrap().english(),
        "app[1] 96, app[2] none: uneven"
    );
    let many = [(1, 9), (2, 8), (3, 7), (4, 6), (5, 5), (6, 0)];
    let words = "app[1] 9, app[2] 8, app[3] 7, app[6] none, 2 more";
    assert_eq!(shares(&many, false).unwrap().english(), words);
    assert_eq!(shares(&[(1, 9)], false), None, "there is nobody else");
}
