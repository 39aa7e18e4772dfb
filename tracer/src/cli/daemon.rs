//! The command `tracer daemon`: a trace that runs as a service.

use std::{
    ffi::OsString,
    panic,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, ensure};
use clap::{Args, CommandFactory as _, FromArgMatches as _};

use super::{
    arguments::TraceArguments,
    command::{Cli, Command},
    config,
    live::Setting,
    one_line, trace,
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
    /// Only say whether the configuration is right
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    pub(super) trace: TraceArguments,
}

impl DaemonArguments {
    fn config(&self) -> Option<&Path> {
        let default = Path::new(DEFAULT_CONFIG);
        // A link to nowhere is a mistake, not a choice.
        let is_there = || default.symlink_metadata().is_ok();
        self.config.as_deref().or_else(|| is_there().then_some(default))
    }
}

/// Traces until it is told to stop; SIGHUP reads the configuration again.
///
/// # Errors
///
/// Those of the configuration file, and those of a trace.
pub(super) fn run() -> anyhow::Result<()> {
    let argv: Vec<OsString> = std::env::args_os().collect();
    let mut configured = Configured::read(&argv)?;
    if configured.arguments.check {
        return Ok(());
    }
    loop {
        // What is traced is loaded into the kernel: another configuration is another trace.
        let next = Arc::new(Mutex::new(None));
        let options = configured.argv.iter().skip(1);
        let options = options.map(|word| word.to_string_lossy().into_owned()).collect();
        let trace = || {
            trace::run_with(&configured.arguments.trace, options, None, |setting| {
                let following = Arc::clone(&next);
                let service = Service::new(move || {
                    following.lock().unwrap_or_else(PoisonError::into_inner).is_some()
                });
                reread_on_hangup(setting, argv.clone(), configured.argv.clone(), next.clone());
                Ok(vec![Box::new(service)])
            })
        };
        // In a thread of its own, which gives its privileges up: the next trace needs them again.
        thread::scope(|scope| {
            let trace =
                thread::Builder::new().name("tracer-main".into()).spawn_scoped(scope, trace);
            let trace = trace.context("cannot start a thread")?;
            trace.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
        })?;
        let Some(changed) = take(&next) else { return Ok(()) };
        configured = changed;
    }
}

/// What comes next, if anything does.
type Next = Arc<Mutex<Option<Configured>>>;

fn take(next: &Next) -> Option<Configured> {
    next.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Ends the trace for another one where the configuration has changed; says what is wrong with it
/// and goes on as before where it is not valid.
fn reread_on_hangup(setting: &Setting, argv: Vec<OsString>, in_force: Vec<OsString>, next: Next) {
    let end = Arc::clone(&setting.end);
    setting.on_hangup(move || match Configured::read(&argv) {
        Ok(read) if read.argv != in_force => {
            *next.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
            end.notify_one();
        }
        Ok(_) => {}
        Err(error) => tracing::error!("the configuration is not changed: {error:#}"),
    });
}

/// What a service is to do.
struct Configured {
    arguments: DaemonArguments,
    /// The command line that says the same.
    argv: Vec<OsString>,
}

impl Configured {
    /// The command line and the configuration file that it names.
    ///
    /// # Errors
    ///
    /// One line for the first mistake in the file.
    fn read(argv: &[OsString]) -> anyhow::Result<Self> {
        let command = Cli::command();
        let parse = |argv: &[OsString]| {
            command.clone().try_get_matches_from(argv).map_err(|error| said(&error))
        };
        let matches = parse(argv)?;
        let arguments = daemon(&matches)?;
        let given = matches.subcommand_matches(NAME);
        let (Some(path), Some(given)) = (arguments.config(), given) else {
            return Ok(Self { arguments, argv: argv.to_vec() });
        };
        let options = DaemonArguments::augment_args(clap::Command::new(NAME));
        let read = config::arguments(path, &options, given)?;
        // Only switches of the whole program may stand before the command.
        let place = argv.iter().position(|word| word == NAME).map_or(argv.len(), |at| at + 1);
        let mut argv = argv.to_vec();
        argv.splice(place..place, read.into_iter().map(OsString::from));
        let arguments = daemon(&parse(&argv)?)?;
        let TraceArguments { destinations, telemetry, .. } = &arguments.trace;
        ensure!(
            destinations.is_any() || telemetry.is_any(),
            "{} names no destination: set output, journald, syslog, otlp or prometheus",
            path.display()
        );
        Ok(Self { arguments, argv })
    }
}

const NAME: &str = "daemon";

fn daemon(matches: &clap::ArgMatches) -> anyhow::Result<DaemonArguments> {
    match Cli::from_arg_matches(matches).map_err(|error| said(&error))?.command {
        Some(Command::Daemon(mut arguments)) => {
            // Nobody looks at the standard output of a service.
            let destinations = &mut arguments.trace.destinations;
            destinations.quiet |= destinations.output.is_none();
            Ok(*arguments)
        }
        _ => anyhow::bail!("tracer daemon must be the command"),
    }
}

fn said(error: &clap::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", one_line(error))
}
