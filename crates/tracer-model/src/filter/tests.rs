//! The language, what it means, and what of it the kernel decides.

mod kernel;
mod problems;
mod properties;
mod recorded;

use std::net::IpAddr;

use rstest::rstest;
use tracer_event::{
    close::{Close, Reason},
    endpoint::{Endpoint, Tuple},
    enricher::Unknown,
    fixtures::{connection, linger},
    linger::Linger,
    process::{Evidence, Owner, Process},
    sequence::Sequence,
    state::State,
    subject::{Role, Subject},
    update::{ConnectionSummary, Transition, Update},
};

use super::{parse::Names, *};

/// Names as in the tests of `ss`.
#[derive(Debug)]
struct Known;

impl Names for Known {
    fn service(&self, name: &str) -> Option<u16> {
        [("ssh", 22), ("http", 80), ("https", 443), ("http-alt", 8080)]
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, port)| port)
    }

    fn host(&self, name: &str) -> Vec<IpAddr> {
        match name {
            "localhost" => ["127.0.0.1", "::1"].map(|text| text.parse().unwrap()).into(),
            _ => Vec::new(),
        }
    }

    fn netns(&self, name: &str) -> Result<u32, String> {
        match name {
            "blue" | "/run/netns/blue" => Ok(4_026_532_205),
            "host" | "pid:1" => Ok(4_026_531_840),
            _ => Err(format!("there is no network namespace {name:?}")),
        }
    }
}

fn read(text: &str) -> Expression {
    parse(text, &Known).unwrap_or_else(|mistake| panic!("{mistake}\n{}", mistake.pointer()))
}

