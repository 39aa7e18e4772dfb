//! The command `tracer exec`: runs a command, traces its sockets and returns its status.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use clap::Args;
use rustix::process::{getpid, set_child_subreaper};

use super::{
    console::{columns, point},
    filter::FilterWords,
    format::TraceFormat,
    header::options,
    trace::{self, TraceArguments},
};
use crate::exec::{
    assertion::{Assertion, Verdict},
    command::{self, Ending, Outcome, Plan},
    group::Group,
    python::{Hook, Notes},
    report::{self, Report},
    scope::Scope,
    signals::{self, Link},
    tally::Tally,
    user::{self, User},
};
use tracer_event::escape::{harmless, without_numbers};
use tracer_kernel::preflight;
use tracer_output::wrap::broken;

/// What to run and how to trace it.
#[derive(Args, Debug)]
#[command(
    after_help = "The trace goes to standard error, or to --output. Exit status: that of COMMAND; \
    1 if that is 0 and an assertion does not hold, 125 if tracer itself fails, 126 if COMMAND \
    cannot be executed, 127 if there is no such command."
)]
pub(super) struct ExecArguments {
    /// Continue until the last descendant of COMMAND has ended
    #[arg(long)]
    wait: bool,
    /// Run COMMAND as root, not as the user who called sudo
    #[arg(long)]
    as_root: bool,
    /// Exit with status 1 if COMMAND succeeds but this does not hold: no-resets, no-refused,
    /// no-retransmits, no-close-wait, no-open, no-leaks, max-connections=N, reuse=N,
    /// handshake-p99=TIME
    #[arg(long, value_delimiter = ',', value_name = "ASSERTION")]
    assert: Vec<Assertion>,
    /// Write the results of --assert to FILE, in the XML of JUnit, for CI systems
    #[arg(long, value_name = "FILE", requires = "assert")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    trace: TraceArguments,
    /// The command to run, and its arguments
    #[arg(
        trailing_var_arg = true,
        required = true,
        value_name = "COMMAND",
        help_heading = "Arguments"
    )]
    command: Vec<OsString>,
}

impl ExecArguments {
    /// With the options of a trace alone: `tracer -- COMMAND`.
    pub(super) fn new(trace: TraceArguments, words: FilterWords, command: Vec<OsString>) -> Self {
        let (assert, junit) = (Vec::new(), None);
        let mut trace = trace;
        trace.words = words;
        Self { wait: false, as_root: false, assert, junit, trace, command }
    }
}

impl ExecArguments {
    /// With the filter that stands before `--`, where one stands before the command. `whole` is
    /// the command line, of which the command is the end.
    fn with_filter(
        mut self,
        whole: impl ExactSizeIterator<Item = OsString>,
    ) -> anyhow::Result<Self> {
        let before = whole.len().checked_sub(self.command.len() + 1);
        let is_marked = before
            .and_then(|at| {
                let mut whole = whole;
                whole.nth(at)
            })
            .is_some_and(|word| word == "--");
        let marked = self.command.iter().position(|word| word == "--");
        if let Some(at) = marked.filter(|_| !is_marked) {
            let command = self.command.split_off(at + 1);
            let words = self.command.iter().take(at);
            let word = |word: &OsString| {
                let text = word.to_str().map(str::to_owned);
                text.with_context(|| format!("{}: a filter must be UTF-8", word.display()))
            };
            self.trace.words.words = words.map(word).collect::<anyhow::Result<_>>()?;
            self.command = command;
            ensure!(!self.command.is_empty(), "there is no command after --");
        }
        self.trace.filter()?;
        Ok(self)
    }
}

/// The status of a tracer that has failed, as env(1) has it.
const FAILED: u8 = 125;

/// Whether a command line asks for a command to be run: then what is wrong with it is [`FAILED`].
/// `whole` has the commands.
pub(super) fn is_asked_for(whole: &clap::Command) -> bool {
    is_exec(whole, std::env::args_os().skip(1))
}

/// `exec` as the command; or no command, and `--`.
fn is_exec(whole: &clap::Command, mut words: impl Iterator<Item = OsString>) -> bool {
    let is_command = |word: &OsString| whole.find_subcommand(word).is_some();
    let first = words.find(|word| word == "--" || is_command(word));
    first.is_some_and(|word| word == "exec" || word == "--")
}

/// Says what went wrong; the status.
pub(super) fn fail(message: &str) -> ExitCode {
    // Nobody may be left to read it.
    let _ = writeln!(io::stderr(), "tracer: {}", harmless(message));
    ExitCode::from(FAILED)
}

/// Runs and traces; the status is the command's.
pub(super) fn run(arguments: ExecArguments) -> ExitCode {
    let result = arguments.with_filter(std::env::args_os()).and_then(|arguments| {
        if arguments.trace.legend {
            return trace::run(&arguments.trace).map(|()| ExitCode::SUCCESS);
        }
        if arguments.trace.explain()? {
            return Ok(ExitCode::SUCCESS);
        }
        Run::prepare(&arguments)?.trace(&arguments)
    });
    result.unwrap_or_else(|error| {
        let status = fail(&without_numbers(&format!("{error:#}")));
        point(&error);
        status
    })
}

