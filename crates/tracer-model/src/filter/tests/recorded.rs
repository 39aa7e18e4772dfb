//! Findings of a recording, found with another filter.

use rstest::rstest;
use tracer_event::finding::{
    BadEnd, ConnectionResets, EndedGroup, Ends, Finding, KeepaliveRace, NoKeepalive, Problem,
    ProcessEnded, Program, Service, Severity, Status, StuckHandshake, TimeWaitOverflow,
};

use super::*;
use crate::filter::Recorded;

fn process(pid: u32, name: &str) -> Process {
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name.as_bytes());
    Process { pid, comm, start_ns: 0 }
}

fn program(pid: u32, name: &str, container: Option<&str>, unit: Option<&str>) -> Program {
    Program {
        process: process(pid, name),
        executable: None,
        container: container.map(Into::into),
        pod: None,
        pod_name: None,
        unit: unit.map(Into::into),
        freezer: None,
    }
}

fn of(problem: Problem) -> Finding {
    let (severity, status) = (Severity::Warning, Status::Raised);
    Finding { time: 1, severity, status, netns: 7, entry: None, problem }
}

fn at(text: &str) -> Endpoint {
    let (address, port) = text.rsplit_once(':').unwrap();
    Endpoint::new(address.parse().unwrap(), port.parse().unwrap())
}

/// nginx[900], whose connections with one service are reset.
fn resets(service: Service, others: u64) -> Finding {
    of(Problem::ConnectionResets(ConnectionResets {
        process: Some(process(900, "nginx")),
        others,
        service,
        ended: 9,
        ends: vec![BadEnd {
            reason: Reason::ResetReceived,
            connections: 9,
            waited: None,
            after_fin: false,
        }],
        still_open: None,
        since: 1,
    }))
}

fn of_clients() -> Finding {
    resets(Service::Here(at("0.0.0.0:80")), 0)
}

fn to_a_server() -> Finding {
    resets(Service::There(at("10.0.0.3:5432")), 2)
}

fn stuck() -> Finding {
    of(Problem::StuckHandshake(StuckHandshake {
        state: State::SynSent,
        process: None,
        others: 0,
        service: Service::There(at("10.0.0.3:5432")),
        sockets: 3,
        retransmits: 2,
        lost: None,
        answering: 0,
    }))
}

fn race() -> Finding {
    of(Problem::KeepaliveRace(Box::new(KeepaliveRace {
        server: Some(program(900, "nginx", Some("3f2a9c1b04de"), None)),
        client: Some(process(77, "curl")),
        service: at("10.0.0.1:80"),
        resets: 3,
        closed: 9,
        idle: 1,
        spread: 1,
        shortest: 1,
        longest: 1,
        since: 1,
    })))
}

fn idle() -> Finding {
    let services = vec![(Service::Here(at("10.0.0.1:80")), 4)];
    of(Problem::NoKeepalive(NoKeepalive {
        program: program(900, "nginx", None, Some("nginx.service")),
        others: 0,
        sockets: 4,
        longest: 1,
        services,
    }))
}

fn ended(processes: u64) -> Finding {
    let group = EndedGroup {
        path: "/a".into(),
        container: None,
        pod: None,
        pod_name: None,
        unit: None,
        processes,
    };
    of(Problem::ProcessEnded(Box::new(ProcessEnded {
        process: process(900, "nginx"),
        others: 0,
        group: (processes > 0).then_some(group),
        left_open: 1,
        ends: Ends::default(),
        still_closing: 0,
    })))
}

fn time_wait() -> Finding {
    of(Problem::TimeWaitOverflow(TimeWaitOverflow {
        time_wait: 9,
        limit: Some(9),
        skipped: 1,
        services: vec![(Service::Here(at("10.0.0.1:80")), 4)],
        closed_first: tracer_event::close::Initiator::Local,
    }))
}