#[rstest]
#[case("", "tcp")]
#[case("  ", "tcp")]
#[case("tcp", "tcp")]
#[case("tcp port https", "port 443")]
#[case("state close-wait", "state close-wait")]
#[case("state established state time-wait", "state established,time-wait")]
#[case(
    "state connected exclude ESTAB exclude time-wait",
    "state syn-sent,syn-recv,fin-wait1,fin-wait2,close-wait,last-ack,closing"
)]
#[case(
    "exclude listening sport = :443",
    "state closed,syn-sent,syn-recv,established,fin-wait1,fin-wait2,close-wait,last-ack,closing,time-wait and sport 443"
)]
#[case("state established and state listen", "state established and state listen")]
#[case("exclude all", "exclude all")]
#[case("sport = :443", "sport 443")]
#[case("sport=:443", "sport 443")]
#[case("sport eq :https", "sport 443")]
#[case("dport :8000-8999", "dport 8000-8999")]
#[case("dport http-alt", "dport 8080")]
#[case("port 443,80,81", "port 80-81,443")]
#[case("portrange 8000-8999", "port 8000-8999")]
#[case("dst portrange 1-2", "dport 1-2")]
#[case("sport != :22", "not sport 22")]
#[case("sport >= :1024", "sport 1024-65535")]
#[case("sport gt :1024", "sport 1025-65535")]
#[case("dport < :1024", "dport 0-1023")]
#[case("dport le 1024", "dport 0-1024")]
#[case("src 10.0.0.0/8", "src 10.0.0.0/8")]
#[case("dst 193.233.7/24", "dst 193.233.7.0/24")]
#[case("dst 127/8", "dst 127.0.0.0/8")]
#[case("dst 10.0.0.1:443", "dst 10.0.0.1 and dport 443")]
#[case("dst = 10.0.0.1:https", "dst 10.0.0.1 and dport 443")]
#[case("src *:80", "sport 80")]
#[case("src :80", "sport 80")]
#[case("dst [2001:db8::1]:443", "dst 2001:db8::1 and dport 443")]
#[case("dst 2001:db8::/32", "dst 2001:db8::/32")]
#[case("dst ::1", "dst ::1")]
#[case("dst inet6:[::1]", "ip6 and dst ::1")]
#[case("dst inet:*:80", "ip and dport 80")]
#[case("dst fe80::1%eth0", "dst fe80::1%eth0")]
#[case("dst ::ffff:10.0.0.1", "dst 10.0.0.1")]
#[case("dst ::ffff:10.0.0.0/104", "dst 10.0.0.0/8")]
#[case("dst != 10.0.0.1", "not dst 10.0.0.1")]
#[case("dst localhost", "dst 127.0.0.1,::1")]
#[case("src host localhost", "src 127.0.0.1,::1")]
#[case("host 10.0.0.1", "host 10.0.0.1")]
#[case("net 192.168", "net 192.168.0.0/16")]
#[case("net 10.0.0.0/8,192.168.0.0/16", "net 10.0.0.0/8,192.168.0.0/16")]
#[case("host 10.0.0.1:80", "(src 10.0.0.1 and sport 80) or (dst 10.0.0.1 and dport 80)")]
#[case("pid 1,2", "pid 1,2")]
#[case("pid != 1", "not pid 1")]
#[case("comm nginx", "comm nginx")]
#[case("comm = \"a (b)\"", "comm \"a (b)\"")]
#[case("comm \"say \\\"x\\\"\"", "comm \"say \\\"x\\\"\"")]
#[case("netns blue", "netns 4026532205")]
#[case("netns /run/netns/blue", "netns 4026532205")]
#[case("netns 1", "netns 4026531840")]
#[case("netns 4026532205", "netns 4026532205")]
#[case("netns inode:1", "netns inode:1")]
#[case("container 0123beef", "container 0123beef")]
#[case("cgroup /system.slice/a.service", "cgroup /system.slice/a.service")]
#[case("role client", "role client")]
#[case("reason reset_received", "reason reset_received")]
#[case("reason Reset-Received", "reason reset_received")]
#[case("age > 30s", "age > 30s")]
#[case("age >= 1m30s", "age >= 90s")]
#[case("handshake > 100ms", "handshake > 100ms")]
#[case("age < 5", "age < 5s")]
#[case("problem", "problem")]
#[case("ip and not port 22", "ip and not port 22")]
#[case("port 1 or port 2 and port 3", "(port 1 or port 2) and port 3")]
#[case("port 1 or port 2 port 3", "(port 1 or port 2) and port 3")]
#[case("port 1 and port 2 or port 3", "(port 1 and port 2) or port 3")]
#[case("( port 1 or port 2 ) and port 3", "(port 1 or port 2) and port 3")]
#[case("(port 1 || port 2) & !port 3", "(port 1 or port 2) and not port 3")]
#[case("not (port 1 and port 2)", "not (port 1 and port 2)")]
#[case("not not port 1", "port 1")]
#[case("((port 1))", "port 1")]
// The examples of ss(8) that are of TCP.
#[case(
    "state established ( dport = :ssh or sport = :ssh )",
    "state established and (dport 22 or sport 22)"
)]
#[case(
    "state fin-wait-1 ( sport = :http or sport = :https ) dst 193.233.7/24",
    "state fin-wait1 and (sport 80 or sport 443) and dst 193.233.7.0/24"
)]
fn filters_are_understood(#[case] text: &str, #[case] printed: &str) {
    let expression = read(text);
    assert_eq!(expression.to_string(), printed);
    assert_eq!(read(printed), expression);
}

