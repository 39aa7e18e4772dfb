//! What was recorded of this kernel is told again, byte for byte, and is as the schema says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    io::Write as _,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path as FilePath,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tracer_tests::{
    loaded::smallest_buffer,
    netns::{Namespace, isolated},
    peer::Peer,
    recording::Recorder,
    slowness::allowed,
    sockets::{self, Pair, Path, eventually},
    tracer::{self, program, read_all, wait},
};

const PEER: &str = env!("CARGO_BIN_EXE_peer");
/// One line of each kind, for the documents.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.jsonl");
const KINDS: [&str; 9] = [
    "hello",
    "transition",
    "retransmit",
    "reset",
    "connection",
    "linger",
    "finding",
    "loss",
    "summary",
];

/// What a command of the program prints; it must succeed.
fn printed(arguments: &[&str]) -> String {
    tracer::printed(Command::new(program()).args(arguments))
}

fn has(path: &FilePath, kind: &str) -> bool {
    fs::read_to_string(path).unwrap().contains(&format!("{{\"kind\":\"{kind}\""))
}

/// A listener that takes two connections and drops the SYNs of all others.
fn full() -> (Socket, SocketAddr) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    (listener, address)
}

/// All kinds of lives: graceful, reset, lingering, unanswered, and too many.
fn live(namespace: &Namespace, path: &FilePath) {
    // A name that speaks to terminals.
    let evil = Peer::server(PEER, "\u{1b}[2J\\x\n\"");
    drop(TcpStream::connect(evil.1).unwrap());
    let Pair { listener, client, server } = Pair::over(Path::V6);
    client.shutdown(Shutdown::Write).unwrap();
    eventually("a flag", || has(path, "linger"));
    drop((client, server, listener));
    let Pair { listener: _listener, client, server: _server } = Pair::over(Path::V4);
    sockets::linger_zero(&client);
    drop(client);
    let (_full, address) = full();
    let waiting: Vec<Socket> = (0..3)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address.into());
            socket
        })
        .collect();
    eventually("a retransmission", || has(path, "retransmit"));
    drop(waiting);
    namespace.set("net/ipv4/ip_local_port_range", "50000 50003");
    let many = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = many.local_addr().unwrap();
    let streams: Vec<_> = (0..6).map(|_| TcpStream::connect(target)).collect();
    assert!(streams.iter().any(Result::is_err), "there were ports enough");
    eventually("a finding", || has(path, "finding"));
    drop(streams);
    namespace.set("net/ipv4/ip_local_port_range", "32768 60999");
    drop(evil.0);
    thread::sleep(Duration::from_millis(300));
}

/// Bursts that do not fit between kernel and tool.
fn losses(path: &FilePath) {
    for _ in 0..50 {
        let listener = sockets::listen(Path::V4);
        for _ in 0..200 {
            drop(sockets::connect(&listener, Path::V4));
        }
        if has(path, "loss") {
            return;
        }
    }
    eventually("a loss", || has(path, "loss"));
}

