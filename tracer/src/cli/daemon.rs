//! The command `tracer daemon`: a trace that runs as a service.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{Args, CommandFactory as _, FromArgMatches as _};

use super::{
    arguments::{Cli, Command, TraceArguments},
    config, one_line, trace,
};
use crate::sink::service::Service;

/// Read where no other file is named, if it is there.
const DEFAULT_CONFIG: &str = "/etc/tracer/tracer.toml";

/// What a service traces, and where it goes.
#[derive(Args, Debug)]
pub(super) struct DaemonArguments {
    /// Read options from this TOML file, whose keys are the long options; those given here go
    /// before it [default: /etc/tracer/tracer.toml, if there is one]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) trace: TraceArguments,
}

impl DaemonArguments {
    fn config(&self) -> Option<&Path> {
        let default = Path::new(DEFAULT_CONFIG);
        self.config.as_deref().or_else(|| default.exists().then_some(default))
    }
}

/// Traces until it is told to stop.
///
/// # Errors
///
/// Those of the configuration file, and those of a trace.
pub(super) fn run() -> anyhow::Result<()> {
    let argv: Vec<OsString> = std::env::args_os().collect();
    let arguments = configured(&argv)?;
    trace::run_with(&arguments.trace, || vec![Box::new(Service::new())])
}

/// The arguments with those of the configuration file; `argv` is the whole command line.
///
/// # Errors
///
/// One line for the first mistake in the file.
fn configured(argv: &[OsString]) -> anyhow::Result<DaemonArguments> {
    let command = Cli::command();
    let matches = command.clone().try_get_matches_from(argv).map_err(|error| said(&error))?;
    let arguments = daemon(&matches)?;
    let given = matches.subcommand_matches(NAME);
    let (Some(path), Some(given)) = (arguments.config(), given) else { return Ok(arguments) };
    let options = DaemonArguments::augment_args(clap::Command::new(NAME));
    let read = config::arguments(path, &options, given)?;
    // Only switches of the whole program may stand before the command.
    let place = argv.iter().position(|word| word == NAME).map_or(argv.len(), |place| place + 1);
    let mut whole = argv.to_vec();
    whole.splice(place..place, read.into_iter().map(OsString::from));
    daemon(&command.try_get_matches_from(whole).map_err(|error| said(&error))?)
}

const NAME: &str = "daemon";

fn daemon(matches: &clap::ArgMatches) -> anyhow::Result<DaemonArguments> {
    match Cli::from_arg_matches(matches).map_err(|error| said(&error))?.command {
        Some(Command::Daemon(arguments)) => Ok(*arguments),
        _ => anyhow::bail!("tracer daemon must be the command"),
    }
}

fn said(error: &clap::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", one_line(error))
}
