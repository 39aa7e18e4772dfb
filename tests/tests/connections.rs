//! Connections as a whole: when each is told, with which times and counters, and in every format.

use std::{fs, io::Read as _, process::Stdio, thread, time::Duration};

use tracer_tests::{
    clock::Moment,
    netns::isolated,
    record::{Record, listing},
    sockets::{End, Pair, Path, read_to_end, send},
    tracer::{Trace, Tracer, command},
};

fn connections<'a>(records: &'a [Record], end: &End) -> Vec<&'a Record> {
    let about = |record: &&Record| record.kind() == "connection" && end.is_told_by(record);
    records.iter().filter(about).collect()
}

fn the_one<'a>(trace: &'a Trace, end: &End) -> &'a Record {
    let [one] = connections(&trace.records, end)[..] else {
        panic!("one connection expected:{}", listing(connections(&trace.records, end)))
    };
    one
}

/// The end that closes first is over when it gets to TIME_WAIT, not a minute later.
#[test]
fn a_connection_is_told_when_it_is_over_for_its_application() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let Pair { listener, mut client, mut server } = Pair::over(Path::V4);
        let ends = [&client, &server].map(End::of);
        send(&mut client, &server, b"question");
        send(&mut server, &client, b"answer it");
        // What nobody has read makes an RST of close().
        client.read_exact(&mut [0; 9]).unwrap();
        drop(client);
        assert_eq!(read_to_end(&mut server), b"question");
        drop(server);
        // While it is in TIME_WAIT.
        for end in &ends {
            tracer.wait_for("the whole connection", |record| {
                record.kind() == "connection" && end.is_told_by(record)
            });
        }
        drop(listener);
        let trace = tracer.finish();
        for (end, sent, received) in [(&ends[0], 8, 9), (&ends[1], 9, 8)] {
            let whole = the_one(&trace, end);
            assert!(whole.has("/tcp/close/reason"), "{whole}");
            assert_eq!(whole.number("/tcp/bytes_sent"), Some(sent), "{whole}");
            assert_eq!(whole.number("/tcp/bytes_received"), Some(received), "{whole}");
            let [began, ended] = ["/tcp/began", "/tcp/ended"].map(|field| {
                Moment::parse(whole.text(field).unwrap_or_else(|| panic!("no {field}: {whole}")))
            });
            let lasted = ended.since(began);
            let told = i64::try_from(whole.number("/tcp/duration_ns").unwrap()).unwrap();
            // The wall clock is compared with the monotonic one again and again.
            assert!((lasted - told).abs() < 1_000_000, "{lasted}: {whole}");
            let states = whole.at("/tcp/states").as_object().unwrap();
            let sum: u64 = states.values().map(|time| time.as_u64().unwrap()).sum();
            assert_eq!(Some(sum), whole.number("/tcp/duration_ns"), "{whole}");
            assert!(!states.contains_key("TIME_WAIT"), "{whole}");
        }
        assert_eq!(trace.summary.at("/ended"), 2, "{}", trace.summary);
    });
}

/// What is open when the trace ends was there all the same, and has its counters.
#[test]
fn what_is_open_at_the_end_is_told_with_its_counters() {
    isolated(|namespace| {
        let before = Pair::over(Path::V6);
        let tracer = Tracer::start(namespace, &[]);
        let mut pair = Pair::over(Path::V4);
        let ends = [End::of(&pair.client), End::of(&pair.server)];
        send(&mut pair.client, &pair.server, &[7; 5_000]);
        let quiet = [&before.client, &before.server].map(End::of);
        tracer.wait_for("ESTABLISHED", |record| {
            ends[1].is_told_by(record) && record.at("/tcp/to") == "ESTABLISHED"
        });
        let trace = tracer.finish();
        let open = |end: &End, state: &str| {
            let whole = the_one(&trace, end);
            assert!(whole.at("/tcp/close").is_null(), "{whole}");
            assert!(whole.at("/tcp/ended").is_null(), "{whole}");
            assert_eq!(whole.at("/tcp/state"), state, "{whole}");
            whole.clone()
        };
        let [client, server] = [&ends[0], &ends[1]].map(|end| open(end, "ESTABLISHED"));
        assert_eq!(client.number("/tcp/bytes_sent"), Some(5_000), "{client}");
        assert_eq!(server.number("/tcp/bytes_received"), Some(5_000), "{server}");
        for (quiet, role) in quiet.iter().zip(["client", "server"]) {
            let quiet = open(quiet, "ESTABLISHED");
            assert!(quiet.at("/tcp/began").is_null(), "{quiet}");
            assert_eq!(quiet.at("/tcp/at_least"), true, "{quiet}");
            // A client's SYN is no byte of its data.
            assert_eq!(quiet.at("/tcp/role"), role, "{quiet}");
            assert_eq!(quiet.number("/tcp/bytes_sent"), Some(0), "{quiet}");
        }
        assert_eq!(trace.summary.at("/ended"), 0, "{}", trace.summary);
    });
}

