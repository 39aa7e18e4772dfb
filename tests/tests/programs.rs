//! Programs and parents of processes that are gone before anybody can look.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tracer_tests::{
    netns::isolated,
    peer::Peer,
    record::Record,
    tracer::{Tracer, WITH_TRACEFS},
};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

fn connection_of(pid: u64) -> impl Fn(&Record) -> bool {
    move |record| {
        record.text("/kind") == Some("connection") && record.number("/process/pid") == Some(pid)
    }
}

/// A tracer that is stopped: it sees nothing before it goes on.
fn stopped(inode: u64) -> (Tracer, Pid) {
    let inode = inode.to_string();
    let tracer = Tracer::launch(WITH_TRACEFS, &["--netns", &inode, "--no-snapshot"]);
    let process = Pid::from_raw(tracer.pid().cast_signed()).unwrap();
    kill_process(process, Signal::STOP).unwrap();
    (tracer, process)
}

/// It runs the peer; its path may lack the mount point.
fn runs_peer(record: &Record, parent: u64, name: &str) {
    let path = record.text("/process/executable/path").unwrap_or_else(|| panic!("{record}"));
    let program = fs::canonicalize(PEER).unwrap();
    assert!(path.ends_with("/peer") && program.to_str().unwrap().ends_with(path), "{record}");
    assert_eq!(record.number("/process/parent/pid"), Some(parent), "{record}");
    assert_eq!(record.text("/process/parent/name"), Some(name), "{record}");
}

fn own_name() -> String {
    fs::read_to_string("/proc/self/comm").unwrap().trim_end().to_owned()
}

#[test]
fn program_and_parent_are_told_of_processes_that_end_at_once() {
    isolated(|namespace| {
        let (tracer, process) = stopped(namespace.inode);
        let (mut server, address) = Peer::server(PEER, "depot");
        let script =
            r#"echo $$; "$0" courier connect "$1" < /dev/null > /dev/null & echo $!; wait"#;
        let output = Command::new("sh")
            .args(["-c", script, PEER, &address.to_string()])
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success());
        let said = String::from_utf8(output.stdout).unwrap();
        let numbers: Vec<u64> = said.split_whitespace().map(|one| one.parse().unwrap()).collect();
        let [shell, courier] = numbers[..] else { panic!("{said}") };
        let depot = server.pid();
        server.end();
        server.close();
        kill_process(process, Signal::CONT).unwrap();
        let client = tracer.wait_for("the client's connection", connection_of(courier));
        let server = tracer.wait_for("the server's connection", connection_of(depot));
        tracer.finish();
        runs_peer(&client, shell, "sh");
        runs_peer(&server, u64::from(std::process::id()), &own_name());
    });
}

/// A worker with the listener that it has inherited.
#[test]
fn program_and_parent_are_told_of_a_process_that_only_accepts() {
    isolated(|namespace| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (tracer, process) = stopped(namespace.inode);
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut worker = Command::new(PEER)
            .args(["worker", "take"])
            .stdin(OwnedFd::from(listener))
            .spawn()
            .unwrap();
        let pid = u64::from(worker.id());
        assert!(worker.wait().unwrap().success());
        drop(client);
        kill_process(process, Signal::CONT).unwrap();
        let accepted = tracer.wait_for("the connection", connection_of(pid));
        tracer.finish();
        runs_peer(&accepted, u64::from(std::process::id()), &own_name());
    });
}
