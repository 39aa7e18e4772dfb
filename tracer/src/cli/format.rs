//! The formats of a stream of events, by the options that choose them.

use std::io::{self, Stdout};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};

use super::{
    console::{ColorArgument, columns},
    language::LanguageArgument,
};
use tracer_output::{
    Format, Resized,
    flat::FlatLines,
    json::Json,
    ladder::{Ladder, Style},
    names::Names,
    problems::Problems,
    stamps::{Times, Timestamps},
    text::{Stories, Text},
};
use tracer_texts::Texts;

/// How to show events.
#[derive(Args, Debug)]
pub(super) struct FormatArguments {
    /// Only failures, retransmitted SYNs and FINs, and stuck sockets
    #[arg(long)]
    pub(super) problems: bool,
    /// Output format: text, ladder, json, csv, logfmt or parquet
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) format: TraceFormat,
    /// One line per connection, at its end, instead of one per state change (text)
    #[arg(long)]
    summary_only: bool,
    /// Explain each step (ladder)
    #[arg(long)]
    explain: bool,
    /// Show sequence numbers relative to the initial ones (ladder)
    #[arg(long)]
    relative_seq: bool,
    /// Timestamps: local, utc, relative (to the start) or monotonic (text, ladder)
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    timestamps: Timestamps,
    /// Show host names instead of addresses, once they are resolved (text, ladder)
    #[arg(long)]
    resolve: bool,
    #[command(flatten)]
    language: LanguageArgument,
    #[command(flatten)]
    color: ColorArgument,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum TraceFormat {
    /// A line for each state change, for people
    #[default]
    Text,
    /// A sequence diagram of each connection, for people
    Ladder,
    /// An object a line, for machines
    Json,
    /// A table, a line a record
    Csv,
    /// The same as name=value pairs
    Logfmt,
    /// The same as a columnar file
    Parquet,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// What happens on this host. A terminal says what to expect.
    Host,
    /// What a command does.
    Command,
    /// What has happened: there is no status line.
    Recording,
}

impl FormatArguments {
    /// Those of `tracer demo`.
    pub(super) fn of_demo(
        format: TraceFormat,
        relative_seq: bool,
        language: LanguageArgument,
        color: ColorArgument,
    ) -> Self {
        let (summary_only, problems, resolve, timestamps, explain) =
            (false, false, false, Timestamps::default(), true);
        Self {
            format,
            problems,
            summary_only,
            explain,
            relative_seq,
            timestamps,
            resolve,
            language,
            color,
        }
    }

    /// The words, in the language asked for.
    pub(super) fn texts(&self) -> Texts {
        self.language.texts()
    }

    /// Whether all options have a meaning in the format asked for.
    ///
    /// # Errors
    ///
    /// One line that names the first one that does not.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        use TraceFormat::{Ladder, Text};
        for (given, option, formats, names) in [
            (self.resolve, "--resolve", &[Text, Ladder][..], "text and ladder"),
            (self.explain, "--explain", &[Ladder], "ladder"),
            (self.language.is_given(), "--lang", &[Text, Ladder], "text and ladder"),
            (self.relative_seq, "--relative-seq", &[Ladder], "ladder"),
            (self.summary_only, "--summary-only", &[Text], "text"),
        ] {
            ensure!(
                !given || formats.contains(&self.format),
                "{option} works with --format {names} only"
            );
        }
        Ok(())
    }

    /// Whether it has lines for connections, and not only for what happens to them.
    pub(super) fn has_connections(&self) -> bool {
        self.summary_only || !matches!(self.format, TraceFormat::Text | TraceFormat::Ladder)
    }

    /// The format asked for, for a terminal where there is one. Parquet is written by a sink of its own.
    ///
    /// # Errors
    ///
    /// Where no thread can be had.
    pub(super) fn format(
        &self,
        terminal: Option<Stdout>,
        occasion: Occasion,
    ) -> anyhow::Result<Box<dyn Format + Send>> {
        let (palette, width) = self.color.appearance(terminal);
        let times = || Times::new(self.timestamps, jiff::tz::TimeZone::system());
        let names = || self.resolve.then(Names::start).transpose();
        let failed = "--resolve: cannot start a thread";
        let resized: Resized = Box::new(|| columns(io::stdout()));
        let live = occasion != Occasion::Recording;
        Ok(match self.format {
            TraceFormat::Json => Box::new(Json::default()),
            TraceFormat::Csv => Box::new(FlatLines::csv()),
            TraceFormat::Logfmt => Box::new(FlatLines::logfmt()),
            TraceFormat::Ladder => {
                let style = Style { explain: self.explain, relative: self.relative_seq };
                let ladder = Ladder::new(style, palette, width, times());
                let ladder = ladder.resized_by(resized).with_names(names().context(failed)?);
                let ladder = ladder.with_texts(self.language.texts());
                Box::new(if live { ladder } else { ladder.without_status() })
            }
            TraceFormat::Text | TraceFormat::Parquet => {
                let stories = if self.summary_only { Stories::Only } else { Stories::Steps };
                let text = Text::new(palette, width, times(), stories);
                let text = text.with_texts(self.language.texts());
                let text = text.resized_by(resized).with_names(names().context(failed)?);
                let text = match occasion {
                    Occasion::Host => text.introduced(),
                    Occasion::Command => text,
                    Occasion::Recording => text.without_status(),
                };
                match self.problems {
                    true => Box::new(Problems::new(text, palette, stories)),
                    false => Box::new(text),
                }
            }
        })
    }
}
