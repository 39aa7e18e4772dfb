//! Descriptors and memory that are scarce: said in one line at the start, or lived with.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use tracer_tests::{
    cgroup::Memory,
    load,
    netns::{Namespace, Resident, isolated},
    sockets::{self, Path, eventually},
    tracer::{Tracer, program, wait},
};

/// Runs a tracer that something limits.
fn limited(limit: &[&str], namespace: &Namespace, options: &[&str]) -> Output {
    let always = ["--format", "json", namespace.netns, "--duration", "100ms"];
    let (first, rest) = limit.split_first().unwrap();
    let mut command = Command::new(first);
    command.args(rest).arg(program()).args(always).args(options).stdin(Stdio::null());
    command.output().unwrap()
}

/// Status 2, and one line that says what is too little and how to get more.
fn is_refused(output: &Output, what: &str, remedy: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("tracer: ") && said.contains(what) && said.contains(remedy), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn too_few_descriptors_are_said_in_one_line() {
    isolated(|namespace| {
        for limit in [4, 8, 12, 20, 40, 60] {
            let output =
                limited(&["prlimit", &format!("--nofile={limit}:{limit}")], namespace, &[]);
            is_refused(&output, "too few file descriptors", "ulimit -n");
        }
    });
}

/// Runs a command of the tracer with so much of `what` and no more.
fn with(what: &str, limit: u64, arguments: &[&str]) -> Output {
    let mut command = Command::new("prlimit");
    command.arg(format!("--{what}={limit}:{limit}")).arg(program()).args(arguments);
    command.stdin(Stdio::null()).output().unwrap()
}

/// Where the program starts at all, it works or says what it lacks.
#[test]
fn too_little_address_space_or_stack_is_said_in_one_line() {
    const MIB: u64 = 1 << 20;
    let limits = (20..120).step_by(3).map(|size| ("as", size * MIB));
    let limits = limits.chain((2..80).step_by(3).map(|size| ("data", size * MIB)));
    let limits = limits.chain([32, 64, 128, 256].map(|size| ("stack", size << 10)));
    let mut refused = 0;
    isolated(|namespace| {
        let trace = [namespace.netns, "--duration", "10ms", "--prometheus", "127.0.0.1:19498"];
        let diagnose = ["diagnose", namespace.netns, "--for", "10ms"];
        let commands = [&trace[..], &diagnose, &["features"], &["sockets", namespace.netns]];
        for arguments in commands {
            let output = with("as", 4096 * MIB, arguments);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "with enough, {arguments:?}: {said}");
        }
        // Before it has begun, the kernel and the loader end it.
        let starts = |what, limit| {
            with(what, limit, &["--version"]).status.code().is_some_and(|code| code != 127)
        };
        for (what, limit) in limits.filter(|&(what, limit)| starts(what, limit)) {
            for arguments in commands {
                let output = with(what, limit, arguments);
                if !output.status.success() {
                    is_refused(&output, "too little ", "ulimit -");
                    refused += 1;
                }
            }
        }
    });
    assert!(refused > 0, "nothing was too little");
}

