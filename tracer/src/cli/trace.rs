//! The command `tracer trace`: sets the parts up and waits for the end.

use std::{io, path::Path, sync::Arc};

use anyhow::{Context as _, ensure};

use super::{
    appearance,
    arguments::{TraceArguments, TraceFormat},
    live::Live,
};
use crate::{
    kernel::{confine::Confinement, load::Request, preflight},
    sink::{
        Format,
        json::Json,
        ladder::{Ladder, Style},
        lines::Lines,
        names::Names,
        output::{Destination, Output},
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
        duration: arguments.duration,
        // The file is open.
        confinement: Confinement::default(),
    };
    live.run(facts, |setting| {
        let closed = Arc::clone(&setting.closed);
        let output = Output::start(destination, move || closed.notify_one())
            .context("cannot start the writing thread")?;
        let format = format(arguments, Arc::clone(&setting.surroundings))?;
        Ok(vec![Box::new(Lines::new(format, output))])
    })
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
