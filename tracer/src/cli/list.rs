//! The command `tracer sockets`.

use std::io::{self, Write as _};

use anyhow::Context as _;

use super::{
    appearance,
    arguments::{FormatName, SocketsArguments},
};
use crate::{
    kernel::{load, preflight, snapshot::Snapshotter, time},
    sink::listing,
    sockets,
};

/// Lists the sockets once.
///
/// # Errors
///
/// Without privileges or BTF, or where standard output fails.
pub(super) fn run(arguments: &SocketsArguments) -> anyhow::Result<()> {
    let filter = arguments.filter.filter()?;
    let facts = preflight::preflight()?;
    let mut snapshotter = Snapshotter::new(load::load_iterators_only(&facts)?, filter.netns);
    let (sockets, refused) = sockets::list(&mut snapshotter, &filter, arguments.sort);
    for (netns, reason) in refused {
        tracing::warn!("network namespace {netns} is left out: {reason} (CAP_SYS_ADMIN)");
    }
    let mut out = Vec::new();
    match arguments.format {
        FormatName::Json => listing::json(&sockets, time::wall_clock(), &mut out),
        FormatName::Text => {
            let (palette, width) = appearance(arguments.color, Some(io::stdout()));
            listing::text(&sockets, palette, width, &mut out);
        }
    }
    match io::stdout().write_all(&out) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}
