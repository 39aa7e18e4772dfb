//! Lines of the live view, as people see them.

use rstest::rstest;

use super::*;
use crate::stamps::Timestamps;
use tracer_event::{
    close::Close,
    endpoint::{Endpoint, Tuple},
    fixtures,
    process::{Evidence, Owner, Process},
    state::State,
    update::{Handshake, Loss, LossPlace, Role, Subject},
};
use tracer_model::table::{self, Table};

fn subject(role: Role, local: &str, peer: &str, name: &[u8]) -> Subject {
    let end = |text: &str| {
        let (address, port) = text.rsplit_once(':').unwrap();
        let address = address.trim_matches(['[', ']']).parse().unwrap();
        Endpoint::new(address, port.parse().unwrap())
    };
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name);
    let process = Process { pid: 4_194_304, comm, start_ns: 1 };
    Subject {
        tuple: Tuple { local: end(local), peer: end(peer), netns: 1 },
        owner: Some(Owner { process, evidence: Evidence::Listener, fd: None, others: 0 }),
        role: Some(role),
        ..fixtures::subject(1)
    }
}

#[test]
fn both_ends_of_a_connection_have_the_same_tag_and_others_have_not() {
    let of =
        |local: &str, peer: &str| Tags::default().of(&subject(Role::Client, local, peer, b"a"));
    assert_eq!(of("10.0.0.1:1", "10.0.0.2:2"), of("10.0.0.2:2", "10.0.0.1:1"));
    assert_eq!(of("[::1]:1", "[::1]:2"), of("[::1]:2", "[::1]:1"));
    let tags: std::collections::HashSet<_> =
        (1..100).map(|port| of(&format!("10.0.0.1:{port}"), "10.0.0.2:80")).collect();
    assert!(tags.len() > 80, "{tags:?}");
}

/// One step of an end, with its initial number and the peer's; the birth has none.
fn step(end: Subject, edge: (State, State), numbers: Option<(u32, u32)>) -> Transition {
    let (from, to) = edge;
    let handshake = numbers.map(|(local, peer)| Handshake {
        duration_ns: None,
        rtt_ns: None,
        syn_retransmits: None,
        local_isn: Some(local),
        peer_isn: Some(peer),
    });
    Transition { handshake, ..Transition::new(end, 1, from, to) }
}

/// The marks of a client's and a server's lines, in their order, of connections of which the ends
/// are in the namespaces given.
#[expect(clippy::too_many_lines, reason = "a small world of ends and their lines")]
fn marks(connections: &[([&str; 2], [&str; 2], [u32; 2])]) -> Vec<(String, String)> {
    let times = Times::new(Timestamps::Utc, jiff::tz::TimeZone::UTC);
    let mut text = Text::new(Palette::PLAIN, None, times, Stories::Steps);
    let mut out = Vec::new();
    let mut tell = |told: &Transition| {
        text.update(&Update::Transition(told), WallClock { lead: 0, now: 0 }.into(), &mut out);
    };
    let end = |role, [local, peer]: [&str; 2], netns, number: usize| {
        let mut end = subject(role, local, peer, if role == Role::Client { b"c" } else { b"s" });
        end.tuple.netns = netns;
        end.cookie = Some(number as u64 + if role == Role::Client { 100 } else { 200 });
        end
    };
    use State::*;
    for steps in [&[(SynSent, Established)][..], &[(Listen, SynRecv), (SynRecv, Established)]] {
        for step_of in steps {
            for (number, (client, server, netns)) in connections.iter().enumerate() {
                let numbers = (1_000 + number as u32, 9_000 + number as u32);
                let (end, numbers) = match steps.len() {
                    1 => (end(Role::Client, *client, netns[0], number), numbers),
                    _ => (end(Role::Server, *server, netns[1], number), (numbers.1, numbers.0)),
                };
                let numbers = (step_of.1 == Established).then_some(numbers);
                tell(&step(end, *step_of, numbers));
            }
        }
    }
    let text = String::from_utf8(out).unwrap();
    let of = |name: &str| {
        let lines = text.lines().filter(|line| line.contains(&format!(" {name}[")));
        lines.map(|line| line[17..19].to_owned()).collect::<Vec<_>>()
    };
    let servers = of("s");
    assert_eq!(servers.len(), 2 * connections.len(), "{text}");
    let pairs: Vec<_> = servers
        .chunks(2)
        .map(|two| {
            assert_eq!(two[0], two[1], "a birth and what follows it: {text}");
            two[1].clone()
        })
        .collect();
    of("c").into_iter().zip(pairs).collect()
}

