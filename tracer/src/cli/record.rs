//! The command `tracer record`: all that happens, in the binary form of a recording.

use std::{
    fs::{File, OpenOptions},
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Args;

use super::{
    filter::{self, FilterArguments, FilterWords},
    live::Live,
    options::{StacksArgument, duration},
    signals::interruptible,
    sinks::whole,
};
use tracer_event::escape::escape;
use tracer_kernel::preflight;
use tracer_model::linger::{self, Thresholds};
use tracer_output::recording::Recording;

/// What to record, and where.
#[derive(Args, Debug)]
#[command(
    after_help = "replay, report, pair and diff read the file, as they read JSON. Ctrl-C ends it."
)]
pub(super) struct RecordArguments {
    /// Write to FILE, which is overwritten
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Compress with zstd, in another thread
    #[arg(long)]
    compress: bool,
    /// End after this time, such as 500ms, 10s or 5m
    #[arg(short, long, value_parser = duration, allow_hyphen_values = true, value_name = "TIME")]
    duration: Option<Duration>,
    /// Flag sockets that are stuck in a state, such as close-wait=30s,time-wait=off
    #[arg(long, default_value = linger::DEFAULT, value_name = "STATE=TIME,…")]
    linger: Thresholds,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    words: FilterWords,
    #[command(flatten)]
    stacks: StacksArgument,
}

/// Records until it is over.
///
/// # Errors
///
/// For each thing that can be wrong one line that names it.
pub(super) fn run(arguments: &RecordArguments) -> anyhow::Result<()> {
    let RecordArguments { output, compress, .. } = arguments;
    if arguments.filter.explain(&arguments.words, filter::all)? {
        return Ok(());
    }
    let filter = arguments.filter.filter(&arguments.words)?;
    ensure!(output != Path::new("-"), "--output -: name a file; standard output is /dev/stdout");
    preflight::privileges()?;
    filter::warn_of_absent(&filter);
    let file = create(output)?;
    let mut live = Live::new(filter, arguments.linger, arguments.duration);
    live.request.stacks = arguments.stacks.stacks;
    let (sender, ending) = mpsc::channel();
    live.run(|setting| {
        let name = escape(output.as_os_str().as_bytes()).into_owned();
        let closed = Arc::clone(&setting.closed);
        let recording = Recording::start(file, name, *compress, move || closed.notify_one())
            .context("cannot start the writing thread")?;
        // Who waits for it is there until the end.
        let _ = sender.send(recording.ending());
        Ok(vec![Box::new(recording)])
    })?;
    whole(ending.recv().ok().and_then(|missing| missing()), output)
}

/// The file, for its owner alone: it says who talks to whom.
fn create(path: &Path) -> anyhow::Result<File> {
    let name = path.to_owned();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    interruptible(move || options.open(name))?
        .with_context(|| format!("cannot create the recording {} (--output)", path.display()))
}
