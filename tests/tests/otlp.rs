//! A real OTLP receiver gets exactly what the summary says: while it is there, after it was down,
//! and when the queue was too small for what happened meanwhile.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "otlp/tls.rs"]
mod tls;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;
use tracer_tests::{
    background::Background,
    netns::{Namespace, isolated},
    receiver::{Got, Ports, Rotel},
    sockets::{self, Path as Way, eventually, free_port},
    tracer::{command, refused},
};

/// A tracer that sends.
struct Sending {
    tracer: Background,
    path: PathBuf,
}

/// What it has said and left.
struct Sent {
    lines: Vec<Value>,
    errors: String,
    ended_within: Duration,
}

impl Sending {
    fn start(
        namespace: &Namespace,
        directory: &Path,
        options: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let path = directory.join("trace.json");
        // An earlier trace would be taken for the beginning of this one.
        let _ = fs::remove_file(&path);
        let common = ["--format", "json", namespace.netns, "--output", path.to_str().unwrap()];
        let mut command = command("", &[&common, options].concat());
        let tracer = Background::start(command.envs(variables.iter().copied()));
        let sending = Self { tracer, path };
        eventually("the first line", || !sending.lines().is_empty());
        sending
    }

    fn lines(&self) -> Vec<Value> {
        lines(&self.path)
    }

    fn wait_for_loss(&self) {
        let is_loss = |line: &Value| line["kind"] == "loss" && line["where"] == "otlp";
        eventually("the loss is told", || self.lines().iter().any(is_loss));
    }

    fn finish(self) -> Sent {
        let asked = Instant::now();
        let (status, errors) = self.tracer.end(Signal::INT);
        let ended_within = asked.elapsed();
        assert!(status.success(), "{status}: {errors}");
        Sent { lines: lines(&self.path), errors, ended_within }
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // The last one may not be whole yet.
    text.lines().map_while(|line| serde_json::from_str(line).ok()).collect()
}

impl Sent {
    /// What the summary says: records told, and lost on their way to the receiver.
    fn told(&self) -> (u64, u64) {
        let summary = self.lines.last().unwrap();
        assert_eq!(summary["kind"], "summary");
        let records = summary["records"].as_object().unwrap();
        let told = records.values().map(|count| count.as_u64().unwrap()).sum();
        // But for hello and the summary itself.
        assert_eq!(told, self.lines.len() as u64 - 2, "lines that the summary does not count");
        let lost = summary["lost"]["otlp"].as_u64().unwrap();
        assert_eq!(summary["complete"], lost == 0, "{summary}");
        let losses = self.lines.iter().filter(|line| line["where"] == "otlp");
        let said: u64 = losses.map(|line| line["count"].as_u64().unwrap()).sum();
        assert_eq!(said, lost, "the losses told are the ones in the summary");
        (told, lost)
    }
}

fn ports() -> Ports {
    Ports { http: free_port(), grpc: free_port() }
}

/// Lives of connections, some ten records each.
fn lives(count: usize) {
    for _ in 0..count {
        drop(sockets::Pair::over(Way::V4));
    }
}

/// Everything arrives, by this protocol.
fn all_arrives(protocol: &str, compression: &str) {
    let directory = tempfile::tempdir().unwrap();
    let ports = ports();
    isolated(|namespace| {
        let rotel = Rotel::start(ports, directory.path());
        let port = if protocol == "grpc" { ports.grpc } else { ports.http };
        let endpoint = format!("http://127.0.0.1:{port}");
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
            ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
        ];
        let sending = Sending::start(namespace, directory.path(), &["--otlp"], &variables);
        lives(200);
        eventually("metrics arrive", || rotel.so_far().metrics > 0);
        let sent = sending.finish();
        let (told, lost) = sent.told();
        assert_eq!(sent.errors, "", "the tracer complains");
        assert_eq!(lost, 0);
        assert!(told > 1_000, "{told} records of 200 connections");
        let Got { logs, metrics } = rotel.finish();
        println!("{protocol}, {compression}: {logs} of {told} records, {metrics} metrics");
        assert_eq!(logs, told);
    });
}

#[test]
fn the_receiver_gets_all_records_over_http() {
    all_arrives("http/protobuf", "none");
}

#[test]
fn the_receiver_gets_all_records_over_grpc() {
    all_arrives("grpc", "none");
}

#[test]
fn the_receiver_gets_all_records_compressed() {
    all_arrives("http/protobuf", "gzip");
    all_arrives("grpc", "gzip");
}

/// As deploy/kubernetes/overlays/with-agent has it: the tracer, an agent beside it, a gateway. With
/// the same kinds of records.
#[test]
fn an_agent_passes_all_records_on_to_its_gateway() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [agent, gateway] = [ports(), ports()];
    isolated(|namespace| {
        let to = Rotel::start(gateway, directories[1].path());
        let between = Rotel::passing_on(agent, gateway.grpc, directories[0].path());
        let endpoint = format!("http://127.0.0.1:{}", agent.grpc);
        let options = ["--otlp", &endpoint, "--records", "connection,linger,finding"];
        let protocol = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
        let sending = Sending::start(namespace, directories[0].path(), &options, &protocol);
        lives(200);
        let sent = sending.finish();
        let (told, lost) = sent.told();
        assert_eq!((sent.errors.as_str(), lost), ("", 0));
        assert!(told >= 200, "{told} records of 200 connections");
        let kinds = sent.lines.iter().filter(|line| line["kind"] == "transition");
        assert_eq!(kinds.count(), 0);
        eventually("all have passed the agent", || to.so_far().logs >= told);
        assert_eq!(between.finish().logs, told);
        assert_eq!(to.finish().logs, told);
    });
}