/// Namespaces with the same addresses, and NAT: the numbers say who belongs together.
#[test]
fn ends_are_paired_by_their_initial_numbers() {
    let (client, server) = (["10.0.0.1:4000", "10.0.0.2:80"], ["10.0.0.2:80", "10.0.0.1:4000"]);
    let marks = marks(&[
        (client, server, [1, 2]),
        (client, server, [3, 4]),
        (["10.0.0.1:5000", "10.96.0.1:80"], ["172.17.0.9:8080", "10.0.0.1:5000"], [1, 5]),
    ]);
    for (client, server) in &marks {
        assert_eq!(client, server, "{marks:?}");
    }
    let clients: std::collections::HashSet<_> = marks.iter().map(|(client, _)| client).collect();
    assert_eq!(clients.len(), 3, "{marks:?}");
}

/// A server in another namespace has its client's tag as long as it lives, whatever else comes;
/// of ends that have the same tag by their addresses nothing is kept.
#[test]
fn a_tag_is_kept_where_the_addresses_do_not_say_it() {
    let mut tags = Tags::default();
    let mut meet = |server: &str, cookie: u64| {
        let client_end = format!("10.0.0.1:{}", 1_024 + cookie % 60_000);
        let numbers = (cookie as u32, 1 << 31 | cookie as u32);
        let [mut client, mut far] = [
            subject(Role::Client, &client_end, "10.96.0.1:80", b"c"),
            subject(Role::Server, server, &client_end, b"s"),
        ];
        (client.cookie, far.cookie) = (Some(2 * cookie), Some(2 * cookie + 1));
        let numbers_of = [numbers, (numbers.1, numbers.0)];
        for ((end, from), numbers) in
            [(client, State::SynSent), (far, State::SynRecv)].into_iter().zip(numbers_of)
        {
            let told = step(end, (from, State::Established), Some(numbers));
            tags.learn(&Update::Transition(&told));
        }
        (tags.of(&client), tags.of(&far), far, tags.kept())
    };
    let (client, server, far, kept) = meet("172.17.0.9:8080", 1);
    assert_eq!((client, kept), (server, 1));
    for other in 2..10_000 {
        let (client, server, _, kept) = meet("10.96.0.1:80", other);
        assert_eq!((client, kept), (server, 1));
    }
    assert_ne!(client, Tags::default().of(&far), "by its addresses it has another");
    assert_eq!(tags.of(&far), client);
}

/// Nothing follows a birth whose handshake does not come to an end: it is told all the same.
#[test]
fn a_birth_that_nothing_follows_is_told() {
    let times = Times::new(Timestamps::Utc, jiff::tz::TimeZone::UTC);
    let mut text = Text::new(Palette::PLAIN, None, times, Stories::Steps);
    let clock = WallClock { lead: 0, now: 0 };
    let mut out = Vec::new();
    let end = subject(Role::Server, "10.0.0.2:80", "10.0.0.1:4000", b"s");
    let birth = step(end, (State::Listen, State::SynRecv), None);
    text.update(&Update::Transition(&birth), clock.into(), &mut out);
    let moment = |now| Tick { now, read_until: now, sockets: None };
    let due = text.pause(&moment(2), clock.into(), &mut out).unwrap();
    assert_eq!((out.len(), due < 1_000_000_000), (0, true));
    text.pause(&moment(due), clock.into(), &mut out);
    assert!(String::from_utf8(out).unwrap().contains("LISTEN      → SYN_RECV"));
}

#[test]
fn a_listener_has_no_connection_and_no_tag() {
    let line = line(160, subject(Role::Listener, "[::]:443", "[::]:0", b"nginx"));
    assert!(line.starts_with("00:00:00.000000   ·  [::]:443        · *  "), "{line}");
}

