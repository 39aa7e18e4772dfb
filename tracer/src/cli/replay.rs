//! The command `tracer replay`.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _},
    path::PathBuf,
};

use anyhow::{Context as _, ensure};
use clap::Args;
use rustix::rand::{GetRandomFlags, getrandom};

use super::{
    filter::{self, FilterArguments, behind_files},
    format::{FormatArguments, Occasion},
    recording,
    sinks::{Endings, Outputs, SinkArguments},
    telemetry::TelemetryArguments,
};
use crate::replay::{anonymize::Anonymizer, pace::Speed, rotated::rotated, source::Source};
use tracer_event::duration::count;
use tracer_model::filter::Filter;

/// With fewer bytes somebody can try all keys.
const SHORTEST_KEY: usize = 16;

/// What to replay, and how to show it.
#[derive(Args, Debug)]
#[command(
    after_help = "Recordings are what `tracer record` and `tracer --format json` write, plain \
                        or compressed by gzip or zstd. The output of `tracer sockets` and `tracer diagnose` \
                        cannot be replayed."
)]
pub(super) struct ReplayArguments {
    /// Recordings, in this order (- means standard input), then a filter as in ss and tcpdump,
    /// such as: state close-wait and dport :443
    #[arg(required = true, value_name = "FILE|FILTER")]
    files: Vec<PathBuf>,
    /// Begin with the rotated files: FILE.2.gz, FILE.1, then FILE
    #[arg(long)]
    rotated: bool,
    /// Speed: original, max, or a factor such as 10x
    #[arg(long, default_value = "max", value_name = "SPEED", allow_hyphen_values = true)]
    speed: Speed,
    /// Replace addresses and names by hashes, to give a recording away
    #[arg(long)]
    anonymize: bool,
    /// The same with the key in FILE: recordings that are anonymized with one key can be joined
    #[arg(long, value_name = "FILE")]
    anonymize_key: Option<PathBuf>,
    #[command(flatten)]
    shown: FormatArguments,
    #[command(flatten)]
    destinations: SinkArguments,
    #[command(flatten)]
    telemetry: TelemetryArguments,
    #[command(flatten)]
    filter: FilterArguments,
}

impl ReplayArguments {
    /// What makes the recordings anonymous, if anything. A key of one's own stays with the file.
    fn anonymizer(&self) -> anyhow::Result<Option<Anonymizer>> {
        if let Some(path) = &self.anonymize_key {
            let place = path.display();
            let mut key = Vec::new();
            let read = File::open(path).and_then(|file| file.take(4096).read_to_end(&mut key));
            read.with_context(|| format!("cannot read {place}"))?;
            ensure!(
                key.len() >= SHORTEST_KEY,
                "{place} has {} bytes; a key needs {SHORTEST_KEY}: head -c 32 /dev/urandom > FILE",
                key.len()
            );
            return Ok(Some(Anonymizer::new(&key)));
        }
        if !self.anonymize {
            return Ok(None);
        }
        let mut key = [0; SHORTEST_KEY];
        let read = getrandom(&mut key, GetRandomFlags::empty()).context("no random key")?;
        ensure!(read == key.len(), "no random key: the kernel gave {read} bytes");
        Ok(Some(Anonymizer::new(&key)))
    }
}

/// Replays the recordings.
///
/// # Errors
///
/// For each thing that can be wrong one line that names it.
pub(super) fn run(arguments: &ReplayArguments) -> anyhow::Result<()> {
    let ReplayArguments { shown, destinations, telemetry, .. } = arguments;
    let outputs = Outputs { shown, destinations, telemetry, occasion: Occasion::Recording };
    outputs.check()?;
    outputs.ensure_any()?;
    let (files, words) = behind_files(&arguments.files)?;
    if arguments.filter.explain(&words, |_| Filter::default())? {
        return Ok(());
    }
    let filter = filter::problems(arguments.filter.filter(&words)?, shown.problems);
    let files = all(files, arguments.rotated)?;
    let anonymizer = arguments.anonymizer()?;
    let size = recording::size(&files, destinations.output.as_deref())?;
    let outputs = outputs.open()?;
    let free = destinations.output.is_some() || !io::stdout().is_terminal();
    let bar = recording::bar(free, size);
    let mut endings = Endings::new();
    let source = Source::new(files).anonymized(anonymizer);
    let outcome = recording::replay(source, filter, arguments.speed, &bar, |setting| {
        outputs.sinks(setting, &mut endings)
    })?;
    endings.iter().try_for_each(|whole| whole())?;
    if outcome.undelivered > 0 {
        tracing::warn!("{} not delivered", count(outcome.undelivered, "line"));
    }
    Ok(())
}

/// The files to read.
fn all(named: &[PathBuf], is_rotated: bool) -> anyhow::Result<Vec<PathBuf>> {
    let first = named.first().context("a recording must stand before the filter")?;
    let mut files = Vec::new();
    for file in named {
        if is_rotated {
            let found = rotated(file);
            files.extend(found.with_context(|| format!("cannot look for {}", file.display()))?);
        } else {
            files.push(file.clone());
        }
    }
    ensure!(!files.is_empty(), "{}: no such file", first.display());
    Ok(files)
}
