//! Ephemeral ports that run out: said at once, of whom and to where, and of nobody else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{SocketAddr, TcpStream};

use tracer_tests::{
    diagnosis::Diagnosis,
    netns::{Namespace, isolated},
    peer::Peer,
    record::Record,
    sockets::{self, Path},
    tracer::Tracer,
};

const FAULT: &str = env!("CARGO_BIN_EXE_fault");
const PORTS: usize = 10;

/// Two listeners, and a range of ten ports that holds neither's.
fn narrow(namespace: &Namespace) -> [std::net::TcpListener; 2] {
    let listeners = [(); 2].map(|()| sockets::listen(Path::V4));
    namespace.set("net/ipv4/ip_local_port_range", "20000 20009");
    listeners
}

fn address(listener: &std::net::TcpListener) -> SocketAddr {
    listener.local_addr().unwrap()
}

fn findings<'a>(records: &'a [Record], code: &str) -> Vec<&'a Record> {
    let of_code =
        |record: &&Record| record.kind() == "finding" && record.at("/finding/code") == code;
    records.iter().filter(of_code).collect()
}

/// Takes what has connected, so that no queue fills.
fn accept(listener: &std::net::TcpListener, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| sockets::accept(listener)).collect()
}

#[test]
fn failures_are_told_within_a_second_with_process_and_destination() {
    isolated(|namespace| {
        let [full, free] = narrow(namespace);
        let tracer = Tracer::start(namespace, &[]);
        let mut greedy = Peer::start(FAULT, "greedy", &["exhaust", &address(&full).to_string()]);
        assert_eq!(greedy.answer(), PORTS.to_string());
        // The same ports, to another destination: nothing is wrong with that.
        let other = TcpStream::connect(address(&free)).unwrap();
        let first =
            tracer.wait_for("the failure", |record| record.at("/finding/code") == "no_local_port");
        assert_eq!(first.at("/status"), "raised");
        assert_eq!(first.at("/finding/severity"), "critical");
        let evidence = first.at("/finding/evidence");
        let count = evidence["count"].as_u64().unwrap();
        assert!((1..=5).contains(&count), "within a second: {count}");
        assert_eq!(evidence["process"]["pid"], greedy.pid());
        assert_eq!(evidence["process"]["name"], "greedy");
        assert_eq!(evidence["peer"]["port"], address(&full).port());
        let busy = tracer.wait_for("the destination's ports", |record| {
            record.at("/finding/code") == "ephemeral_ports"
                && record.at("/finding/severity") == "critical"
        });
        assert_eq!(busy.at("/finding/evidence/peer/port"), address(&full).port());
        let streams = accept(&full, PORTS);
        drop((greedy, streams, other));
        let trace = tracer.finish();
        let told = findings(&trace.records, "no_local_port");
        let raised = told.iter().filter(|record| record.at("/status") == "raised");
        assert_eq!(raised.count(), 1, "one finding, not five");
        for record in findings(&trace.records, "ephemeral_ports") {
            let port = record.at("/finding/evidence/peer/port");
            assert_ne!(port, address(&free).port(), "{record}");
        }
    });
}

#[test]
fn a_destination_without_free_ports_is_found_by_the_looks() {
    isolated(|namespace| {
        let [full, free] = narrow(namespace);
        let mut greedy = Peer::start(FAULT, "greedy", &["exhaust", &address(&full).to_string()]);
        assert_eq!(greedy.answer(), PORTS.to_string());
        let other = TcpStream::connect(address(&free)).unwrap();
        let streams = accept(&full, PORTS);
        let diagnosis = Diagnosis::of(namespace, &[]);
        assert_eq!(diagnosis.status, 1);
        let finding = diagnosis.only("ephemeral_ports");
        assert_eq!(finding.at("/finding/severity"), "critical", "{finding}");
        let evidence = finding.at("/finding/evidence");
        assert_eq!(evidence["scope"], "destination");
        assert_eq!(evidence["peer"]["port"], address(&full).port());
        assert_eq!((&evidence["used"], &evidence["range_ports"]), (&10.into(), &10.into()));
        assert_eq!(evidence["states"]["ESTABLISHED"], PORTS);
        assert_eq!(evidence["processes"][0]["process"]["pid"], greedy.pid());
        assert_eq!(evidence["processes"][0]["sockets"], PORTS);
        drop((streams, other));
        greedy.close();
    });
}

