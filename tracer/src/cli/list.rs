//! The command `tracer sockets`.

use std::{io, sync::Arc};

use super::{
    appearance,
    arguments::{FormatName, SocketsArguments, host_netns},
    print,
};
use crate::{
    kernel::{
        confine, load, preflight, privileges, snapshot::Snapshotter, surroundings::Host, time,
    },
    sink::{listing, surroundings::Surroundings},
    sockets,
};

/// Lists the sockets once.
///
/// # Errors
///
/// Without privileges or BTF, or where standard output fails.
pub(super) fn run(arguments: &SocketsArguments) -> anyhow::Result<()> {
    let filter = arguments.filter.filter()?;
    preflight::privileges()?;
    super::remark_on(&filter);
    let (host, unknown) = Host::look();
    if let Some(unknown) = unknown {
        tracing::warn!("{} ({}); {}", unknown.lost, unknown.reason, unknown.remedy);
    }
    let surroundings: Arc<dyn Surroundings> = Arc::new(host);
    // For people, what is in the other namespaces is counted too.
    let only = filter.netns.filter(|_| arguments.format == FormatName::Json);
    let mut snapshotter = Snapshotter::new(load::load_iterators_only()?, only);
    privileges::keep_only(privileges::READ | privileges::NAMESPACES);
    confine::seal();
    let found = sockets::list(&mut snapshotter, &filter, &*surroundings, arguments.sort);
    for (netns, reason) in &found.refused {
        if filter.netns.is_none_or(|wanted| wanted == *netns) {
            tracing::warn!("network namespace {netns} is left out: {reason} (CAP_SYS_ADMIN)");
        }
    }
    let mut out = Vec::new();
    match arguments.format {
        FormatName::Json => {
            listing::json(&found.sockets, time::wall_clock(), surroundings, &mut out);
        }
        FormatName::Text => {
            let (palette, width) = appearance(arguments.color, Some(io::stdout()));
            listing::text(&found, &*surroundings, palette, width, &mut out);
            let home = filter.netns.or_else(|| host_netns().ok());
            listing::counts(&found, home, palette, &mut out);
        }
    }
    let written = print(&out);
    // The process ends here: giving back a hundred thousand sockets one by one takes as long as
    // sorting them.
    std::mem::forget(found);
    written
}
