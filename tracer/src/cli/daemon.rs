//! The command `tracer daemon`: a trace that runs as a service.

use std::{
    ffi::OsString,
    mem, panic,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Context as _, ensure};
use clap::{ArgMatches, Args, Command, FromArgMatches as _};

use super::{
    config,
    console::{one_line, words},
    live::Setting,
    trace::{self, TraceArguments},
};
use tracer_export::service::Service;
use tracer_output::{
    Sink,
    recording::{FlightRecorder, settings::Settings},
};

const NAME: &str = "daemon";

/// Read where no other file is named, if it is there.
const DEFAULT_CONFIG: &str = "/etc/tracer/tracer.toml";

/// What a service traces, and where it goes.
#[derive(Args, Debug)]
pub(super) struct DaemonArguments {
    /// Read options from this TOML file, whose keys are the long options; those given here
    /// override it [default: /etc/tracer/tracer.toml, if there is one]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only check whether the configuration is valid
    #[arg(long)]
    check: bool,
    /// Keep the last events in memory and write them to a file when a finding is raised, on
    /// SIGUSR1 and so on, such as keep=10m, memory=64MiB, directory=/var/log/tracer, files=10,
    /// finding=critical, ports=90%, descriptors=90%, process=nginx
    #[arg(long, value_name = "KEY=VALUE,…")]
    recorder: Option<Settings>,
    #[command(flatten)]
    pub(super) trace: TraceArguments,
}

impl DaemonArguments {
    /// The sink that keeps the last minutes, if it is asked for.
    fn flight_recorder(&self, setting: &Setting) -> anyhow::Result<Option<Box<dyn Sink>>> {
        let Some(settings) = self.recorder.clone() else { return Ok(None) };
        let recorder = FlightRecorder::start(settings);
        let recorder = recorder.context("cannot start the flight recorder's thread")?;
        setting.on_request(recorder.writes());
        Ok(Some(Box::new(recorder)))
    }

    fn has_destination(&self) -> bool {
        let TraceArguments { destinations, telemetry, .. } = &self.trace;
        destinations.is_any() || telemetry.is_any() || self.recorder.is_some()
    }

    fn config(&self) -> Option<&Path> {
        let default = Path::new(DEFAULT_CONFIG);
        // A link to nowhere is a mistake, not a choice.
        let is_there = || default.symlink_metadata().is_ok();
        self.config.as_deref().or_else(|| is_there().then_some(default))
    }
}

/// Traces until it is told to stop; SIGHUP reads the configuration again. `whole` is the command
/// line of the program.
///
/// # Errors
///
/// Those of the configuration file, and those of a trace.
pub(super) fn run(whole: &Command) -> anyhow::Result<()> {
    let mut configured = Configured::read(whole, std::env::args_os().collect())?;
    if configured.arguments.check {
        return Ok(());
    }
    let mut before = None;
    loop {
        // What is traced is loaded into the kernel: another configuration is another trace.
        let (next, began) = (Next::default(), AtomicBool::new(false));
        let options = configured.argv.iter().skip(1);
        let options = options.map(|word| word.to_string_lossy().into_owned()).collect();
        let trace = || {
            trace::run_with(&configured.arguments.trace, options, None, |setting| {
                began.store(true, Ordering::Relaxed);
                let following = next.clone();
                let service = Service::new(move || following.lock().is_some());
                reread_on_hangup(whole.clone(), &configured, next.clone(), setting);
                let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(service)];
                sinks.extend(configured.arguments.flight_recorder(setting)?);
                Ok(sinks)
            })
        };
        // In a thread of its own, which gives its privileges up: the next trace needs them again.
        let result = thread::scope(|scope| {
            let thread = thread::Builder::new().name("tracer-main".into());
            let trace = thread.spawn_scoped(scope, trace).context("cannot start a thread")?;
            trace.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
        });
        configured = match (result, before.take()) {
            // A port that is taken shows only when it is opened.
            (Err(error), Some(former)) if !began.into_inner() => {
                tracing::error!("the configuration before stays in force: {}", words(&error));
                former
            }
            (result, _) => {
                result?;
                let Some(changed) = next.lock().take() else { return Ok(()) };
                before = Some(mem::replace(&mut configured, changed));
                continue;
            }
        };
    }
}

