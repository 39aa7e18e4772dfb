//! One virtual machine: a kernel, what it boots into, and what it says.
//!
//! Emulated, never by KVM: where the host is a virtual machine itself, KVM has been seen to hang.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::kernels::{Flavour, Kernel};
use crate::architecture::Architecture;
use crate::process;

/// What a line of the guest begins with (`tests/src/bin/guest.rs`).
const MARK: &str = "@guest ";
/// Longer than both attempts of one test may take in the guest.
const SILENCE: Duration = Duration::from_secs(900);
/// Megabytes of memory: the initial file system is in it as well.
const MEMORY: &str = "2048";
const PROCESSORS: [&str; 4] = ["-accel", "tcg,thread=multi", "-smp", "2"];
/// One processor, whose clock counts instructions, a nanosecond each, and leaps where it sleeps.
/// However busy the host is, the guest is a machine of one speed, on which nothing is late, and a
/// minute that a timer takes is over at once. With two processors Linux stays where it wakes the
/// second (QEMU 7.2).
const STEADY: [&str; 6] =
    ["-accel", "tcg", "-icount", "shift=0,align=off,sleep=off", "-rtc", "clock=vm"];

/// What a machine differs in from an ordinary one of its kernel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    /// Of the kernel's command line; `guest.` is for `tests/src/bin/guest.rs`.
    pub(super) words: &'static str,
    pub(super) flavour: Flavour,
    /// The suites that may notice.
    pub(super) suites: &'static [&'static str],
}

/// What is to be booted.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) architecture: Architecture,
    pub(super) kernel: Kernel,
    /// What it differs in from an ordinary one.
    pub(super) setting: Option<&'static Setting>,
    /// Whether its time is its own, not the host's.
    pub(super) is_steady: bool,
}

/// What a test did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) suite: String,
    pub(super) test: String,
    pub(super) passed: bool,
    /// How often it was tried.
    pub(super) attempts: u64,
    pub(super) milliseconds: u64,
    /// The end of what it said when it failed first.
    pub(super) said: String,
}

impl Outcome {
    /// For whoever watches the run.
    pub(super) fn line(&self) -> String {
        let Self { suite, test, passed, attempts, milliseconds, .. } = self;
        let how = match (passed, attempts) {
            (true, 1) => "ok",
            (true, _) => "ok when tried again",
            (false, _) => "NOT PASSED",
        };
        format!("{suite}: {test}: {how} ({milliseconds} ms)")
    }
}

/// What a machine did.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    /// What the kernel is and can do; empty where it did not get so far.
    pub(super) facts: Value,
    pub(super) outcomes: Vec<Outcome>,
    /// Why there is less than there should be.
    pub(super) broken: Vec<String>,
    /// Until the guest's first words.
    pub(super) booted: Duration,
    /// All of it.
    pub(super) took: Duration,
}

/// What the table calls a machine.
pub(super) fn name(line: &str, setting: Option<&Setting>, architecture: Architecture) -> String {
    let mut name = line.to_owned();
    if let Some(setting) = setting {
        name = format!("{name} {}", setting.name);
    }
    if architecture != Architecture::X86 {
        name = format!("{name} {architecture}");
    }
    name
}

impl Machine {
    /// What the table calls it.
    pub(super) fn name(&self) -> String {
        name(&self.kernel.line, self.setting, self.architecture)
    }

