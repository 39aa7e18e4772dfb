//! A PostgreSQL server of the soak's own.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{command, namespace::Namespace};
use crate::process;

/// It refuses to run as root: `nobody`.
const USER: u32 = 65_534;
const PORT: &str = "5432";
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; ended when dropped.
pub(super) struct Postgres<'a> {
    namespace: &'a Namespace,
    programs: PathBuf,
    server: Child,
}

impl<'a> Postgres<'a> {
    pub(super) fn start(namespace: &'a Namespace, directory: &Path) -> Result<Self> {
        let programs = programs()?;
        let files = directory.join("postgres");
        fs::create_dir_all(&files)?;
        chown(&files, Some(USER), Some(USER)).context("a directory for PostgreSQL")?;
        let data = files.join("data");
        let mut init = as_nobody(namespace, &programs.join("initdb"));
        init.args(["--no-sync", "--auth", "trust", "--username", "soak", "--pgdata"]).arg(&data);
        command::output(init.current_dir(&files))?;
        let mut server = as_nobody(namespace, &programs.join("postgres"));
        server.arg("-D").arg(&data).args(["-p", PORT, "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "unix_socket_directories=", "-c", "fsync=off"]).current_dir(&files);
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = server.spawn().context("cannot start PostgreSQL")?;
        let postgres = Self { namespace, programs, server };
        postgres.fill()?;
        Ok(postgres)
    }

    /// As soon as it serves.
    fn fill(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            match self.bench(&["--initialize", "--quiet"]) {
                Err(error) if begun.elapsed() > PATIENCE => {
                    return Err(error.context("PostgreSQL does not serve"));
                }
                Err(_) => thread::sleep(Duration::from_millis(200)),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Runs pgbench.
    pub(super) fn bench(&self, arguments: &[&str]) -> Result<()> {
        let mut bench = self.namespace.command(&self.programs.join("pgbench").to_string_lossy());
        bench.args(["--host", "127.0.0.1", "--port", PORT, "--username", "soak"]);
        command::output(bench.args(arguments).arg("postgres")).map(drop)
    }
}

impl Drop for Postgres<'_> {
    fn drop(&mut self) {
        // Its fast way to end, which takes its processes along.
        let _ = kill_process(Pid::from_child(&self.server), Signal::INT);
        let _ = command::wait(&mut self.server, PATIENCE);
    }
}

/// Debian keeps the server's programs apart for each version.
fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let directories = versions.map(|version| version.path().join("bin"));
    let elsewhere = process::find("initdb").and_then(|path| Some(path.parent()?.to_owned()));
    let found = directories.chain(elsewhere).find(|path| path.join("postgres").is_file());
    let found = found.context("no PostgreSQL server is installed (Debian: postgresql)")?;
    ensure!(found.join("pgbench").is_file(), "{} has no pgbench", found.display());
    Ok(found)
}

fn as_nobody(namespace: &Namespace, program: &Path) -> Command {
    let mut command = namespace.command("setpriv");
    let user = [format!("--reuid={USER}"), format!("--regid={USER}")];
    // The way to its files may lead through a home that is closed to others.
    let capabilities = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"];
    command.args(user).args(capabilities).arg("--clear-groups").arg(program);
    command
}
