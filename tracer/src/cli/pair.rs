//! The command `tracer pair`: recordings of several hosts, joined.

use std::{
    collections::BTreeMap,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use anyhow::ensure;
use clap::Args;

use super::{
    console::{ColorArgument, print},
    language::LanguageArgument,
    options::FormatName,
    recording,
};
use crate::pair::{read::read, show::View};
use tracer_event::escape::escape;
use tracer_model::pair::{Recording, join};
use tracer_output::{
    ladder::{Ladder, Style},
    stamps::{Times, Timestamps},
};

/// What to join, and how to show it.
#[derive(Args, Debug)]
#[command(
    after_help = "Ends are joined by their initial sequence numbers, also through NAT. Record on \
                  each host at the same time: tracer record -o HOST.rec, or --format json."
)]
pub(super) struct PairArguments {
    /// Recordings, one of each host
    #[arg(required = true, num_args = 2.., value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also show connections without a verdict
    #[arg(long)]
    all: bool,
    /// Output format: text or json
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: FormatName,
    /// Show sequence numbers relative to the initial ones
    #[arg(long)]
    relative_seq: bool,
    #[command(flatten)]
    language: LanguageArgument,
    #[command(flatten)]
    color: ColorArgument,
}

/// Joins them, and says what both ends prove.
///
/// # Errors
///
/// Where a recording cannot be read, or standard output fails.
pub(super) fn run(arguments: &PairArguments) -> anyhow::Result<()> {
    let PairArguments { files, all, format, relative_seq, language, color } = arguments;
    recording::size(files, None)?;
    let stdin = files.iter().filter(|file| *file == Path::new("-")).count();
    ensure!(stdin <= 1, "- is standard input, and can be only one of the recordings");
    let recordings = files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    let joined = join(&recordings);
    let names = names(files, &recordings);
    let texts = Some(&language.texts());
    let view = View { recordings: &recordings, names: &names, joined: &joined, all: *all, texts };
    let text = match format {
        FormatName::Json => view.json()?,
        FormatName::Text => {
            let (palette, width) = color.appearance(Some(io::stdout()));
            let times = || Times::new(Timestamps::Utc, jiff::tz::TimeZone::UTC);
            let style = Style { explain: false, relative: *relative_seq };
            let ladder = || Ladder::new(style, palette, width, times()).without_status();
            view.text(|| ladder().with_texts(language.texts()))
        }
    };
    print(text.as_bytes())
}

/// The names of the hosts; where several have one name, those of the files.
fn names(files: &[PathBuf], recordings: &[Recording]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    recordings.iter().for_each(|one| *counts.entry(one.name()).or_default() += 1);
    let name = |(file, one): (&PathBuf, &Recording)| match counts.get(one.name()) {
        Some(1) if one.host.is_some() => one.name().to_owned(),
        _ => escape(file.file_name().unwrap_or(file.as_os_str()).as_bytes()).into_owned(),
    };
    files.iter().zip(recordings).map(name).collect()
}
