//! Which records are written: kinds, findings by severity, a sample of connections. Metrics count
//! all the same.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{SocketAddr, TcpStream},
};

use tracer_tests::{
    netns::isolated,
    receiver::fetch,
    record::Record,
    sockets::{self, Path, eventually, free_port},
    tracer::{Trace, Tracer},
};

/// Connections: enough that a quarter of them is not none.
const COUNT: u64 = 80;

/// Each is reset at once, which is all there is to it.
fn connections() {
    let listener = sockets::listen(Path::V4);
    for _ in 0..COUNT {
        let (client, server) = sockets::connect(&listener, Path::V4);
        sockets::linger_zero(&client);
        drop(client);
        drop(server);
    }
}

fn metric(port: u16, name: &str) -> u64 {
    let text = fetch(&format!("http://127.0.0.1:{port}/metrics"), &[]).unwrap();
    let values = text.lines().filter(|line| line.starts_with(name));
    values.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap() as u64).sum()
}

#[test]
fn only_the_kinds_that_are_named_are_written_and_everything_is_counted() {
    let port = free_port();
    isolated(|namespace| {
        let address = format!("127.0.0.1:{port}");
        let kinds = "connection,linger,finding=warning";
        let tracer = Tracer::start(namespace, &["--records", kinds, "--prometheus", &address]);
        connections();
        let closed = "tracer_closes_total";
        eventually("all ends are counted", || metric(port, closed) == 2 * COUNT);
        let steps = metric(port, "tracer_transitions_total");
        assert!(steps >= 2 * 3 * COUNT, "{steps} transitions are counted");
        let Trace { records, summary, .. } = tracer.finish();
        let written: BTreeSet<&str> = records.iter().map(Record::kind).collect();
        assert!(written.contains("connection"), "{written:?}");
        for left_out in ["transition", "retransmit", "reset"] {
            assert!(!written.contains(left_out), "{written:?}");
            assert_eq!(summary.number(&format!("/records/{left_out}")), Some(0), "{summary}");
        }
        assert_eq!(summary.number("/records/connection"), Some(2 * COUNT));
    });
}

fn of_kind(records: &[Record], kind: &str) -> usize {
    records.iter().filter(|record| record.kind() == kind).count()
}

/// As the packaged configuration asks for it.
#[test]
fn of_problems_alone_nothing_else_is_written_and_everything_is_counted() {
    let port = free_port();
    isolated(|namespace| {
        let address = format!("127.0.0.1:{port}");
        let tracer = Tracer::start(namespace, &["--problems", "--prometheus", &address]);
        let listener = sockets::listen(Path::V4);
        for _ in 0..COUNT {
            let (client, server) = sockets::connect(&listener, Path::V4);
            drop(client);
            drop(server);
        }
        let nobody = listener.local_addr().unwrap();
        drop(listener);
        TcpStream::connect(nobody).unwrap_err();
        let opened = "tracer_transitions_total{tcp_from=\"SYN_RECV\",tcp_to=\"ESTABLISHED\"";
        eventually("all handshakes are counted", || metric(port, opened) == COUNT);
        tracer.wait_for("a refusal", |record| record.kind() == "connection");
        let Trace { records, summary, .. } = tracer.finish();
        assert!(of_kind(&records, "transition") < 4, "{records:?}");
        assert_eq!(of_kind(&records, "connection"), 1, "{records:?}");
        assert_eq!(summary.number("/records/connection"), Some(1), "{summary}");
        assert_eq!(summary.value["complete"], true, "{summary}");
    });
}

/// How many state changes there are of each connection, at both ends together.
fn by_connection(trace: &Trace) -> BTreeMap<[SocketAddr; 2], usize> {
    let mut connections = BTreeMap::new();
    for record in trace.transitions().filter(|record| record.peer().unwrap().port() != 0) {
        let mut ends = [record.local().unwrap(), record.peer().unwrap()];
        ends.sort();
        *connections.entry(ends).or_default() += 1;
    }
    connections
}

#[test]
fn a_sample_has_whole_connections_and_of_both_ends() {
    isolated(|namespace| {
        let [all, some] =
            [&[][..], &["--sample", "4"]].map(|options| Tracer::start(namespace, options));
        connections();
        eventually("all ends are told", || {
            let told = all.so_far();
            told.iter().filter(|record| record.kind() == "connection").count() as u64 == 2 * COUNT
        });
        let (all, some) = (all.finish(), some.finish());
        let (whole, sample) = (by_connection(&all), by_connection(&some));
        assert_eq!(whole.len() as u64, COUNT);
        assert!((5..50).contains(&sample.len()), "{} of {COUNT}", sample.len());
        for (ends, count) in &sample {
            assert_eq!(whole.get(ends), Some(count), "{ends:?}");
        }
        // Listeners are no connections.
        let listens = |trace: &Trace| {
            trace
                .transitions()
                .filter(|record| record.text("/tcp/role") == Some("listener"))
                .count()
        };
        assert_eq!(listens(&some), listens(&all));
    });
}