#[rstest]
#[case("sport = :htp", ":htp", "expected a port from 1 to 65535, a range")]
#[case("port 70000", "70000", "expected a port")]
#[case("port 9-8", "9-8", "expected the lower end of the range first")]
#[case("port >= 1,2", "1,2", "expected one port")]
#[case("port > 65535", "65535", "no port is beyond this one")]
#[case("port", "", "expected a port")]
#[case("prot 443", "prot", "expected a condition: state, exclude, port")]
#[case("port 80 or 443", "443", "expected a condition (several values are written 80,443)")]
#[case("state closing-time", "closing-time", "expected a state: listen")]
#[case("state", "", "expected a state")]
#[case("src 10.0.0.0/33", "10.0.0.0/33", "expected an address")]
#[case("src 1.2.3.4.5", "1.2.3.4.5", "expected an address")]
#[case("src nowhere.invalid", "nowhere.invalid", "expected an address")]
#[case("dst > 10.0.0.1", "10.0.0.1", "addresses have no order")]
#[case("dst 10.0.0.1%eth0", "10.0.0.1%eth0", "expected an interface")]
#[case("pid 0", "0", "expected process ids")]
#[case("pid x", "x", "expected process ids")]
#[case("comm", "", "expected the name of a process")]
#[case("netns red", "red", "there is no network namespace")]
#[case("role peer", "peer", "expected client, server or listener")]
#[case("reason bored", "bored", "expected a reason: graceful, reset_received")]
#[case("age 30s", "30s", "expected <, <=, > or >=")]
#[case("age > soon", "soon", "expected a time as 30s")]
#[case("(port 80", "(", "there is no ) for this (")]
#[case("port 80)", ")", "there is no ( for this )")]
#[case("port 80 and", "", "expected a condition")]
#[case("port 80 and ) or port 1", ")", "expected a condition")]
#[case("comm \"abc", "\"", "there is no second \" for this one")]
#[case("'port 80'", "'", "expected a condition")]
#[case("port 80 = port 81", "=", "expected a condition")]
fn mistakes_are_pointed_at(#[case] text: &str, #[case] wrong: &str, #[case] message: &str) {
    let mistake = parse(text, &Known).unwrap_err();
    let said = mistake.to_string();
    assert!(said.starts_with(&format!("filter: {message}")), "{said}");
    assert!(!said.contains('\n'), "{said}");
    let pointer = mistake.pointer();
    let [shown, carets, ..] = pointer.split('\n').collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(shown.trim_start(), text.trim_start());
    let from = carets.find('^').unwrap();
    let pointed = shown.get(from..carets.len()).unwrap_or_default();
    assert_eq!(pointed, wrong, "{pointer}");
}

#[test]
fn a_long_filter_is_shown_around_the_mistake_and_steers_no_terminal() {
    let text = format!("{} prot \u{1b}[2J {}", "port 1 or ".repeat(50), "x".repeat(500));
    let pointer = parse(&text, &Known).unwrap_err().pointer();
    assert!(pointer.len() < 400, "{pointer}");
    assert!(!pointer.contains('\u{1b}'), "{pointer}");
}

#[rstest]
#[case(&"(".repeat(5000))]
#[case(&"not ".repeat(2000))]
#[case(&"! ( ".repeat(1000))]
#[case(&"port 1 ".repeat(5000))]
fn depth_and_length_have_a_limit(#[case] text: &str) {
    assert!(parse(text, &Known).is_err());
}

#[rstest]
#[case("port 80", true)]
#[case("(port 80)", true)]
#[case("!port 80", true)]
#[case("not port 80", true)]
#[case("STATE x", true)]
#[case("recording.json", false)]
#[case("./state", false)]
#[case("-", false)]
#[case("", false)]
fn a_filter_is_told_from_a_file(#[case] text: &str, #[case] begins: bool) {
    assert_eq!(parse::begins(text), begins);
}

fn tuple(local: &str, local_port: u16, peer: &str, peer_port: u16) -> Tuple {
    let end = |address: &str, port| Endpoint::new(address.parse().unwrap(), port);
    Tuple { local: end(local, local_port), peer: end(peer, peer_port), netns: 1 }
}

fn owner(pid: u32, comm: &str) -> Owner {
    let mut name = [0; 16];
    name[..comm.len()].copy_from_slice(comm.as_bytes());
    let process = Process { pid, comm: name, start_ns: 0 };
    Owner { process, evidence: Evidence::TaskFile, fd: None, others: 0 }
}

