//! The command `tracer trace`: sets the parts up and waits for the end.

use std::{path::PathBuf, time::Duration};

use anyhow::{bail, ensure};
use bytesize::ByteSize;
use clap::{Args, ValueEnum};

use super::{
    console::print,
    filter::{self, FilterArguments, FilterWords},
    format::{FormatArguments, Occasion, TraceFormat},
    header::options,
    live::{Live, Setting},
    options::{PodsArgument, RecordArguments, StacksArgument, duration, interval, positive},
    sinks::{Endings, Outputs, SinkArguments},
    telemetry::TelemetryArguments,
};
use crate::exec::scope::Scope;
use tracer_event::header::Mode;
use tracer_kernel::{confine::Confinement, load::Request, preflight};
use tracer_model::{
    filter::{Filter, parse::Mistake},
    linger::{self, Thresholds},
    selection::Selection,
    table::{MAX_SOCKETS, MOST_SOCKETS},
};
use tracer_output::{Sink, text};

/// What to trace and how to show it.
#[derive(Args, Debug)]
pub(super) struct TraceArguments {
    /// End after this time, such as 500ms, 10s or 5m
    #[arg(short, long, value_parser = duration, allow_hyphen_values = true, value_name = "TIME")]
    duration: Option<Duration>,
    /// Flag sockets that are stuck in a state, such as close-wait=30s,time-wait=off
    #[arg(long, default_value = linger::DEFAULT, value_name = "STATE=TIME,…")]
    linger: Thresholds,
    /// Report open connections at this interval, with their counters so far (text: with
    /// --summary-only)
    #[arg(long, value_parser = interval, allow_hyphen_values = true, value_name = "TIME")]
    interval: Option<Duration>,
    /// Take no snapshots: do not show existing sockets, nor check events against the kernel
    #[arg(long)]
    no_snapshot: bool,
    /// Explain the columns and marks of the text format, and exit
    #[arg(long)]
    pub(super) legend: bool,
    #[command(flatten)]
    pub(super) pods: PodsArgument,
    #[command(flatten)]
    pub(super) shown: FormatArguments,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    records: RecordArguments,
    /// Set by the commands that take them.
    #[arg(skip)]
    pub(super) words: FilterWords,
    /// Where other sinks than these make files.
    #[arg(skip)]
    pub(super) writable: Option<PathBuf>,
    #[command(flatten)]
    pub(super) destinations: SinkArguments,
    #[command(flatten)]
    pub(super) telemetry: TelemetryArguments,
    /// Track at most this many sockets, about 450 bytes each; those evicted are counted
    #[arg(
        long,
        default_value_t = MAX_SOCKETS as u32,
        value_name = "COUNT",
        value_parser = max_sockets,
        allow_negative_numbers = true,
        help_heading = "Kernel"
    )]
    max_sockets: u32,
    /// Size of the ring buffer in the kernel, a power of two
    #[arg(long, default_value = "8MiB", value_name = "SIZE", help_heading = "Kernel")]
    buffer_size: ByteSize,
    /// Which kernel interface to use: auto, btf or tracepoint
    #[arg(long, value_enum, default_value_t, value_name = "MODE", help_heading = "Kernel")]
    mode: ModeName,
    /// Do not trace accept(), which on kernels without fexit adds about 10 ns to every system call
    #[arg(long, help_heading = "Kernel")]
    no_accept: bool,
    #[command(flatten)]
    stacks: StacksArgument,
}

