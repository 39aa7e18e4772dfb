//! The end of an output: where it is not written the status is 2, whatever the destination; and no
//! signal takes it away.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;
use tracer_tests::{
    background::Background,
    load,
    netns::{isolated, run},
    output::record,
    sockets::{eventually, free_port},
    tracer::{command, program},
};

/// Of a trace whose reader stops reading after the first line.
fn stopped(mut tracer: Background, reader: impl std::io::Read) {
    let mut reader = BufReader::with_capacity(1, reader);
    reader.read_until(b'\n', &mut Vec::new()).unwrap();
    // More than fits into a pipe.
    load::connections(300);
    thread::sleep(Duration::from_millis(200));
    assert!(tracer.is_running());
    let (status, errors) = tracer.end(Signal::INT);
    assert_eq!(status.code(), Some(2), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains("the end of the trace could not be written to "), "{errors}");
    assert!(errors.contains("does not read"), "{errors}");
}

#[test]
fn a_reader_that_stops_reading_misses_the_end() {
    isolated(|namespace| {
        load::prepare(namespace);
        let options = ["--format", "json", namespace.netns];
        let (tracer, pipe) = Background::piped(&mut command("", &options));
        stopped(tracer, pipe);
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        run("mkfifo", &[fifo.to_str().unwrap()]);
        let output = ["--output", fifo.to_str().unwrap()];
        let tracer = Background::start(&mut command("", &[&options[..], &output].concat()));
        let reader = File::open(&fifo).unwrap();
        stopped(tracer, reader);
    });
}

#[test]
fn a_reader_that_closes_the_output_ends_the_trace_in_order() {
    isolated(|namespace| {
        load::prepare(namespace);
        let options = ["--format", "json", namespace.netns];
        let (tracer, pipe) = Background::piped(&mut command("", &options));
        let mut reader = BufReader::new(pipe);
        reader.read_until(b'\n', &mut Vec::new()).unwrap();
        drop(reader);
        load::connections(5);
        assert!(tracer.wait().0.success());
    });
}

#[test]
fn a_deleted_file_has_no_end() {
    isolated(|namespace| {
        load::prepare(namespace);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace");
        let tracer = record("", namespace, &path, &[]);
        fs::remove_file(&path).unwrap();
        let (status, errors) = tracer.end(Signal::INT);
        assert_eq!(status.code(), Some(2), "{errors}");
        assert!(errors.contains("it has been deleted"), "{errors}");
        let tracer = record("", namespace, &path, &[]);
        fs::remove_file(&path).unwrap();
        load::connections(50);
        thread::sleep(Duration::from_millis(200));
        // From then on all is in the new one, what was lost is told there.
        tracer.signal(Signal::HUP);
        eventually("it is made anew", || path.exists());
        eventually("the loss is told", || {
            load::connections(1);
            fs::read_to_string(&path).unwrap().contains(r#""where":"output""#)
        });
        let (status, errors) = tracer.end(Signal::INT);
        assert_eq!(status.code(), Some(0), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        let text = fs::read_to_string(&path).unwrap();
        let summary: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert!(summary["lost"]["output"].as_u64().unwrap() > 500, "{summary}");
    });
}

#[test]
fn a_deleted_parquet_file_has_no_end() {
    isolated(|namespace| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace");
        let options = ["--format", "parquet", "--output", path.to_str().unwrap()];
        let tracer = Background::tracer("", namespace, &options);
        eventually("it is attached", || tracer.is_attached());
        fs::remove_file(&path).unwrap();
        let (status, errors) = tracer.end(Signal::INT);
        assert_eq!(status.code(), Some(2), "{errors}");
        assert!(errors.contains("could not be written to"), "{errors}");
    });
}

#[test]
fn a_full_device_fails_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let recording = directory.path().join("recording");
    let recorded = recording.to_str().unwrap();
    run(program().to_str().unwrap(), &["--format", "json", "-o", recorded, "-d", "50ms"]);
    for arguments in [
        &["sockets"][..],
        &["sockets", "--format", "json"],
        &["diagnose", "--for", "50ms", "--fail-on", "critical"],
        &["diagnose", "--for", "50ms", "--format", "json"],
        &["replay", recorded],
        &["replay", recorded, "--format", "csv", "--output", "/dev/full"],
        &["report", recorded, "-o", "/dev/full"],
        &["features"],
        &["schema"],
        &["completions", "bash"],
        &["--help"],
        &["trace", "--help"],
        &["--version"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = Command::new(program()).args(arguments).stdout(full).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.lines().any(|line| line.starts_with("tracer: ")), "{arguments:?}: {errors}");
        let (status, errors) = with_stdout_closed(arguments);
        // What goes to a file of its own does not need it.
        let said = match arguments {
            ["report", ..] | [.., "--output", _] => "/dev/full",
            _ => "cannot write to standard output: it is closed",
        };
        assert_eq!(status, Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(said), "{arguments:?}: {errors}");
    }
    assert_eq!(with_stdout_closed(&["replay", recorded, "--quiet", "-o", "/dev/null"]).0, Some(0));
}

