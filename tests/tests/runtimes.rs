//! Functions of managed runtimes in the stacks of what leaks: named by the runtime's perf map, or
//! said to be missing with the flag that brings them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, net::TcpListener, path::Path, process::Command};

use tracer_tests::{
    netns::isolated,
    peer::Peer,
    record::Record,
    tracer::{Tracer, WITH_TRACEFS},
};

/// Connections that the runtime leaks.
const COUNT: usize = 6;

/// Connects and never closes, after a line; interpreted, as nothing is done often enough to be compiled.
const NODE: &str = "
const net = require('net'), kept = []
function openUpstream() {
  const s = net.connect({ port: +process.argv[1], host: '127.0.0.1', allowHalfOpen: true })
  s.on('error', () => {}); kept.push(s)
}
process.stdin.once('data', () => { for (let i = 0; i < 6; i++) openUpstream() })
process.stdin.on('end', () => process.exit())
console.log(process.pid)";

const JAVA: &str = r#"
import java.net.Socket;
import java.util.ArrayList;
public class Client {
  static ArrayList<Socket> kept = new ArrayList<>();
  static void openUpstream(int port) throws Exception { kept.add(new Socket("127.0.0.1", port)); }
  public static void main(String[] arguments) throws Exception {
    System.out.println(ProcessHandle.current().pid());
    System.in.read();
    for (int i = 0; i < 6; i++) openUpstream(Integer.parseInt(arguments[0]));
    while (System.in.read() >= 0);
  }
}"#;

/// What a trace says of a connection that a runtime leaks, once it has such words; `settle` is done
/// when they are open.
fn told(start: impl Fn(u16) -> Peer + Sync, settle: impl Fn(u64) + Sync, words: &[&str]) -> Record {
    isolated(|namespace| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut client = start(port);
        let pid: u64 = client.answer().parse().unwrap();
        let options = [namespace.netns, "--stacks", "--linger", "close-wait=300ms"];
        let tracer = Tracer::launch(WITH_TRACEFS, &options);
        client.go();
        let servers: Vec<_> = (0..COUNT).map(|_| listener.accept().unwrap()).collect();
        settle(pid);
        drop(servers);
        let flag = tracer.wait_for(&words.join(", "), |one| {
            let text = one.at("/stack").to_string() + one.text("/stack_gap").unwrap_or_default();
            one.kind() == "linger"
                && one.at("/process/pid") == pid
                && words.iter().all(|word| text.contains(word))
        });
        client.close();
        // The JVM's is there only where it was asked for.
        let _ = fs::remove_file(format!("/tmp/perf-{pid}.map"));
        flag
    })
}

/// With a log of V8 in a directory that is gone with the test.
fn node(directory: &Path, options: &'static [&'static str]) -> impl Fn(u16) -> Peer + Sync {
    let directory = format!("--chdir={}", directory.display());
    move |port| {
        let port = port.to_string();
        Peer::start("env", &directory, &[&["node"], options, &["-e", NODE, &port]].concat())
    }
}

#[test]
fn functions_of_node_have_names_with_the_flags_that_are_named_without_them() {
    const FLAGS: &[&str] = &["--perf-basic-prof", "--interpreted-frames-native-stack"];
    let directory = tempfile::tempdir().unwrap();
    let (node, nothing) = (|options| node(directory.path(), options), |_| {});
    let plain = told(node(&[]), nothing, &["node::TCPWrap::Connect", "(functions"]);
    let gap = plain.text("/stack_gap").unwrap();
    assert!(FLAGS.iter().all(|flag| gap.contains(flag)), "{gap}");
    told(node(FLAGS), nothing, &["internalConnect", "node:net"]);
}

/// A program of Java, compiled into a directory that is gone with the test.
fn java(directory: &Path, options: &'static [&'static str]) -> impl Fn(u16) -> Peer + Sync {
    let source = directory.join("Client.java");
    fs::write(&source, JAVA).unwrap();
    let status = Command::new("javac").arg("-d").arg(directory).arg(&source).status();
    assert!(status.expect("live tests need the command javac").success());
    let classes = directory.to_str().unwrap().to_owned();
    move |port| {
        let port = port.to_string();
        let run = ["-cp", &classes, "Client", &port];
        Peer::start("java", options[0], &[&options[1..], &run].concat())
    }
}

/// All of the test's own functions are compiled when they are called first, nothing else is.
const COMPILED: &[&str] = &[
    "-XX:+PreserveFramePointer",
    "-Xcomp",
    "-XX:CompileCommand=quiet",
    "-XX:CompileCommand=compileonly,Client::*",
];

#[test]
fn functions_of_java_have_names_once_they_are_compiled_and_the_map_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let write = |pid: u64| {
        let output = Command::new("jcmd").args([&pid.to_string(), "Compiler.perfmap"]).output();
        let output = output.expect("live tests need the command jcmd");
        assert!(output.status.success(), "{output:?}");
    };
    let plain = told(java(directory.path(), COMPILED), |_| {}, &["no names of compiled code"]);
    let gap = plain.text("/stack_gap").unwrap();
    assert!(gap.contains("-XX:+PreserveFramePointer and jcmd PID Compiler.perfmap"), "{gap}");
    let named = told(java(directory.path(), COMPILED), write, &["openUpstream"]);
    // Its callers in the library are interpreted still.
    let gap = named.text("/stack_gap").unwrap();
    assert!(gap.contains("java names what it has compiled"), "{gap}");
}
