//! The command `tracer trace`: sets the parts up and waits for the end.

use std::{io, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};

use super::{
    appearance,
    arguments::{TraceArguments, TraceFormat},
    signals::Signals,
};
use crate::{
    kernel::{
        load::{self, Tracer},
        preflight::{self, Facts},
        surroundings::Host,
    },
    model::filter::Filter,
    sink::{
        Format, Hello,
        json::Json,
        ladder::{Ladder, Style},
        names::Names,
        output::{Destination, Output},
        stamps::Times,
        surroundings::Surroundings,
        text::{Stories, Text},
    },
    trace::{Running, Trace},
};

/// Traces until it is over.
///
/// # Errors
///
/// For each thing that can be wrong one line that names it.
pub(super) fn run(arguments: &TraceArguments) -> anyhow::Result<()> {
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
    let destination = Destination::open(arguments.output.as_deref()).with_context(|| {
        let path = arguments.output.as_deref().unwrap_or(Path::new("standard output"));
        format!("cannot create the output file {} (--output)", path.display())
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before the first line is written: whoever has read it may send a signal.
        let signals = Signals::catch()?;
        let tracer = load::load(
            &load::Request {
                mode: arguments.mode(),
                filter: filter.in_kernel(),
                buffer_size,
                accept: !arguments.no_accept,
                stacks: arguments.stacks.stacks,
                diagnostics: tracing::enabled!(tracing::Level::DEBUG),
            },
            &facts,
        )?;
        trace(arguments, filter, tracer, facts, destination, signals).await
    })
}

async fn trace(
    arguments: &TraceArguments,
    filter: Filter,
    mut tracer: Tracer,
    facts: Facts,
    destination: Destination,
    signals: Signals,
) -> anyhow::Result<()> {
    let Facts { release, btf } = facts;
    // Megabytes that are needed no more.
    drop(btf);
    if let Some(logger) = tracer.logger.take() {
        tokio::spawn(relay(logger));
    }
    let (host, unknown) = Host::look();
    tracer.degraded.extend(unknown);
    let resolved = host.stacks();
    let surroundings: Arc<dyn Surroundings> = Arc::new(host);
    let hello = Hello {
        version: env!("CARGO_PKG_VERSION"),
        kernel: release,
        mode: tracer.mode,
        degraded: tracer.degraded.clone(),
        options: std::env::args().skip(1).collect(),
    };
    let closed = Arc::new(tokio::sync::Notify::new());
    let notify = Arc::clone(&closed);
    let output = Output::start(destination, move || notify.notify_one())
        .context("cannot start the writing thread")?;
    let running = Trace {
        tracer,
        filter,
        thresholds: arguments.linger,
        format: format(arguments, Arc::clone(&surroundings))?,
        surroundings,
        output,
        hello,
        snapshots: !arguments.no_snapshot,
        resolved,
    }
    .start()
    .context("cannot set up the reader")?;
    wait_for_end(running, arguments.duration, &closed, signals).await
}

/// Runs the trace until a signal comes, the time is up or nobody reads the output.
async fn wait_for_end(
    running: Running,
    duration: Option<Duration>,
    closed: &tokio::sync::Notify,
    signals: Signals,
) -> anyhow::Result<()> {
    let stop = running.stop();
    let mut thread = tokio::task::spawn_blocking(move || running.run());
    let time_is_up = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = signals.any() => {}
        () = time_is_up => {}
        () = closed.notified() => {}
        result = &mut thread => return result.context("the reading thread failed"),
    }
    stop.ask();
    thread.await.context("the reading thread failed")
}

/// Passes on what the programs in the kernel log.
async fn relay(logger: aya_log::EbpfLogger<&'static dyn log::Log>) {
    // SAFETY: the logger owns its map's descriptor, which stays open and the same as long as it.
    let Ok(mut logger) = (unsafe { tokio::io::unix::AsyncFd::register(logger) }) else { return };
    while let Ok(mut guard) = logger.readable_mut().await {
        guard.get_inner_mut().flush();
        guard.clear_ready();
    }
}

/// # Errors
///
/// For an option that belongs to another format, and where no thread can be had.
fn format(
    arguments: &TraceArguments,
    surroundings: Arc<dyn Surroundings>,
) -> anyhow::Result<Box<dyn Format + Send>> {
    if arguments.format == TraceFormat::Json {
        return Ok(Box::new(Json::new(surroundings)));
    }
    let (palette, width) = appearance(arguments.color, arguments.output.is_none().then(io::stdout));
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
    use TraceFormat::{Json, Ladder, Text};
    let TraceArguments { format, explain, relative_seq, resolve, summary_only, .. } = *arguments;
    for (given, option, needed) in [
        (explain, "--explain", Ladder),
        (relative_seq, "--relative-seq", Ladder),
        (resolve, "--resolve", Text),
        (summary_only, "--summary-only", Text),
    ] {
        let name = match needed {
            Text => "text",
            Ladder => "ladder",
            Json => "json",
        };
        ensure!(!given || format == needed, "{option} works with --format {name} only");
    }
    Ok(())
}
