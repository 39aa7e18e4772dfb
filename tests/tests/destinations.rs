//! Where else a trace goes: the journal, syslog, and what analysis reads.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use rustix::process::Signal;
use serde_json::Value;
use tracer_tests::{
    background::Background,
    database::duckdb,
    load,
    netns::{Namespace, isolated},
    sockets::{self, Pair, eventually},
    syslog::{Manner, Receiver},
    tracer::program,
};

/// A mount namespace in which journald, or nothing, has /run to itself.
const OWN_RUN: &str = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal /run/log/journal";

/// journald as it is, in a mount namespace of its own.
fn journald() -> Background {
    let script = format!("{OWN_RUN} && exec /lib/systemd/systemd-journald");
    let journald =
        Background::start(Command::new("unshare").args(["--mount", "sh", "-c", &script]));
    let socket = journald.inside("/run/systemd/journal/socket");
    eventually("journald listens", || socket.exists());
    journald
}

/// A tracer that finds that journald.
fn beside(journald: &Background, namespace: &Namespace, options: &[&str]) -> Background {
    let id = journald.id();
    let net = format!("--net=/proc/{}/ns/net", std::process::id());
    let mut command = Command::new("nsenter");
    command.args([&format!("--mount=/proc/{id}/ns/mnt"), &net]).arg(program());
    command.args(["--netns", &namespace.inode.to_string()]).args(options);
    Background::start(&mut command)
}