/// A number of sockets that the table can hold.
fn max_sockets(text: &str) -> Result<u32, String> {
    let count = positive(text).ok().filter(|count| *count <= MOST_SOCKETS);
    count.ok_or_else(|| format!("not a whole number from 1 to {MOST_SOCKETS}"))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ModeName {
    /// The best that works
    #[default]
    Auto,
    /// BTF-typed programs: everything
    Btf,
    /// The classic tracepoint: addresses, ports and states
    Tracepoint,
}

/// Traces until it is over.
///
/// # Errors
///
/// For each thing that can be wrong one line that names it.
pub(super) fn run(arguments: &TraceArguments) -> anyhow::Result<()> {
    if arguments.legend {
        return print(text::legend(Some(&arguments.shown.texts())).as_bytes());
    }
    run_with(arguments, options(), None, |_| Ok(Vec::new()))
}

/// The same with further sinks; `options` are those in force, as on a command line. With a scope,
/// only the sockets of a command, which gets the signals.
pub(super) fn run_with(
    arguments: &TraceArguments,
    options: Vec<String>,
    scope: Option<Scope>,
    others: impl FnOnce(&Setting) -> anyhow::Result<Vec<Box<dyn Sink>>> + Send,
) -> anyhow::Result<()> {
    if arguments.explain()? {
        return Ok(());
    }
    let occasion = if scope.is_some() { Occasion::Command } else { Occasion::Host };
    let outputs = arguments.outputs(occasion);
    outputs.check()?;
    // Those of a command and of a flight recorder are further sinks.
    if scope.is_none() && arguments.writable.is_none() {
        outputs.ensure_any()?;
    }
    let mut live = Live { scope, ..arguments.live(options)? };
    live.request.filter.cgroup = live.scope.as_ref().map_or(0, Scope::group_in_kernel);
    // Before anything is loaded, so that a mistake costs nothing; after the privileges, so that
    // a run that cannot work leaves no empty file.
    preflight::privileges()?;
    live.pods = arguments.pods.open()?;
    let outputs = outputs.open()?;
    filter::warn_of_absent(&live.filter);
    let mut endings = Endings::new();
    live.run(|setting| {
        let mut sinks = outputs.sinks(setting, &mut endings)?;
        sinks.extend(others(setting)?);
        Ok(sinks)
    })?;
    endings.iter().try_for_each(|whole| whole())
}

/// The arguments of `tracer trace`.
#[derive(Args, Debug)]
pub(super) struct TraceCommand {
    #[command(flatten)]
    pub(super) trace: TraceArguments,
    #[command(flatten)]
    pub(super) words: FilterWords,
}

impl From<TraceCommand> for TraceArguments {
    fn from(TraceCommand { trace, words }: TraceCommand) -> Self {
        Self { words, ..trace }
    }
}

impl TraceArguments {
    /// Which sockets are traced.
    ///
    /// # Errors
    ///
    /// The first mistake in the filter.
    pub(super) fn filter(&self) -> Result<Filter, Mistake> {
        self.filter.filter(&self.words)
    }

    /// Whether the code that makes sockets is to be shown.
    pub(super) fn shows_stacks(&self) -> bool {
        self.stacks.stacks
    }

    /// Explains the filter where that is asked for, and says whether it was.
    ///
    /// # Errors
    ///
    /// The first mistake in the filter, and where standard output fails.
    pub(super) fn explain(&self) -> anyhow::Result<bool> {
        self.filter.explain(&self.words, filter::all)
    }

    /// Whether a trace can be asked for like this, as far as that shows before it begins.
    ///
    /// # Errors
    ///
    /// The first mistake.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.live(Vec::new())?;
        self.outputs(Occasion::Host).check()
    }

    fn outputs(&self, occasion: Occasion) -> Outputs<'_> {
        let Self { shown, destinations, telemetry, .. } = self;
        Outputs { shown, destinations, telemetry, occasion }
    }

    /// Whether anything is written of connections that are open.
    fn reports_open(&self) -> bool {
        let is_recorded = self.writable.is_some();
        is_recorded
            || self.shown.has_connections()
            || self.destinations.has_messages()
            || self.telemetry.has_records()
    }

    /// The trace asked for.
    fn live(&self, options: Vec<String>) -> anyhow::Result<Live> {
        let filter = self.filter()?;
        let live = Live::new(filter, self.linger, self.duration);
        let buffer_size = self.buffer_size()?;
        ensure!(
            !(self.stacks.stacks && self.no_snapshot),
            "--stacks needs snapshots, and --no-snapshot takes none: use only one of them"
        );
        ensure!(
            self.interval.is_none() || self.reports_open(),
            "--interval: text and ladder do not show open connections: add --summary-only, or use \
             --format json, csv, logfmt or parquet"
        );
        Ok(Live {
            request: Request {
                mode: match self.mode {
                    ModeName::Auto => None,
                    ModeName::Btf => Some(Mode::Btf),
                    ModeName::Tracepoint => Some(Mode::Tracepoint),
                },
                buffer_size,
                accept: !self.no_accept,
                stacks: self.stacks.stacks,
                // Of use where each segment is drawn.
                retransmitted_data: self.shown.format == TraceFormat::Ladder,
                ..live.request
            },
            max_sockets: self.max_sockets as usize,
            selection: Selection { problems: self.shown.problems, ..self.records.selection() },
            snapshots: !self.no_snapshot,
            interval: self.interval,
            options,
            // The file itself is opened before.
            confinement: Confinement {
                writable: [self.destinations.writable(), self.writable.iter().cloned().collect()]
                    .concat(),
                ..Confinement::default()
            },
            ..live
        })
    }

    /// Size of the ring buffer, bytes.
    fn buffer_size(&self) -> anyhow::Result<u32> {
        let ByteSize(size) = self.buffer_size;
        let Ok(bytes) = u32::try_from(size) else { bail!("--buffer-size: at most 2GiB") };
        let least = rustix::param::page_size();
        ensure!(
            bytes.is_power_of_two() && bytes as usize >= least,
            "--buffer-size {}: the kernel takes a power of two from {}KiB to 2GiB, as 8MiB",
            self.buffer_size,
            least >> 10
        );
        Ok(bytes)
    }
}
