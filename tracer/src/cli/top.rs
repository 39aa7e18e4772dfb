//! The command `tracer top`: a live trace on a full screen.

use std::{
    io::{self, IsTerminal as _},
    sync::{Arc, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Args;

use super::{
    appearance,
    arguments::{ColorArgument, FilterArguments, duration},
    live::Live,
};
use crate::{
    kernel::{confine::Confinement, load::Request, preflight, time},
    model::{
        filter::Filter,
        linger::{self, Thresholds},
        table::MAX_SOCKETS,
    },
    top::{
        feed::Feed,
        picture::Shared,
        screen::{self, Failure},
        theme::Theme,
    },
};

/// What to show.
#[derive(Args, Debug)]
#[command(after_help = "Keys: ? in the screen lists them; q quits, / filters, Tab goes on.")]
pub(super) struct TopArguments {
    /// End after this time, as 500ms, 10s or 5m
    #[arg(short, long, value_parser = duration, value_name = "TIME")]
    duration: Option<Duration>,
    /// Flag sockets that stay in a state too long, as close-wait=30s,time-wait=off
    #[arg(long, default_value = linger::DEFAULT, value_name = "STATE=TIME,…")]
    linger: Thresholds,
    #[command(flatten)]
    color: ColorArgument,
    #[command(flatten)]
    filter: FilterArguments,
}

/// Enough for what happens on a busy host while a diagnosis is made.
const BUFFER_SIZE: u32 = 8 << 20;

/// Shows what happens until somebody quits.
///
/// # Errors
///
/// Without a terminal that can show it, without privileges, or where the terminal fails.
pub(super) fn run(arguments: &TopArguments) -> anyhow::Result<()> {
    ensure!(
        io::stdout().is_terminal(),
        "tracer top takes a terminal, which standard output is not: use tracer, tracer sockets or \
        tracer diagnose for a pipe or a file"
    );
    ensure!(
        io::stdin().is_terminal(),
        "tracer top takes keys from a terminal, which standard input is not: leave the redirection \
        away"
    );
    let (palette, _) = appearance(arguments.color, Some(io::stdout()));
    let colour = palette != crate::sink::text::Palette::PLAIN;
    let theme = Theme::of(|name| std::env::var(name).ok(), colour)?;
    let filter = arguments.filter.filter()?;
    preflight::privileges()?;
    super::remark_on(&filter);
    // Ports and queues are shared with sockets that are not asked about.
    let seen = Filter { netns: filter.netns, ..Filter::default() };
    let request = Request {
        mode: None,
        filter: seen.in_kernel(),
        buffer_size: BUFFER_SIZE,
        accept: true,
        stacks: false,
        diagnostics: tracing::enabled!(tracing::Level::DEBUG),
    };
    let live = Live {
        request,
        filter: seen,
        thresholds: arguments.linger,
        max_sockets: MAX_SOCKETS,
        // The terminal is opened anew: for its size, and where standard input is another one.
        confinement: Confinement { writable: vec!["/dev".into()], ..Confinement::default() },
        interval: None,
        options: super::options(),
        snapshots: true,
        duration: arguments.duration,
        scope: None,
    };
    let failure = Failure::default();
    let result = live.run(|setting| {
        let shared = Arc::new(Shared::default());
        let end = Arc::clone(&setting.end);
        let thread = screen::start(
            theme,
            Arc::clone(&setting.surroundings),
            Arc::clone(&shared),
            Arc::clone(&failure),
            move || end.notify_one(),
        )
        .context("cannot set the terminal up")?;
        let surroundings = Arc::clone(&setting.surroundings);
        let feed = Feed::new(filter, time::ticks(), surroundings, shared, Some(thread));
        Ok(vec![Box::new(feed)])
    });
    result?;
    let failed = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    failed.map_or(Ok(()), |error| Err(error).context("the terminal does not answer"))
}
