//! Where a trace goes: files, the journal, syslog.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use bytesize::ByteSize;
use clap::Args;

use super::{
    arguments::{FormatArguments, TraceFormat, duration},
    format,
    live::Setting,
    signals::interruptible,
    telemetry::Telemetry,
};
use crate::{
    model::update::LossPlace,
    sink::{
        Format, Sink,
        delivery::Delivery,
        file::{Keep, Rotation, Sharing},
        journald::Journal,
        lines::Lines,
        output::Destination,
        syslog::{self, Syslog},
    },
};

/// Smaller files would be all beginning.
const SMALLEST: u64 = 64 << 10;

/// Where to write.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Destinations")]
pub(super) struct SinkArguments {
    /// Append to FILE instead of standard output; SIGHUP opens it anew
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Set the file aside as FILE.1, FILE.2, … before it gets larger, as 100MiB
    #[arg(long, value_name = "SIZE", requires = "output")]
    rotate_size: Option<ByteSize>,
    /// Set it aside when it gets older, as 1h or 1d
    #[arg(long, value_name = "TIME", requires = "output", value_parser = duration)]
    rotate_age: Option<Duration>,
    /// How many files set aside to keep [default: 10]
    #[arg(long, value_name = "N", requires = "output", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Compress files set aside (gzip)
    #[arg(long, requires = "output")]
    compress: bool,
    /// Write to the systemd journal as well, with fields: journalctl TCP_STATE=CLOSE_WAIT
    #[arg(long)]
    journald: bool,
    /// Send to syslog (RFC 5424) as well: udp://HOST[:PORT], tcp://HOST[:PORT] or unix:///PATH
    #[arg(long, value_name = "ADDRESS")]
    syslog: Option<syslog::Address>,
    /// Write nothing to standard output
    #[arg(short, long, conflicts_with = "output")]
    pub(super) quiet: bool,
}

const KEEP: u32 = 10;

/// Destinations that are open, before anything is traced: a mistake costs nothing.
pub(super) struct Destinations {
    /// None where nothing is to be written to standard output.
    main: Option<Destination>,
    path: Option<PathBuf>,
    journal: Option<Journal>,
    syslog: Option<Syslog>,
}

/// Tells afterwards whether the end of the trace could be written.
pub(super) type Endings = Vec<Box<dyn Fn() -> anyhow::Result<()> + Send>>;

impl SinkArguments {
    /// Opens them all, for a trace in this format.
    ///
    /// # Errors
    ///
    /// For each that cannot be opened, and what is contradictory.
    pub(super) fn open(&self, format: TraceFormat) -> anyhow::Result<Destinations> {
        let this = self.clone();
        // A pipe waits for its reader, a receiver may not answer.
        interruptible(move || this.open_all(format))?
    }

    fn open_all(&self, format: TraceFormat) -> anyhow::Result<Destinations> {
        let rotation = self.rotation()?;
        let path = self.output.as_deref();
        // Nothing can be appended to Parquet.
        let sharing = if format == TraceFormat::Parquet { Sharing::Alone } else { Sharing::Shared };
        let opened = (!self.quiet).then(|| Destination::open(path, rotation, sharing)).transpose();
        let main = opened.with_context(|| {
            let path = path.unwrap_or(Path::new("standard output"));
            format!("cannot open the output file {} (--output)", path.display())
        })?;
        let journal = self.journald.then(Journal::open).transpose();
        let journal = journal.context(
            "--journald: journald does not listen at /run/systemd/journal/socket; \
             is systemd-journald running?",
        )?;
        let syslog = self.syslog.clone().map(Syslog::open).transpose().with_context(|| {
            let address = self.syslog.as_ref().map(ToString::to_string);
            format!("--syslog: nobody answers at {}", address.unwrap_or_default())
        })?;
        Ok(Destinations { main, path: self.output.clone(), journal, syslog })
    }

    /// Whether there is one but for standard output.
    pub(super) fn is_any(&self) -> bool {
        self.output.is_some() || self.journald || self.syslog.is_some()
    }

    /// Directories in which files are opened anew or set aside while the trace runs.
    pub(super) fn writable(&self) -> Vec<PathBuf> {
        let directory = self
            .output
            .as_deref()
            .and_then(Path::parent)
            .map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
        directory.map(Path::to_owned).into_iter().collect()
    }

    /// Whether the format has where it can go.
    ///
    /// # Errors
    ///
    /// One line that says what is missing.
    pub(super) fn check(&self, format: TraceFormat) -> anyhow::Result<()> {
        if format == TraceFormat::Parquet {
            ensure!(
                cfg!(feature = "parquet"),
                "--format parquet is not in this build: build with cargo's feature `parquet` \
                 (cargo build --release --features parquet)"
            );
            ensure!(self.output.is_some(), "--format parquet needs --output FILE");
        }
        Ok(())
    }

