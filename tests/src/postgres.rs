//! PostgreSQL, and clients that keep their connections.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{sockets, stranger::USER_ID, tracer};

/// A running server; ended when dropped.
#[derive(Debug)]
pub struct Postgres {
    server: Child,
    port: String,
}

impl Postgres {
    /// Starts it in the calling thread's namespace, with its files in `directory`; returns when
    /// it serves, with tables for [`bench`](Self::bench).
    pub fn start(directory: &Path) -> Self {
        let programs = programs();
        // It refuses to run as root.
        chown(directory, Some(USER_ID), Some(USER_ID)).expect("live tests need root");
        let data = directory.join("data");
        let mut init = as_stranger(&programs.join("initdb"), directory);
        init.args(["--no-sync", "--auth", "trust", "--username", "tester", "--pgdata"]).arg(&data);
        let output = init.output().expect("live tests need the command setpriv");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let port = sockets::free_port().to_string();
        let mut server = as_stranger(&programs.join("postgres"), directory);
        server.arg("-D").arg(&data).args(["-p", &port, "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
        let server = server.spawn().expect("live tests need the command setpriv");
        let postgres = Self { server, port };
        sockets::eventually("PostgreSQL serves", || postgres.try_bench(&["--initialize"]));
        postgres
    }

    /// Runs pgbench; whether it succeeds.
    fn try_bench(&self, options: &[&str]) -> bool {
        let mut bench = Command::new("pgbench");
        bench.args(["--host", "127.0.0.1", "--port", &self.port, "--username", "tester"]);
        bench.args(options).arg("postgres").stdin(Stdio::null());
        bench.output().is_ok_and(|output| output.status.success())
    }

    /// Lets clients that keep their connections send transactions.
    pub fn bench(&self, options: &[&str]) {
        assert!(self.try_bench(options), "pgbench {options:?} fails");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its fast way to end, which takes its processes along.
        let _ = kill_process(Pid::from_child(&self.server), Signal::INT);
        tracer::wait(&mut self.server);
    }
}

/// Debian keeps the server's programs apart for each version.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut directories = versions.map(|version| version.path().join("bin"));
    directories
        .find(|path| path.join("postgres").is_file())
        .expect("live tests need PostgreSQL (Debian: postgresql)")
}

fn as_stranger(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={USER_ID}"), format!("--regid={USER_ID}")]);
    // The way to its files may lead through a directory that is closed to others.
    command.args(["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--clear-groups"]);
    command.arg(program).current_dir(directory);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