/// In a recording in which 10.0.0.1 has been an address of the host.
fn is_kept(finding: &Finding, filter: &str) -> bool {
    let mut recorded = Recorded::default();
    recorded.note(&Tuple { local: at("10.0.0.1:9"), peer: at("10.0.0.3:80"), netns: 7 });
    recorded.may_want(&Filter::from(read(filter)), finding)
}

#[rstest]
#[case::our_port("port 80", of_clients(), true)]
#[case::another_port("port 443", of_clients(), false)]
#[case::not_that_port("not port 80", of_clients(), false)]
#[case::the_port_of_our_side("dport 80", of_clients(), false)]
#[case::a_clients_port("dport 50000", of_clients(), true)]
#[case::of_a_server("port 80", to_a_server(), false)]
#[case::of_that_server("dport 5432", to_a_server(), true)]
#[case::one_of_two("sport 80", race(), true)]
#[case::none_of_two("port 443", race(), false)]
#[case::of_many("port 443", idle(), false)]
#[case::that_server("host 10.0.0.3", to_a_server(), true)]
#[case::another_server("host 10.0.0.2", to_a_server(), false)]
#[case::our_own_address("host 10.0.0.1", to_a_server(), true)]
#[case::any_client("host 10.0.0.2", of_clients(), true)]
#[case::ip("ip", to_a_server(), true)]
#[case::ip6("ip6", stuck(), true)]
#[case::state("state syn-sent", stuck(), true)]
#[case::another_state("state close-wait", stuck(), false)]
#[case::namespace("netns inode:7", stuck(), true)]
#[case::another_namespace("netns 4026532205", stuck(), false)]
fn where_its_sockets_are_decides(
    #[case] filter: &str,
    #[case] finding: Finding,
    #[case] kept: bool,
) {
    assert_eq!(is_kept(&finding, filter), kept, "{filter}");
}

#[rstest]
#[case::its_process("pid 900", of_clients(), true)]
#[case::another_process("pid 901", of_clients(), false)]
#[case::not_its_process("not pid 900", of_clients(), false)]
#[case::one_of_a_name("pid 901", to_a_server(), true)]
#[case::nobody_is_named("pid 901", stuck(), true)]
#[case::its_name("comm nginx", to_a_server(), true)]
#[case::another_name("comm curl", to_a_server(), false)]
#[case::either_end("comm curl", race(), true)]
#[case::alone("pid 901", ended(0), false)]
#[case::in_a_group("pid 901", ended(3), true)]
#[case::unit("cgroup nginx.service", idle(), true)]
#[case::no_container("container 3f2a9c1b04de", idle(), false)]
#[case::container("container 3f2a", race(), true)]
#[case::nobody_knows_where("container 3f2a9c1b04de", of_clients(), true)]
#[case::both("pid 900 and port 443", of_clients(), false)]
#[case::one_of_both("pid 900 or port 443", of_clients(), true)]
#[case::a_problem("problem", of_clients(), true)]
fn whose_its_sockets_are_decides(
    #[case] filter: &str,
    #[case] finding: Finding,
    #[case] kept: bool,
) {
    assert_eq!(is_kept(&finding, filter), kept, "{filter}");
}

#[rstest]
fn what_does_not_say_whose_it_is_is_kept(
    #[values("port 443", "host 10.9.9.9", "pid 1", "comm x", "not port 80", "age > 1s")]
    filter: &str,
) {
    assert!(is_kept(&time_wait(), filter));
}

#[test]
fn that_a_finding_is_over_is_wanted_as_it_was() {
    let filter = Filter::from(read("host 10.0.0.2"));
    let mut recorded = Recorded::default();
    assert!(recorded.may_want(&filter, &to_a_server()), "no address of this host is known yet");
    recorded.note(&Tuple { local: at("10.0.0.1:9"), peer: at("10.0.0.3:80"), netns: 7 });
    let over = Finding { status: Status::Cleared, ..to_a_server() };
    assert!(recorded.may_want(&filter, &over));
    assert!(!recorded.may_want(&filter, &over), "another one of the same");
}
