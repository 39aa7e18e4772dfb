//! Where a trace goes: standard output, files, the journal, syslog.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use bytesize::ByteSize;
use clap::Args;

use super::{
    closed,
    console::STDOUT_FAILED,
    format::{FormatArguments, Occasion, TraceFormat},
    live::Setting,
    options::{duration, positive},
    signals::interruptible,
    telemetry::{Telemetry, TelemetryArguments},
};
use tracer_event::update::LossPlace;
use tracer_export::{
    journald::Journal,
    syslog::{self, Syslog},
};
#[cfg(feature = "parquet")]
use tracer_output::parquet::Parquet;
use tracer_output::{
    Sink,
    delivery::{Delivery, Record},
    file::{Keep, Rotation, Sharing},
    lines::Lines,
    output::Destination,
    queue::Worker,
};

/// The smallest size of a file. Each begins with a header, and smaller ones would hold little else.
const SMALLEST: u64 = 64 << 10;
/// Rotated files that are kept by default.
const KEEP: u32 = 10;

/// Where to write.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Destinations")]
pub(super) struct SinkArguments {
    /// Append to FILE instead of standard output; SIGHUP reopens it
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Rotate the file to FILE.1, FILE.2, … before it gets larger, such as 100MiB
    #[arg(long, value_name = "SIZE", requires = "output")]
    rotate_size: Option<ByteSize>,
    /// Rotate the file when it is older, such as 1h or 1d
    #[arg(long, value_name = "TIME", requires = "output", value_parser = duration, allow_hyphen_values = true)]
    rotate_age: Option<Duration>,
    /// Number of rotated files to keep [default: 10]
    #[arg(long, value_name = "N", requires = "output", value_parser = positive::<u32>, allow_negative_numbers = true)]
    keep: Option<u32>,
    /// Compress rotated files (gzip)
    #[arg(long, requires = "output")]
    compress: bool,
    /// Also write to the systemd journal, with fields: journalctl TCP_STATE=CLOSE_WAIT
    #[arg(long)]
    journald: bool,
    /// Also send to syslog (RFC 5424): udp://HOST[:PORT], tcp://HOST[:PORT] or unix:///PATH
    #[arg(long, value_name = "ADDRESS")]
    syslog: Option<syslog::Address>,
    /// Write nothing to standard output
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// What tells afterwards whether the end of the trace could be written.
pub(super) type Ending = Box<dyn Fn() -> anyhow::Result<()> + Send>;
pub(super) type Endings = Vec<Ending>;

/// All that says what is written where.
pub(super) struct Outputs<'a> {
    pub(super) shown: &'a FormatArguments,
    pub(super) destinations: &'a SinkArguments,
    pub(super) telemetry: &'a TelemetryArguments,
    pub(super) occasion: Occasion,
}

/// Destinations that are open, before anything is traced: a mistake costs nothing.
pub(super) struct Opened<'a> {
    shown: &'a FormatArguments,
    occasion: Occasion,
    destinations: Destinations,
    telemetry: Telemetry,
}

struct Destinations {
    /// None where nothing is to be written to standard output.
    main: Option<Destination>,
    path: Option<PathBuf>,
    journal: Option<Journal>,
    syslog: Option<Syslog>,
}

impl<'a> Outputs<'a> {
    /// Whether the options fit together, and the files with settings say what they ought to.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong or missing.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.shown.check()?;
        self.destinations.rotation()?;
        self.telemetry.settings()?;
        if self.shown.format == TraceFormat::Parquet {
            ensure!(
                cfg!(feature = "parquet"),
                "--format parquet is not in this build: build with cargo's feature `parquet` \
                 (cargo build --release --features parquet)"
            );
            ensure!(self.destinations.output.is_some(), "--format parquet needs --output FILE");
        }
        Ok(())
    }

    /// Whether anything is to be written at all.
    ///
    /// # Errors
    ///
    /// Where nothing is asked for.
    pub(super) fn ensure_any(&self) -> anyhow::Result<()> {
        let Self { destinations, telemetry, .. } = self;
        ensure!(
            !destinations.quiet || destinations.is_any() || telemetry.is_any(),
            "--quiet leaves nothing to write to: add --output, --journald, --syslog, --otlp or \
             --prometheus, or leave it out"
        );
        Ok(())
    }

    /// Opens them all.
    ///
    /// # Errors
    ///
    /// For each that cannot be opened, and what is contradictory.
    pub(super) fn open(&self) -> anyhow::Result<Opened<'a>> {
        let Self { shown, destinations, telemetry, occasion } = *self;
        let (arguments, format) = (destinations.clone(), shown.format);
        // A pipe waits for its reader, a receiver may not answer.
        let destinations = interruptible(move || arguments.open(format))??;
        Ok(Opened { shown, occasion, destinations, telemetry: telemetry.open()? })
    }
}

impl SinkArguments {
    fn open(self, format: TraceFormat) -> anyhow::Result<Destinations> {
        let rotation = self.rotation()?;
        let path = self.output;
        // Nothing can be appended to Parquet.
        let sharing = if format == TraceFormat::Parquet { Sharing::Alone } else { Sharing::Shared };
        let main = match &path {
            Some(path) => {
                let failed =
                    || format!("cannot open the output file {} (--output)", path.display());
                Some(Destination::open(Some(path), rotation, sharing).with_context(failed)?)
            }
            None if self.quiet => None,
            None => Some(standard_output()?),
        };
        let journal = self.journald.then(Journal::open).transpose().context(
            "--journald: journald does not listen at /run/systemd/journal/socket; \
             is systemd-journald running?",
        )?;
        let open = |address: syslog::Address| {
            let failed = format!("--syslog: nobody answers at {address}");
            Syslog::open(address).context(failed)
        };
        Ok(Destinations { main, journal, syslog: self.syslog.map(open).transpose()?, path })
    }

