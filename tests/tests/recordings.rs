//! Recordings in the binary form: `tracer record`, and the flight recorder of `tracer daemon`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tracer_tests::{
    background::Background,
    case::python,
    files::set_mode,
    load,
    netns::{Namespace, isolated},
    peer::Peer,
    slowness::fewer,
    sockets::{self, Path as Over, eventually},
    tracer::{Tracer, command, program, refused},
};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

/// What a command of the program prints, and what it complains of.
fn printed(arguments: &[&str]) -> (String, String) {
    let output = Command::new(program()).args(arguments).stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    (String::from_utf8(output.stdout).unwrap(), errors)
}

/// The lines of a recording.
fn replayed(file: &Path) -> Vec<Value> {
    let (text, _) = printed(&["replay", file.to_str().unwrap(), "--format", "json"]);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A recorder of a namespace, attached.
fn record(namespace: &Namespace, file: &Path, options: &[&str]) -> Background {
    let (inode, output) = (namespace.inode.to_string(), file.to_str().unwrap());
    let options = [&["record", "--netns", &inode, "-o", output], options].concat();
    let recorder = Background::start(&mut command("", &options));
    // The magic number alone is no header.
    eventually("the header", || fs::metadata(file).is_ok_and(|file| file.len() > 8));
    recorder
}

/// The state changes that the kernel has told, by socket: who owns it a tracer may know sooner or
/// later.
fn events(lines: &[Value]) -> Vec<String> {
    let told =
        |line: &&Value| line["tcp"]["source"] == "tracepoint" && line["kind"] == "transition";
    let step = |line: &Value| {
        let (socket, tcp) = (&line["socket"]["cookie"], &line["tcp"]);
        format!("{socket} {} {}", tcp["from"], tcp["to"])
    };
    let mut steps: Vec<String> = lines.iter().filter(told).map(step).collect();
    steps.sort();
    steps
}

/// The sizes of the forms, and that every view reads the binary one.
fn check_views(directory: &Path, plain: &Path, packed: &Path) {
    let json = directory.join("c.json");
    fs::write(&json, printed(&["replay", plain.to_str().unwrap(), "--format", "json"]).0).unwrap();
    let [plain_size, packed_size, json_size] =
        [plain, packed, &json].map(|file| fs::metadata(file).unwrap().len());
    assert!(
        plain_size * 3 < json_size && packed_size * 10 < json_size,
        "{plain_size} {packed_size} {json_size}"
    );
    // Every view reads it.
    let (file, page) = (plain.to_str().unwrap(), directory.join("r.html"));
    assert!(printed(&["replay", file, "--format", "ladder"]).0.contains("SYN"));
    printed(&["report", file, "-o", page.to_str().unwrap()]);
    assert!(fs::read_to_string(page).unwrap().contains("200"));
}

#[test]
fn a_recording_holds_what_json_says_in_a_third_of_the_bytes() {
    isolated(|namespace| {
        let directory = tempfile::tempdir().unwrap();
        let [plain, packed] = ["a.rec", "b.rec"].map(|name| directory.path().join(name));
        let recorders =
            [record(namespace, &plain, &[]), record(namespace, &packed, &["--compress"])];
        let tracer = Tracer::start(namespace, &[]);
        let listener = sockets::listen(Over::V4);
        for _ in 0..200 {
            let (client, mut server) = sockets::connect(&listener, Over::V4);
            drop(client);
            sockets::wait_for_end(&mut server);
        }
        drop(listener);
        let trace = tracer.finish();
        for recorder in recorders {
            recorder.finish();
        }
        let told: Vec<Value> = trace
            .records
            .iter()
            .map(|record| serde_json::from_str(&record.to_string()).unwrap())
            .collect();
        let told = events(&told);
        assert!(told.len() > 1900, "{}", told.len());
        for file in [&plain, &packed] {
            let lines = replayed(file);
            assert_eq!(lines.first().unwrap()["kind"], "hello");
            assert_eq!(lines.last().unwrap()["kind"], "summary");
            assert_eq!(lines.last().unwrap()["complete"], true);
            assert_eq!(events(&lines), told);
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        check_views(directory.path(), &plain, &packed);
    });
}

#[test]
fn a_recorder_that_is_killed_leaves_what_happened_a_second_before() {
    isolated(|namespace| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.rec");
        let recorder = record(namespace, &file, &[]);
        let header = fs::metadata(&file).unwrap().len();
        let listener = sockets::listen(Over::V4);
        drop(sockets::connect(&listener, Over::V4));
        eventually("a block", || fs::metadata(&file).unwrap().len() > header);
        recorder.signal(Signal::KILL);
        drop(recorder);
        assert!(!events(&replayed(&file)).is_empty());
        // In the middle of a block.
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - 20]).unwrap();
        let (_, errors) = printed(&["replay", file.to_str().unwrap()]);
        assert!(errors.contains("breaks off"), "{errors}");
    });
}

