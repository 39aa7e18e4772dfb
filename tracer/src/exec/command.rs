//! The command's process: forked before anything is given up, held back until the trace has begun,
//! waited for until it ends.
//!
//! It stays in the process group of tracer, so that the terminal treats both as one job: Ctrl-C,
//! Ctrl-Z and reading from the terminal work as without tracer.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, PipeReader, PipeWriter, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd, RawFd},
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    process::{self, Child, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, PidfdFlags, pidfd_open},
    thread::CapabilitySet,
};

use super::{
    group::{Group, Survivor},
    inherited::{Inherited, inherited},
    python::{Hook, PYTHONPATH},
    signals::Link,
    tally::Tally,
    user::User,
};
use tracer_kernel::privileges;

/// After the command's end its last segments are waited for, as long as there are some on the way.
const SETTLE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

/// What is to be run.
#[derive(Debug)]
pub struct Plan {
    /// The program, searched for in PATH, and its arguments.
    pub command: Vec<OsString>,
    /// As whom; `None` as tracer itself runs.
    pub user: Option<User>,
    /// In which control group.
    pub group: Option<Group>,
    /// Says which lines of Python connect.
    pub python: Option<Hook>,
    /// Its standard output.
    pub stdout: OwnedFd,
    /// The trace goes on until the last of its descendants has ended.
    pub wait: bool,
}

/// How it ended.
#[derive(Debug)]
pub enum Ending {
    /// With this status, after a time.
    Ended(ExitStatus, Duration),
    /// It could not be executed.
    NotExecuted(io::Error),
    /// It has not got so far: in words.
    NotStarted(String),
    /// A signal came before it had begun.
    Stopped(i32),
}

/// What became of it.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Processes that were still there when the trace was over.
    pub survivors: Vec<Survivor>,
}

impl Ending {
    /// The status by which a shell knows it.
    pub fn code(&self) -> u8 {
        let low = |number: i32| u8::try_from(number & 0xff).unwrap_or(u8::MAX);
        match self {
            Self::Ended(status, _) => {
                status.code().map_or_else(|| low(128 + status.signal().unwrap_or(0)), low)
            }
            Self::NotExecuted(error) if error.kind() == io::ErrorKind::NotFound => 127,
            Self::NotExecuted(_) => 126,
            Self::NotStarted(_) => 125,
            Self::Stopped(signal) => low(128 + signal),
        }
    }

    /// The signal that ended it.
    pub fn signal(&self) -> Option<i32> {
        match self {
            Self::Ended(status, _) => status.signal(),
            Self::Stopped(signal) => Some(*signal),
            Self::NotExecuted(_) | Self::NotStarted(_) => None,
        }
    }
}

/// Lets the command run; where it is dropped, the command never runs.
#[derive(Debug)]
pub struct Gate(PipeWriter, Arc<Link>);

impl Gate {
    /// Lets it run.
    pub fn open(mut self) {
        if self.1.opens() {
            // A child that is gone has been ended by a signal.
            let _ = self.0.write_all(b"!");
        }
    }
}

/// A command whose process waits.
pub struct Started {
    /// Lets it run.
    pub gate: Gate,
    thread: JoinHandle<Outcome>,
    trace_is_over: mpsc::Sender<()>,
}

impl Started {
    /// Says that the trace is over, and waits for the command and for what is to be cleaned up.
    pub fn finish(self) -> Outcome {
        let Self { gate, thread, trace_is_over } = self;
        drop(gate);
        finish(thread, &trace_is_over)
    }

    /// The gate, and the rest of it.
    pub fn split(self) -> (Gate, impl FnOnce() -> Outcome) {
        let Self { gate, thread, trace_is_over } = self;
        (gate, move || finish(thread, &trace_is_over))
    }
}

fn finish(thread: JoinHandle<Outcome>, trace_is_over: &mpsc::Sender<()>) -> Outcome {
    // Its thread may have ended by itself.
    let _ = trace_is_over.send(());
    thread.join().unwrap_or_else(|_| Outcome {
        ending: Ending::NotStarted("the thread that waits for the command has died".into()),
        survivors: Vec::new(),
    })
}

