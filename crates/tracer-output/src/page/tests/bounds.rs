//! What is gathered over time stays bounded, and loses nothing that counts.

use super::*;

#[test]
fn slices_get_longer_and_lose_nothing() {
    let mut timeline = Timeline::new(BEGUN);
    let hours = 48 * 3600;
    for time in (0..hours).step_by(60) {
        let step = step(client(1, "a"), time * SECOND, State::SynSent, State::Established);
        timeline.update(&Update::Transition(&step));
    }
    let opened = timeline.counts(Event::Opened);
    assert!((120..=240).contains(&opened.len()), "{}", opened.len());
    assert_eq!(opened.iter().sum::<u64>(), hours / 60);
    assert_eq!(timeline.at_last(State::Established), hours / 60);
    assert!(opened.len() as f64 * timeline.slice() >= hours as f64 - timeline.slice());
}

#[test]
fn a_peak_between_two_moments_is_not_forgotten() {
    let mut timeline = Timeline::new(BEGUN);
    for (from, to) in [(State::Closed, State::SynSent), (State::SynSent, State::Closed)] {
        timeline.update(&Update::Transition(&step(client(1, "a"), 1, from, to)));
    }
    timeline.advance(BEGUN + 1000 * SECOND);
    let most = timeline.most(State::SynSent);
    assert_eq!((most[0], most[most.len() - 1]), (1, 0));
}

#[rstest]
// Its beginning was seen, or is known from elsewhere, or it is there still.
#[case(Some(State::Established), None, true, (1, 0, 4 * SECOND))]
#[case(None, Some(9 * SECOND), true, (1, 0, 9 * SECOND))]
#[case(Some(State::Established), None, false, (1, 1, 8 * SECOND))]
fn stays_are_timed(
    #[case] entered_from: Option<State>,
    #[case] elapsed: Option<u64>,
    #[case] leaves: bool,
    #[case] (sockets, still, total): (u64, u64, u64),
) {
    for (index, state) in STATES.into_iter().enumerate() {
        let mut guests = Guests::default();
        let subject = client(1, "a");
        if let Some(from) = entered_from {
            guests.update(&Update::Transition(&step(subject, 2 * SECOND, from, state)));
        }
        if leaves {
            let left = step(subject, 6 * SECOND, state, State::Closed);
            guests.update(&Update::Transition(&Transition { elapsed, ..left }));
        }
        let stays = &guests.at(BEGUN + 10 * SECOND)[index];
        let (_, stay) = stays.by_process.sorted()[0];
        assert_eq!((stay.sockets(), stay.still, stay.total()), (sockets, still, total), "{state}");
        let (peer, _) = stays.by_peer.sorted()[0];
        assert_eq!(*peer, end("10.0.0.2", 443));
    }
}

#[test]
fn ports_are_counted_until_they_are_free_again() {
    let mut headroom = Headroom::default();
    for port in 1..=3 {
        let begins = step(client(port, "a"), SECOND, State::Closed, State::SynSent);
        headroom.update(&Update::Transition(&begins));
    }
    for port in 1..=2 {
        let ends = step(client(port, "a"), 2 * SECOND, State::TimeWait, State::Closed);
        headroom.update(&Update::Transition(&ends));
    }
    let begins = step(client(4, "a"), 3 * SECOND, State::Closed, State::SynSent);
    headroom.update(&Update::Transition(&begins));
    let taken = headroom.taken.sorted()[0].1;
    assert_eq!((taken.most, taken.at), (3, BEGUN + SECOND));
}

#[test]
fn very_many_connections_take_little_room() {
    let mut gathered = gathered();
    let mut summary = Summary { complete: true, ..Summary::default() };
    for number in 0..300_000_u32 {
        let mut subject = client((number % 60_000) as u16 + 1, &format!("p{number}"));
        subject.tuple.peer = Endpoint::new(std::net::Ipv4Addr::from(number).into(), 443);
        let time = u64::from(number) * 300_000;
        for (from, to) in [
            (State::Closed, State::SynSent),
            (State::SynSent, State::Established),
            (State::Established, State::CloseWait),
        ] {
            let step = step(subject, time, from, to);
            gathered.update(&Update::Transition(&step));
            summary.count(&Update::Transition(&step));
        }
        if number % 3 == 0 {
            let step = step(subject, time + SECOND, State::CloseWait, State::LastAck);
            gathered.update(&Update::Transition(&step));
            let connection = connection(subject, time + SECOND, Reason::Graceful);
            gathered.update(&Update::Connection(&connection));
            summary.count(&Update::Connection(&connection));
        }
    }
    let clock = WallClock { lead: 0, now: BEGUN + 101 * SECOND };
    let frame = Frame { title: "big".into(), zone: TimeZone::UTC, clock, texts: None };
    let html = gathered.html(&summary, &frame);
    assert!(html.len() < 1 << 20, "{} bytes", html.len());
    assert!(text(&html).contains("200,000"), "in CLOSE_WAIT at the end");
    assert!(gathered.guests.unknown > 0, "more than are remembered, and said so");
}
