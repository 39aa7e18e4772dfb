//! The command `tracer diff`: what changed between two recordings beyond noise.

use std::{
    io::{self, IsTerminal as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{bail, ensure};
use clap::{Args, ValueEnum};

use super::{console, language::LanguageArgument, options::FormatName, recording};
use crate::{
    diff::{
        compare::Comparison,
        observed::{Observed, Reading},
        report::Report,
    },
    replay::pace::Speed,
};
use tracer_event::escape::escape;
use tracer_model::filter::Filter;

/// What to compare.
#[derive(Args, Debug)]
#[command(after_help = "Recordings are what tracer record writes, and tracer, tracer exec and \
    tracer daemon with --format json. Rates, outcomes, times, leaks and findings are compared; docs/testing.md \
    says by which tests. Exit status: 1 if --fail-on regression is given and something is worse, \
    2 for errors.")]
pub(super) struct DiffArguments {
    /// The recording to compare with
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// The recording to compare
    #[arg(value_name = "AFTER")]
    after: PathBuf,
    /// Exit with status 1 if something became worse beyond noise: regression
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Option<FailOn>,
    /// Also show what did not change beyond noise (text)
    #[arg(long)]
    all: bool,
    /// Output format: text or json
    #[arg(long, value_enum, default_value_t, value_name = "text|json")]
    format: FormatName,
    #[command(flatten)]
    language: LanguageArgument,
}

/// What makes `tracer diff` fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Something is worse.
    Regression,
}

/// Reads both and compares them.
///
/// # Errors
///
/// Where one cannot be read, is no whole trace, or cannot be judged.
pub(super) fn run(arguments: &DiffArguments) -> anyhow::Result<ExitCode> {
    let DiffArguments { before, after, fail_on, all, format, language } = arguments;
    ensure!(
        before != Path::new("-") || after != Path::new("-"),
        "-: standard input can be one of the recordings only"
    );
    let both = [read(before)?, read(after)?];
    let names = [before, after].map(|path| escape(path.as_os_str().as_bytes()).into_owned());
    let both = [&both[0], &both[1]];
    let comparison = Comparison::of(both[0], both[1]);
    let (names, texts) = ([&*names[0], &*names[1]], Some(&language.texts()));
    let report = Report { names, both, comparison: &comparison, texts };
    let text = match format {
        FormatName::Text => report.text(*all),
        FormatName::Json => report.json()?,
    };
    console::print(text.as_bytes())?;
    if fail_on.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    if comparison.is_regression() {
        return Ok(ExitCode::FAILURE);
    }
    for (name, one) in names.iter().zip(both) {
        if !one.is_complete {
            bail!("{name}: events were lost, so no regression can be excluded: record it again");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<Observed> {
    let name = || file.display();
    let files = vec![file.to_owned()];
    let size = recording::size(&files, None)?;
    let bar = recording::bar(!io::stdout().is_terminal(), size);
    let reading = Reading::default();
    recording::replay(files, Filter::default(), Speed::Max, &bar, |_| Ok(vec![reading.sink()]))?;
    let observed = reading.take();
    match observed.duration {
        None => bail!("{}: no trace begins in it (tracer --format json)", name()),
        Some(0) => bail!("{}: it lasts no time, so it has no rates", name()),
        Some(_) => Ok(observed),
    }
}
