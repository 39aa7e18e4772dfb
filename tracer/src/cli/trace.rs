//! The command `tracer trace`: sets the parts up and waits for the end.

use std::{io, sync::Arc};

use anyhow::{Context as _, ensure};

use super::{
    appearance,
    arguments::{TraceArguments, TraceFormat},
    live::{Live, Setting},
    sinks::Endings,
};
use crate::{
    kernel::{load::Request, preflight},
    sink::{
        Format, Sink,
        flat::{csv::Csv, logfmt::Logfmt},
        json::Json,
        ladder::{Ladder, Style},
        names::Names,
        stamps::Times,
        surroundings::Surroundings,
        text::{Stories, Text},
    },
};

/// Traces until it is over.
///
/// # Errors
///
/// For each thing that can be wrong one line that names it.
pub(super) fn run(arguments: &TraceArguments) -> anyhow::Result<()> {
    run_with(arguments, std::env::args().skip(1).collect(), |_| Ok(Vec::new()))
}

/// The same with further sinks; `options` are those in force, as on a command line.
pub(super) fn run_with(
    arguments: &TraceArguments,
    options: Vec<String>,
    others: impl FnOnce(&Setting) -> anyhow::Result<Vec<Box<dyn Sink>>>,
) -> anyhow::Result<()> {
    check(arguments)?;
    let filter = arguments.filter()?;
    let buffer_size = arguments.buffer_size()?;
    ensure!(
        !(arguments.stacks.stacks && arguments.no_snapshot),
        "--stacks takes looks at the sockets, which --no-snapshot does without: leave one of them out"
    );
    // Before anything is loaded, so that a mistake costs nothing; after the privileges, so that
    // a run that cannot work leaves no empty file.
    let facts = preflight::preflight()?;
    let destinations = arguments.destinations.open()?;
    let telemetry = arguments.telemetry.open()?;
    let request = Request {
        mode: arguments.mode(),
        filter: filter.in_kernel(),
        buffer_size,
        accept: !arguments.no_accept,
        stacks: arguments.stacks.stacks,
        diagnostics: tracing::enabled!(tracing::Level::DEBUG),
    };
    let live = Live {
        request,
        filter,
        thresholds: arguments.linger,
        max_sockets: arguments.max_sockets as usize,
        snapshots: !arguments.no_snapshot,
        options,
        duration: arguments.duration,
    };
    let mut endings = Endings::new();
    live.run(facts, |setting| {
        let surroundings = Arc::clone(&setting.surroundings);
        let mut sinks = match arguments.format {
            #[cfg(feature = "parquet")]
            TraceFormat::Parquet => destinations.parquet(setting, &mut endings)?,
            _ => destinations.lines(setting, || format(arguments, surroundings), &mut endings)?,
        };
        sinks.extend(telemetry.sinks(&setting.surroundings)?);
        ensure!(
            !sinks.is_empty(),
            "--quiet leaves nothing to write to: add --journald, --syslog, --otlp or --prometheus, or leave it out"
        );
        sinks.extend(others(setting)?);
        Ok(sinks)
    })?;
    endings.iter().try_for_each(|whole| whole())
}

/// # Errors
///
/// For an option that belongs to another format, and where no thread can be had.
fn format(
    arguments: &TraceArguments,
    surroundings: Arc<dyn Surroundings>,
) -> anyhow::Result<Box<dyn Format + Send>> {
    match arguments.format {
        TraceFormat::Json => return Ok(Box::new(Json::new(surroundings))),
        TraceFormat::Csv => return Ok(Box::new(Csv::new(surroundings))),
        TraceFormat::Logfmt => return Ok(Box::new(Logfmt::new(surroundings))),
        TraceFormat::Text | TraceFormat::Ladder | TraceFormat::Parquet => {}
    }
    let to_file = arguments.destinations.output.is_some();
    let (palette, width) = appearance(arguments.color, (!to_file).then(io::stdout));
    let times = Times::new(arguments.timestamps, jiff::tz::TimeZone::system());
    if arguments.format == TraceFormat::Ladder {
        let style = Style { explain: arguments.explain, relative: arguments.relative_seq };
        return Ok(Box::new(Ladder::new(style, palette, width, times)));
    }
    let stories = if arguments.summary_only { Stories::Only } else { Stories::Steps };
    let names = arguments.resolve.then(Names::start);
    let names = names.transpose().context("--resolve: cannot start a thread")?;
    Ok(Box::new(Text::new(palette, width, times, stories, surroundings).with_names(names)))
}

/// Options that say nothing in the format asked for are a mistake.
fn check(arguments: &TraceArguments) -> anyhow::Result<()> {
    use TraceFormat::{Ladder, Text};
    let TraceArguments { format, explain, relative_seq, resolve, summary_only, .. } = *arguments;
    for (given, option, needed, name) in [
        (explain, "--explain", Ladder, "ladder"),
        (relative_seq, "--relative-seq", Ladder, "ladder"),
        (resolve, "--resolve", Text, "text"),
        (summary_only, "--summary-only", Text, "text"),
    ] {
        ensure!(!given || format == needed, "{option} works with --format {name} only");
    }
    if format == TraceFormat::Parquet {
        ensure!(
            cfg!(feature = "parquet"),
            "--format parquet is not in this build: build with cargo's feature `parquet` \
             (cargo build --release --features parquet)"
        );
        ensure!(arguments.destinations.output.is_some(), "--format parquet needs --output FILE");
    }
    Ok(())
}
