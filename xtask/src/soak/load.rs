//! What is done all the while: by turns little, much, and everything at once.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::postgres::Postgres;
use crate::bench::namespace::Namespace;
use crate::bench::{command, web};
use crate::{process, workspace};

/// Between two rounds, so that there is something beside the load.
const REST: Duration = Duration::from_millis(200);
/// The leaking server has so many descriptors.
const LEAKED: usize = 500;

/// The servers, and who asks them.
pub(super) struct Load<'a> {
    namespace: &'a Namespace,
    _nginx: web::Nginx,
    postgres: Postgres<'a>,
    leaking: Leaking,
    /// Makes short connections at full speed.
    program: String,
}

impl<'a> Load<'a> {
    pub(super) fn start(namespace: &'a Namespace, directory: &Path) -> Result<Self> {
        let target = workspace::target()?.join("release");
        Ok(Self {
            namespace,
            _nginx: web::Nginx::start(namespace, directory)?,
            postgres: Postgres::start(namespace, directory)?,
            leaking: Leaking::start(namespace, &target.join("fault"))?,
            program: target.join("load").to_string_lossy().into_owned(),
        })
    }

    /// Goes on until it is over; a phase lasts a third of a `period`.
    pub(super) fn go_on(&self, period: Duration, over: &AtomicBool) -> Result<()> {
        let begun = Instant::now();
        let mut leaked = 0;
        while !over.load(Ordering::Relaxed) {
            let phase = begun.elapsed().as_millis() / (period.as_millis() / 3).max(1) % 3;
            self.little()?;
            if phase > 0 {
                self.postgres.bench(&["--connect", "--client", "4", "--time", "2"])?;
            }
            if phase > 1 {
                self.much()?;
            }
            if leaked < LEAKED {
                self.leaking.ask(self.namespace)?;
                leaked += 1;
            }
            thread::sleep(REST);
        }
        Ok(())
    }

    /// Two requests over one connection, and one over another.
    fn little(&self) -> Result<()> {
        let page = format!("http://{}/", web::ADDRESS);
        for pages in [&[&page, &page][..], &[&page]] {
            let mut curl = self.namespace.command("curl");
            curl.args(["--silent", "--fail", "--max-time", "20"]).args(pages);
            command::output(&mut curl)?;
        }
        Ok(())
    }

    fn much(&self) -> Result<()> {
        command::output(self.namespace.command(&self.program).arg("2000")).map(drop)
    }
}

/// A server that accepts and never closes; ended when dropped.
struct Leaking {
    _server: process::Leashed,
    address: String,
}

impl Leaking {
    fn start(namespace: &Namespace, program: &Path) -> Result<Self> {
        let mut command = namespace.command(&program.to_string_lossy());
        command.args(["leaky", "keep"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let server = command.spawn().context("cannot start the leaking server")?;
        let mut server = process::Leashed(server);
        let mut address = String::new();
        if let Some(stdout) = server.0.stdout.take() {
            BufReader::new(stdout).read_line(&mut address)?;
        }
        address.truncate(address.trim_end().len());
        Ok(Self { _server: server, address })
    }

    /// A client that does not wait for an answer: the connection is left in CLOSE_WAIT.
    fn ask(&self, namespace: &Namespace) -> Result<()> {
        let mut curl = namespace.command("curl");
        curl.args(["--silent", "--max-time", "0.1", &format!("http://{}/", self.address)]);
        curl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // It ends with the status of a request that has had no answer.
        curl.status().context("curl").map(drop)
    }
}