/// Down before the start, and once more in between: what fits into the queue arrives later.
#[test]
fn what_happens_while_the_receiver_is_down_arrives_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let ports = ports();
    isolated(|namespace| {
        let endpoint = format!("http://127.0.0.1:{}", ports.http);
        let options = ["--otlp", &endpoint, "--otlp-queue", "4MiB"];
        let sending = Sending::start(namespace, directory.path(), &options, &[]);
        lives(150);
        std::thread::sleep(Duration::from_secs(2));
        let first = Rotel::start(ports, directory.path());
        let before = sending.lines().len() as u64 - 1;
        eventually("what waited has arrived", || first.so_far().logs >= before);
        let first = first.finish().logs;
        lives(150);
        std::thread::sleep(Duration::from_secs(2));
        let second = Rotel::start(ports, directory.path());
        eventually("what waited has arrived again", || second.so_far().logs > 1_000);
        let sent = sending.finish();
        let (told, lost) = sent.told();
        let second = second.finish().logs;
        println!("{first} and {second} of {told} records");
        assert_eq!((first + second, lost), (told, 0));
        assert!(sent.errors.contains("cannot be sent to http://127.0.0.1:"), "{}", sent.errors);
        assert!(sent.errors.contains("are sent again"), "{}", sent.errors);
    });
}

/// Half of it is sent while the other half fills.
#[test]
fn a_queue_of_less_than_a_batch_loses_nothing_to_a_receiver_that_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let ports = ports();
    isolated(|namespace| {
        let rotel = Rotel::start(ports, directory.path());
        let endpoint = format!("http://127.0.0.1:{}", ports.http);
        let options = ["--otlp", &endpoint, "--otlp-queue", "2500"];
        let sending = Sending::start(namespace, directory.path(), &options, &[]);
        // More than fits into it within the second that a batch may wait for more.
        for _ in 0..45 {
            lives(10);
            std::thread::sleep(Duration::from_millis(20));
        }
        let (told, lost) = sending.finish().told();
        let got = rotel.finish().logs;
        println!("{got} of {told} records");
        assert!(told > 4_000, "{told} records of 450 connections");
        assert_eq!((got, lost), (told, 0));
    });
}

#[test]
fn a_queue_that_is_too_small_is_refused_in_one_line() {
    for (queue, named) in [("999", "999 records"), ("100KiB", "100.0 KiB")] {
        let options = ["--otlp", "http://127.0.0.1:9", "--otlp-queue", queue, "--duration", "1s"];
        let errors = refused(&mut command("", &options));
        assert!(errors.contains(&format!("--otlp-queue {named}: too little")), "{errors}");
    }
}

/// What does not fit is lost, counted exactly, and told when the receiver is back.
#[test]
fn what_exceeds_the_queue_is_counted_exactly_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let ports = ports();
    for (protocol, limit) in [("http/protobuf", "1000"), ("grpc", "512KiB")] {
        isolated(|namespace| {
            let port = if protocol == "grpc" { ports.grpc } else { ports.http };
            let endpoint = format!("http://127.0.0.1:{port}");
            let options = ["--otlp", &endpoint, "--otlp-queue", limit];
            let variables = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
            let sending = Sending::start(namespace, directory.path(), &options, &variables);
            lives(150);
            let rotel = Rotel::start(ports, directory.path());
            sending.wait_for_loss();
            lives(10);
            let sent = sending.finish();
            let (told, lost) = sent.told();
            let got = rotel.finish().logs;
            println!("{protocol}, {limit}: {got} of {told} records, {lost} lost");
            assert!(lost > 0, "{limit} hold all of it");
            assert_eq!(got, told - lost);
        });
    }
}

/// Nobody is there, or somebody who never answers: the trace goes on as ever, ends within seconds
/// and says what was not sent.
#[test]
fn a_receiver_that_never_answers_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // In the host's namespace, where the tracer is: the kernel accepts, the test does not.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [free_port(), silent.local_addr().unwrap().port()] {
        isolated(|namespace| {
            let endpoint = format!("http://127.0.0.1:{port}");
            let options = ["--otlp", &endpoint];
            let sending = Sending::start(namespace, directory.path(), &options, &[]);
            lives(50);
            let sent = sending.finish();
            let (told, lost) = sent.told();
            println!("{told} records told, {lost} lost, ended within {:?}", sent.ended_within);
            assert!(told > 500, "{told} records of 50 connections");
            assert_eq!(told, lost);
            assert!(sent.ended_within < Duration::from_secs(10), "{:?}", sent.ended_within);
        });
    }
}