/// Checks a recording, and what is made of it; its lines.
fn check(path: &FilePath, schema: &jsonschema::Validator) -> Vec<String> {
    let recorded = fs::read_to_string(path).unwrap();
    for line in recorded.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let problems: Vec<_> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{problems:?}: {line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    let file = path.to_str().unwrap();
    let again = printed(&["replay", file, "--format", "json"]);
    for (again, line) in again.lines().zip(recorded.lines()) {
        assert_eq!(again, line);
    }
    assert_eq!(again.len(), recorded.len());
    recorded.lines().map(str::to_owned).collect()
}

/// The views of a recording.
fn look(path: &FilePath) {
    let file = path.to_str().unwrap();
    let ladder = printed(&["replay", file, "--format", "ladder"]);
    assert!(ladder.contains("SYN") && ladder.contains("FIN"), "{ladder}");
    let text = printed(&["replay", file, "--timestamps", "relative"]);
    assert!(text.contains("ESTABLISHED") && text.contains("CLOSE_WAIT"), "{text}");
    assert!(text.contains(r"\x1b[2J\\x\x0a"), "the name is not shown: {text}");
    for text in [&ladder, &text] {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
    let stories = printed(&["replay", file, "--summary-only"]);
    assert!(
        stories.lines().count() < text.lines().count() && stories.contains("reset"),
        "{stories}"
    );
    let filtered = printed(&["replay", file, "--format", "json", "--state", "time-wait"]);
    let of = |kind: &str| filtered.lines().filter(|line| line.contains(kind)).count();
    assert!(of("\"transition\"") > 0 && of("\"SYN_SENT\",\"role\"") == 0, "{filtered}");
}

/// The first line of each kind that tells most.
fn examples(lines: &[String]) -> String {
    let of = |kind: &str| {
        let begin = format!("{{\"kind\":\"{kind}\"");
        let lines = lines.iter().filter(|line| line.starts_with(&begin) && !line.contains("x1b"));
        let told = |line: &&String| match kind {
            "transition" => line.contains("\"handshake\"") && line.contains("\"client\""),
            "connection" => line.contains("\"graceful\"") && line.contains("\"TIME_WAIT\""),
            "linger" => line.contains("\"CLOSE_WAIT\""),
            "reset" => line.contains("\"sent\""),
            "hello" | "summary" => line.contains("8MiB") || line.contains("\"complete\":true"),
            _ => true,
        };
        let mut all: Vec<&String> = lines.collect();
        all.sort_by_key(|line| !told(line));
        format!("{}\n", all.first().unwrap_or_else(|| panic!("no {kind}")))
    };
    KINDS.iter().map(|kind| of(kind)).collect()
}

#[test]
fn a_replay_of_a_recording_produces_byte_for_byte_what_was_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let schema = serde_json::from_str(&printed(&["schema"])).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    isolated(|namespace| {
        let options = ["--linger", "close-wait=50ms,time-wait=100ms", "--stacks"];
        let recorder = Recorder::start(namespace, directory.path(), &options);
        live(namespace, recorder.path());
        let path = recorder.path().to_owned();
        recorder.finish();
        let mut lines = check(&path, &schema);
        look(&path);
        fs::remove_file(&path).unwrap();
        let recorder = Recorder::start(namespace, directory.path(), &[&smallest_buffer()]);
        losses(recorder.path());
        recorder.finish();
        lines.extend(check(&path, &schema));
        for kind in KINDS {
            let begin = format!("{{\"kind\":\"{kind}\"");
            assert!(lines.iter().any(|line| line.starts_with(&begin)), "no {kind} was recorded");
        }
        if env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
            let _held = Pair::over(Path::V4);
            let sockets = printed(&["sockets", "--format", "json", namespace.netns]);
            let told = sockets.lines().find(|line| line.contains("ESTABLISHED")).unwrap();
            // Those that are of no trace stay as they are.
            let there = fs::read_to_string(EXAMPLES).unwrap();
            let of_none = [
                "\"exec\"",
                "\"healthy\"",
                "\"clock\"",
                "\"pair\"",
                "\"diff\"",
                "\"host\",",
                "\"feature\",",
            ];
            let kept = |line: &&str| of_none.iter().any(|word| line.contains(word));
            let kept: String = there.lines().filter(kept).map(|line| format!("{line}\n")).collect();
            fs::write(EXAMPLES, format!("{}{told}\n{kept}", examples(&lines))).unwrap();
        }
    });
}

const HELLO: &str = r#"{"kind":"hello","time":"2026-01-31T12:00:00Z","schema":"2.0","version":"1","kernel":"6","mode":"btf","monotonic_ns":1,"degraded":[],"options":[]}"#;

/// Ctrl-C, while what comes in has no end or does not come.
#[test]
fn an_interrupted_replay_ends_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("page.html");
    let lines = "\n".repeat(1 << 16);
    for endless in [&lines[..], ""] {
        for arguments in
            [&["replay", "-"][..], &["report", "-", "--output", page.to_str().unwrap()]]
        {
            let mut child = Command::new(program())
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut pipe = child.stdin.take().unwrap();
            thread::scope(|scope| {
                // What nobody reads any more cannot be written.
                let pipe = &mut pipe;
                scope.spawn(|| {
                    writeln!(pipe, "{HELLO}").unwrap();
                    while !endless.is_empty() && pipe.write_all(endless.as_bytes()).is_ok() {}
                });
                // The handler is set up.
                eventually("signals are caught", || catches(child.id(), Signal::INT));
                // In the middle, unless the machine is busy.
                thread::sleep(Duration::from_millis(200));
                let begun = Instant::now();
                kill_process(Pid::from_child(&child), Signal::INT).unwrap();
                let status = wait(&mut child);
                assert!(begun.elapsed() < allowed(Duration::from_secs(3)), "{:?}", begun.elapsed());
                let said = read_all(child.stderr.take().unwrap()).join().unwrap();
                let is_early = said == "tracer: nothing was reported: no trace has begun\n";
                assert!(status.success() || is_early, "{arguments:?}: {status}: {said}");
            });
        }
    }
}

/// Whether a signal waits for a process to read it, or has a handler.
fn catches(pid: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let masks = status.lines().filter_map(|line| {
        let mask = line.strip_prefix("SigCgt:\t").or_else(|| line.strip_prefix("SigBlk:\t"))?;
        Some(u64::from_str_radix(mask, 16).unwrap())
    });
    masks.fold(0, |all, mask| all | mask) >> (signal.as_raw() - 1) & 1 == 1
}