    fn rotation(&self) -> anyhow::Result<Option<Rotation>> {
        let Self { rotate_size, rotate_age, keep, compress, .. } = *self;
        let size = rotate_size.map(|ByteSize(bytes)| bytes);
        ensure!(size.is_none_or(|size| size >= SMALLEST), "--rotate-size: at least 64KiB");
        ensure!(rotate_age.is_none_or(|age| !age.is_zero()), "--rotate-age: more than nothing");
        let rotates = size.is_some() || rotate_age.is_some();
        ensure!(
            rotates || keep.is_none() && !compress,
            "--keep and --compress need --rotate-size or --rotate-age: \
             without them no file is set aside"
        );
        let keep = Keep { count: keep.unwrap_or(KEEP), compress };
        Ok(rotates.then_some(Rotation { size, age: rotate_age, keep }))
    }
}

/// All sinks that are asked for; what is not live has no status line.
///
/// # Errors
///
/// Where a thread cannot be had.
pub(super) fn sinks(
    shown: &FormatArguments,
    destinations: Destinations,
    telemetry: Telemetry,
    live: bool,
    setting: &Setting,
    endings: &mut Endings,
) -> anyhow::Result<Vec<Box<dyn Sink>>> {
    let mut sinks = match shown.format {
        #[cfg(feature = "parquet")]
        TraceFormat::Parquet => destinations.parquet(setting, endings)?,
        _ => {
            let terminal = destinations.path.is_none().then(io::stdout);
            let surroundings = Arc::clone(&setting.surroundings);
            let format = || format::format(shown, terminal, live, surroundings);
            destinations.lines(setting, format, live, endings)?
        }
    };
    sinks.extend(telemetry.sinks(&setting.surroundings)?);
    Ok(sinks)
}

/// # Errors
///
/// Where there is none.
pub(super) fn ensure_any(sinks: &[Box<dyn Sink>]) -> anyhow::Result<()> {
    ensure!(
        !sinks.is_empty(),
        "--quiet leaves nothing to write to: add --journald, --syslog, --otlp or --prometheus, or \
         leave it out"
    );
    Ok(())
}

impl Destinations {
    /// The sinks, lines in this format.
    ///
    /// # Errors
    ///
    /// Where a thread cannot be had.
    pub(super) fn lines(
        self,
        setting: &Setting,
        format: impl FnOnce() -> anyhow::Result<Box<dyn Format + Send>>,
        live: bool,
        endings: &mut Endings,
    ) -> anyhow::Result<Vec<Box<dyn Sink>>> {
        let Self { main, path, journal, syslog } = self;
        let mut sinks = logs(journal, syslog, setting)?;
        if let Some(destination) = main {
            let closed = Arc::clone(&setting.closed);
            let lines = Lines::start(format()?, destination, move || closed.notify_one())
                .context("cannot start the writing thread")?;
            if path.is_some() {
                setting.on_hangup(lines.outlet().reopen());
            }
            let missing = lines.ending();
            let path = path.unwrap_or_else(|| "standard output".into());
            endings.push(Box::new(move || whole(missing(), &path)));
            sinks.insert(0, Box::new(if live { lines } else { lines.of_recording() }));
        }
        Ok(sinks)
    }

    /// The sinks, with a Parquet file as output.
    ///
    /// # Errors
    ///
    /// Where there is something in the file already, and where a thread cannot be had.
    #[cfg(feature = "parquet")]
    pub(super) fn parquet(
        self,
        setting: &Setting,
        endings: &mut Endings,
    ) -> anyhow::Result<Vec<Box<dyn Sink>>> {
        use crate::sink::parquet::Parquet;
        let Self { main, path, journal, syslog } = self;
        let mut sinks = logs(journal, syslog, setting)?;
        let (Some(Destination::File(file)), Some(path)) = (main, path) else {
            anyhow::bail!("--format parquet needs --output FILE");
        };
        let name = path.display().to_string();
        let parquet = Parquet::begin(*file).with_context(|| format!("cannot begin {name}"))?;
        let surroundings = Arc::clone(&setting.surroundings);
        let delivery = Delivery::start(parquet, LossPlace::Output, surroundings)
            .context("cannot start the writing thread")?;
        setting.on_hangup(delivery.outlet().reopen());
        let missing = delivery.outlet().ending("it takes too long");
        endings.push(Box::new(move || whole(missing(), &path)));
        sinks.insert(0, Box::new(delivery));
        Ok(sinks)
    }
}

fn logs(
    journal: Option<Journal>,
    syslog: Option<Syslog>,
    setting: &Setting,
) -> anyhow::Result<Vec<Box<dyn Sink>>> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    let started = |started: io::Result<Delivery>| -> anyhow::Result<Box<dyn Sink>> {
        Ok(Box::new(started.context("cannot start a thread")?))
    };
    if let Some(journal) = journal {
        let surroundings = Arc::clone(&setting.surroundings);
        sinks.push(started(Delivery::start(journal, LossPlace::Journal, surroundings))?);
    }
    if let Some(syslog) = syslog {
        let surroundings = Arc::clone(&setting.surroundings);
        sinks.push(started(Delivery::start(syslog, LossPlace::Syslog, surroundings))?);
    }
    Ok(sinks)
}

fn whole(missing: Option<&str>, path: &Path) -> anyhow::Result<()> {
    missing.map_or(Ok(()), |reason| {
        let path = path.display();
        anyhow::bail!("the end of the trace could not be written to {path}: {reason}")
    })
}