/// What comes next, if anything does.
#[derive(Clone, Default)]
struct Next(Arc<Mutex<Option<Configured>>>);

impl Next {
    fn lock(&self) -> MutexGuard<'_, Option<Configured>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has SIGHUP end the trace for another one if the configuration has changed. If it is not valid,
/// says why, and goes on as before.
fn reread_on_hangup(whole: Command, in_force: &Configured, next: Next, setting: &Setting) {
    let end = Arc::clone(&setting.end);
    let Configured { given, argv, .. } = in_force;
    let (given, argv) = (given.clone(), argv.clone());
    setting.on_hangup(move || match Configured::read(&whole, given.clone()) {
        Ok(read) if read.argv != argv => {
            *next.lock() = Some(read);
            end.notify_one();
        }
        Ok(_) => {}
        Err(error) => tracing::error!("the configuration is not changed: {}", words(&error)),
    });
}

/// What a service is to do.
struct Configured {
    arguments: DaemonArguments,
    /// The command line of the program.
    given: Vec<OsString>,
    /// The command line that says the same as that and the configuration file.
    argv: Vec<OsString>,
}

impl Configured {
    /// The command line and the configuration file that it names.
    ///
    /// # Errors
    ///
    /// One line for the first mistake in the file.
    fn read(whole: &Command, given: Vec<OsString>) -> anyhow::Result<Self> {
        let (arguments, matches) = parse(whole, &given)?;
        let mut argv = given.clone();
        let Some(path) = arguments.config() else {
            ensure!(
                arguments.has_destination(),
                "tracer daemon has no destination: add --output, --journald, --syslog, --otlp, \
                 --prometheus or --recorder, or name a file that has one (--config)"
            );
            arguments.trace.check()?;
            return Ok(Self { arguments, given, argv });
        };
        let options = DaemonArguments::augment_args(Command::new(NAME));
        let read = config::arguments(path, &options, &matches)?;
        // Only switches of the whole program may stand before the command.
        let place = argv.iter().position(|word| word == NAME).map_or(argv.len(), |at| at + 1);
        argv.splice(place..place, read.into_iter().map(OsString::from));
        let (arguments, _) = parse(whole, &argv)?;
        arguments.trace.check().with_context(|| path.display().to_string())?;
        ensure!(
            arguments.has_destination(),
            "{} names no destination: set output, journald, syslog, otlp, prometheus or recorder",
            path.display()
        );
        Ok(Self { arguments, given, argv })
    }
}

/// The arguments of the command, and what says which of them were given.
fn parse(whole: &Command, argv: &[OsString]) -> anyhow::Result<(DaemonArguments, ArgMatches)> {
    let said = |error| anyhow::anyhow!("{}", one_line(&error));
    let mut matches = whole.clone().try_get_matches_from(argv).map_err(said)?;
    let daemon = matches.remove_subcommand().filter(|(name, _)| name == NAME);
    let (_, matches) = daemon.context("tracer daemon must be the command")?;
    let mut arguments = DaemonArguments::from_arg_matches(&matches).map_err(said)?;
    if let Some(settings) = &arguments.recorder {
        let directory = &settings.directory;
        ensure!(
            directory.is_dir(),
            "--recorder: directory={}: no such directory; make it, or name another one",
            directory.display()
        );
        arguments.trace.writable = Some(directory.clone());
    }
    if let Some(directory) = &arguments.trace.pods.pod_logs {
        ensure!(
            directory.is_dir(),
            "--pod-logs {}: no such directory; it is for nodes of Kubernetes, whose kubelet's is \
             /var/log/pods: leave it out elsewhere",
            directory.display()
        );
    }
    // Nobody looks at the standard output of a service.
    let destinations = &mut arguments.trace.destinations;
    destinations.quiet |= destinations.output.is_none();
    Ok((arguments, matches))
}
