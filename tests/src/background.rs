//! A tracer, or another program, that runs until a test has seen enough.

use std::{
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread::JoinHandle,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    netns::Namespace,
    tracer::{command, is_attached, read_all, wait},
};

/// A process whose standard error is read; killed when dropped.
#[derive(Debug)]
pub struct Background {
    child: Child,
    errors: Option<JoinHandle<String>>,
}

impl Background {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let errors = child.stderr.take().map(read_all);
        Self { child, errors }
    }

    /// Starts a tracer of a namespace, prepared by `prelude` as [`command`] does.
    pub fn tracer(prelude: &str, namespace: &Namespace, options: &[&str]) -> Self {
        let inode = namespace.inode.to_string();
        Self::start(&mut command(prelude, &[&["--netns", &inode], options].concat()))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
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
        kill_process(Pid::from_child(&self.child), signal).expect("it is running");
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

impl Drop for Background {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