    /// Whether there is one but for standard output.
    pub(super) fn is_any(&self) -> bool {
        self.output.is_some() || self.has_messages()
    }

    /// Whether messages are sent.
    pub(super) fn has_messages(&self) -> bool {
        self.journald || self.syslog.is_some()
    }

    /// Directories in which files are reopened or rotated while the trace runs.
    pub(super) fn writable(&self) -> Vec<PathBuf> {
        let directory = self.output.as_deref().and_then(Path::parent);
        let here = |parent: &Path| parent.as_os_str().is_empty();
        directory
            .map(|path| if here(path) { ".".into() } else { path.into() })
            .into_iter()
            .collect()
    }

    fn rotation(&self) -> anyhow::Result<Option<Rotation>> {
        let Self { rotate_size, rotate_age, keep, compress, .. } = *self;
        let size = rotate_size.map(|ByteSize(bytes)| bytes);
        ensure!(size.is_none_or(|size| size >= SMALLEST), "--rotate-size: at least 64KiB");
        ensure!(rotate_age.is_none_or(|age| !age.is_zero()), "--rotate-age: must not be zero");
        let rotates = size.is_some() || rotate_age.is_some();
        ensure!(
            rotates || keep.is_none() && !compress,
            "--keep and --compress need --rotate-size or --rotate-age: \
             without them no file is rotated"
        );
        let keep = Keep { count: keep.unwrap_or(KEEP), compress };
        Ok(rotates.then_some(Rotation { size, age: rotate_age, keep }))
    }
}

impl Opened<'_> {
    /// All sinks that are asked for.
    ///
    /// # Errors
    ///
    /// Where a thread cannot be had.
    pub(super) fn sinks(
        self,
        setting: &Setting,
        endings: &mut Endings,
    ) -> anyhow::Result<Vec<Box<dyn Sink>>> {
        let Self { shown, occasion, destinations, telemetry } = self;
        let Destinations { main, path, journal, syslog } = destinations;
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        match (main, shown.format) {
            (None, _) => {}
            (Some(main), TraceFormat::Parquet) => {
                sinks.push(parquet(main, path, setting, endings)?);
            }
            (Some(main), _) => sinks.push(lines(main, path, shown, occasion, setting, endings)?),
        }
        sinks.extend(journal.map(|to| delivery(to, LossPlace::Journal)).transpose()?);
        sinks.extend(syslog.map(|to| delivery(to, LossPlace::Syslog)).transpose()?);
        sinks.extend(telemetry.sinks()?);
        Ok(sinks)
    }
}

/// # Errors
///
/// Where there is none.
pub(super) fn standard_output() -> anyhow::Result<Destination> {
    let open = closed::ensure_open().and_then(|()| Destination::open(None, None, Sharing::Shared));
    open.context(STDOUT_FAILED)
}

/// The sink that writes lines.
fn lines(
    destination: Destination,
    path: Option<PathBuf>,
    shown: &FormatArguments,
    occasion: Occasion,
    setting: &Setting,
    endings: &mut Endings,
) -> anyhow::Result<Box<dyn Sink>> {
    let terminal = path.is_none().then(io::stdout);
    let format = shown.format(terminal, occasion)?;
    let closed = Arc::clone(&setting.closed);
    let lines = Lines::start(format, destination, move || closed.notify_one())
        .context("cannot start the writing thread")?;
    if path.is_some() {
        setting.on_hangup(lines.outlet().reopen());
    }
    endings.push(ending(&lines, path));
    Ok(Box::new(match occasion {
        Occasion::Recording => lines.of_recording(),
        Occasion::Host | Occasion::Command => lines,
    }))
}

/// What tells whether the end of these lines could be written.
pub(super) fn ending(lines: &Lines, path: Option<PathBuf>) -> Ending {
    let missing = lines.ending();
    let path = path.unwrap_or_else(|| "standard output".into());
    Box::new(move || whole(missing(), &path))
}

/// The sink that writes a Parquet file.
#[cfg(feature = "parquet")]
fn parquet(
    destination: Destination,
    path: Option<PathBuf>,
    setting: &Setting,
    endings: &mut Endings,
) -> anyhow::Result<Box<dyn Sink>> {
    let (Destination::File(file), Some(path)) = (destination, path) else {
        bail!("--format parquet needs --output FILE");
    };
    let parquet = Parquet::begin(*file);
    let parquet = parquet.with_context(|| format!("cannot begin {}", path.display()))?;
    let delivery =
        Delivery::start(parquet, LossPlace::Output).context("cannot start the writing thread")?;
    setting.on_hangup(delivery.outlet().reopen());
    let missing = delivery.outlet().ending("it takes too long");
    endings.push(Box::new(move || whole(missing(), &path)));
    Ok(Box::new(delivery))
}

/// A build without it has said so in [`Outputs::check`].
#[cfg(not(feature = "parquet"))]
fn parquet(
    _: Destination,
    _: Option<PathBuf>,
    _: &Setting,
    _: &mut Endings,
) -> anyhow::Result<Box<dyn Sink>> {
    bail!("--format parquet is not in this build")
}

/// A sink that sends to another program.
fn delivery(
    worker: impl Worker<Record> + 'static,
    place: LossPlace,
) -> anyhow::Result<Box<dyn Sink>> {
    let delivery = Delivery::start(worker, place);
    Ok(Box::new(delivery.context("cannot start a thread")?))
}

/// Whether the end of the trace was written.
pub(super) fn whole(missing: Option<String>, path: &Path) -> anyhow::Result<()> {
    let Some(reason) = missing else { return Ok(()) };
    bail!("the end of the trace could not be written to {}: {reason}", path.display())
}
