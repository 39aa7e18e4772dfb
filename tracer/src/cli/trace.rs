//! The command `tracer trace`: sets the parts up and waits for the end.

use anyhow::ensure;

use super::{
    arguments::TraceArguments,
    format,
    live::{Live, Setting},
    options,
    sinks::{self, Endings},
};
use crate::{
    exec::scope::Scope,
    kernel::{confine::Confinement, load::Request, preflight},
    sink::Sink,
};

/// Traces until it is over.
///
/// # Errors
///
/// For each thing that can be wrong one line that names it.
pub(super) fn run(arguments: &TraceArguments) -> anyhow::Result<()> {
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
    format::check(&arguments.shown)?;
    arguments.destinations.check(arguments.shown.format)?;
    let filter = arguments.filter()?;
    let buffer_size = arguments.buffer_size()?;
    ensure!(
        !(arguments.stacks.stacks && arguments.no_snapshot),
        "--stacks takes looks at the sockets, which --no-snapshot does without: leave one of them out"
    );
    // Before anything is loaded, so that a mistake costs nothing; after the privileges, so that
    // a run that cannot work leaves no empty file.
    preflight::privileges()?;
    let destinations = arguments.destinations.open(arguments.shown.format)?;
    let telemetry = arguments.telemetry.open()?;
    super::remark_on(&filter);
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
        interval: arguments.interval,
        options,
        duration: arguments.duration,
        scope,
        // The file is open.
        confinement: Confinement {
            writable: arguments.destinations.writable(),
            ..Confinement::default()
        },
    };
    let (mut endings, is_scoped) = (Endings::new(), live.scope.is_some());
    live.run(|setting| {
        let shown = &arguments.shown;
        let mut sinks = sinks::sinks(shown, destinations, telemetry, true, setting, &mut endings)?;
        if !is_scoped {
            sinks::ensure_any(&sinks)?;
        }
        sinks.extend(others(setting)?);
        Ok(sinks)
    })?;
    endings.iter().try_for_each(|whole| whole())
}
