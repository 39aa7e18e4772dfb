use std::net::Ipv4Addr;

use super::*;
use crate::stamps::{Times, Timestamps};
use tracer_event::{
    close::{Close, Initiator},
    finding::{BadEnd, ConnectionResets},
    fixtures,
    process::{Evidence, Owner, Process},
    reset::Rst,
    state::State,
    transition::Transition,
};

const CLOCK: WallClock = WallClock { lead: 0, now: 0 };

fn end(last: u8, port: u16) -> Endpoint {
    Endpoint::new(Ipv4Addr::new(10, 0, 0, last).into(), port)
}

fn subject(local: Endpoint, peer: Endpoint, role: Option<Role>) -> Subject {
    let process = Process { pid: 7, comm: *b"app\0\0\0\0\0\0\0\0\0\0\0\0\0", start_ns: 1 };
    let owner = Owner { process, evidence: Evidence::Connect, fd: None, others: 0 };
    let tuple = Tuple { local, peer, netns: 1 };
    Subject { tuple, owner: role.map(|_| owner), role, ..fixtures::subject(1) }
}

/// The end of a client's connection.
fn ended(time: u64, port: u16, from: State, reason: Reason) -> Transition {
    let subject = subject(end(1, port), end(2, 80), Some(Role::Client));
    Transition {
        close: Some(Close::new(reason, Some(Initiator::Peer))),
        ..Transition::new(subject, time, from, State::Closed)
    }
}

fn problems() -> Problems {
    let times = Times::new(Timestamps::Utc, jiff::tz::TimeZone::UTC);
    let text = Text::new(Palette::PLAIN, None, times, Stories::Steps);
    Problems::new(text, Palette::PLAIN, Stories::Steps)
}

/// The lines that some updates make, without those of the beginning.
fn lines(out: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(out).lines().map(str::to_owned).collect()
}

#[test]
fn many_ends_of_one_kind_have_a_line_at_each_tenfold_and_the_rest_at_the_end() {
    let (mut problems, mut out) = (problems(), Vec::new());
    for n in 0..150 {
        let reset = ended(n, 1_000 + n as u16, State::Established, Reason::ResetReceived);
        problems.update(&Update::Transition(&reset), CLOCK.into(), &mut out);
    }
    let other = ended(150, 5_000, State::Established, Reason::RetransmitTimeout);
    problems.update(&Update::Transition(&other), CLOCK.into(), &mut out);
    let so_far = lines(&out);
    assert_eq!(so_far.len(), 4, "one, ten, a hundred, and another reason: {so_far:#?}");
    assert!(so_far[1].ends_with("✗ app to 10.0.0.2:80: 10 × reset by the peer"), "{so_far:#?}");
    problems.summary(&Summary::default(), CLOCK.into(), &mut out);
    let all = lines(&out);
    assert!(all[4].contains("150 × reset"), "{all:#?}");
}

#[test]
fn a_group_that_grows_slowly_comes_again_after_a_while() {
    let (mut problems, mut out) = (problems(), Vec::new());
    for time in [SECOND, 2 * SECOND] {
        let reset = ended(time, 1_000, State::Established, Reason::ResetReceived);
        problems.update(&Update::Transition(&reset), CLOCK.into(), &mut out);
    }
    let mut pause = |now| {
        let next =
            problems.pause(&Tick { now, read_until: now, sockets: None }, CLOCK.into(), &mut out);
        (next, lines(&out).len())
    };
    assert_eq!(pause(3 * SECOND), (Some(6 * SECOND), 1));
    assert_eq!(pause(6 * SECOND), (None, 2));
    assert_eq!(pause(60 * SECOND).1, 2, "it has not grown");
}

/// Both ends are on this host: the client's end says it.
#[test]
fn a_refused_connection_within_the_host_has_one_line() {
    let rst = |port| Reset {
        time: 1,
        subject: Subject { cookie: None, ..subject(end(2, 80), end(1, port), None) },
        state: State::Closed,
        segment: Rst::answering(Answered::Syn),
    };
    let (mut problems, mut out) = (problems(), Vec::new());
    let refused = ended(2, 1_000, State::SynSent, Reason::Refused);
    problems.update(&Update::Reset(&rst(1_000)), CLOCK.into(), &mut out);
    problems.update(&Update::Transition(&refused), CLOCK.into(), &mut out);
    assert_eq!(lines(&out).len(), 1, "{:#?}", lines(&out));
    assert!(lines(&out)[0].contains("app["), "{:#?}", lines(&out));
    problems.update(&Update::Reset(&rst(2_000)), CLOCK.into(), &mut out);
    problems.pause(&Tick { now: 3, read_until: 3, sockets: None }, CLOCK.into(), &mut out);
    assert_eq!(lines(&out).len(), 2, "of another host: {:#?}", lines(&out));
}

/// Who sends the RST knows why.
#[test]
fn a_reset_within_the_host_has_the_line_of_one_end() {
    let (mut problems, mut out) = (problems(), Vec::new());
    let received = ended(2, 1_000, State::Established, Reason::ResetReceived);
    let tuple = received.subject.tuple;
    let sent = Transition {
        time: 1,
        subject: subject(tuple.peer, tuple.local, Some(Role::Server)),
        close: Some(Close::new(Reason::ResetSentUnreadData, Some(Initiator::Local))),
        ..received
    };
    problems.update(&Update::Transition(&sent), CLOCK.into(), &mut out);
    problems.update(&Update::Transition(&received), CLOCK.into(), &mut out);
    assert_eq!(lines(&out).len(), 1, "{:#?}", lines(&out));
    assert!(lines(&out)[0].contains("10.0.0.2:80"), "{:#?}", lines(&out));
    // Another connection has had the same addresses, long ago.
    let later = Transition { time: 90 * SECOND, ..received };
    problems.update(&Update::Transition(&later), CLOCK.into(), &mut out);
    assert_eq!(lines(&out).len(), 2, "{:#?}", lines(&out));
}

#[test]
fn a_finding_of_mere_information_does_not_say_a_reset_again() {
    let (mut problems, mut out) = (problems(), Vec::new());
    for (severity, expected) in [(Severity::Info, 0), (Severity::Warning, 1)] {
        let resets = ConnectionResets {
            others: 0,
            process: None,
            service: tracer_event::finding::Service::There(end(2, 80)),
            ended: 9,
            ends: vec![BadEnd {
                reason: Reason::ResetReceived,
                connections: 3,
                waited: None,
                after_fin: false,
            }],
            still_open: None,
            since: 0,
        };
        let problem = Problem::ConnectionResets(resets);
        let finding = fixtures::finding(0, severity, problem);
        problems.update(&Update::Finding(&finding), CLOCK.into(), &mut out);
        assert_eq!(lines(&out).len(), expected, "{:#?}", lines(&out));
    }
}