/// A command that is about to run.
struct Run {
    words: Vec<OsString>,
    link: Arc<Link>,
    tally: Tally,
    scope: Scope,
    started: command::Started,
    /// Where the lines of Python that connect are noted.
    notes: Option<Notes>,
    /// Opened before anything is given up.
    junit: Option<File>,
}

impl Run {
    fn prepare(arguments: &ExecArguments) -> anyhow::Result<Self> {
        signals::block();
        preflight::privileges()?;
        let junit = arguments.junit.as_ref().map(|path| {
            File::create(path)
                .with_context(|| format!("cannot create {} (--junit)", path.display()))
        });
        let junit = junit.transpose()?;
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
        let (python, notes) = hook(arguments, user.as_ref()).unzip();
        let (command, wait) = (words.clone(), arguments.wait);
        let plan = Plan { command, user, group, python, stdout, wait };
        let (link, tally) = (Arc::<Link>::default(), Tally::default());
        let started =
            command::start(plan, &link, tally.clone()).context("cannot start a process")?;
        signals::pass_on(Arc::clone(&link)).context("cannot read signals")?;
        Ok(Self { words, link, tally, scope, started, notes, junit })
    }

    fn trace(self, arguments: &ExecArguments) -> anyhow::Result<ExitCode> {
        let Self { words, link, tally, scope, started, notes, junit } = self;
        let (gate, finish) = started.split();
        let traced = trace::run_with(&arguments.trace, options(), Some(scope), |setting| {
            link.trace_ends_by(Arc::clone(&setting.end));
            Ok(vec![tally.sink(move || gate.open())])
        });
        // The gate is gone: where the trace has not begun, nor does the command.
        let outcome = finish();
        let mut account = tally.take();
        account.code = notes.map(Notes::read).unwrap_or_default();
        if let Err(error) = traced {
            return Err(
                error.context(format!("the command {}", report::ending(&outcome.ending, None)))
            );
        }
        let verdicts: Vec<Verdict> =
            arguments.assert.iter().map(|assertion| assertion.check(&account)).collect();
        let report = Report {
            command: &words,
            outcome: &outcome,
            account: &account,
            verdicts: &verdicts,
            texts: Some(&arguments.trace.shown.texts()),
        };
        say(&report, arguments.trace.shown.format);
        if let Some(file) = junit {
            report.junit(file).context("cannot write the file (--junit)")?;
        }
        Ok(judged(&report).unwrap_or_else(|| status(&words, &outcome)))
    }
}

/// What says which lines of Python connect, where the code is asked for.
fn hook(arguments: &ExecArguments, user: Option<&User>) -> Option<(Hook, Notes)> {
    if !arguments.trace.shows_stacks() {
        return None;
    }
    let made = Hook::make(user.map(|user| (user.uid, user.gid)));
    made.inspect_err(|error| {
        tracing::warn!("lines of Python are not shown: no directory can be made for it: {error}");
    })
    .ok()
}

fn say(report: &Report<'_>, format: TraceFormat) {
    let text = match (format, &report.outcome.ending) {
        (TraceFormat::Json, _) => report.json(),
        // A terminal would break it anywhere.
        (_, Ending::Ended(..)) => report
            .text()
            .lines()
            .flat_map(|line| broken(line, columns(io::stderr())))
            .map(|line| line + "\n")
            .collect(),
        // What is to be said of it is said with the status.
        _ => return,
    };
    // Nobody may be left to read it.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// The status of a command that succeeded, where an assertion does not hold or cannot be judged:
/// its own failure comes first.
fn judged(report: &Report<'_>) -> Option<ExitCode> {
    let verdicts = report.verdicts;
    if verdicts.is_empty() || report.outcome.ending.code() != 0 {
        return None;
    }
    if !verdicts.iter().all(Verdict::holds) {
        return Some(ExitCode::FAILURE);
    }
    let is_complete = report.account.summary.as_ref().is_some_and(|summary| summary.complete);
    let lost = "events were lost: what is asserted cannot be judged (--buffer-size)";
    (!is_complete).then(|| fail(lost))
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::command(&["exec", "--bogus"], true)]
    #[case::after_a_switch(&["-v", "exec", "curl"], true)]
    #[case::of_the_default_command(&["--port", "80", "--", "curl"], true)]
    #[case::value(&["sockets", "--comm", "exec"], false)]
    #[case::file(&["replay", "exec"], false)]
    #[case::other_command(&["replay", "--speed", "3", "--", "x.json"], false)]
    fn what_runs_a_command_is_known_by_its_first_words(#[case] words: &[&str], #[case] is: bool) {
        let commands = ["exec", "sockets", "replay"].map(clap::Command::new);
        let whole = clap::Command::new(env!("CARGO_PKG_NAME")).subcommands(commands);
        assert_eq!(is_exec(&whole, words.iter().map(OsString::from)), is);
    }
}