fn line(width: usize, subject: Subject) -> String {
    let times = Times::new(Timestamps::Utc, jiff::tz::TimeZone::UTC);
    let mut text = Text::new(Palette::PLAIN, Some(width), times, Stories::Steps);
    let transition = Transition {
        elapsed: Some(1_234_567),
        ..Transition::new(subject, 1, State::Established, State::FinWait1)
    };
    let mut out = Vec::new();
    let clock = WallClock { lead: 0, now: 0 };
    text.update(&Update::Transition(&transition), clock.into(), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_name_of_a_process_is_cut_at_its_end_and_its_pid_never() {
    let subject = subject(Role::Client, "127.0.0.1:43210", "127.0.0.1:65535", b"a-very-long-nam");
    let line = line(80, subject);
    assert!(line.ends_with("FIN_WAIT1            a-very-…[4194304]?\n"), "{line}");
    assert!(line.trim_end().chars().count() <= 80, "{line}");
}

const V6: &str = "[2001:db8:85a3:1111:2222:8a2e:370:7334]";

#[rstest]
#[case(80)]
#[case(100)]
#[case(120)]
#[case(160)]
#[case(200)]
fn lines_fit_the_terminal_and_keep_the_state(#[case] width: usize) {
    let subject = subject(Role::Server, &format!("{V6}:443"), &format!("{V6}:65535"), b"nginx");
    let line = line(width, subject);
    assert!(line.trim_end().chars().count() <= width, "{line}");
    assert!(line.contains("FIN_WAIT1 ") && line.contains(":65535 "), "{line}");
    assert!(width < 160 || line.contains("nginx[4194304]?"), "{line}");
}

/// How a connection may end.
const REASONS: [Reason; 18] = {
    use Reason::*;
    [
        Graceful,
        ResetReceived,
        ResetSentUnreadData,
        ResetSentLingerZero,
        ResetSentDataAfterClose,
        ResetSentUnaccepted,
        Refused,
        Unreachable,
        ConnectTimeout,
        RetransmitTimeout,
        KeepaliveTimeout,
        ZeroWindowTimeout,
        FinWait2Timeout,
        AbortedLocally,
        Killed,
        NoLocalPort,
        Disconnected,
        Unknown,
    ]
};

/// The line that ends a connection for that reason, as a terminal of that width shows it.
fn ending(reason: Reason, width: usize, local: &str, peer: &str) -> String {
    let times = Times::new(Timestamps::Utc, jiff::tz::TimeZone::UTC);
    let subject = subject(Role::Client, local, peer, b"curl");
    let close = Close::new(reason, None);
    let transition = Transition {
        close: Some(close),
        elapsed: Some(123_456_789),
        ..step(subject, (State::FinWait1, State::Closed), None)
    };
    let mut text = Text::new(Palette::PLAIN, Some(width), times, Stories::Steps);
    let mut out = Vec::new();
    text.update(&Update::Transition(&transition), WallClock { lead: 0, now: 0 }.into(), &mut out);
    String::from_utf8(out).unwrap()
}

#[rstest]
#[case(80)]
#[case(100)]
#[case(120)]
#[case(160)]
#[case(200)]
fn every_ending_says_why_at_any_width(#[case] width: usize) {
    let v4 = ("192.168.100.100:54321", "192.168.200.200:65535");
    let v6 = (&*format!("{V6}:54321"), &*format!("{V6}:65535"));
    for (local, peer) in [v4, v6] {
        let mut shown = std::collections::HashSet::new();
        for reason in REASONS {
            let line = ending(reason, width, local, peer);
            assert!(line.trim_end().chars().count() <= width, "{line}");
            let words = if width < 150 {
                let close = Close::new(reason, None);
                format!("CLOSED {} ", brief_ending(&close))
            } else {
                let whole = ending(reason, 1_000, local, peer);
                whole[whole.rfind("123ms").unwrap()..].trim_end().to_owned()
            };
            assert!(line.contains(words.trim_end()), "{line}: {words}");
            assert!(shown.insert(words), "{line}");
            // At 160 columns nothing is cut that there is room for.
            assert!(peer == v6.1 || width < 160 || !line.contains('…'), "{line}");
        }
    }
}

/// What lines look like: state and reason survive, at the cost of the rest.
#[test]
fn a_narrow_line_looks_like_this() {
    let v4 = |width| ending(Reason::Refused, width, "10.0.0.1:43210", "10.0.0.2:8080");
    let v6 = |width, reason| ending(reason, width, &format!("{V6}:43210"), &format!("{V6}:443"));
    assert_eq!(
        [v4(80), v6(80, Reason::ResetSentUnreadData), v4(120), v6(160, Reason::Graceful)],
        [
            "00:00:00.000 6h :43210 → 10.0.0.2:8080   CLOSED refused       curl[4194304]?\n",
            "00:00:00.000 yi :43210 → [2001…7334]:443 CLOSED RST sent: unread data …[4194304…\n",
            "00:00:00.000 6h 10.0.0.1:43210  → 10.0.0.2:8080   CLOSED refused                  \
             123ms curl[4194304]?\n",
            "00:00:00.000000  yi  [2001:db8:85a3:…8a2e:370:7334]:43210 → \
             [2001:db8:85a3:1…:8a2e:370:7334]:443  curl[4194304]?  FIN_WAIT1 → CLOSED  123ms  \
             ACK of FIN received\n",
        ]
    );
}

/// The width is asked for again and again; where more or less is shown, the header comes again.
#[test]
fn a_terminal_that_is_resized_is_followed() {
    let width = Arc::new(std::sync::atomic::AtomicUsize::new(80));
    let asked = Arc::clone(&width);
    let times = Times::new(Timestamps::Utc, jiff::tz::TimeZone::UTC);
    let text = Text::new(Palette::PLAIN, Some(80), times, Stories::Steps);
    let mut text =
        text.resized_by(Box::new(move || Some(asked.load(std::sync::atomic::Ordering::Relaxed))));
    let end = subject(Role::Client, "10.0.0.1:43210", "10.0.0.2:80", b"curl");
    let step = step(end, (State::Established, State::FinWait1), None);
    let mut line = |columns| {
        width.store(columns, std::sync::atomic::Ordering::Relaxed);
        let mut out = Vec::new();
        text.update(&Update::Transition(&step), WallClock { lead: 0, now: 0 }.into(), &mut out);
        String::from_utf8(out).unwrap()
    };
    assert!(line(80).contains(" :43210 → 10.0.0.2:80"));
    let wide = line(160);
    assert!(wide.starts_with("TIME (UTC) ") && wide.contains("ESTABLISHED → FIN_WAIT1"), "{wide}");
    let same = line(161);
    assert!(same.starts_with("00:00:00.000000"), "{same}");
}

#[test]
fn the_status_line_never_gets_into_a_pipe_and_gives_way_to_lines() {
    let times = || Times::new(Timestamps::Utc, jiff::tz::TimeZone::UTC);
    let quiet = |width, table: Option<&Table>| {
        let mut text = Text::new(Palette::PLAIN, width, times(), Stories::Steps);
        let mut out = Vec::new();
        let clock = WallClock { lead: 0, now: 0 };
        for second in 0..32 {
            let sockets = table.map(Table::len);
            let now = second * 1_000_000_000;
            let moment = Tick { now, read_until: now, sockets };
            text.pause(&moment, clock.into(), &mut out);
        }
        let shown = String::from_utf8(out.clone()).unwrap();
        out.clear();
        text.summary(&Summary::default(), clock.into(), &mut out);
        (shown, String::from_utf8(out).unwrap())
    };
    let table = Table::new(table::Options::default());
    let (shown, end) = quiet(Some(80), Some(&table));
    assert!(shown.ends_with("\r\x1b[K… 0 sockets tracked, no events for 31 s"), "{shown:?}");
    assert!(!shown.contains('\n') && end.starts_with("\r\x1b[K="), "{shown:?} {end:?}");
    let (shown, end) = quiet(None, Some(&table));
    assert_eq!((&*shown, end.contains('\x1b')), ("", false), "{end:?}");
    // A replay has no sockets.
    let (shown, _) = quiet(Some(80), None);
    assert!(shown.ends_with("\r\x1b[K… no events for 31 s"), "{shown:?}");
}

#[rstest]
#[case(0, "0ns")]
#[case(999, "999ns")]
#[case(1_234, "1.23µs")]
#[case(45_678, "45.7µs")]
#[case(999_499, "999µs")]
#[case(999_999, "1.00ms")]
#[case(1_500_000_000, "1.50s")]
#[case(59_960_000_000, "60.0s")]
#[case(125_000_000_000, "2m05s")]
#[case(11_520_000_000_000, "3h12m")]
fn durations_are_short_and_never_wider_than_their_column(#[case] ns: u64, #[case] text: &str) {
    assert_eq!(duration(ns), text);
    assert!(text.chars().count() <= 8);
}

#[rstest]
#[case(0, "0")]
#[case(999, "999")]
#[case(1_000, "1,000")]
#[case(1_234_567, "1,234,567")]
fn large_counts_are_grouped(#[case] count: u64, #[case] text: &str) {
    assert_eq!(grouped(count), text);
}

#[rstest]
#[case(LossPlace::Unseen, "! 1 transition not seen: inferred from what followed")]
#[case(LossPlace::Otlp, "! 1 log record not sent: the OTLP receiver did not accept them")]
#[case(LossPlace::Output, "! 1 line not shown: the output is too slow or full")]
fn one_is_told_as_one(#[case] place: LossPlace, #[case] told: &str) {
    assert_eq!(loss(&Loss::final_loss(1, place, 1), None), told);
}
