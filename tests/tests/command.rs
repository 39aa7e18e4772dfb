//! How a trace ends, and where its output goes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;
use tracer_tests::{
    leashed::Leashed,
    netns::{Namespace, isolated},
    record::Record,
    sockets::{self, Pair, Path, close_client_first, eventually},
    tracer::{Trace, Tracer, command, read_all, wait},
};

#[test]
fn a_closed_pipe_ends_the_trace_without_an_error() {
    isolated(|namespace| {
        for format in ["json", "text"] {
            let mut child = command("", &["--format", format, namespace.netns])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let errors = read_all(child.stderr.take().unwrap());
            let mut output = BufReader::new(child.stdout.take().unwrap());
            let mut first = String::new();
            while first.is_empty() {
                // Text has no first line of its own.
                drop(sockets::listen(Path::V4));
                output.read_line(&mut first).unwrap();
            }
            drop(output);
            let ended = Instant::now() + Duration::from_secs(20);
            while child.try_wait().unwrap().is_none() && Instant::now() < ended {
                drop(sockets::listen(Path::V4));
                std::thread::sleep(Duration::from_millis(10));
            }
            let status = wait(&mut child);
            assert_eq!(status.code(), Some(0), "{format}: {status}");
            assert_eq!(errors.join().unwrap(), "", "{format}");
        }
    });
}

#[test]
fn sigterm_ends_the_trace_with_its_summary() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let pair = Pair::over(Path::V4);
        let ends: [_; 2] = pair.ends().into();
        let trace = tracer.finish_by(Some(Signal::TERM));
        for end in &ends {
            assert!(trace.life(end).story().ends_with("ESTABLISHED"));
        }
        assert_eq!(trace.summary.at("/kind"), "summary");
    });
}

#[test]
fn a_signal_right_after_the_first_line_ends_the_trace_in_order() {
    isolated(|namespace| {
        for _ in 0..5 {
            let trace = Tracer::start(namespace, &[]).finish();
            assert_eq!(trace.summary.at("/complete"), true);
        }
    });
}

#[test]
fn the_summary_counts_what_was_told() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &[]);
        let pair = Pair::over(Path::V4);
        drop(close_client_first(&tracer, pair));
        let trace = tracer.finish();
        let told = trace.transitions().count() as u64;
        assert_eq!(trace.summary.number("/records/transition"), Some(told));
        assert_eq!(trace.summary.number("/established"), Some(2));
    });
}

#[test]
fn a_trace_ends_by_itself_when_its_time_is_up() {
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &["--duration", "300ms"]);
        let attached = Instant::now();
        let trace = tracer.finish_by(None);
        assert!(attached.elapsed() >= Duration::from_millis(200), "too early");
        assert!(trace.records.is_empty());
    });
}

/// Lines of a file, once the tracer has begun to write it.
fn wait_for_file(path: &std::path::Path) {
    eventually("the first line of the output file", || {
        fs::read_to_string(path).is_ok_and(|text| text.contains('\n'))
    });
}

fn trace_to_file(namespace: &Namespace, path: &std::path::Path) -> (Tracer, Leashed) {
    let file = path.to_str().unwrap();
    let mut command = command("", &["--format", "json", namespace.netns, "--output", file]);
    let child = Leashed::start(command.stdout(Stdio::piped()));
    let beside = Tracer::start(namespace, &[]);
    wait_for_file(path);
    (beside, child)
}

/// What must be the same in two traces: each tracer looks at the clock, and at who holds the
/// sockets that are there already, at its own time. What happens to two sockets at one time may be told
/// in either order.
fn comparable(trace: &Trace) -> Vec<String> {
    let own = [
        "/time",
        "/tcp/elapsed_ns",
        "/tcp/handshake/duration_ns",
        "/process/evidence",
        "/process/fd",
    ];
    let text = |record: &Record| {
        let mut value = record.value.clone();
        for field in own {
            value.pointer_mut(field).map(Value::take);
        }
        if let Some(process) = value["process"].as_object_mut() {
            process.retain(|_, value| !value.is_null());
        }
        value.to_string()
    };
    let mut all: Vec<(Option<u64>, String)> =
        trace.transitions().map(|one| (one.number("/socket/cookie"), text(one))).collect();
    all.sort_by_key(|(cookie, _)| *cookie);
    all.into_iter().map(|(_, text)| text).collect()
}

#[test]
fn a_file_gets_the_same_lines_as_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace.json");
    isolated(|namespace| {
        let (tracer, mut child) = trace_to_file(namespace, &path);
        drop(close_client_first(&tracer, Pair::over(Path::V4)));
        drop(Pair::over(Path::V6));
        let pipe = tracer.finish();
        child.signal(Signal::INT);
        let status = wait(&mut child);
        assert_eq!(status.code(), Some(0), "{status}");
        let standard = read_all(child.stdout.take().unwrap()).join().unwrap();
        assert_eq!(standard, "", "standard output is not where it should go");
        let text = fs::read_to_string(&path).unwrap();
        let now = Instant::now();
        let file = Trace::new(text.lines().map(|line| Record::parse(line, now)).collect());
        assert!(pipe.transitions().count() > 20);
        for (file, pipe) in comparable(&file).iter().zip(&comparable(&pipe)) {
            assert_eq!(file, pipe);
        }
        assert_eq!(file.transitions().count(), pipe.transitions().count());
    });
}
