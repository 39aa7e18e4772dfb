//! Standard output and standard error: what is printed, in which colours, and how errors read.

use std::{
    io::{self, IsTerminal as _, Stdout, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::closed;
use crate::top::messages::Messages;
use tracer_event::escape::{harmless, without_numbers};
use tracer_model::filter::parse::Mistake;
use tracer_output::text::Palette;

/// What writing to it fails with, in front of the reason.
pub(super) const STDOUT_FAILED: &str = "cannot write to standard output";

/// Whether to use colour.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct ColorArgument {
    /// When to use colour: auto, always or never
    #[arg(long = "color", value_enum, default_value_t, value_name = "WHEN")]
    when: When,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum When {
    /// On terminals, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl ColorArgument {
    /// Colours, and the columns of the terminal if `out` is one.
    pub(super) fn appearance(self, out: Option<Stdout>) -> (Palette, Option<usize>) {
        let terminal = out.filter(io::IsTerminal::is_terminal);
        let allowed = || std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let colour = match self.when {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal.is_some() && allowed(),
        };
        let palette = match colour {
            true => Palette::of_terminal(|name| std::env::var(name).ok()),
            false => Palette::PLAIN,
        };
        (palette, terminal.and_then(columns))
    }
}

/// The columns that a terminal has now.
pub(super) fn columns(terminal: impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    Some(usize::from(size.ws_col)).filter(|&columns| columns > 0)
}

/// Writes to standard output, and flushes it.
///
/// # Errors
///
/// Where standard output fails. If nobody reads it any more, that is no error.
pub(super) fn print(bytes: &[u8]) -> anyhow::Result<()> {
    closed::ensure_open().context(STDOUT_FAILED)?;
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).or_else(unless_closed).context(STDOUT_FAILED)
}

/// A reader that has closed the pipe has seen enough.
fn unless_closed(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// Prints an error; the exit status for it.
pub(super) fn fail(message: &str) -> ExitCode {
    // Nobody may be left to read it.
    let _ = writeln!(io::stderr(), "tracer: {}", harmless(message));
    ExitCode::from(2)
}

/// Prints an error with its causes; the exit status for it.
pub(super) fn fail_by(error: &anyhow::Error) -> ExitCode {
    let status = fail(&words(error));
    point(error);
    status
}

/// An error with its causes.
pub(super) fn words(error: &anyhow::Error) -> String {
    without_numbers(&format!("{error:#}"))
}

/// Points at the place in a filter that is wrong, if it is one that an error is about.
pub(super) fn point(error: &anyhow::Error) {
    if let Some(mistake) = error.downcast_ref::<Mistake>() {
        // Nobody may be left to read it.
        let _ = io::stderr().write_all(mistake.pointer().as_bytes());
    }
}

/// Prints what clap has to say: help and version on standard output, errors in one line, by
/// `fail_otherwise` where 2 is not the status for them.
pub(super) fn usage(
    error: &clap::Error,
    commands: &clap::Command,
    fail_otherwise: Option<fn(&str) -> ExitCode>,
) -> ExitCode {
    if error.use_stderr() {
        let (message, tips) = parts(error);
        let status = fail_otherwise.unwrap_or(fail)(&format!("{message}; see {}", help(commands)));
        for tip in tips {
            let _ = writeln!(io::stderr(), "tracer: {}", harmless(&tip));
        }
        return status;
    }
    let printed = closed::ensure_open().and_then(|()| error.print().or_else(unless_closed));
    let printed = printed.context(STDOUT_FAILED);
    printed.map_or_else(|error| fail_by(&error), |()| ExitCode::SUCCESS)
}

/// A mistake in the arguments. clap's own messages take several lines.
pub(super) fn one_line(error: &clap::Error) -> String {
    parts(error).0
}

/// The same, and clap's tips.
fn parts(error: &clap::Error) -> (String, Vec<String>) {
    let text = error.to_string();
    let (mut tips, lines): (Vec<&str>, Vec<&str>) = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        // What follows `--` is a command, not a value; possible values are listed.
        .filter(|line| {
            !["tip: to pass", "tip: a similar value"].iter().any(|tip| line.starts_with(tip))
        })
        .filter(|line| !line.is_empty())
        .partition(|line| line.starts_with("tip: "));
    let message = lines.join(" ").trim_start_matches("error: ").to_owned();
    if message.contains("'-p'") {
        tips = vec!["tip: -p is the port in some tools and the process in others: --port or --pid"];
    }
    (message, tips.into_iter().map(str::to_owned).collect())
}

/// The help of the command that was typed.
fn help(commands: &clap::Command) -> String {
    let typed = std::env::args_os().nth(1).and_then(|typed| typed.into_string().ok());
    let typed = typed.filter(|typed| commands.find_subcommand(typed).is_some());
    typed.map_or("tracer trace --help".into(), |command| format!("tracer {command} --help"))
}

/// Sends the log to standard error: warnings, and more if asked for.
///
/// # Errors
///
/// Where the variable `TRACER_LOG` has no levels in it.
pub(super) fn log(verbose: u8) -> anyhow::Result<()> {
    use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};
    let level = match verbose {
        // Our own messages about limits and BTF are better than aya's.
        0 => "warn,aya=error",
        1 => "info,tracer=debug",
        2 => "debug",
        _ => "trace",
    };
    let asked = std::env::var_os("TRACER_LOG").filter(|asked| !asked.is_empty());
    let targets = asked.map_or_else(|| levels(level), |asked| levels(&asked.to_string_lossy()))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(Messages::default)
        .with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry().with(lines).with(targets).init();
    Ok(())
}

/// `debug`, or `warn,tracer=debug`. A word alone could be a module too; a level that is mistyped
/// would then silence all others.
fn levels(asked: &str) -> anyhow::Result<Targets> {
    let is_level = |part: &str| {
        let level = part.rsplit('=').next().unwrap_or_default().trim();
        !level.is_empty() && level.parse::<LevelFilter>().is_ok()
    };
    let targets = asked.parse::<Targets>().ok().filter(|_| asked.split(',').all(is_level));
    ensure!(
        targets.is_some(),
        "the variable TRACER_LOG is {asked:?}: expected a level (error, warn, info, debug, trace \
         or off) or one for a module, such as tracer=debug"
    );
    Ok(targets.unwrap_or_default())
}
