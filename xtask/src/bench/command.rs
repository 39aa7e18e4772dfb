//! Commands with a limit: none may run for longer, whatever happens.

use std::io::Read as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// What `taskset` takes to run a program on the first processor.
pub(crate) const ONE_CORE: [&str; 2] = ["--cpu-list", "0"];

/// For each command of a measurement.
const LIMIT: Duration = Duration::from_secs(90);
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// Runs a command and returns what it writes.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let reading = thread::spawn(move || {
        let mut text = String::new();
        stdout.as_mut().map(|pipe| pipe.read_to_string(&mut text));
        text
    });
    let complaining = thread::spawn(move || {
        let mut text = String::new();
        stderr.as_mut().map(|pipe| pipe.read_to_string(&mut text));
        text
    });
    let status = wait(&mut child, LIMIT)?;
    let said = reading.join().unwrap_or_default();
    let errors = complaining.join().unwrap_or_default();
    if !status.success() {
        bail!("{name} failed ({status}): {}", errors.trim());
    }
    Ok(said)
}

/// Runs a command whose output nobody wants; how long it took.
pub(crate) fn time(command: &mut Command) -> Result<Duration> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    // Looking every few milliseconds would be too coarse here; a watchman keeps the limit.
    let status = thread::scope(|scope| -> Result<ExitStatus> {
        let watched = rustix::process::Pid::from_child(&child);
        let (over, ended) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            if ended.recv_timeout(LIMIT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                // It has not been waited for, so the number is still its.
                let _ = rustix::process::kill_process(watched, rustix::process::Signal::KILL);
            }
        });
        let status = child.wait()?;
        drop(over);
        Ok(status)
    })?;
    let took = begun.elapsed();
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(took)
}

/// Waits for a process; kills it where it does not end in time.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if begun.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("a command did not end within {} s", limit.as_secs());
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_returned_and_failure_says_why() {
        assert_eq!(output(Command::new("echo").arg("here")).unwrap(), "here\n");
        let mut failing = Command::new("sh");
        let error = output(failing.args(["-c", "echo no such thing >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("no such thing"), "{error}");
    }

    #[test]
    fn what_does_not_end_is_killed() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let error = wait(&mut child, Duration::from_millis(20)).unwrap_err();
        assert!(error.to_string().contains("did not end"), "{error}");
        assert!(child.try_wait().unwrap().is_some());
    }
}
