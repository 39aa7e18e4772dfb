//! The command `tracer sockets`.

use std::io;

use anyhow::ensure;
use clap::Args;

use super::{
    console::{ColorArgument, print},
    filter::{FilterArguments, FilterWords},
    language::LanguageArgument,
    options::{FormatName, PodsArgument, positive},
};
use crate::{
    listing::{
        self,
        groups::{self, Grouping},
    },
    sockets::{self, Found, Order},
};
use tracer_event::enricher::Context;
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
    /// Sort by attention (what matters first), state, age, local, peer, process, receive-queue or send-queue
    #[arg(long, value_enum, default_value_t, value_name = "ORDER")]
    sort: Order,
    /// Show groups instead of sockets: by process, peer, container or state (text)
    #[arg(long, value_enum, value_name = "BY")]
    group: Option<Grouping>,
    /// Show at most this many
    #[arg(long, value_name = "N", value_parser = positive::<u32>, allow_negative_numbers = true)]
    limit: Option<u32>,
    #[command(flatten)]
    pods: PodsArgument,
    #[command(flatten)]
    language: LanguageArgument,
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
    ensure!(
        arguments.group.is_none() || arguments.format == FormatName::Text,
        "--group works with --format text only"
    );
    let SocketsArguments { filter, words, .. } = arguments;
    // A list is not filtered in the kernel: only the namespaces that are looked into are.
    if filter.explain(words, Filter::of_namespace)? {
        return Ok(());
    }
    let filter = filter.on_this_host(words)?;
    let (host, unknown) = Host::look(arguments.pods.open()?);
    for unknown in unknown {
        tracing::warn!("{} ({}); {}", unknown.lost, unknown.reason, unknown.remedy);
    }
    // For people, what is in the other namespaces is counted too.
    let only = filter.netns().filter(|_| arguments.format == FormatName::Json);
    let mut snapshotter = Snapshotter::new(load::load_iterators_only()?, only);
    privileges::keep_only(privileges::READ | privileges::NAMESPACES);
    confine::seal();
    let found = sockets::list(&mut snapshotter, &filter, &host, arguments.sort);
    warn_of_refused(&found, &filter);
    let context = Context { clock: time::wall_clock(), enricher: &host };
    let out = listed(arguments, &filter, &found, context);
    let written = print(&out);
    // The process ends here: giving back a hundred thousand sockets one by one takes as long as
    // sorting them.
    std::mem::forget(found);
    written
}

fn warn_of_refused(found: &Found, filter: &Filter) {
    for (netns, reason) in &found.refused {
        if filter.netns().is_none_or(|wanted| wanted == *netns) {
            tracing::warn!("network namespace {netns} is left out: {reason} (CAP_SYS_ADMIN)");
        }
    }
}

fn listed(
    arguments: &SocketsArguments,
    filter: &Filter,
    found: &Found,
    context: Context<'_>,
) -> Vec<u8> {
    let mut out = Vec::new();
    let limit = arguments.limit.map_or(usize::MAX, |limit| limit as usize);
    let shown = &found.sockets[..limit.min(found.sockets.len())];
    match arguments.format {
        FormatName::Json => listing::json(shown, context, &mut out),
        FormatName::Text => {
            let appearance = arguments.color.appearance(Some(io::stdout()));
            let (palette, texts) = (appearance.0, arguments.language.texts());
            let (texts, sockets) = (Some(&texts), &found.sockets);
            if let Some(by) = arguments.group {
                groups::text(sockets, (by, limit), context, texts, appearance, &mut out);
            } else {
                listing::text(shown, context, texts, appearance, &mut out);
                listing::more(sockets.len() - shown.len(), texts, palette, &mut out);
            }
            let home = filter.netns().or_else(|| host_netns().ok());
            listing::counts(found, home, texts, appearance, &mut out);
        }
    }
    out
}