/// A connection that lasts is reported of while it does.
#[test]
fn long_connections_are_told_of_at_intervals() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &["--interval", "1s"]);
        let mut pair = Pair::over(Path::V4);
        let end = End::of(&pair.client);
        let mut counted = Vec::new();
        for round in 1..=2_u64 {
            send(&mut pair.client, &pair.server, &[1; 1_000]);
            let told = tracer.wait_for("the open connection", |record| {
                record.kind() == "connection"
                    && end.is_told_by(record)
                    && record.number("/tcp/bytes_sent") == Some(round * 1_000)
            });
            assert!(told.at("/tcp/close").is_null(), "{told}");
            counted.push(told.number("/tcp/duration_ns").unwrap());
        }
        assert!(counted[0] >= 1_000_000_000 && counted[1] > counted[0], "{counted:?}");
        drop(pair);
        tracer.wait_for("its end", |record| {
            record.kind() == "connection"
                && end.is_told_by(record)
                && record.has("/tcp/close/reason")
        });
        let trace = tracer.finish();
        let ends = connections(&trace.records, &end);
        let over = ends.iter().filter(|record| record.has("/tcp/close/reason")).count();
        assert_eq!(over, 1, "{}", listing(ends));
    });
}

/// Of a short trace each connection is a line, also where this host closes first, and its true
/// duration is a column.
#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn a_short_trace_has_a_line_for_each_connection_in_every_format() {
    isolated(|namespace| {
        let home = tempfile::tempdir().unwrap();
        for format in ["text", "csv"] {
            let path = home.path().join(format);
            let output = path.display().to_string();
            let mut arguments =
                vec![namespace.netns, "--output", &output, "--format", format, "--duration", "3s"];
            arguments.extend((format == "text").then_some("--summary-only"));
            let mut child = command("", &arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            while fs::read(&path).is_ok_and(|bytes| bytes.is_empty()) || !path.exists() {
                thread::sleep(Duration::from_millis(5));
            }
            let listener = Pair::over(Path::V4);
            for _ in 0..5 {
                let Pair { client, server, .. } = Pair::over(Path::V4);
                drop(client);
                drop(server);
            }
            assert!(child.wait().unwrap().success());
            drop(listener);
            let told = fs::read_to_string(&path).unwrap();
            if format == "text" {
                let closed = told.lines().filter(|line| line.contains("closed by")).count();
                assert_eq!(closed, 10, "{told}");
                assert_eq!(
                    told.lines().filter(|line| line.contains("open (")).count(),
                    2,
                    "{told}"
                );
                continue;
            }
            // Which names are quoted differs from file to file.
            let header = told.lines().next().unwrap().replace('"', "");
            let columns: Vec<&str> = header.split(',').collect();
            let at = |name| columns.iter().position(|column| *column == name).unwrap();
            let [kind, lasted, ended] = ["kind", "tcp_duration_ns", "tcp_ended"].map(at);
            let rows: Vec<Vec<&str>> = told.lines().map(|row| row.split(',').collect()).collect();
            let whole: Vec<_> = rows.iter().filter(|row| row[kind] == "connection").collect();
            assert_eq!(whole.len(), 12, "{told}");
            for row in whole.iter().filter(|row| !row[ended].is_empty()) {
                let lasted: u64 = row[lasted].parse().unwrap();
                assert!(lasted < 3_000_000_000, "{row:?}");
            }
            assert_eq!(whole.iter().filter(|row| row[ended].is_empty()).count(), 2, "{told}");
        }
    });
}
