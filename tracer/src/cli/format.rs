//! The formats by the options that choose them.

use std::{io::Stdout, sync::Arc};

use anyhow::{Context as _, ensure};

use super::{
    appearance,
    arguments::{FormatArguments, TraceFormat},
};
use crate::sink::{
    Format,
    flat::FlatLines,
    json::Json,
    ladder::{Ladder, Style},
    names::Names,
    stamps::Times,
    surroundings::Surroundings,
    text::{Stories, Text},
};

/// The format asked for, for a terminal where there is one. What is not live has no status line.
///
/// # Errors
///
/// For an option that belongs to another format, and where no thread can be had.
pub(super) fn format(
    arguments: &FormatArguments,
    terminal: Option<Stdout>,
    live: bool,
    surroundings: Arc<dyn Surroundings>,
) -> anyhow::Result<Box<dyn Format + Send>> {
    match arguments.format {
        TraceFormat::Json => return Ok(Box::new(Json::new(surroundings))),
        TraceFormat::Csv => return Ok(Box::new(FlatLines::csv(surroundings))),
        TraceFormat::Logfmt => return Ok(Box::new(FlatLines::logfmt(surroundings))),
        TraceFormat::Text | TraceFormat::Ladder | TraceFormat::Parquet => {}
    }
    let (palette, width) = appearance(arguments.color, terminal);
    let times = Times::new(arguments.timestamps, jiff::tz::TimeZone::system());
    let names = arguments.resolve.then(Names::start);
    let names = names.transpose().context("--resolve: cannot start a thread")?;
    if arguments.format == TraceFormat::Ladder {
        let style = Style { explain: arguments.explain, relative: arguments.relative_seq };
        let ladder = Ladder::new(style, palette, width, times).with_names(names);
        return Ok(Box::new(if live { ladder } else { ladder.without_status() }));
    }
    let stories = if arguments.summary_only { Stories::Only } else { Stories::Steps };
    let text = Text::new(palette, width, times, stories, surroundings).with_names(names);
    Ok(Box::new(if live { text } else { text.without_status() }))
}

/// # Errors
///
/// Options that say nothing in the format asked for are a mistake.
pub(super) fn check(arguments: &FormatArguments) -> anyhow::Result<()> {
    use TraceFormat::{Ladder, Text};
    let FormatArguments { format, explain, relative_seq, resolve, summary_only, .. } = *arguments;
    ensure!(
        !resolve || matches!(format, Text | Ladder),
        "--resolve works with --format text and ladder only"
    );
    for (given, option, needed, name) in [
        (explain, "--explain", Ladder, "ladder"),
        (relative_seq, "--relative-seq", Ladder, "ladder"),
        (summary_only, "--summary-only", Text, "text"),
    ] {
        ensure!(!given || format == needed, "{option} works with --format {name} only");
    }
    Ok(())
}