fn journal(journald: &Background, matches: &[&str]) -> Vec<Value> {
    let output = Command::new("journalctl")
        .arg("--directory")
        .arg(journald.inside("/run/log/journal"))
        .args(["--output", "json", "--all", "SYSLOG_IDENTIFIER=tracer"])
        .args(matches)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn journalctl_finds_an_event_by_its_fields() {
    let journald = journald();
    isolated(|namespace| {
        let options = ["--journald", "--quiet", "--linger", "close-wait=300ms"];
        let tracer = beside(&journald, namespace, &options);
        eventually("the tracer begins", || !journal(&journald, &["KIND=hello"]).is_empty());
        let Pair { client, server, .. } = Pair::over(sockets::Path::V4);
        let port = client.local_addr().unwrap().port().to_string();
        drop(client);
        let peer = format!("NETWORK_PEER_PORT={port}");
        eventually("the flag is in the journal", || {
            !journal(&journald, &["KIND=linger", &peer]).is_empty()
        });
        drop(server);
        tracer.finish();
        let found = journal(&journald, &["TCP_STATE=CLOSE_WAIT", "KIND=transition", &peer]);
        let [event] = &found[..] else { panic!("{found:?}") };
        assert_eq!(event["TCP_FROM"], "ESTABLISHED");
        assert_eq!(event["TCP_TO"], "CLOSE_WAIT");
        assert_eq!(event["NETWORK_LOCAL_ADDRESS"], "127.0.0.1");
        assert_eq!(event["PRIORITY"], "6");
        assert_eq!(event["PROCESS_PID"], std::process::id().to_string());
        let message = event["MESSAGE"].as_str().unwrap();
        assert!(message.contains("ESTABLISHED → CLOSE_WAIT after "), "{message}");
        assert!(message.ends_with(": FIN received"), "{message}");
        let flags = journal(&journald, &["KIND=linger", "PRIORITY=4", &peer]);
        assert!(flags[0]["MESSAGE"].as_str().unwrap().starts_with("⚑ stuck in CLOSE_WAIT for"));
        let [summary] = &journal(&journald, &["KIND=summary"])[..] else { panic!("one summary") };
        assert_eq!(summary["COMPLETE"], "true", "{summary}");
    });
    drop(journald);
}

#[test]
fn what_the_journal_did_not_get_is_counted() {
    let journald = journald();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace");
    isolated(|namespace| {
        let output = ["--format", "json", "--output", path.to_str().unwrap()];
        let tracer = beside(&journald, namespace, &[&["--journald"], &output[..]].concat());
        eventually("the tracer begins", || !journal(&journald, &["KIND=hello"]).is_empty());
        journald.end(Signal::KILL);
        load::connections(20);
        let (status, errors) = tracer.end(Signal::INT);
        assert_eq!(status.code(), Some(0), "{errors}");
        assert_eq!(errors.matches("cannot write to the journal").count(), 1, "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    });
    let text = fs::read_to_string(&path).unwrap();
    let summary: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(summary["complete"], false, "{summary}");
    let records = |kind: &str| summary["records"][kind].as_u64().unwrap();
    let told = records("transition") + records("connection");
    let lost = summary["lost"]["journal"].as_u64().unwrap();
    assert!(told >= 200 && lost >= told, "{summary}");
    assert!(text.contains(r#""where":"journal""#), "the loss is not told");
}

#[test]
fn without_journald_there_is_one_line_that_says_so() {
    isolated(|namespace| {
        let options = ["--journald", "--duration", "100ms"];
        let tracer = Background::tracer(OWN_RUN, namespace, &options);
        let (status, errors) = tracer.wait();
        assert_eq!(status.code(), Some(2), "{errors}");
        assert!(errors.starts_with("tracer: --journald: journald does not listen"), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    });
}

/// rsyslog as it is, on loopback and a Unix socket, writing what it has understood as JSON.
fn rsyslog(directory: &Path, port: u16) -> Background {
    let place = directory.display();
    let configuration = format!(
        "global(workDirectory=\"{place}\")\n\
         module(load=\"imudp\")\nmodule(load=\"imtcp\")\n\
         module(load=\"imuxsock\" SysSock.Use=\"off\")\nmodule(load=\"mmpstrucdata\")\n\
         input(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\")\n\
         input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")\n\
         input(type=\"imuxsock\" Socket=\"{place}/log\" useSpecialParser=\"off\" parseHostname=\"on\" ignoreTimestamp=\"off\")\n\
         action(type=\"mmpstrucdata\")\n\
         template(name=\"all\" type=\"list\") {{ constant(value=\"{{\\\"in\\\":\\\"\")\
         property(name=\"inputname\") constant(value=\"\\\",\\\"severity\\\":\")\
         property(name=\"syslogseverity\") constant(value=\",\\\"app\\\":\\\"\")\
         property(name=\"app-name\") constant(value=\"\\\",\\\"id\\\":\\\"\")\
         property(name=\"msgid\") constant(value=\"\\\",\\\"time\\\":\\\"\")\
         property(name=\"timereported\" dateFormat=\"rfc3339\")\
         constant(value=\"\\\",\\\"data\\\":\") property(name=\"$!rfc5424-sd\")\
         constant(value=\",\\\"message\\\":\\\"\") property(name=\"msg\" format=\"json\")\
         constant(value=\"\\\"}}\\n\") }}\n\
         action(type=\"omfile\" file=\"{place}/received\" template=\"all\")\n"
    );
    let path = directory.join("rsyslog.conf");
    fs::write(&path, configuration).unwrap();
    let net = format!("--net=/proc/{}/ns/net", std::process::id());
    let mut command = Command::new("nsenter");
    command.args([&net, "rsyslogd", "-n", "-f"]).arg(&path);
    command.arg("-i").arg(directory.join("pid"));
    let rsyslog = Background::start(&mut command);
    eventually("rsyslog listens", || directory.join("log").exists());
    rsyslog
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn rsyslog_understands_the_messages() {
    let directory = tempfile::tempdir().unwrap();
    let port = sockets::free_port();
    let rsyslog = rsyslog(directory.path(), port);
    let received = || fs::read_to_string(directory.path().join("received")).unwrap_or_default();
    let unix = format!("unix://{}/log", directory.path().display());
    let udp = format!("udp://127.0.0.1:{port}");
    let tcp = format!("tcp://127.0.0.1:{port}");
    isolated(|namespace| {
        for (index, address) in [unix, udp, tcp].iter().enumerate() {
            let tracer = Background::tracer("", namespace, &["--syslog", address, "--quiet"]);
            let count = |kind: &str| received().matches(&format!("\"id\":\"{kind}\"")).count();
            eventually("the tracer begins", || count("hello") > index);
            drop(Pair::over(sockets::Path::V4));
            tracer.finish();
            eventually("the last message", || count("summary") > index);
        }
    });
    let (status, errors) = rsyslog.end(Signal::TERM);
    assert!(status.success(), "{errors}");
    let text = received();
    let messages: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let mut inputs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for message in messages.iter().filter(|message| message["id"] == "transition") {
        let data = &message["data"]["tracer@32473"];
        assert_eq!(message["app"], "tracer");
        assert_eq!(message["severity"], 6);
        assert_eq!(data["network_local_address"], "127.0.0.1", "{message}");
        let step = format!(
            "{} → {}",
            data["tcp_from"].as_str().unwrap(),
            data["tcp_to"].as_str().unwrap()
        );
        assert!(message["message"].as_str().unwrap().contains(&step), "{message}");
        let micros = message["time"].as_str().unwrap();
        let nanos = data["time"].as_str().unwrap();
        assert_eq!(micros[..26], nanos[..26]);
        inputs.entry(message["in"].as_str().unwrap()).or_default().push(step);
    }
    assert_eq!(inputs.len(), 3, "by all three ways: {inputs:?}");
    assert!(inputs.values().all(|steps| steps.contains(&"CLOSED → SYN_SENT".to_owned())));
}

/// Traces 100 connections with this destination; the lines but for the summary, and how many of
/// them the summary says syslog has not got.
fn lines_and_lost(address: &str) -> (usize, usize) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace");
    isolated(|namespace| {
        let output = ["--format", "json", "--output", path.to_str().unwrap()];
        let options = [&["--syslog", address], &output[..]].concat();
        let tracer = Background::tracer("", namespace, &options);
        eventually("the tracer is attached", || tracer.is_attached());
        (0..100).for_each(|_| drop(Pair::over(sockets::Path::V4)));
        let (status, errors) = tracer.end(Signal::INT);
        assert_eq!(status.code(), Some(0), "{errors}");
    });
    let text = fs::read_to_string(&path).unwrap();
    let summary: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(summary["kind"], "summary");
    let lost = summary["lost"]["syslog"].as_u64().unwrap_or(0);
    assert_eq!(summary["complete"], lost == 0, "{summary}");
    let lines = text.lines().count() - 1;
    assert!(lines > 1000, "{lines} lines of 100 connections");
    (lines, usize::try_from(lost).unwrap())
}

/// By what its program has read, not by what its kernel has acknowledged.
fn receives_or_is_known_to_miss(manner: Manner) -> (usize, usize) {
    let receiver = Receiver::start(manner);
    let (lines, lost) = lines_and_lost(&format!("tcp://{}", receiver.address()));
    let received: BTreeSet<String> = receiver.finish().into_iter().collect();
    let delivered = received.iter().filter(|message| !message.contains(" summary [")).count();
    println!("{manner:?}: {delivered} of {lines} delivered, {lost} counted as lost");
    assert_eq!(delivered + lost, lines, "{manner:?}");
    (delivered, lost)
}

#[test]
fn each_message_over_tcp_is_delivered_when_the_receiver_closes_connections() {
    for manner in [Manner::CloseAfter(100), Manner::CloseAfter(7), Manner::ResetAfter(100)] {
        let (_, lost) = receives_or_is_known_to_miss(manner);
        assert_eq!(lost, 0, "{manner:?}: it is there all the time");
    }
}

#[test]
fn what_a_receiver_never_reads_is_lost() {
    let (delivered, lost) = receives_or_is_known_to_miss(Manner::NeverRead);
    assert!(delivered == 0 && lost > 1000, "{delivered} delivered, {lost} lost");
}

#[test]
fn datagrams_that_nobody_listens_for_are_lost() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (lines, lost) = lines_and_lost(&format!("udp://127.0.0.1:{port}"));
    assert_eq!(lost, lines);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn duckdb_reads_all_that_is_for_analysis() {
    let directory = tempfile::tempdir().unwrap();
    let file = |format: &str| directory.path().join(format!("trace.{format}"));
    isolated(|namespace| {
        load::prepare(namespace);
        let tracers: Vec<Background> = ["json", "csv", "parquet", "logfmt"]
            .into_iter()
            .map(|format| {
                let path = file(format);
                let options = ["--format", format, "--output", path.to_str().unwrap()];
                Background::tracer("", namespace, &options)
            })
            .collect();
        eventually("all are attached", || tracers.iter().all(Background::is_attached));
        load::connections(200);
        tracers.into_iter().for_each(Background::finish);
    });
    let text = fs::read_to_string(file("json")).unwrap();
    let summary: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let told = |kind: &str| summary["records"][kind].as_u64().unwrap().to_string();
    assert!(summary["records"]["transition"].as_u64().unwrap() >= 2000, "{summary}");
    let json = file("json").display().to_string();
    let csv = file("csv").display().to_string();
    let parquet = file("parquet").display().to_string();
    let nested = format!("read_ndjson('{json}', maximum_object_size = 1000000)");
    for (table, close_reason) in [
        (nested.as_str(), "tcp.close.reason"),
        (&format!("'{csv}'"), "tcp_close_reason"),
        (&format!("'{parquet}'"), "tcp_close_reason"),
    ] {
        let counts = duckdb(&format!("SELECT kind, count(*) FROM {table} GROUP BY kind"));
        let of = |kind| counts.iter().find(|row| row[0] == kind).map(|row| row[1].clone());
        for kind in ["transition", "connection"] {
            assert_eq!(of(kind), Some(told(kind)), "{table}: {kind}");
        }
        assert_eq!(of("summary").as_deref(), Some("1"), "{table}");
        let ended = duckdb(&format!(
            "SELECT count(*) FROM {table} WHERE kind = 'connection' AND {close_reason} = 'graceful'"
        ));
        assert_eq!(ended, [[told("connection")]], "{table}");
    }
    for table in [&csv, &parquet] {
        let types =
            duckdb(&format!("SELECT column_name, column_type FROM (DESCRIBE FROM '{table}')"));
        let of = |name| types.iter().find(|row| row[0] == name).map(|row| row[1].as_str());
        assert!(of("time").is_some_and(|kind| kind.starts_with("TIMESTAMP")), "{table}: {types:?}");
        assert_eq!(of("network_peer_port"), Some("BIGINT"), "{table}");
        assert_eq!(of("tcp_orphaned"), Some("BOOLEAN"), "{table}");
    }
    let logfmt = fs::read_to_string(file("logfmt")).unwrap();
    let transitions = logfmt.lines().filter(|line| line.contains(" kind=transition "));
    assert_eq!(transitions.count().to_string(), told("transition"));
}
