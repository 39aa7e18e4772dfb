//! The command `tracer replay`.

use std::{
    fs, io,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    arguments::{FilterArguments, FormatArguments},
    format,
    live::Setting,
    signals::Signals,
    sinks::{self, Endings, SinkArguments},
    telemetry::TelemetryArguments,
    threads,
};
use crate::{
    model::filter::Filter,
    replay::{
        Outcome, Replay,
        pace::Speed,
        source::{Error, Source, rotated},
        surroundings::Recorded,
    },
};

/// What to tell again, and how.
#[derive(Args, Debug)]
#[command(
    after_help = "Recordings are what `tracer --format json` writes, plain or compressed by \
                        gzip or zstd. Those of `tracer sockets` and `tracer diagnose` are not \
                        replayed."
)]
pub(super) struct ReplayArguments {
    /// Recordings, in this order; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Begin with what FILE was before it was rotated: FILE.2.zst, FILE.1, then FILE
    #[arg(long)]
    rotated: bool,
    /// How fast: original, max, or a factor as 10x
    #[arg(long, default_value = "max", value_name = "SPEED")]
    speed: Speed,
    #[command(flatten)]
    shown: FormatArguments,
    #[command(flatten)]
    destinations: SinkArguments,
    #[command(flatten)]
    telemetry: TelemetryArguments,
    /// Only what fails, is retried or lingers
    #[arg(long)]
    problems: bool,
    #[command(flatten)]
    filter: FilterArguments,
}

/// A replay of less than this is over before anybody looks: no progress bar, bytes.
const LONG: u64 = 32 << 20;
/// Between two looks at the progress.
const LOOK: Duration = Duration::from_millis(100);

/// Tells it all again.
///
/// # Errors
///
/// For each thing that can be wrong one line that names it.
pub(super) fn run(arguments: &ReplayArguments) -> anyhow::Result<()> {
    format::check(&arguments.shown)?;
    arguments.destinations.check(arguments.shown.format)?;
    let filter = Filter { problems: arguments.problems, ..arguments.filter.filter()? };
    let files = files(arguments)?;
    let size = size(&files, arguments.destinations.output.as_deref())?;
    let destinations = arguments.destinations.open(arguments.shown.format)?;
    let telemetry = arguments.telemetry.open()?;
    let surroundings = Arc::<Recorded>::default();
    let setting = Setting::new(Arc::clone(&surroundings) as _);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut endings = Endings::new();
    let sinks = {
        // Sinks may start tasks.
        let _entered = runtime.enter();
        sinks::sinks(&arguments.shown, destinations, telemetry, false, &setting, &mut endings)?
    };
    sinks::ensure_any(&sinks)?;
    let free = arguments.destinations.output.is_some() || !io::stdout().is_terminal();
    let bar = bar(free, size);
    let stop = Arc::<AtomicBool>::default();
    let replay =
        Replay { sinks, surroundings, filter, speed: arguments.speed, stop: Arc::clone(&stop) };
    let source = Source::new(files);
    tell(&runtime.block_on(wait(replay, source, setting, &stop, &bar))??);
    endings.iter().try_for_each(|whole| whole())
}

/// The files to read.
fn files(arguments: &ReplayArguments) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for file in &arguments.files {
        if arguments.rotated {
            let found = rotated(file);
            files.extend(found.with_context(|| format!("cannot look for {}", file.display()))?);
        } else {
            files.push(file.clone());
        }
    }
    ensure!(!files.is_empty(), "{}: no such file", arguments.files[0].display());
    Ok(files)
}

/// The size of recordings as far as it is known, bytes.
///
/// # Errors
///
/// Where one cannot be read, or is what is to be written.
pub(super) fn size(files: &[PathBuf], output: Option<&Path>) -> anyhow::Result<u64> {
    let mut size = 0;
    for file in files.iter().filter(|file| *file != Path::new("-")) {
        ensure!(
            output.is_none_or(|output| !is_same(file, output)),
            "{} is to be read and written (--output): choose another name",
            file.display()
        );
        let known =
            fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
        ensure!(!known.is_dir(), "cannot read {}: it is a directory", file.display());
        size += known.len();
    }
    Ok(size)
}

fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

/// Where nothing else is written to the terminal, that is where it is `free`.
pub(super) fn bar(free: bool, size: u64) -> ProgressBar {
    if !free || size < LONG || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr_with_hz(5));
    let style =
        ProgressStyle::with_template("{bar:30} {percent:>3} % of {total_bytes}, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// In a thread of its own, so that a signal ends it while it reads or waits.
pub(super) async fn wait(
    replay: Replay,
    mut source: Source,
    setting: Setting,
    stop: &Arc<AtomicBool>,
    bar: &ProgressBar,
) -> anyhow::Result<Result<Outcome, Error>> {
    let mut signals = Signals::catch()?;
    let progress: Arc<AtomicU64> = source.progress();
    let mut done = threads::start("tracer-replay", move || replay.run(&mut source))?;
    let mut ticks = tokio::time::interval(LOOK);
    let hangup = setting.into_hangup();
    let asked = signals.end(&hangup);
    tokio::pin!(asked);
    loop {
        tokio::select! {
            result = &mut done => {
                bar.finish_and_clear();
                return result.context("the replaying thread failed");
            }
            () = &mut asked => {
                bar.finish_and_clear();
                stop.store(true, Ordering::Relaxed);
                // Where it waits for a pipe to be read from it does not hear.
                let rest = tokio::time::timeout(Duration::from_secs(5), done).await;
                let rest = rest.context("ended by a signal before the recording came to its end")?;
                return rest.context("the replaying thread failed");
            }
            _ = ticks.tick() => bar.set_position(progress.load(Ordering::Relaxed)),
        }
    }
}

/// What the recording does not have.
pub(super) fn tell(outcome: &Outcome) {
    for place in &outcome.cut {
        tracing::warn!("{place}: the recording breaks off here, in the middle of a line");
    }
    if outcome.passed > 0 {
        tracing::warn!("{} lines of other kinds were passed over", outcome.passed);
    }
    if outcome.undelivered > 0 {
        tracing::warn!("{} lines could not be delivered", outcome.undelivered);
    }
}
