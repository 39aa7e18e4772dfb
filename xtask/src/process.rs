//! Starting other programs: as the user or as root, in sight or in silence, with a time limit.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// Directories that a user's PATH often lacks, though root's programs are there.
const ADMINISTRATION: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// A command failed and has said why: nothing is left to do but to pass its status on.
#[derive(Debug)]
pub(crate) struct ChildFailed {
    pub(crate) status: u8,
}

impl fmt::Display for ChildFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a command ended with status {}", self.status)
    }
}

impl std::error::Error for ChildFailed {}

/// Tells the user what is being done; standard output belongs to tracer.
pub(crate) fn say(what: impl fmt::Display) {
    eprintln!("xtask: {what}");
}

/// Finds a program on PATH or where programs for root are.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(env::split_paths(ADMINISTRATION))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// Whether xtask itself runs as root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Says early that nothing can be run as root.
pub(crate) fn require_root() -> Result<()> {
    if !is_root() && find("sudo").is_none() {
        bail!("tracer and its live tests need root: install sudo, or run this as root");
    }
    Ok(())
}

/// A command that will run as root, in this environment.
pub(crate) fn as_root(program: impl AsRef<OsStr>) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("-E").arg(program);
    command
}

/// Runs a command in the user's sight.
pub(crate) fn show(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", name(command)))?;
    succeeded(status)
}

/// A process that is killed when it is dropped.
pub(crate) struct Leashed(pub(crate) Child);

impl Drop for Leashed {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a command that runs in the user's sight.
pub(crate) fn wait(child: &mut Child) -> Result<()> {
    succeeded(child.wait().context("cannot wait for a command")?)
}

fn succeeded(status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    // A shell's rule for a child that a signal ended.
    let code = status.code().unwrap_or(128 + status.signal().unwrap_or(0));
    Err(ChildFailed { status: u8::try_from(code).unwrap_or(1) }.into())
}

/// Runs a command in silence; the error carries the last of what it said.
pub(crate) fn silently(command: &mut Command, patience: Option<Duration>) -> Result<()> {
    let (status, said) = listen(command, patience)?;
    if !status.success() {
        bail!("{} failed ({status}): {}", name(command), last_words(&said));
    }
    Ok(())
}

/// Runs a command in silence and returns how it ended and what it said on standard error.
///
/// With a `patience`, a command that says nothing for so long is ended: a download that makes
/// progress may take its time, one that hangs may not.
pub(crate) fn listen(
    command: &mut Command,
    patience: Option<Duration>,
) -> Result<(ExitStatus, String)> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", name(command)))?;
    let Some(said) = hear_out(&mut child, patience) else {
        child.kill()?;
        child.wait()?;
        bail!("{} said nothing for {} s", name(command), patience.unwrap_or_default().as_secs());
    };
    Ok((child.wait()?, said))
}

/// All that a child says on standard error until it closes it, or nothing if it is silent too
/// long.
fn hear_out(child: &mut Child, patience: Option<Duration>) -> Option<String> {
    let lines = BufReader::new(child.stderr.take()?).split(b'\n');
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            // Nobody listens any more once the child is ended.
            let _ = sender.send(line);
        }
    });
    let mut said = String::new();
    loop {
        let line = match patience {
            Some(patience) => receiver.recv_timeout(patience),
            None => receiver.recv().map_err(RecvTimeoutError::from),
        };
        match line {
            Ok(line) => said.extend([&String::from_utf8_lossy(&line), "\n"]),
            Err(RecvTimeoutError::Disconnected) => return Some(said),
            Err(RecvTimeoutError::Timeout) => return None,
        }
    }
}

/// The line that says why: the first that calls itself an error (rustup, cargo: `error: …`,
/// apt-get: `E: …`), or else the last.
fn last_words(stderr: &str) -> &str {
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_error = |line: &&str| line.starts_with("error") || line.starts_with("E: ");
    lines().find(is_error).or_else(|| lines().next_back()).unwrap_or("it said nothing")
}

fn name(command: &Command) -> String {
    let arguments = command.get_args().take_while(|argument| *argument != "--");
    let words = std::iter::once(command.get_program()).chain(arguments);
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_preferred_to_what_follows_it() {
        let apt = "Reading lists\nE: Unable to locate package rustc-web\nW: be careful\n";
        assert_eq!(last_words(apt), "E: Unable to locate package rustc-web");
        let rustup = "info: syncing\n\nerror: could not download\ncaused by: timeout\n";
        assert_eq!(last_words(rustup), "error: could not download");
        assert_eq!(last_words("one\ntwo\n\n"), "two");
        assert_eq!(last_words(""), "it said nothing");
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let patience = Duration::from_millis(100);
        let error = silently(Command::new("sleep").arg("60"), Some(patience)).unwrap_err();
        assert_eq!(error.to_string(), "sleep 60 said nothing for 0 s");
    }

    #[test]
    fn a_command_that_makes_progress_may_take_longer() {
        let patience = Duration::from_millis(1000);
        let script = "for i in 1 2 3 4; do sleep 0.4; echo $i >&2; done";
        silently(Command::new("sh").args(["-c", script]), Some(patience)).unwrap();
    }

    #[test]
    fn a_failure_carries_what_the_command_said() {
        let mut shell = Command::new("sh");
        let error = silently(shell.args(["-c", "echo error: no >&2; exit 3"]), None).unwrap_err();
        assert!(error.to_string().ends_with("failed (exit status: 3): error: no"), "{error}");
    }

    #[test]
    fn the_status_of_a_shown_command_is_kept() {
        let error = show(Command::new("sh").args(["-c", "exit 7"])).unwrap_err();
        assert_eq!(error.downcast_ref::<ChildFailed>().unwrap().status, 7);
        let error = show(Command::new("sh").args(["-c", "kill -TERM $$"])).unwrap_err();
        assert_eq!(error.downcast_ref::<ChildFailed>().unwrap().status, 143);
    }
}
