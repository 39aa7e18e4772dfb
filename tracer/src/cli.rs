//! The command line: raw arguments, validated into what the rest works with.
//!
//! A command is a file with its arguments and `run`. What commands share is below them: options in
//! `options`, `filter` and `format`, what is written and how in `console`.

mod candidates;
mod closed;
mod command;
mod completions;
pub(crate) mod config;
mod console;
mod course;
mod daemon;
mod demo;
mod diagnose;
mod diff;
mod examples;
mod exec;
mod explain;
mod features;
mod filter;
mod format;
mod header;
mod language;
mod live;
mod manual;
mod options;
mod pair;
mod record;
mod recording;
mod replay;
mod report;
mod schema;
mod signals;
mod sinks;
mod sockets;
mod telemetry;
mod threads;
mod top;
mod trace;
mod trusted;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::FromArgMatches as _;

use self::{
    command::{Cli, Command},
    console::{fail, fail_by},
};
use crate::exec::inherited;
use tracer_health as health;
use tracer_kernel::{limits, privileges, stacks};

/// Runs the command line; every error is one line on standard error and status 2.
pub fn run() -> ExitCode {
    match completions::answer(command::command) {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => return fail(&console::one_line(&error)),
    }
    inherited::remember();
    privileges::keep_others_out();
    signals::hold();
    limits::stack().map_or_else(|error| fail(&error.to_string()), |()| run_command())
}

/// Needs more of the stack than there was before [`limits::stack`].
#[inline(never)]
fn run_command() -> ExitCode {
    let fail_otherwise =
        exec::is_asked_for(&command::bare()).then_some(exec::fail as fn(&str) -> ExitCode);
    let fail = fail_otherwise.unwrap_or(fail);
    let parsed = command::command().try_get_matches();
    let Cli { verbose, trace, words, program, command, .. } =
        match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
            Ok(cli) => cli,
            Err(error) => {
                signals::release();
                return console::usage(&error, &command::bare(), fail_otherwise);
            }
        };
    let command = match command.map_or_else(|| Command::of(trace, words, program), Ok) {
        Ok(command) => command,
        Err(message) => {
            signals::release();
            return fail(&message);
        }
    };
    if !command.reads_signals() {
        signals::release();
    }
    if let Err(error) = console::log(verbose) {
        return fail(&error.to_string());
    }
    let enough = limits::descriptors().and_then(|()| limits::address_space());
    let result = enough.map_err(Into::into).and_then(|()| perform(command, verbose > 0));
    // Whatever the result is: if one of the threads has died, it is incomplete.
    let result = result.and_then(|status| health::trouble().map_or(Ok(status), |it| bail!(it)));
    result.unwrap_or_else(|error| fail_by(&error))
}

fn perform(command: Command, verbose: bool) -> anyhow::Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        Command::Exec(arguments) => Ok(exec::run(*arguments)),
        Command::Trace(arguments) => trace::run(&(*arguments).into()).map(done),
        Command::Sockets(arguments) => sockets::run(&arguments).map(done),
        Command::Diagnose(arguments) => diagnose::run(&arguments),
        Command::Daemon(_) => daemon::run(&command::bare()).map(done),
        Command::Report(arguments) => report::run(&arguments).map(done),
        Command::Pair(arguments) => pair::run(&arguments).map(done),
        Command::Record(arguments) => record::run(&arguments).map(done),
        Command::Replay(arguments) => replay::run(&arguments).map(done),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Schema => schema::run().map(done),
        Command::Top(arguments) => top::run(&arguments).map(done),
        Command::Features(arguments) => features::run(&arguments, verbose),
        Command::Demo(arguments) => demo::run(&arguments).map(done),
        Command::Explain(arguments) => explain::run(&arguments).map(done),
        Command::Lab(arguments) => demo::play(&arguments).map(done),
        Command::Completions(arguments) => completions::run(&arguments).map(done),
        Command::Symbols => stacks::reader::run()
            .context("tracer symbols is run by a tracer, which it talks to on standard input")
            .map(done),
        Command::Help { command } => {
            console::print(command::help(command.as_deref())?.as_bytes()).map(done)
        }
        Command::Version => {
            console::print(concat!("tracer ", env!("CARGO_PKG_VERSION"), "\n").as_bytes()).map(done)
        }
        Command::Manual(arguments) => manual::run(&arguments, &command::bare()).map(done),
    }
}
