//! The command `tracer sockets`.

use std::{io, sync::Arc};

use clap::Args;

use super::{
    console::{ColorArgument, print},
    filter::{FilterArguments, FilterWords},
    options::FormatName,
};
use crate::{
    listing,
    sockets::{self, Order},
};
use tracer_event::enricher::Enricher;
use tracer_kernel::{
    confine, enricher::Host, load, names::host_netns, privileges, snapshot::Snapshotter, time,
};
use tracer_model::filter::Filter;

/// What to list and how.
#[derive(Args, Debug)]
pub(super) struct SocketsArguments {
    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "text|json")]
    format: FormatName,
    /// Sort by state, age, local, peer, process, receive-queue or send-queue
    #[arg(long, value_enum, default_value_t, value_name = "ORDER")]
    sort: Order,
    #[command(flatten)]
    color: ColorArgument,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    words: FilterWords,
}

/// Lists the sockets once.
///
/// # Errors
///
/// Without privileges or BTF, or where standard output fails.
pub(super) fn run(arguments: &SocketsArguments) -> anyhow::Result<()> {
    let SocketsArguments { filter, words, .. } = arguments;
    // A list is not filtered in the kernel: only the namespaces that are looked into are.
    if filter.explain(words, Filter::of_namespace)? {
        return Ok(());
    }
    let filter = filter.on_this_host(words)?;
    let (host, unknown) = Host::look();
    if let Some(unknown) = unknown {
        tracing::warn!("{} ({}); {}", unknown.lost, unknown.reason, unknown.remedy);
    }
    let enricher: Arc<dyn Enricher> = Arc::new(host);
    // For people, what is in the other namespaces is counted too.
    let only = filter.netns().filter(|_| arguments.format == FormatName::Json);
    let mut snapshotter = Snapshotter::new(load::load_iterators_only()?, only);
    privileges::keep_only(privileges::READ | privileges::NAMESPACES);
    confine::seal();
    let found = sockets::list(&mut snapshotter, &filter, &*enricher, arguments.sort);
    for (netns, reason) in &found.refused {
        if filter.netns().is_none_or(|wanted| wanted == *netns) {
            tracing::warn!("network namespace {netns} is left out: {reason} (CAP_SYS_ADMIN)");
        }
    }
    let mut out = Vec::new();
    match arguments.format {
        FormatName::Json => {
            listing::json(&found.sockets, time::wall_clock(), enricher, &mut out);
        }
        FormatName::Text => {
            let (palette, width) = arguments.color.appearance(Some(io::stdout()));
            listing::text(&found, &*enricher, palette, width, &mut out);
            let home = filter.netns().or_else(|| host_netns().ok());
            listing::counts(&found, home, palette, &mut out);
        }
    }
    let written = print(&out);
    // The process ends here: giving back a hundred thousand sockets one by one takes as long as
    // sorting them.
    std::mem::forget(found);
    written
}