/// Forks the process, by a thread that keeps all privileges until the command executes.
///
/// # Errors
///
/// Where descriptors or threads have run out.
pub fn start(plan: Plan, link: &Arc<Link>, tally: Tally) -> io::Result<Started> {
    let (reader, writer) = io::pipe()?;
    let (trouble, to_say) = io::pipe()?;
    let (trace_is_over, is_over) = mpsc::channel();
    let steps = Steps {
        group: plan.group.as_ref().map(Group::processes).transpose()?,
        gate: reader,
        writer: writer.as_raw_fd(),
        trouble: to_say,
        user: plan.user.clone(),
        inherited: inherited(),
    };
    let gate = Gate(writer, Arc::clone(link));
    let link = Arc::clone(link);
    let thread = thread::Builder::new().name("tracer-command".into()).spawn(move || {
        let Plan { command, user, group, python, stdout, wait } = plan;
        let command = prepared(&command, user, python.as_ref(), stdout);
        let child = spawn(command, steps, trouble);
        // To remove the group, whose directory may belong to the user.
        privileges::keep_only(CapabilitySet::DAC_OVERRIDE);
        let ending = match child {
            Ok(child) => follow(child, &link),
            Err(Ending::NotExecuted(error)) if link.is_waiting() => {
                Ending::NotStarted(format!("cannot start a process: {error}"))
            }
            Err(ending) => ending,
        };
        if wait {
            while link.is_awaited() && group.as_ref().map_or_else(reap, Group::is_populated) {
                thread::sleep(PAUSE);
            }
        }
        settle(&tally);
        link.end();
        // Whoever waits is gone where it fails.
        let _ = is_over.recv();
        let survivors = group.map(Group::remove).unwrap_or_default();
        python.into_iter().for_each(Hook::remove);
        Outcome { ending: link.stopped().map_or(ending, Ending::Stopped), survivors }
    })?;
    Ok(Started { gate, thread, trace_is_over })
}

/// Takes in orphans that have ended, which come to us where there is no control group; whether
/// there are others. Must not take what another thread waits for: there is none after the command.
fn reap() -> bool {
    loop {
        let options = rustix::process::WaitOptions::NOHANG;
        match rustix::process::wait(options) {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

fn settle(tally: &Tally) {
    let deadline = Instant::now() + SETTLE;
    loop {
        // What has happened by now is told in a moment.
        thread::sleep(PAUSE);
        if !tally.is_unsettled() || Instant::now() > deadline {
            return;
        }
    }
}

/// The command with its environment; `None` where there is none.
fn prepared(
    words: &[OsString],
    user: Option<User>,
    python: Option<&Hook>,
    stdout: OwnedFd,
) -> Option<process::Command> {
    let (program, arguments) = words.split_first()?;
    let mut command = process::Command::new(program);
    command.args(arguments).stdin(Stdio::inherit()).stdout(stdout);
    let path = match &user {
        Some(user) => user.environment.get(OsStr::new(PYTHONPATH)).cloned(),
        None => env::var_os(PYTHONPATH),
    };
    if let Some(user) = user {
        command.env_clear().envs(user.environment);
    }
    if let Some(python) = python {
        command.envs(python.environment(path.as_deref()));
    }
    Some(command)
}

/// Returns when it executes.
fn spawn(
    command: Option<process::Command>,
    steps: Steps,
    mut trouble: PipeReader,
) -> Result<Child, Ending> {
    let Some(mut command) = command else {
        return Err(Ending::NotStarted("no command".into()));
    };
    // SAFETY: the steps make system calls only, and allocate nothing.
    unsafe { command.pre_exec(move || steps.take()) };
    let spawned = command.spawn();
    // With it goes our end of the pipe for trouble.
    drop(command);
    spawned.map_err(|error| {
        let mut step = [0];
        match trouble.read(&mut step) {
            Ok(1) => Ending::NotStarted(format!("{}: {error}", Step::name(step[0]))),
            _ => Ending::NotExecuted(error),
        }
    })
}

fn follow(mut child: Child, link: &Link) -> Ending {
    if let Ok(process) = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
        link.runs(process);
    }
    let ending = match child.wait() {
        Ok(status) => Ending::Ended(status, link.elapsed()),
        Err(error) => Ending::NotStarted(format!("cannot wait for the command: {error}")),
    };
    link.has_ended(ending.code());
    ending
}

/// What a child does between fork() and exec().
struct Steps {
    group: Option<File>,
    gate: PipeReader,
    /// The other end of the gate, which a child must not hold open.
    writer: RawFd,
    trouble: PipeWriter,
    user: Option<User>,
    inherited: Inherited,
}

#[derive(Clone, Copy)]
#[repr(u8)]
enum Step {
    Group = 1,
    Gate,
    Inherited,
    User,
}

impl Step {
    fn name(step: u8) -> &'static str {
        match step {
            step if step == Self::Group as u8 => "cannot put the command into its control group",
            step if step == Self::Gate as u8 => "the trace did not begin",
            step if step == Self::Inherited as u8 => "cannot restore the command's limits",
            _ => "cannot become the user who asked (SUDO_UID)",
        }
    }
}

impl Steps {
    fn take(&self) -> io::Result<()> {
        self.try_all().map_err(|(step, error)| {
            // The parent waits for it.
            let _ = (&self.trouble).write(&[step as u8]);
            error
        })
    }

    fn try_all(&self) -> Result<(), (Step, io::Error)> {
        // SAFETY: of the child's copy, nobody in the child knows.
        unsafe { libc::close(self.writer) };
        if let Some(group) = &self.group {
            let mut group = group;
            group.write_all(b"0").map_err(|error| (Step::Group, error))?;
        }
        let mut gate = &self.gate;
        gate.read_exact(&mut [0]).map_err(|error| (Step::Gate, error))?;
        self.inherited.restore().map_err(|error| (Step::Inherited, error))?;
        match &self.user {
            Some(user) => user.become_it().map_err(|error| (Step::User, error)),
            None => Ok(()),
        }
    }
}
