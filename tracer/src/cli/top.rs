//! The command `tracer top`: a live trace on a full screen.

use std::{
    io::{self, IsTerminal as _},
    sync::{Arc, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Args;

use super::{
    console::ColorArgument,
    filter::{FilterArguments, FilterWords},
    language::LanguageArgument,
    live::Live,
    options::{PodsArgument, duration},
};
use crate::top::{
    feed::Feed,
    screen::{self, Failure},
    theme::Theme,
    ui_snapshot::Shared,
};
use tracer_kernel::confine::Confinement;
use tracer_model::{
    filter::Filter,
    linger::{self, Thresholds},
};
use tracer_texts::{Language, Texts};

/// What to show.
#[derive(Args, Debug)]
#[command(after_help = "Keys: ? lists them; q quits, / filters, Tab shows the next screen.")]
pub(super) struct TopArguments {
    /// End after this time, such as 500ms, 10s or 5m
    #[arg(short, long, value_parser = duration, allow_hyphen_values = true, value_name = "TIME")]
    duration: Option<Duration>,
    /// Flag sockets that are stuck in a state, such as close-wait=30s,time-wait=off
    #[arg(long, default_value = linger::DEFAULT, value_name = "STATE=TIME,…")]
    linger: Thresholds,
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

/// Shows what happens until somebody quits.
///
/// # Errors
///
/// Without a terminal that can show it, without privileges, or where the terminal fails.
pub(super) fn run(arguments: &TopArguments) -> anyhow::Result<()> {
    let TopArguments { filter, words, .. } = arguments;
    // Ports and queues are shared with sockets that are not asked about.
    if filter.explain(words, Filter::of_namespace)? {
        return Ok(());
    }
    let theme = theme(arguments.color)?;
    let filter = filter.on_this_host(words)?;
    let live = Live {
        // The terminal is opened again: for its size, and where standard input is another one.
        confinement: Confinement { writable: vec!["/dev".into()], ..Confinement::default() },
        pods: arguments.pods.open()?,
        filter: filter.clone(),
        ..Live::new(filter.of_namespace(), arguments.linger, arguments.duration)
    };
    let failure = Failure::default();
    live.run(|setting| {
        let (shared, end) = (Arc::new(Shared::default()), Arc::clone(&setting.end));
        let (screen, quit) = (Arc::clone(&shared), move || end.notify_one());
        let appearance = (theme, texts(theme, arguments.language));
        let thread = screen::start(appearance, screen, Arc::clone(&failure), quit)
            .context("cannot set the terminal up")?;
        let feed = Feed::new(filter, shared, Some(thread));
        Ok(vec![Box::new(feed)])
    })?;
    let failed = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    failed.map_or(Ok(()), |error| Err(error).context("the terminal does not answer"))
}

/// The language asked for, unless the terminal lacks its letters.
fn texts(theme: Theme, language: LanguageArgument) -> Texts {
    let texts = language.texts();
    if theme.is_unicode() || texts.language() == Language::ENGLISH {
        return texts;
    }
    tracing::warn!(
        "the screen is in English: TERM and the locale (LC_ALL, LC_CTYPE, LANG) say that the \
        terminal has ASCII only; choose a UTF-8 locale for --lang {}",
        texts.language()
    );
    Texts::of(Language::ENGLISH)
}

/// The colours of the terminal, where there is one.
fn theme(color: ColorArgument) -> anyhow::Result<Theme> {
    ensure!(
        io::stdout().is_terminal(),
        "tracer top takes a terminal, which standard output is not: use tracer, tracer sockets or \
        tracer diagnose for a pipe or a file"
    );
    ensure!(
        io::stdin().is_terminal(),
        "tracer top reads keys from a terminal, which standard input is not: remove the \
        redirection"
    );
    let (palette, _) = color.appearance(Some(io::stdout()));
    Ok(Theme::of(|name| std::env::var(name).ok(), palette)?)
}