#[test]
fn failures_while_observed_are_one_finding_with_their_number() {
    isolated(|namespace| {
        let [full, free] = narrow(namespace);
        let _other = TcpStream::connect(address(&free)).unwrap();
        let mut greedy = None;
        let diagnosis = Diagnosis::during(namespace, || {
            let arguments = ["exhaust", &address(&full).to_string()];
            let greedy = greedy.insert(Peer::start(FAULT, "greedy", &arguments));
            assert_eq!(greedy.answer(), PORTS.to_string());
        });
        let greedy = greedy.unwrap();
        let evidence = diagnosis.evidence("no_local_port");
        assert_eq!(evidence["count"], 5, "one that ended the loop, four more");
        assert_eq!(evidence["process"]["pid"], greedy.pid());
        assert_eq!(evidence["peer"]["port"], address(&full).port());
        assert_eq!(evidence["range_ports"], PORTS);
        let ports = diagnosis.evidence("ephemeral_ports");
        assert!(ports["connections_per_second"].as_f64() > Some(0.0), "{ports}");
        assert!(ports["growth_per_minute"].as_f64() > Some(0.0), "{ports}");
    });
}

#[test]
fn ports_bound_before_connecting_are_one_pool_for_all_destinations() {
    isolated(|namespace| {
        let [one, another] = narrow(namespace);
        let addresses = [&one, &another].map(|listener| address(listener).to_string());
        let arguments = ["bind-first", &addresses[0], &addresses[1]];
        let mut binder = Peer::start(FAULT, "binder", &arguments);
        assert_eq!(binder.answer(), PORTS.to_string());
        let streams = [&one, &another].map(|listener| accept(listener, PORTS / 2));
        let diagnosis = Diagnosis::of(namespace, &[]);
        // The destinations have half of the range each, and are not to blame.
        let pool = diagnosis.only("ephemeral_ports");
        assert_eq!(pool.at("/finding/evidence/scope"), "bind_first", "{pool}");
        let processes = pool.at("/finding/evidence/processes").as_array().unwrap();
        assert_eq!(processes.len(), 1, "{pool}");
        assert_eq!(processes[0]["process"]["pid"], binder.pid());
        assert_eq!(pool.at("/finding/severity"), "critical", "{pool}");
        assert_eq!(pool.at("/finding/evidence/used"), PORTS);
        assert_eq!(pool.at("/finding/evidence/destinations"), 2);
        let remedies = pool.at("/finding/remedies").to_string();
        assert!(remedies.contains("IP_BIND_ADDRESS_NO_PORT"), "{remedies}");
        drop(streams);
        binder.close();
    });
}

#[test]
fn a_range_with_room_is_not_spoken_of() {
    isolated(|namespace| {
        let [one, another] = narrow(namespace);
        let clients: Vec<TcpStream> = [&one, &another]
            .iter()
            .flat_map(|listener| (0..4).map(|_| TcpStream::connect(address(listener)).unwrap()))
            .collect();
        let streams = [accept(&one, 4), accept(&another, 4)];
        let diagnosis = Diagnosis::of(namespace, &[]);
        assert_eq!((diagnosis.status, diagnosis.findings.len()), (0, 0));
        drop((clients, streams));
    });
}

/// TIME_WAIT belongs to nobody: who closed is remembered.
#[test]
fn ports_in_time_wait_are_those_of_who_closed_first() {
    isolated(|namespace| {
        namespace.set("net/ipv4/tcp_tw_reuse", "0");
        let [full, _free] = narrow(namespace);
        let diagnosis = Diagnosis::during(namespace, || {
            for _ in 0..PORTS {
                let (client, mut server) = sockets::connect(&full, Path::V4);
                drop(client);
                sockets::wait_for_end(&mut server);
            }
        });
        let evidence = diagnosis.evidence("ephemeral_ports");
        assert_eq!(evidence["states"], serde_json::json!({ "TIME_WAIT": PORTS }));
        assert_eq!(evidence["reusable"], 0);
        let own = std::process::id();
        assert_eq!(evidence["processes"][0]["process"]["pid"], own, "{evidence}");
        assert_eq!(evidence["processes"][0]["sockets"], PORTS);
    });
}

/// On the loopback interface connect() takes them over after a second: they are not in use.
#[test]
fn ports_that_connect_may_take_over_are_not_missed() {
    isolated(|namespace| {
        let [full, _free] = narrow(namespace);
        for _ in 0..PORTS {
            let (client, mut server) = sockets::connect(&full, Path::V4);
            drop(client);
            sockets::wait_for_end(&mut server);
        }
        let diagnosis = Diagnosis::of(namespace, &["--for", "2s"]);
        assert_eq!((diagnosis.status, diagnosis.findings.len()), (0, 0));
        assert_eq!(diagnosis.summary.at("/sockets/TIME_WAIT"), PORTS);
        let (_client, _server) = sockets::connect(&full, Path::V4);
    });
}
