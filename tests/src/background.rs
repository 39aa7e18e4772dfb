//! A tracer, or another program, that runs until a test has seen enough.

use std::{
    path::PathBuf,
    process::{ChildStdout, Command, ExitStatus, Stdio},
    thread::JoinHandle,
};

use rustix::process::{Pid, Signal};

use crate::{
    leashed::Leashed,
    netns::Namespace,
    tracer::{command, is_attached, read_all, wait},
};

/// A process whose standard error is read.
#[derive(Debug)]
pub struct Background {
    child: Leashed,
    errors: Option<JoinHandle<String>>,
}

impl Background {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Self {
        Self::writing_to(Stdio::null(), command)
    }

    /// The same, and what reads its standard output.
    pub fn piped(command: &mut Command) -> (Self, ChildStdout) {
        let mut background = Self::writing_to(Stdio::piped(), command);
        let output = background.child.stdout.take().expect("a pipe");
        (background, output)
    }

    fn writing_to(output: Stdio, command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped());
        let mut child = Leashed::start(command);
        let errors = child.stderr.take().map(read_all);
        Self { child, errors }
    }

    /// Starts a tracer of a namespace, prepared by `prelude` as [`command`] does.
    pub fn tracer(prelude: &str, namespace: &Namespace, options: &[&str]) -> Self {
        Self::start(&mut command(prelude, &[&[namespace.netns], options].concat()))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The same, to signal it by.
    pub fn pid(&self) -> Pid {
        self.child.pid()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Whether a tracer is attached.
    pub fn is_attached(&self) -> bool {
        is_attached(self.id())
    }

    /// A path as the process sees it, in its own mount namespace.
    pub fn inside(&self, path: &str) -> PathBuf {
        format!("/proc/{}/root{path}", self.id()).into()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    /// Ends it by a signal; what it says on standard error.
    pub fn end(self, signal: Signal) -> (ExitStatus, String) {
        self.signal(signal);
        self.wait()
    }

    /// Waits until it ends by itself; what it says on standard error.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let status = wait(&mut self.child);
        let errors = self.errors.take().and_then(|thread| thread.join().ok());
        (status, errors.unwrap_or_default())
    }

    /// Ends a tracer by SIGINT, which must be content.
    pub fn finish(self) {
        let (status, errors) = self.end(Signal::INT);
        assert!(status.success(), "ended with {status}: {errors}");
        assert_eq!(errors, "", "it complains");
    }
}
