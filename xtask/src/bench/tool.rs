//! The tracers that are compared, and one of them at work.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::{accounts, command};
use crate::process;

/// What bpftrace is to do: the same fields of the same events.
const ONE_LINER: &str = "tracepoint:sock:inet_sock_set_state /args->protocol == 6/ { \
    printf(\"%llu %s %d %s %d %s %d %d %d\\n\", nsecs, comm, pid, \
    ntop(args->family, args->saddr), args->sport, ntop(args->family, args->daddr), args->dport, \
    args->oldstate, args->newstate); }";

/// For a tool to load its programs, or to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(20);
/// Programs are attached right after they are loaded; bpftrace takes the longest.
const ATTACHING: Duration = Duration::from_millis(400);
/// Output that has not grown for so long will not grow any more.
const QUIET: Duration = Duration::from_millis(300);

/// A tracer with its arguments.
#[derive(Clone)]
pub(crate) struct Tool {
    pub(crate) label: String,
    program: String,
    arguments: Vec<String>,
}

impl Tool {
    fn new(label: &str, program: &str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Self { label: label.to_owned(), program: program.to_owned(), arguments }
    }

    /// This repository's tracer, in its release build.
    pub(crate) fn tracer(tracer: &Path, label: &str, arguments: &[&str]) -> Self {
        Self::new(label, &tracer.to_string_lossy(), arguments)
    }

    /// The same on one core.
    pub(crate) fn on_one_core(&self) -> Self {
        let own = self.arguments.iter().map(String::as_str);
        let arguments: Vec<&str> =
            command::ONE_CORE.into_iter().chain([self.program.as_str()]).chain(own).collect();
        Self::new(&self.label, "taskset", &arguments)
    }

    /// libbpf-tools' tcpstates.
    pub(crate) fn tcpstates() -> Self {
        Self::new("tcpstates", "tcpstates", &[])
    }

    /// A bpftrace one-liner on the same tracepoint.
    pub(crate) fn bpftrace() -> Self {
        Self::new("bpftrace", "bpftrace", &["-e", ONE_LINER])
    }

    /// The same with each line written at once, for what waits for a line.
    pub(crate) fn by_line(&self) -> Self {
        let own = self.arguments.iter().map(String::as_str);
        match self.program.as_str() {
            "tcpstates" => Self::new(&self.label, "stdbuf", &["-oL", "tcpstates"]),
            "bpftrace" => {
                let arguments: Vec<&str> = ["-B", "line"].into_iter().chain(own).collect();
                Self::new(&self.label, "bpftrace", &arguments)
            }
            _ => self.clone(),
        }
    }

    /// As one would type it.
    pub(crate) fn command_line(&self) -> String {
        let quoted = self.arguments.iter().map(|argument| match argument {
            plain if !plain.contains([' ', '"']) => plain.clone(),
            other => format!("'{other}'"),
        });
        let name = Path::new(&self.program).file_name().unwrap_or_default().to_string_lossy();
        [name.into_owned()].into_iter().chain(quoted).collect::<Vec<_>>().join(" ")
    }
}

/// A tool at work; ended when dropped.
pub(crate) struct Running {
    child: process::Leashed,
    label: String,
    errors: PathBuf,
}

impl Running {
    /// Starts it with its standard output going to `stdout`; `directory` keeps its complaints.
    pub(crate) fn start(tool: &Tool, stdout: Stdio, directory: &Path) -> Result<Self> {
        let Some(program) = process::find(&tool.program) else {
            bail!("{} is not installed", tool.label);
        };
        let errors = directory.join("errors");
        let mut command = Command::new(program);
        command.args(&tool.arguments).stdin(Stdio::null()).stdout(stdout);
        command.stderr(File::create(&errors).context("no file for a tool's complaints")?);
        let child = command.spawn().with_context(|| format!("cannot start {}", tool.label))?;
        Ok(Self { child: process::Leashed(child), label: tool.label.clone(), errors })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Takes its standard output, where that is a pipe.
    pub(crate) fn stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.0.stdout.take()
    }

    /// Waits until all of its programs are loaded and attached.
    pub(crate) fn wait_until_attached(&mut self) -> Result<()> {
        let begun = Instant::now();
        let mut loaded = (0, begun);
        while loaded.0 == 0 || loaded.1.elapsed() < ATTACHING {
            self.is_running()?;
            ensure!(begun.elapsed() < PATIENCE, "{} does not attach", self.label);
            let programs = accounts::programs(self.pid()).len();
            if programs != loaded.0 {
                loaded = (programs, Instant::now());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Fails, with what it has said, when it has ended.
    pub(crate) fn is_running(&mut self) -> Result<()> {
        if let Some(status) = self.child.0.try_wait()? {
            bail!("{} has ended ({status}): {}", self.label, self.complaints());
        }
        Ok(())
    }

    fn complaints(&self) -> String {
        let text = fs::read_to_string(&self.errors).unwrap_or_default();
        text.lines().last().unwrap_or("without a word").to_owned()
    }

    /// Waits until it has written all of it to its file.
    pub(crate) fn wait_until_written(&self, file: &Path) {
        let length = || fs::metadata(file).map_or(0, |file| file.len());
        let begun = Instant::now();
        let mut last = (length(), begun);
        while last.1.elapsed() < QUIET && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
            let now = length();
            if now != last.0 {
                last = (now, Instant::now());
            }
        }
    }

    /// Ends it by SIGINT.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.is_running()?;
        kill_process(Pid::from_child(&self.child.0), Signal::INT)?;
        let status = command::wait(&mut self.child.0, PATIENCE)?;
        // tcpstates is one that a signal ends.
        ensure!(status.code().is_none_or(|code| code == 0), "{}: {status}", self.label);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_what_one_types() {
        let tracer = Path::new("/somewhere/target/release/tracer");
        let tool = Tool::tracer(tracer, "JSON", &["--format", "json"]);
        assert_eq!(tool.command_line(), "tracer --format json");
        assert!(Tool::bpftrace().command_line().starts_with("bpftrace -e 'tracepoint:sock:inet"));
    }

    #[test]
    fn tools_write_by_line_where_lines_are_waited_for() {
        assert_eq!(Tool::tcpstates().by_line().command_line(), "stdbuf -oL tcpstates");
        assert!(Tool::bpftrace().by_line().command_line().starts_with("bpftrace -B line -e '"));
    }

    #[test]
    fn what_ends_at_once_or_is_not_there_says_so() {
        let directory = std::env::temp_dir().join(format!("xtask-tool-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let missing = Tool::new("nothing", "no-such-program-here", &[]);
        let error = Running::start(&missing, Stdio::null(), &directory).err().unwrap();
        assert_eq!(error.to_string(), "nothing is not installed");
        let failing = Tool::new("shell", "sh", &["-c", "echo no luck >&2; exit 1"]);
        let mut running = Running::start(&failing, Stdio::null(), &directory).unwrap();
        let error = running.wait_until_attached().unwrap_err().to_string();
        assert!(error.ends_with("no luck"), "{error}");
        fs::remove_dir_all(&directory).unwrap();
    }
}