#[test]
fn the_limit_is_raised_where_that_is_allowed() {
    isolated(|namespace| {
        let output = limited(&["prlimit", "--nofile=16:4096"], namespace, &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
    });
}

#[test]
fn more_namespaces_than_descriptors_are_seen() {
    const NAMESPACES: usize = 120;
    let mut residents = Vec::new();
    isolated(|_| {
        for _ in 0..NAMESPACES {
            residents.push(isolated(|_| (sockets::listen(Path::V4), Resident::settle())));
        }
        let output = Command::new("prlimit")
            .arg("--nofile=70:70")
            .arg(program())
            .args(["sockets", "--format", "json", "--state", "listen"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
        let text = String::from_utf8(output.stdout).unwrap();
        let missing = residents.iter().filter(|(listener, _)| {
            let cookie = sockets::cookie(listener);
            !text.contains(&format!("\"cookie\":{cookie},"))
        });
        assert_eq!(missing.count(), 0);
    });
}

#[test]
fn too_little_memory_is_said_in_one_line() {
    isolated(|namespace| {
        let group = Memory::make("little", 24 << 20);
        let within = ["sh", "-c", r#"echo $$ > "$0"; exec "$@""#, group.processes()];
        is_refused(&limited(&within, namespace, &[]), "too little memory", "MemoryMax=");
        let group = Memory::make("buffer", 64 << 20);
        let within = ["sh", "-c", r#"echo $$ > "$0"; exec "$@""#, group.processes()];
        let output = limited(&within, namespace, &["--buffer-size", "128MiB"]);
        is_refused(&output, "too little memory", "--buffer-size");
        let output =
            limited(&["prlimit", "--as=200000000"], namespace, &["--buffer-size", "128MiB"]);
        is_refused(&output, "too little address space", "--buffer-size");
    });
}

/// Says that the default number of sockets would not fit, and lives with the number that does.
#[test]
fn within_its_memory_a_trace_lives_with_the_sockets_that_fit() {
    const LIMIT: u64 = 128 << 20;
    const SOCKETS: usize = 2_000;
    isolated(|namespace| {
        load::prepare(namespace);
        let start = |number: &str, options: &[&str]| {
            let group = Memory::make(number, LIMIT);
            let mut command = Command::new("sh");
            command.args(["-c", r#"echo $$ > "$0"; exec "$@""#, group.processes()]);
            command.arg(program()).args(["--format", "json", namespace.netns]).args(options);
            (Tracer::run(command.stdin(Stdio::null())), group)
        };
        let (tracer, _group) = start("default", &[]);
        let hello = tracer.so_far().remove(0);
        let degraded = hello.at("/degraded").as_array().unwrap();
        let memory = degraded.iter().find(|one| one["feature"] == "memory").expect("a warning");
        assert!(memory["remedy"].as_str().unwrap().starts_with("--max-sockets "), "{memory}");
        drop(tracer);
        let (tracer, group) = start("fits", &["--max-sockets", &SOCKETS.to_string()]);
        let hello = tracer.so_far().remove(0);
        assert!(!hello.to_string().contains(r#""feature":"memory""#), "{hello}");
        load::connections(10 * SOCKETS);
        eventually("sockets are given up", || {
            let mut records = tracer.so_far().into_iter();
            records.any(|one| one.kind() == "loss" && one.at("/where") == "table")
        });
        assert_eq!(group.killed(), 0);
        drop(tracer);
    });
}

/// A replay takes no more than this, bytes, ...
const REPLAY: u64 = 200 << 20;
/// ... however long the recording is, ...
const RECORDING: usize = 250 << 20;

/// What a recording consists of, its lines by number, and how it is replayed.
type Replayed<'a> = (&'a str, &'a dyn Fn(usize) -> String, &'a [&'a str]);

/// ... and whatever is in it.
#[test]
fn a_recording_is_replayed_in_bounded_memory() {
    let usual = |number| step(number, "/system.slice/a.service");
    let long = |number: usize| step(number, &format!("/{number}{}", "x".repeat(1 << 20)));
    let summary = |_: usize| SUMMARY.to_owned();
    let recordings: [Replayed<'_>; 5] = [
        ("steps", &usual, &["--format", "text"]),
        // All have the same time: nothing is over.
        ("steps", &usual, &["--format", "ladder"]),
        ("long names", &long, &["--format", "text"]),
        ("long names, nothing told", &long, &["--format", "json", "--port", "9"]),
        ("summaries", &summary, &["--format", "text"]),
    ];
    for (what, line, options) in recordings {
        let peak = replay(line, RECORDING, options);
        println!("{what}, {options:?}: {} MiB", peak >> 20);
        assert!(peak < REPLAY, "{what}, {options:?}: {} MiB", peak >> 20);
    }
}

const HELLO: &str = r#"{"kind":"hello","time":"2026-01-31T12:00:00Z","schema":"2.0","version":"1","kernel":"6","mode":"btf","monotonic_ns":1,"degraded":[],"options":[]}"#;
const SUMMARY: &str = r#"{"kind":"summary","time":"2026-01-31T12:00:01Z","transitions":{"tracepoint":0,"snapshot":0,"timer":0,"inferred":0},"established":0,"ended":0,"lingered":0,"records":{"transition":0,"retransmit":0,"reset":0,"connection":0,"linger":0,"loss":0,"finding":0},"lost":{"ring_buffer":0,"recursion":0,"decode":0,"unseen":0,"table":0,"output":0},"reader_lag_ns":0,"complete":true}"#;

/// A transition of a socket in a control group.
fn step(number: usize, group: &str) -> String {
    let socket = format!(
        r#"{{"cookie":{number},"ordinal":1,"netns":1,"uid":0,"inode":1,"cgroup":"{group}"}}"#
    );
    let network = r#"{"transport":"tcp","type":"ipv4","local":{"address":"127.0.0.1","port":1},"peer":{"address":"127.0.0.1","port":2}}"#;
    let tcp = r#"{"from":"CLOSED","to":"SYN_SENT","role":"client","source":"tracepoint","elapsed_ns":null}"#;
    format!(
        r#"{{"kind":"transition","time":"2026-01-31T12:00:01Z","socket":{socket},"network":{network},"process":null,"tcp":{tcp}}}"#
    )
}

/// Peak memory of a replay of so many bytes.
fn replay(line: impl Fn(usize) -> String, size: usize, options: &[&str]) -> u64 {
    let mut child = Command::new(program())
        .args(["replay", "-"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    writeln!(pipe, "{HELLO}").unwrap();
    let (mut written, mut number) = (0, 0);
    while written < size {
        let line = line(number) + "\n";
        // Making them takes longer than reading them.
        let lines = if line.len() > 10_000 { line } else { line.repeat(256) };
        pipe.write_all(lines.as_bytes()).unwrap();
        written += lines.len();
        number += 1;
    }
    // All but what is in the pipe has been read.
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    drop(pipe);
    let status = wait(&mut child);
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    assert!(status.success(), "{said}");
    peak * 1024
}
