//! The command `tracer trace`: sets the parts up and waits for the end.

use std::{io, path::Path, sync::Arc};

use anyhow::{Context as _, ensure};

use super::{arguments::TraceArguments, format, live::Live};
use crate::{
    kernel::{load::Request, preflight},
    sink::{
        lines::Lines,
        output::{Destination, Output},
    },
};

/// Traces until it is over.
///
/// # Errors
///
/// For each thing that can be wrong one line that names it.
pub(super) fn run(arguments: &TraceArguments) -> anyhow::Result<()> {
    format::check(&arguments.shown)?;
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
        snapshots: !arguments.no_snapshot,
        duration: arguments.duration,
    };
    let terminal = arguments.output.is_none().then(io::stdout);
    live.run(facts, |setting| {
        let closed = Arc::clone(&setting.closed);
        let output = Output::start(destination, move || closed.notify_one())
            .context("cannot start the writing thread")?;
        let format =
            format::format(&arguments.shown, terminal, true, Arc::clone(&setting.surroundings))?;
        Ok(vec![Box::new(Lines::new(format, output))])
    })
}