/// The status and the errors of a program that is started without standard output.
fn with_stdout_closed(arguments: &[&str]) -> (Option<i32>, String) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" \"$@\" >&-"]).arg(program()).args(arguments);
    let output = shell.output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Starts a tracer, and returns as soon as it runs code of its own.
fn just_started(path: &Path) -> Background {
    let options = ["--format", "json", "--output", path.to_str().unwrap()];
    let tracer = Background::start(Command::new(program()).args(options));
    let status = format!("/proc/{}/status", tracer.id());
    // SIGHUP is 1, SIGINT 2, SIGUSR1 10, SIGTERM 15.
    let holds =
        |line: &str| line.strip_prefix("SigBlk:\t").is_some_and(|set| set.ends_with("4203"));
    eventually("signals are held", || fs::read_to_string(&status).unwrap().lines().any(holds));
    tracer
}

#[test]
fn no_signal_is_too_early() {
    let directory = tempfile::tempdir().unwrap();
    for (at, signal) in [Signal::INT, Signal::TERM, Signal::TERM].into_iter().enumerate() {
        let path = directory.path().join(at.to_string());
        let tracer = just_started(&path);
        for signal in [Signal::HUP, Signal::USR1, Signal::USR2] {
            tracer.signal(signal);
        }
        // The first at once, the others somewhere in the middle of the start.
        thread::sleep(Duration::from_millis(25 * at as u64));
        let (status, errors) = tracer.end(signal);
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""), "{signal:?}");
        let text = fs::read_to_string(&path).unwrap();
        let kinds: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(kinds[0]["kind"], "hello");
        assert_eq!(kinds.last().unwrap()["kind"], "summary", "{text}");
    }
}

#[test]
fn a_pipe_that_nobody_reads_can_be_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    run("mkfifo", &[fifo.to_str().unwrap()]);
    let (status, errors) = just_started(&fifo).end(Signal::INT);
    assert_eq!(status.code(), Some(2), "{errors}");
    assert!(errors.contains("ended by a signal before the outputs were open"), "{errors}");
}

/// SIGXFSZ would end the process in the middle of a line, and without a word.
#[test]
fn a_file_that_may_not_get_larger_is_as_a_full_disk() {
    isolated(|namespace| {
        load::prepare(namespace);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace");
        let tracer = record("", namespace, &path, &[]);
        run("prlimit", &["--pid", &tracer.id().to_string(), "--fsize=50000:1000000000"]);
        load::connections(50);
        thread::sleep(Duration::from_millis(300));
        run("prlimit", &["--pid", &tracer.id().to_string(), "--fsize=1000000000"]);
        eventually("the loss is told", || {
            load::connections(1);
            fs::read_to_string(&path).unwrap().contains(r#""where":"output""#)
        });
        let (status, errors) = tracer.end(Signal::INT);
        assert_eq!(status.code(), Some(0), "{errors}");
        assert_eq!(errors.matches("cannot write to").count(), 1, "{errors}");
    });
}

/// Each second datagram to a port on which nobody listens is refused.
#[test]
fn what_works_and_fails_in_turns_is_not_said_each_time() {
    isolated(|namespace| {
        load::prepare(namespace);
        let syslog = format!("udp://127.0.0.1:{}", free_port());
        let options = ["--syslog", &syslog, "--quiet"];
        let tracer = Background::tracer("", namespace, &options);
        eventually("it is attached", || tracer.is_attached());
        load::connections(200);
        let (status, errors) = tracer.end(Signal::INT);
        assert!(status.success(), "{errors}");
        let said = errors.matches("cannot write to").count();
        assert!((1..=3).contains(&said), "{said} times: {errors}");
    });
}