    /// Boots it and listens until it is done, or for so long; `each` is told what has been run.
    ///
    /// # Errors
    ///
    /// Where the emulator cannot be started. What goes wrong inside is in the report.
    pub(super) fn run(
        &self,
        initial: &Path,
        log: &Path,
        limit: Duration,
        each: &(impl Fn(&Outcome) + Sync),
    ) -> Result<Report> {
        let (program, package) = self.architecture.emulator();
        let emulator = process::find(program)
            .with_context(|| format!("{program} is missing; install {package}"))?;
        let begun = Instant::now();
        let mut child = process::Leashed(self.command(emulator, initial).spawn().context(program)?);
        let lines = lines_of(child.0.stdout.take().context("no console")?, log)?;
        let mut report = Report::default();
        // What takes a minute of its own time may take hours of a busy host's.
        let silence = if self.is_steady { limit } else { SILENCE };
        loop {
            let rest = limit.saturating_sub(begun.elapsed());
            match lines.recv_timeout(silence.min(rest)) {
                Ok(line) => {
                    if take(&line, &mut report, begun, each) {
                        break;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    report.broken.push("the machine stopped before it was done".into());
                    break;
                }
                Err(RecvTimeoutError::Timeout) => {
                    report.broken.push(if rest <= silence {
                        format!("not done within {} min", limit.as_secs() / 60)
                    } else {
                        format!("silent for {} s", SILENCE.as_secs())
                    });
                    break;
                }
            }
        }
        report.took = begun.elapsed();
        Ok(report)
    }

    fn command(&self, emulator: PathBuf, initial: &Path) -> Command {
        let mut words = format!(
            "console={} {} quiet loglevel=1 panic=-1 rdinit=/init",
            self.architecture.console(),
            self.architecture.words()
        );
        if let Some(setting) = self.setting {
            words = format!("{words} {}", setting.words);
        }
        let mut command = Command::new(emulator);
        command.args(self.architecture.machine());
        command.args(if self.is_steady { &STEADY[..] } else { &PROCESSORS });
        command.args(["-cpu", "max"]);
        command.args(["-m", MEMORY, "-nodefaults", "-display", "none", "-monitor", "none"]);
        command.args(["-serial", "stdio", "-no-reboot", "-nic", "none", "-append", &words]);
        command.arg("-kernel").arg(&self.kernel.image).arg("-initrd").arg(initial);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }
}

/// The console's lines, which are kept in a file as well.
fn lines_of(console: ChildStdout, log: &Path) -> Result<Receiver<String>> {
    let mut log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            // The file is for looking into, nothing depends on it.
            let _ = writeln!(log, "{line}");
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// Notes what a line says; whether it is the last.
fn take(line: &str, report: &mut Report, begun: Instant, each: &impl Fn(&Outcome)) -> bool {
    let Some((_, said)) = line.split_once(MARK) else {
        if line.contains("Kernel panic") {
            report.broken.push(line.trim().to_owned());
        }
        return false;
    };
    let Ok(said) = serde_json::from_str::<Value>(said) else {
        report.broken.push(format!("not understood: {said}"));
        return false;
    };
    if let Some(outcome) = outcome(&said) {
        each(&outcome);
        report.outcomes.push(outcome);
    } else if let Some(broken) = said["broken"].as_str() {
        let suite = said["suite"].as_str().unwrap_or("guest");
        report.broken.push(format!("{suite}: {broken}"));
    } else if said["kernel"].is_string() {
        report.booted = begun.elapsed();
        report.facts = said;
    } else if said["end"] == true {
        return true;
    }
    false
}

fn outcome(said: &Value) -> Option<Outcome> {
    Some(Outcome {
        suite: said["suite"].as_str()?.to_owned(),
        test: said["test"].as_str()?.to_owned(),
        passed: said["passed"].as_bool()?,
        attempts: said["attempts"].as_u64()?,
        milliseconds: said["ms"].as_u64()?,
        said: said["said"].as_str().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[&str]) -> (Report, bool) {
        let mut report = Report::default();
        let mut ended = false;
        for line in lines {
            ended = take(line, &mut report, Instant::now(), &|_| {});
        }
        (report, ended)
    }

    #[test]
    fn outcomes_are_found_among_the_kernels_words() {
        let (report, ended) = heard(&[
            "[    1.0] something",
            r#"@guest {"kernel":"6.1.0","features":[]}"#,
            r#"[ 2.0] in@guest {"suite":"s","test":"t","passed":false,"attempts":2,"ms":7,"said":"?"}"#,
            r#"@guest {"end":true}"#,
        ]);
        assert!(ended);
        assert_eq!(report.facts["kernel"], "6.1.0");
        let outcome = &report.outcomes[0];
        assert_eq!(
            (outcome.test.as_str(), outcome.passed, outcome.said.as_str()),
            ("t", false, "?")
        );
        assert_eq!(report.broken, [""; 0]);
    }

    #[test]
    fn what_goes_wrong_outside_of_tests_is_kept() {
        let (report, ended) = heard(&[
            "[ 1.0] Kernel panic - not syncing: VFS",
            r#"@guest {"suite":"s","broken":"no such test"}"#,
            "@guest {\"suite\":\"cut",
        ]);
        assert!(!ended);
        assert_eq!(report.broken.len(), 3, "{:?}", report.broken);
    }
}
