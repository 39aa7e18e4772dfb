//! The command line: raw arguments, validated into what the rest works with.

mod arguments;
mod command;
mod completions;
pub(crate) mod config;
mod daemon;
mod diagnose;
mod examples;
mod exec;
mod features;
mod format;
mod list;
mod live;
mod manual;
mod replay;
mod report;
mod schema;
mod signals;
mod sinks;
mod telemetry;
mod threads;
mod top;
mod trace;
mod trusted;

use std::{
    io::{self, IsTerminal as _, Stdout, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::FromArgMatches as _;

use self::{
    arguments::{ColorArgument, When},
    command::{Cli, Command},
};
use crate::{
    exec::inherited,
    health,
    kernel::{absent, limits, preflight, privileges, stacks},
    model::filter::Filter,
    sink::{
        Degraded, Hello, Host, Mode,
        escape::{escape, harmless, without_numbers},
        text::Palette,
    },
    top::messages::Messages,
};

/// Runs the command line; every error is one line on standard error and status 2.
pub fn run() -> ExitCode {
    inherited::remember();
    privileges::keep_others_out();
    signals::hold();
    match limits::stack() {
        Ok(()) => run_command(),
        Err(error) => fail(&error.to_string()),
    }
}

/// Takes more of the stack than there may have been.
#[inline(never)]
fn run_command() -> ExitCode {
    let parsed = command::command().try_get_matches();
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    if !cli.command.as_ref().is_none_or(Command::reads_signals) {
        signals::release();
    }
    log_to_stderr(cli.verbose);
    if let Err(error) = limits::descriptors() {
        return fail(&error.to_string());
    }
    let result = match cli.command {
        None if !cli.program.is_empty() => return exec::run_with(cli.trace, cli.program),
        Some(Command::Exec(arguments)) => return exec::run(&arguments),
        None => trace::run(&cli.trace).map(|()| ExitCode::SUCCESS),
        Some(Command::Trace(arguments)) => trace::run(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Command::Sockets(arguments)) => list::run(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Command::Diagnose(arguments)) => diagnose::run(&arguments),
        Some(Command::Daemon(_)) => daemon::run().map(|()| ExitCode::SUCCESS),
        Some(Command::Report(arguments)) => report::run(&arguments),
        Some(Command::Replay(arguments)) => replay::run(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Command::Schema) => schema::run().map(|()| ExitCode::SUCCESS),
        Some(Command::Top(arguments)) => top::run(&arguments).map(|()| ExitCode::SUCCESS),
        Some(Command::Features(arguments)) => features::run(&arguments),
        Some(Command::Completions(arguments)) => {
            completions::run(&arguments).map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Symbols) => symbols().map(|()| ExitCode::SUCCESS),
        Some(Command::Manual(arguments)) => manual::run(&arguments).map(|()| ExitCode::SUCCESS),
    };
    // Whatever came out of it, without one of its threads it is not all.
    let result = result.and_then(|status| health::trouble().map_or(Ok(status), |it| bail!(it)));
    match result {
        Ok(status) => status,
        Err(error) => fail(&without_numbers(&format!("{error:#}"))),
    }
}

/// The hidden command `tracer symbols`, which only a tracer runs.
fn symbols() -> anyhow::Result<()> {
    stacks::reader::run()
        .context("tracer symbols is run by a tracer, which it talks to on standard input")
}

fn fail(message: &str) -> ExitCode {
    // Nobody may be left to read it.
    let _ = writeln!(io::stderr(), "tracer: {}", harmless(message));
    ExitCode::from(2)
}

/// clap's own errors take several lines; help and version go to standard output.
fn usage(error: &clap::Error) -> ExitCode {
    signals::release();
    if !error.use_stderr() {
        let printed = error.print().or_else(unless_closed).context(STDOUT_FAILED);
        return printed.map_or_else(
            |error| fail(&without_numbers(&format!("{error:#}"))),
            |()| ExitCode::SUCCESS,
        );
    }
    let message = format!("{}; see tracer --help", one_line(error));
    if exec::is_asked_for() { exec::fail(&message) } else { fail(&message) }
}

/// What is wrong with the arguments.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let told: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    let message = told.join(" ");
    message.trim_start_matches("error: ").to_owned()
}

/// Our own diagnostics; silent about details unless asked.
fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        // What aya has to say of limits and BTF, our own lines say better.
        0 => "warn,aya=error",
        1 => "info,tracer=debug",
        2 => "debug",
        _ => "trace",
    };
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("TRACER_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level)),
        )
        .with_writer(Messages::default)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

const STDOUT_FAILED: &str = "cannot write to standard output";

/// Writes to standard output, to its end.
fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).or_else(unless_closed).context(STDOUT_FAILED)
}

/// A reader that has closed it has seen enough.
fn unless_closed(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// Says what a filter names and is not there, before a trace or list of this host.
fn remark_on(filter: &Filter) {
    for line in absent::absent(filter) {
        tracing::warn!("{line}");
    }
}

/// What a trace of this host begins with.
fn hello(mode: Mode, degraded: Vec<Degraded>, options: Vec<String>) -> Hello {
    let name = rustix::system::uname().nodename().to_bytes().to_vec();
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let boot_id = boot_id.map(|id| id.trim_end().to_owned());
    Hello {
        version: env!("CARGO_PKG_VERSION").into(),
        kernel: preflight::release(),
        mode,
        degraded,
        options,
        host: Some(Host { name: escape(&name).into_owned(), boot_id }),
        file: None,
    }
}

/// The command line in force, made harmless for output.
fn options() -> Vec<String> {
    let options = std::env::args_os().skip(1);
    options.map(|option| escape(option.as_encoded_bytes()).into_owned()).collect()
}

/// Colours, and the columns of the terminal if `out` is one.
fn appearance(colour: ColorArgument, out: Option<Stdout>) -> (Palette, Option<usize>) {
    let terminal = out.filter(io::IsTerminal::is_terminal);
    let colour = match colour.when {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            terminal.is_some() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    };
    let palette = if colour { Palette::COLOUR } else { Palette::PLAIN };
    let size = terminal.and_then(|terminal| rustix::termios::tcgetwinsize(terminal).ok());
    (palette, size.map(|size| usize::from(size.ws_col)).filter(|&columns| columns > 0))
}