/// A daemon with a flight recorder.
struct Flight {
    daemon: Background,
    directory: TempDir,
}

impl Flight {
    /// With these settings, besides its directory.
    fn start(namespace: &Namespace, settings: &str) -> Self {
        Self::choosing(namespace, "", settings)
    }

    /// With further options of the daemon.
    fn choosing(namespace: &Namespace, options: &str, settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = directory.path().join("flights");
        fs::create_dir(&files).unwrap();
        let (configuration, output) =
            (directory.path().join("t.toml"), directory.path().join("out.json"));
        let text = format!(
            "netns = {}\nformat = \"json\"\noutput = {output:?}\n{options}\n[recorder]\ndirectory = {files:?}\n{settings}\n",
            namespace.inode
        );
        fs::write(&configuration, text).unwrap();
        set_mode(&configuration, 0o600);
        let daemon = Background::start(&mut command(
            "",
            &["daemon", "--config", configuration.to_str().unwrap()],
        ));
        eventually("the first line", || fs::metadata(&output).is_ok_and(|file| file.len() > 0));
        Self { daemon, directory }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory.path().join("flights")).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Waits for the first file; its lines.
    fn wait_for(&self, reason: &str) -> Vec<Value> {
        eventually(reason, || !self.files().is_empty());
        let files = self.files();
        let name = files[0].file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name.contains(reason), "{name}");
        assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
        // It has its name before it is whole.
        eventually("a whole file", || replayed(&files[0]).len() > 1);
        replayed(&files[0])
    }
}

#[test]
fn a_signal_writes_the_last_minutes_and_the_trace_goes_on() {
    isolated(|namespace| {
        let flight = Flight::start(namespace, "keep = \"10m\"\nfiles = 2\nfinding = \"off\"");
        let listener = sockets::listen(Over::V4);
        drop(sockets::connect(&listener, Over::V4));
        flight.daemon.signal(Signal::USR1);
        let lines = flight.wait_for("signal");
        assert!(events(&lines).len() > 4, "{lines:?}");
        let degraded = lines[0]["degraded"].to_string();
        assert!(degraded.contains("a flight recorder keeps the last 10m"), "{degraded}");
        let first = flight.files();
        for count in [2, 3] {
            let before = flight.files();
            flight.daemon.signal(Signal::USR1);
            eventually("another file", || flight.files() != before && flight.files().len() == 2);
            assert_eq!(flight.files().contains(&first[0]), count == 2);
        }
        drop(sockets::connect(&listener, Over::V4));
        let output = flight.directory.path().join("out.json");
        flight.daemon.finish();
        let trace = fs::read_to_string(output).unwrap();
        let last: Value = serde_json::from_str(trace.lines().last().unwrap()).unwrap();
        assert_eq!((&last["kind"], &last["complete"]), (&"summary".into(), &true.into()), "{last}");
    });
}

