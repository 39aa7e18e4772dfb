//! Programs and parents of processes that are gone before anybody can look.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    net::{TcpListener, TcpStream},
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

/// Whoever reads the records is stopped until both are over.
#[test]
fn program_and_parent_are_told_of_processes_that_end_at_once() {
    isolated(|namespace| {
        let inode = namespace.inode.to_string();
        let tracer = Tracer::launch(WITH_TRACEFS, &["--netns", &inode, "--no-snapshot"]);
        let process = Pid::from_raw(tracer.pid().cast_signed()).unwrap();
        kill_process(process, Signal::STOP).unwrap();
        let (mut server, address) = Peer::server(PEER, "depot");
        // The shell that starts it is another process than this one.
        let script = format!("exec 3<>/dev/tcp/{}/{}; echo $PPID $$", address.ip(), address.port());
        let outer = r#"bash -c "$0"; exit $?"#;
        let output = Command::new("sh")
            .args(["-c", outer, &script])
            .stderr(Stdio::inherit())
            .output()
            .expect("live tests need the commands sh and bash");
        assert!(output.status.success());
        let said = String::from_utf8(output.stdout).unwrap();
        let numbers: Vec<u64> = said.split_whitespace().map(|one| one.parse().unwrap()).collect();
        let [parent, client] = numbers[..] else { panic!("{said}") };
        let depot = server.pid();
        server.end();
        server.close();
        kill_process(process, Signal::CONT).unwrap();
        let client = tracer.wait_for("the client's connection", connection_of(client));
        let server = tracer.wait_for("the server's connection", connection_of(depot));
        tracer.finish();

        let path = client.text("/process/executable").unwrap_or_else(|| panic!("{client}"));
        assert!(path.starts_with('/') && path.ends_with("/bash"), "{client}");
        assert_eq!(client.number("/process/parent/pid"), Some(parent), "{client}");
        assert_eq!(client.text("/process/parent/name"), Some("sh"), "{client}");

        let path = server.text("/process/executable").unwrap_or_else(|| panic!("{server}"));
        let program = fs::canonicalize(PEER).unwrap();
        // The path in its file system: of that, the mount point may be missing.
        assert!(program.to_str().unwrap().ends_with(path), "{server}");
        let own = u64::from(std::process::id());
        assert_eq!(server.number("/process/parent/pid"), Some(own), "{server}");
        let comm = fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(server.text("/process/parent/name"), Some(comm.trim_end()), "{server}");
    });
}

/// A worker that has only accepted, with the listener that it has inherited.
#[test]
fn the_program_of_a_process_that_only_accepts_is_told() {
    const ACCEPT: &str = "import socket, sys; s = socket.socket(fileno=0); s.accept()[0].close()";
    isolated(|namespace| {
        let inode = namespace.inode.to_string();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tracer = Tracer::launch(WITH_TRACEFS, &["--netns", &inode, "--no-snapshot"]);
        let process = Pid::from_raw(tracer.pid().cast_signed()).unwrap();
        kill_process(process, Signal::STOP).unwrap();
        let client = TcpStream::connect(address).unwrap();
        let mut worker = Command::new("python3")
            .args(["-c", ACCEPT])
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
            .spawn()
            .expect("live tests need the command python3");
        let pid = u64::from(worker.id());
        assert!(worker.wait().unwrap().success());
        drop(client);
        kill_process(process, Signal::CONT).unwrap();
        let accepted = tracer.wait_for("the connection", connection_of(pid));
        tracer.finish();
        let path = accepted.text("/process/executable").unwrap_or_else(|| panic!("{accepted}"));
        assert!(path.contains("/python3"), "{accepted}");
        let own = u64::from(std::process::id());
        assert_eq!(accepted.number("/process/parent/pid"), Some(own), "{accepted}");
    });
}
