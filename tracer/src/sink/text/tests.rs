//! Lines of the live view, as people see them.

use rstest::rstest;

use super::*;
use crate::{
    model::{
        endpoint::{Endpoint, Tuple},
        owner::Process,
        table::{self, Table},
    },
    sink::stamps::Timestamps,
};

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
        cookie: Some(1),
        ordinal: 1,
        tuple: Tuple { local: end(local), peer: end(peer), netns: 1 },
        uid: None,
        inode: None,
        cgroup: 0,
        owner: Some(Owner { process, evidence: Evidence::Listener, fd: None, others: 0 }),
        role: Some(role),
    }
}

#[test]
fn both_ends_of_a_connection_have_the_same_tag_and_others_have_not() {
    let of = |local: &str, peer: &str| tag(&subject(Role::Client, local, peer, b"a"));
    assert_eq!(of("10.0.0.1:1", "10.0.0.2:2"), of("10.0.0.2:2", "10.0.0.1:1"));
    assert_eq!(of("[::1]:1", "[::1]:2"), of("[::1]:2", "[::1]:1"));
    let tags: std::collections::HashSet<_> =
        (1..100).map(|port| of(&format!("10.0.0.1:{port}"), "10.0.0.2:80")).collect();
    assert!(tags.len() > 80, "{tags:?}");
}

#[test]
fn a_listener_has_no_connection_and_no_tag() {
    let line = line(120, subject(Role::Listener, "[::]:443", "[::]:0", b"nginx"));
    assert!(line.starts_with("00:00:00.000000   ·  [::]:443        · *  "), "{line}");
}

/// No surroundings: nothing is known.
struct Nothing;

impl Surroundings for Nothing {
    fn cgroup(&self, _: &Subject) -> Option<Arc<container::Cgroup>> {
        None
    }

    fn executable(&self, _: &Process) -> Option<Arc<str>> {
        None
    }
}

fn line(width: usize, subject: Subject) -> String {
    let times = Times::new(Timestamps::Utc, jiff::tz::TimeZone::UTC);
    let mut text = Text::new(Palette::PLAIN, Some(width), times, Stories::Steps, Arc::new(Nothing));
    let transition = Transition {
        time: 1,
        subject,
        from: State::Established,
        to: State::FinWait1,
        kernel: None,
        source: Source::Tracepoint,
        elapsed: Some(1_234_567),
        handshake: None,
        sequence: None,
        close: None,
        orphaned: false,
    };
    let mut out = Vec::new();
    let clock = WallClock { lead: 0, now: 0 };
    text.update(&Update::Transition(&transition), clock, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_name_of_a_process_is_cut_at_its_end_and_its_pid_never() {
    let subject = subject(Role::Client, "127.0.0.1:43210", "127.0.0.1:8080", b"a-very-long-nam");
    let line = line(80, subject);
    assert!(line.ends_with("FIN_WAIT1    a-v…[4194304]?\n"), "{line}");
    assert!(line.trim_end().chars().count() <= 80, "{line}");
}

#[rstest]
#[case(80)]
#[case(100)]
#[case(120)]
#[case(200)]
fn lines_fit_the_terminal(#[case] width: usize) {
    let v6 = "[2001:db8:85a3:1111:2222:8a2e:370:7334]";
    let subject = subject(Role::Server, &format!("{v6}:443"), &format!("{v6}:65535"), b"nginx");
    let line = line(width, subject);
    assert!(line.trim_end().chars().count() <= width, "{line}");
}

#[test]
fn the_status_line_never_gets_into_a_pipe_and_gives_way_to_lines() {
    let times = || Times::new(Timestamps::Utc, jiff::tz::TimeZone::UTC);
    let quiet = |width, table| {
        let mut text = Text::new(Palette::PLAIN, width, times(), Stories::Steps, Arc::new(Nothing));
        let mut out = Vec::new();
        let clock = WallClock { lead: 0, now: 0 };
        for second in 0..32 {
            let moment = Moment { now: second * 1_000_000_000, table, ports: &Arc::default() };
            text.pause(&moment, clock, &mut out);
        }
        let shown = String::from_utf8(out.clone()).unwrap();
        out.clear();
        text.summary(&Summary::default(), clock, &mut out);
        (shown, String::from_utf8(out).unwrap())
    };
    let table = Table::new(table::Options::default());
    let (shown, end) = quiet(Some(80), Some(&table));
    assert!(shown.ends_with("\r\x1b[K… 0 sockets tracked, nothing for 31 s"), "{shown:?}");
    assert!(!shown.contains('\n') && end.starts_with("\r\x1b[K="), "{shown:?} {end:?}");
    let (shown, end) = quiet(None, Some(&table));
    assert_eq!((&*shown, end.contains('\x1b')), ("", false), "{end:?}");
    // A replay has no sockets.
    let (shown, _) = quiet(Some(80), None);
    assert!(shown.ends_with("\r\x1b[K… nothing for 31 s"), "{shown:?}");
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