/// The log has problems only, as in the packaged configuration; what led to them is kept.
#[test]
fn what_the_log_leaves_out_is_kept() {
    isolated(|namespace| {
        let flight = Flight::choosing(namespace, "problems = true", "finding = \"off\"");
        let listener = sockets::listen(Over::V4);
        drop(sockets::connect(&listener, Over::V4));
        flight.daemon.signal(Signal::USR1);
        let lines = flight.wait_for("signal");
        assert!(lines.iter().any(|line| line["tcp"]["to"] == "ESTABLISHED"), "{lines:?}");
        assert!(lines[0]["partial"].is_null(), "{}", lines[0]);
        let output = flight.directory.path().join("out.json");
        flight.daemon.finish();
        let trace = fs::read_to_string(output).unwrap();
        assert!(!trace.contains("ESTABLISHED"), "{trace}");
        assert!(trace.contains(r#""partial":"records""#), "{trace}");
    });
}

#[test]
fn a_signal_during_a_load_loses_nothing() {
    isolated(|namespace| {
        load::prepare(namespace);
        let flight = Flight::start(namespace, "finding = \"off\"");
        thread::scope(|scope| {
            let load = scope.spawn(|| load::connections(fewer(1_000)));
            flight.daemon.signal(Signal::USR1);
            eventually("a file", || flight.files().len() == 1);
            load.join().unwrap();
        });
        let output = flight.directory.path().join("out.json");
        // A tracer on a busy machine is behind; what it has not read yet it cannot write.
        let closed = r#""from":"LAST_ACK","to":"CLOSED""#;
        eventually("all of it", || {
            fs::read_to_string(&output).unwrap().matches(closed).count() >= fewer(1_000)
        });
        flight.daemon.signal(Signal::USR1);
        eventually("another file", || flight.files().len() == 2);
        let [_, last] = &flight.files()[..] else { panic!("{:?}", flight.files()) };
        let last = last.clone();
        let Flight { daemon, directory: _directory } = flight;
        // It has its name before it is whole, and is whole at the end.
        daemon.finish();
        let trace = fs::read_to_string(output).unwrap();
        let trace: Vec<Value> =
            trace.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(trace.last().unwrap()["complete"], true);
        let (kept, told) = (events(&replayed(&last)), events(&trace));
        assert!(told.len() >= 10 * fewer(1_000) && kept == told, "{} {}", kept.len(), told.len());
    });
}

#[test]
fn the_end_of_a_process_writes_them() {
    isolated(|namespace| {
        let flight =
            Flight::start(namespace, "finding = \"off\"\nprocess = [\"other\", \"doom*\"]");
        let listener = sockets::listen(Over::V4);
        let address = listener.local_addr().unwrap();
        // Others may come and go.
        drop(Peer::client(PEER, "innocent", address));
        let doomed = Peer::client(PEER, "doomed", address);
        let _server = sockets::accept(&listener);
        assert!(flight.files().is_empty());
        // It is killed with its connection.
        drop(doomed);
        let lines = flight.wait_for("end-of-doomed");
        assert!(lines.iter().any(|line| line["process"]["name"] == "innocent"), "{lines:?}");
    });
}

/// Takes connections until all of a few ports are used up; these, and whether one failed.
fn use_up_ports(namespace: &Namespace) -> (TcpListener, Vec<TcpStream>) {
    namespace.set("net/ipv4/ip_local_port_range", "50000 50009");
    let listener = TcpListener::bind("127.0.0.1:49000").unwrap();
    let address = listener.local_addr().unwrap();
    let streams: Vec<_> = (0..12).map(|_| TcpStream::connect(address)).collect();
    assert!(streams.iter().any(Result::is_err), "there were ports enough");
    (listener, streams.into_iter().flatten().collect())
}

#[test]
fn a_finding_writes_them() {
    isolated(|namespace| {
        let flight = Flight::start(namespace, "finding = \"warning\"");
        let _held = use_up_ports(namespace);
        let lines = flight.wait_for("port");
        assert!(lines.iter().any(|line| line["kind"] == "finding"), "{lines:?}");
        // What comes within a minute is in a later one.
        assert_eq!(flight.files().len(), 1);
    });
}

#[test]
fn a_share_of_the_ports_writes_them() {
    isolated(|namespace| {
        let flight = Flight::start(namespace, "finding = \"off\"\nports = \"80%\"");
        let _held = use_up_ports(namespace);
        assert!(events(&flight.wait_for("ports")).len() > 20);
    });
}

#[test]
fn a_share_of_the_descriptors_writes_them() {
    isolated(|namespace| {
        let flight = Flight::start(namespace, "finding = \"off\"\ndescriptors = \"50%\"");
        let leak = "
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen(64)
kept = []
for i in range(30):
    c = socket.create_connection(l.getsockname()); s, _ = l.accept(); kept.append(s); c.close()
say(len(kept)); hold()";
        let (_leaky, count) = python("leaky", leak);
        assert_eq!(count, "30");
        assert!(events(&flight.wait_for("descriptors")).len() > 60);
    });
}

#[test]
fn what_is_wrong_with_the_settings_is_said_in_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let missing = format!("directory={}/none", directory.path().display());
    for (settings, expected) in [
        ("memory=1KiB", "memory: not a size from 1MiB"),
        ("kept=10m", "kept: no such key"),
        (&missing, "no such directory"),
    ] {
        let check = ["daemon", "--check", "--config", "/dev/null", "--recorder", settings];
        let errors = refused(Command::new(program()).args(check));
        assert!(errors.contains(expected), "{errors}");
    }
}
