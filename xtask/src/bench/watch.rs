//! A tool whose lines are read as they come.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::tool::{Running, Tool};

const PATIENCE: Duration = Duration::from_secs(20);

/// A tool that writes to a pipe.
pub(crate) struct Watched {
    pub(crate) running: Running,
    lines: Receiver<(Instant, String)>,
}

impl Watched {
    pub(crate) fn start(tool: &Tool, directory: &Path) -> Result<Self> {
        let mut running = Running::start(&tool.by_line(), Stdio::piped(), directory)?;
        let (sender, lines) = mpsc::channel();
        let stdout = running.stdout();
        thread::spawn(move || {
            let Some(stdout) = stdout else { return };
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                // Nobody may want to know any more.
                let _ = sender.send((Instant::now(), line));
            }
        });
        Ok(Self { running, lines })
    }

    /// When the first line arrived that has a text in it.
    pub(crate) fn wait_for(&mut self, text: &str) -> Result<Instant> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((time, line)) if line.contains(text) => return Ok(time),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => bail!("no line has {text} in it"),
                Err(RecvTimeoutError::Disconnected) => {
                    // Its status is known a moment after its pipe is closed.
                    thread::sleep(Duration::from_millis(100));
                    self.running.is_running()?;
                    bail!("it has closed its standard output");
                }
            }
        }
    }
}

/// Makes a socket listen, which is an event, and closes it.
pub(crate) fn listen(address: Ipv4Addr) {
    // Without it the line that is waited for does not come, which is said.
    drop(TcpListener::bind((address, 0)));
}
