//! The command `tracer exec`: runs a command, traces its sockets and returns its status.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::Args;
use rustix::process::{getpid, set_child_subreaper};

use super::{
    format::TraceFormat,
    header::options,
    trace::{self, TraceArguments},
};
use crate::exec::{
    command::{self, Ending, Outcome, Plan},
    group::Group,
    report::{self, Report},
    scope::Scope,
    signals::{self, Link},
    tally::Tally,
    user,
};
use tracer_event::escape::{harmless, without_numbers};
use tracer_kernel::preflight;

/// What to run and how to trace it.
#[derive(Args, Debug)]
#[command(
    after_help = "The trace goes to standard error, or to --output. Exit status: that of COMMAND; \
    125 where tracer itself fails, 126 where COMMAND cannot be executed, 127 where there is none."
)]
pub(super) struct ExecArguments {
    /// Go on until the last descendant of COMMAND has ended
    #[arg(long)]
    wait: bool,
    /// Run COMMAND as root, not as the user who has called sudo
    #[arg(long)]
    as_root: bool,
    #[command(flatten)]
    trace: TraceArguments,
    /// The command to run, and its arguments
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl ExecArguments {
    /// With the options of a trace alone: `tracer -- COMMAND`.
    pub(super) fn new(trace: TraceArguments, command: Vec<OsString>) -> Self {
        Self { wait: false, as_root: false, trace, command }
    }
}

/// The status of a tracer that has failed, as env(1) has it.
const FAILED: u8 = 125;

/// Whether a command line asks for a command to be run: then what is wrong with it is [`FAILED`].
pub(super) fn is_asked_for() -> bool {
    let mut words = std::env::args_os().skip(1);
    words.any(|word| word == "exec" || word == "--")
}

/// Says what went wrong; the status.
pub(super) fn fail(message: &str) -> ExitCode {
    // Nobody may be left to read it.
    let _ = writeln!(io::stderr(), "tracer: {}", harmless(message));
    ExitCode::from(FAILED)
}

/// Runs and traces; the status is the command's.
pub(super) fn run(arguments: &ExecArguments) -> ExitCode {
    let result = Run::prepare(arguments).and_then(|run| run.trace(&arguments.trace));
    result.unwrap_or_else(|error| fail(&without_numbers(&format!("{error:#}"))))
}

/// A command that is about to run.
struct Run {
    words: Vec<OsString>,
    link: Arc<Link>,
    tally: Tally,
    scope: Scope,
    started: command::Started,
}

impl Run {
    fn prepare(arguments: &ExecArguments) -> anyhow::Result<Self> {
        signals::block();
        preflight::privileges()?;
        let stdout = give_up_stdout().context("cannot duplicate standard output")?;
        let (group, scope) = match Group::make() {
            Ok(group) => {
                let scope = Scope::Group { id: group.id, path: group.path.clone() };
                (Some(group), scope)
            }
            Err(reason) => {
                // So that each descendant has us as an ancestor, whatever ends in between.
                let _ = set_child_subreaper(Some(getpid()));
                (None, Scope::Descent { reason: without_numbers(&reason) })
            }
        };
        let user = if arguments.as_root { None } else { user::behind_sudo() };
        let words = arguments.command.clone();
        let plan = Plan { command: words.clone(), user, group, stdout, wait: arguments.wait };
        let (link, tally) = (Arc::<Link>::default(), Tally::default());
        let started =
            command::start(plan, &link, tally.clone()).context("cannot start a process")?;
        signals::pass_on(Arc::clone(&link)).context("cannot read signals")?;
        Ok(Self { words, link, tally, scope, started })
    }

    fn trace(self, arguments: &TraceArguments) -> anyhow::Result<ExitCode> {
        let Self { words, link, tally, scope, started } = self;
        let (gate, finish) = started.split();
        let counting = tally.sink(move || gate.open());
        let traced = trace::run_with(arguments, options(), Some(scope), |setting| {
            link.trace_ends_by(Arc::clone(&setting.end));
            Ok(vec![counting])
        });
        // The gate is gone: where the trace has not begun, nor does the command.
        let outcome = finish();
        let account = tally.take();
        if let Err(error) = traced {
            return Err(error.context(format!("the command {}", report::ending(&outcome.ending))));
        }
        let report = Report { command: &words, outcome: &outcome, account: &account };
        let report = match (arguments.shown.format, &outcome.ending) {
            (TraceFormat::Json, _) => report.json(),
            (_, Ending::Ended(..)) => report.text(),
            // What is to be said of it is said below.
            _ => String::new(),
        };
        // Nobody may be left to read it.
        let _ = io::stderr().write_all(report.as_bytes());
        Ok(status(&words, &outcome))
    }
}

/// Standard output is the command's alone: what is written there by a trace goes to standard error.
fn give_up_stdout() -> io::Result<OwnedFd> {
    let stdout = io::stdout().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(stdout)
}

fn status(words: &[OsString], outcome: &Outcome) -> ExitCode {
    let program = words.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    match &outcome.ending {
        Ending::NotExecuted(error) => {
            let reason = without_numbers(&error.to_string());
            fail(&format!("cannot run {program:?}: {reason}"));
        }
        Ending::NotStarted(reason) => {
            fail(&without_numbers(reason));
        }
        Ending::Ended(..) | Ending::Stopped(_) => {
            if let Some(signal) = outcome.ending.signal() {
                signals::die_of(signal);
            }
        }
    }
    ExitCode::from(outcome.ending.code())
}
