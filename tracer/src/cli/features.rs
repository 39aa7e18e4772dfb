//! The command `tracer features`: says what works here.

use std::{io, path::PathBuf, process::ExitCode};

use clap::Args;

use super::{
    console::{ColorArgument, print},
    language::LanguageArgument,
    options::FormatName,
};
use crate::{feature_list as pages, features};
use tracer_kernel::time;

/// How to write it.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 if tracing works, 2 if not. Nothing is changed. -v shows what \
    is available too."
)]
pub(super) struct FeaturesArguments {
    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "text|json")]
    format: FormatName,
    #[command(flatten)]
    language: LanguageArgument,
    #[command(flatten)]
    color: ColorArgument,
}

/// Tries everything once, and shows all of it if `verbose`; status 2 where nothing can be traced.
///
/// # Errors
///
/// Where standard output fails.
pub(super) fn run(arguments: &FeaturesArguments, verbose: bool) -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("tracer"));
    let survey = features::survey(&program);
    let mut out = Vec::new();
    match arguments.format {
        FormatName::Json => pages::json(&survey, time::wall_clock(), &mut out)?,
        FormatName::Text => {
            let (palette, width) = arguments.color.appearance(Some(io::stdout()));
            let text = if verbose { pages::whole } else { pages::text };
            let texts = arguments.language.texts();
            text(&survey, Some(&texts), (palette, width), &mut out)?;
        }
    }
    print(&out)?;
    Ok(if survey.mode.is_some() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
