//! A firewall of this host rejects the SYN with an ICMP error, or drops it.
//!
//! The error comes while connect() holds the socket: the kernel queues it instead of ending the
//! connection. A socket that does not block is told at once over IPv4; one that waits, and any
//! over IPv6, when the second SYN has been rejected. With IPV6_RECVERR IPv6 is as IPv4.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};
use tracer_tests::{netns::run, slowness::allowed, sockets::End};

use crate::{
    stage::{Driven, Stage, known},
    table::{Row, rows},
};

/// Where nobody is reached.
const PORT: u16 = 7999;

/// How the application connects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// connect() waits.
    Waits,
    /// It does not; SO_ERROR says what has come of it, then close().
    Asks,
    /// It does not, and close() follows before anything is known.
    GivesUp,
    /// As [`Self::Asks`] with IP_RECVERR or IPV6_RECVERR.
    AsksWithErrors,
}

const STORY: &str = "CLOSED SYN_SENT CLOSED";

macro_rules! rejects {
    ($($family:literal $reject:literal $end:literal, $first:literal;)+) => {
        rows![$(
            concat!($family, " reject, ", $reject, ", connect() waits"),
                "nftables rejects each SYN so; connect() of a blocking socket",
                |stage| rejected(stage, $family, Some($reject), Way::Waits),
                ["client", STORY, $end, "SYN again 1"];
            concat!($family, " reject, ", $reject, ", connect() does not wait"),
                "the same of a non-blocking socket: poll(), SO_ERROR, close()",
                |stage| rejected(stage, $family, Some($reject), Way::Asks),
                ["client", STORY, $end, $first];
        )+
            "IPv4 reject, given up before SO_ERROR",
                "close() of a non-blocking socket without SO_ERROR: the application was not told",
                |stage| rejected(stage, "IPv4", Some("port-unreachable"), Way::GivesUp),
                ["client", STORY, "unreachable, network (icmp 3/3)", ""];
            "IPv6 reject, given up before SO_ERROR",
                "the same: of IPv6 the kernel keeps type and code with IPV6_RECVERR only",
                |stage| rejected(stage, "IPv6", Some("port-unreachable"), Way::GivesUp),
                ["client", STORY, "unreachable, network", ""];
            "IPv4 reject, IP_RECVERR",
                "the same as connect() does not wait, with IP_RECVERR",
                |stage| rejected(stage, "IPv4", Some("port-unreachable"), Way::AsksWithErrors),
                ["client", STORY, "unreachable, network (icmp 3/3, ECONNREFUSED)", ""];
            "IPv6 reject, IPV6_RECVERR",
                "the same with IPV6_RECVERR: told at once, with type and code",
                |stage| rejected(stage, "IPv6", Some("admin-prohibited"), Way::AsksWithErrors),
                ["client", STORY, "unreachable, network (icmp6 1/1, EACCES)", ""];
            "IPv4 drop, given up", "nftables drops each SYN; close() of a non-blocking socket",
                |stage| rejected(stage, "IPv4", None, Way::GivesUp),
                ["client", STORY, "aborted_locally, local", ""];
            "IPv6 drop, given up", "the same over IPv6",
                |stage| rejected(stage, "IPv6", None, Way::GivesUp),
                ["client", STORY, "aborted_locally, local", ""];
        ]
    };
}

pub(crate) const ROWS: &[Row] = rejects![
    "IPv4" "net-unreachable" "unreachable, network (icmp 3/0, ENETUNREACH)", "";
    "IPv4" "host-unreachable" "unreachable, network (icmp 3/1, EHOSTUNREACH)", "";
    "IPv4" "prot-unreachable" "unreachable, network (icmp 3/2, ENOPROTOOPT)", "";
    "IPv4" "port-unreachable" "unreachable, network (icmp 3/3, ECONNREFUSED)", "";
    "IPv4" "net-prohibited" "unreachable, network (icmp 3/9, ENETUNREACH)", "";
    "IPv4" "host-prohibited" "unreachable, network (icmp 3/10, EHOSTUNREACH)", "";
    "IPv4" "admin-prohibited" "unreachable, network (icmp 3/13, EHOSTUNREACH)", "";
    "IPv6" "no-route" "unreachable, network (ENETUNREACH)", "SYN again 1";
    "IPv6" "admin-prohibited" "unreachable, network (EACCES)", "SYN again 1";
    "IPv6" "addr-unreachable" "unreachable, network (EHOSTUNREACH)", "SYN again 1";
    "IPv6" "port-unreachable" "unreachable, network (ECONNREFUSED)", "SYN again 1";
    "IPv6" "policy-fail" "unreachable, network (EACCES)", "SYN again 1";
    "IPv6" "reject-route" "unreachable, network (EACCES)", "SYN again 1";
];

/// Rejects, or drops, what goes to [`PORT`].
fn reject(family: &str, with: Option<&str>) {
    let table = ["inet", "rejects"];
    run("nft", &[&["add", "table"], &table[..]].concat());
    let hook = ["{", "type", "filter", "hook", "output", "priority", "0", ";", "}"];
    run("nft", &[&["add", "chain"], &table[..], &["output"], &hook[..]].concat());
    let port = PORT.to_string();
    let segments = ["tcp", "dport", &port];
    let icmp = if family == "IPv6" { "icmpv6" } else { "icmp" };
    let verdict = with.map_or(vec!["drop"], |with| vec!["reject", "with", icmp, "type", with]);
    run("nft", &[&["add", "rule"], &table[..], &["output"], &segments[..], &verdict[..]].concat());
}

fn rejected(stage: &Stage<'_>, family: &str, with: Option<&str>, way: Way) -> Driven {
    reject(family, with);
    let (domain, address) = match family {
        "IPv6" => (Domain::IPV6, SocketAddr::from((Ipv6Addr::LOCALHOST, PORT))),
        _ => (Domain::IPV4, SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))),
    };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    if way == Way::AsksWithErrors {
        receive_errors(&socket, domain);
    }
    if way == Way::Waits {
        socket.bind(&SocketAddr::new(address.ip(), 0).into()).expect("a free port");
        let end = End { peer: address, ..End::of(&socket) };
        socket.connect(&address.into()).expect_err("nobody is reached");
        return known(&[end]);
    }
    socket.set_nonblocking(true).expect("a non-blocking socket");
    let error = socket.connect(&address.into()).expect_err("nobody is reached");
    assert_eq!(error.raw_os_error(), Some(libc::EINPROGRESS), "{error}");
    let end = End { peer: address, ..End::of(&socket) };
    stage.until(&end, "CLOSED", "SYN_SENT");
    if way != Way::GivesUp {
        wait_for_error(&socket);
        let error = socket.take_error().expect("SO_ERROR");
        assert!(error.is_some(), "poll() has said that there is an error");
    }
    known(&[end])
}

fn wait_for_error(socket: &Socket) {
    let patience = Timespec::try_from(allowed(Duration::from_secs(5))).expect("a short time");
    let mut polled = [PollFd::new(socket, PollFlags::OUT)];
    let ready = poll(&mut polled, Some(&patience)).expect("poll");
    assert!(ready > 0 && polled[0].revents().contains(PollFlags::ERR), "{polled:?}");
}

/// IP_RECVERR or IPV6_RECVERR.
fn receive_errors(socket: &Socket, domain: Domain) {
    let (level, option) = if domain == Domain::IPV6 {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    } else {
        (libc::IPPROTO_IP, libc::IP_RECVERR)
    };
    tracer_lab::options::set(socket, level, option, 1).expect("IP_RECVERR");
}
