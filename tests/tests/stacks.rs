//! `--stacks`: the code that made what lingers is named.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tracer_tests::{
    diagnosis::Diagnosis,
    netns::{Namespace, isolated},
    peer::Peer,
    record::Record,
    sockets,
    tracer::{Tracer, WITH_TRACEFS},
};

const PEER: &str = env!("CARGO_BIN_EXE_peer");
const FRAME_POINTERS: &[&str] = &["-O1", "-g", "-fno-omit-frame-pointer"];

/// A server that leaks, built for this.
struct Leaky {
    directory: TempDir,
    server: Peer,
    address: SocketAddr,
}

impl Leaky {
    fn start(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (source, program) = Self::paths(&directory);
        fs::write(&source, include_str!("../src/leaky.c")).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(options).args(["-pthread", "-o"]).arg(&program).arg(&source);
        let status = compiler.status().expect("live tests need the command cc");
        assert!(status.success(), "cc: {status}");
        let mut server = Peer::start(program.to_str().unwrap(), "leaky", &[]);
        let address = server.answer().parse().unwrap();
        Self { directory, server, address }
    }

    fn paths(directory: &TempDir) -> (PathBuf, PathBuf) {
        (directory.path().join("leaky.c"), directory.path().join("leaky"))
    }
}

/// Clients come and go while a diagnosis is made.
fn diagnosed(
    prelude: &'static str,
    options: &[&'static str],
    leaky: &Leaky,
    count: usize,
) -> Diagnosis {
    let address = leaky.address;
    let pid = leaky.server.pid().to_string();
    let options = [options, &["--for", "4s"]].concat();
    let growing = thread::spawn(move || {
        Diagnosis::prepared(prelude, &[&options[..], &["--pid", &pid]].concat())
    });
    thread::sleep(Duration::from_millis(1500));
    let clients: Vec<TcpStream> =
        (0..count).map(|_| TcpStream::connect(address).unwrap()).collect();
    drop(clients);
    growing.join().unwrap()
}

fn functions(stack: &Value) -> Vec<&str> {
    stack.as_array().unwrap().iter().filter_map(|frame| frame["function"].as_str()).collect()
}

#[test]
fn the_function_that_leaks_is_named_with_how_many() {
    isolated(|_| {
        let leaky = Leaky::start(FRAME_POINTERS);
        // There before: nobody knows their stacks any more.
        drop((0..3).map(|_| TcpStream::connect(leaky.address).unwrap()).collect::<Vec<_>>());
        let diagnosis = diagnosed(WITH_TRACEFS, &["--stacks"], &leaky, 12);
        let leak = diagnosis.evidence("close_wait_leak");
        assert_eq!(leak["sockets"], 15, "{leak}");
        let made = &leak["made"];
        assert_eq!(made["before"], 3, "{made}");
        let [one] = &made["stacks"].as_array().unwrap()[..] else { panic!("one stack: {made}") };
        assert_eq!(one["sockets"], 12, "{made}");
        let named = functions(&one["stack"]);
        let ours = ["take_one", "keep_all", "serve"];
        let named: Vec<&str> = named.into_iter().filter(|name| ours.contains(name)).collect();
        if named != ours {
            // The libc has no frame pointers.
            assert_eq!(named, ours[1..], "{made}");
            let gap = one["stack_gap"].as_str().unwrap_or_else(|| panic!("not said: {made}"));
            assert!(gap.contains("is missing"), "{gap}");
        }
        let frames = one["stack"].as_array().unwrap();
        let leaking = frames.iter().find(|frame| frame["function"] == "keep_all").unwrap();
        let (source, program) = Leaky::paths(&leaky.directory);
        assert_eq!(leaking["file"].as_str(), source.to_str(), "{leaking}");
        assert_eq!(leaking["module"].as_str(), program.to_str(), "{leaking}");
        assert!(leaking["line"].as_u64() > Some(10) && leaking["offset"].as_u64() > Some(0));
    });
}

#[test]
fn without_the_option_no_stack_is_told() {
    isolated(|_| {
        let leaky = Leaky::start(FRAME_POINTERS);
        let diagnosis = diagnosed(WITH_TRACEFS, &[], &leaky, 3);
        let leak = diagnosis.evidence("close_wait_leak");
        assert_eq!((&leak["sockets"], &leak["made"]), (&3.into(), &Value::Null), "{leak}");
    });
}

#[test]
fn a_program_without_frame_pointers_is_said_to_have_none() {
    isolated(|_| {
        let leaky = Leaky::start(&["-O2", "-fomit-frame-pointer"]);
        let diagnosis = diagnosed(WITH_TRACEFS, &["--stacks"], &leaky, 3);
        let made = &diagnosis.evidence("close_wait_leak")["made"];
        let gap = made["stacks"][0]["stack_gap"].as_str().unwrap_or_else(|| panic!("{made}"));
        assert!(gap.contains("-fno-omit-frame-pointer"), "{gap}");
    });
}

#[test]
fn without_tracefs_the_stacks_of_accept_are_missing_and_that_is_said() {
    const HIDDEN: &str = "for name in tracing debug; do \
        if test -d /sys/kernel/$name; then mount -t tmpfs none /sys/kernel/$name; fi; done";
    isolated(|_| {
        let leaky = Leaky::start(FRAME_POINTERS);
        let diagnosis = diagnosed(HIDDEN, &["--stacks"], &leaky, 3);
        let missing = &diagnosis.hello.at("/degraded")[0];
        assert_eq!(missing["feature"], "accept", "{}", diagnosis.hello);
        assert!(missing["lost"].as_str().unwrap().contains("stacks of connect()"), "{missing}");
        let made = &diagnosis.evidence("close_wait_leak")["made"];
        assert_eq!((&made["before"], made["stacks"].as_array().unwrap().len()), (&3.into(), 0));
    });
}

fn linger(tracer: &Tracer, wanted: impl Fn(&Record) -> bool) -> Record {
    tracer.wait_for("a flag", |record| record.kind() == "linger" && wanted(record))
}

fn trace(namespace: &Namespace, options: &[&str]) -> Tracer {
    let inode = namespace.inode.to_string();
    let always = ["--netns", &inode, "--linger", "close-wait=300ms,time-wait=2s"];
    Tracer::launch(WITH_TRACEFS, &[&always, options].concat())
}

#[test]
fn a_flag_in_a_trace_carries_the_stack() {
    isolated(|namespace| {
        let leaky = Leaky::start(FRAME_POINTERS);
        let tracer = trace(namespace, &["--stacks"]);
        drop(TcpStream::connect(leaky.address).unwrap());
        let flag = linger(&tracer, |record| record.local() == Some(leaky.address));
        assert!(functions(flag.at("/stack")).contains(&"keep_all"), "{flag}");
        tracer.finish();
    });
}

#[test]
fn the_stack_of_a_process_that_has_ended_has_no_names_and_says_so() {
    isolated(|namespace| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tracer = trace(namespace, &["--stacks"]);
        let (client, end) = Peer::client(PEER, "courier", address);
        let server = sockets::accept(&listener);
        client.close();
        drop(server);
        let flag = linger(&tracer, |record| record.local() == Some(end.local));
        assert_eq!(flag.at("/cause/code"), "closed_first", "{flag}");
        assert!(functions(flag.at("/stack")).is_empty(), "{flag}");
        let gap = flag.text("/stack_gap").unwrap_or_else(|| panic!("{flag}"));
        assert!(gap.contains("had ended"), "{gap}");
        tracer.finish();
    });
}

#[test]
fn a_trace_without_the_option_tells_no_stack() {
    isolated(|namespace| {
        let leaky = Leaky::start(FRAME_POINTERS);
        let tracer = trace(namespace, &[]);
        drop(TcpStream::connect(leaky.address).unwrap());
        let flag = linger(&tracer, |record| record.local() == Some(leaky.address));
        assert!(!flag.has("/stack"), "{flag}");
        tracer.finish();
    });
}