/// A connection of curl's to 10.0.0.2:443.
fn subject() -> Subject {
    let tuple = tuple("10.0.0.1", 40_000, "10.0.0.2", 443);
    let (owner, role) = (Some(owner(7, "curl")), Some(Role::Client));
    Subject { owner, role, ..Subject::of_addresses(tuple) }
}

#[rstest]
#[case("port 443", true)]
#[case("sport 443", false)]
#[case("dport 443", true)]
#[case("src 10.0.0.1", true)]
#[case("dst 10.0.0.1", false)]
#[case("net 10.0.0.2/32", true)]
#[case("host 10.0.0.1:443", false)]
#[case("host 10.0.0.2:443", true)]
#[case("ip6", false)]
#[case("ip", true)]
#[case("net ::/0", false)]
#[case("pid 7 and comm curl", true)]
#[case("not pid 7", false)]
#[case("pid 8", false)]
#[case("netns inode:1", true)]
#[case("netns inode:2", false)]
#[case("role client", true)]
#[case("role server", false)]
#[case("state close-wait", true)]
#[case("state established", false)]
#[case("exclude close-wait", false)]
#[case("age > 30s", true)]
#[case("age < 30s", false)]
#[case("container x", false)]
#[case("not cgroup /x", true)]
#[case("handshake > 1ms", false)]
#[case("reason refused", false)]
#[case("problem", false)]
#[case("port 1 or state close-wait", true)]
#[case("port 1 and state close-wait", false)]
fn a_socket_is_wanted_or_not(#[case] text: &str, #[case] wanted: bool) {
    let (filter, subject): (Filter, _) = (text.parse().unwrap(), subject());
    let facts = Facts::in_state(&subject, State::CloseWait, Some(60_000_000_000));
    assert_eq!(filter.may_want(&facts, &Unknown), wanted);
}

#[rstest]
#[case("state close-wait", true)]
#[case("not state close-wait", true)]
#[case("age > 1h", true)]
#[case("sport 1 and state close-wait", false)]
#[case("sport 1 or state close-wait", true)]
#[case("container x", false)]
fn what_is_not_part_of_the_question_is_left_open(#[case] text: &str, #[case] may: bool) {
    let (filter, subject): (Filter, _) = (text.parse().unwrap(), subject());
    assert_eq!(filter.may_want(&Facts::of(&subject), &Unknown), may);
}

#[test]
fn a_socket_with_several_holders_is_each_one_s() {
    let holders = vec![owner(8, "sh")];
    let linger = Linger { subject: subject(), holders, ..linger(1, State::CloseWait) };
    let facts = Facts::from(&linger);
    for (text, wanted) in
        [("pid 8", true), ("comm sh", true), ("not pid 8", false), ("pid 9", false)]
    {
        let filter: Filter = text.parse().unwrap();
        assert_eq!(filter.may_want(&facts, &Unknown), wanted, "{text}");
    }
}

/// A connection that went through these states, to its end.
#[rstest]
#[case("state close-wait", true)]
#[case("exclude close-wait", true)]
#[case("state time-wait", false)]
#[case("exclude listening", true)]
#[case("reason reset_received", true)]
#[case("not reason reset_received", false)]
#[case("problem", true)]
#[case("age >= 3s", true)]
#[case("age > 3s", false)]
fn a_connection_is_wanted_for_its_whole_life(#[case] text: &str, #[case] wanted: bool) {
    let mut spent = [0; State::COUNT];
    for state in [State::SynSent, State::Established, State::CloseWait] {
        spent[state.index()] = 1_000_000_000;
    }
    let story = ConnectionSummary {
        duration: 3_000_000_000,
        spent,
        ..connection(subject(), 0, Reason::ResetReceived)
    };
    let filter: Filter = text.parse().unwrap();
    assert_eq!(filter.wants(&Update::Connection(&story), &Unknown), wanted);
}
