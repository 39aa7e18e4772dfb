//! Reading recordings for a command: until they end or a signal comes, with a progress bar.

use std::{
    fs,
    io::{self, IsTerminal as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{live::Setting, signals::Signals, threads};
use crate::replay::{
    Outcome, Replay,
    enricher::Recorded,
    pace::Speed,
    source::{Error, Source},
};
use tracer_event::duration::count;
use tracer_model::filter::Filter;
use tracer_output::Sink;

/// A replay of less than this is over before anybody looks: no progress bar, bytes.
const LONG: u64 = 32 << 20;
/// Between two updates of the progress bar.
const REFRESH: Duration = Duration::from_millis(100);

/// Replays recordings into sinks, and warns of what is missing in them.
///
/// # Errors
///
/// Those of `sinks`, where a recording cannot be read, and where a signal has ended it but not in
/// time.
pub(super) fn replay(
    source: impl Into<Source>,
    filter: Filter,
    speed: Speed,
    bar: &ProgressBar,
    sinks: impl FnOnce(&Setting) -> anyhow::Result<Vec<Box<dyn Sink>>>,
) -> anyhow::Result<Outcome> {
    let enricher = Arc::<Recorded>::default();
    let setting = Setting::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sinks = {
        // Sinks may start tasks.
        let _entered = runtime.enter();
        sinks(&setting)?
    };
    let stop = Arc::<AtomicBool>::default();
    let replay = Replay { sinks, enricher, filter, speed, stop: Arc::clone(&stop) };
    let outcome = runtime.block_on(wait(replay, source.into(), setting, &stop, bar))??;
    warn_of_gaps(&outcome);
    Ok(outcome)
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
async fn wait(
    replay: Replay,
    mut source: Source,
    setting: Setting,
    stop: &Arc<AtomicBool>,
    bar: &ProgressBar,
) -> anyhow::Result<Result<Outcome, Error>> {
    let mut signals = Signals::catch()?;
    let progress: Arc<AtomicU64> = source.progress();
    let mut done = threads::start("tracer-replay", move || replay.run(&mut source))?;
    let mut ticks = tokio::time::interval(REFRESH);
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
fn warn_of_gaps(outcome: &Outcome) {
    for place in &outcome.cut {
        tracing::warn!("{place}: the recording breaks off here, in the middle of a line");
    }
    if outcome.passed > 0 {
        tracing::warn!("{} passed over: of other kinds", count(outcome.passed, "line"));
    }
}
