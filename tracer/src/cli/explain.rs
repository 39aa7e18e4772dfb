//! The command `tracer explain`: what terms mean.

use anyhow::Context as _;
use clap::Args;

use super::{candidates, console::print, language::LanguageArgument};
use crate::explain;
use tracer_texts::terms;

/// What to explain.
#[derive(Args, Debug)]
pub(super) struct ExplainArguments {
    /// A state, flag, close reason, finding, timer or question; without it, they are listed
    #[arg(value_name = "TERM", num_args = 0.., add = candidates::explained())]
    term: Vec<String>,
    #[command(flatten)]
    language: LanguageArgument,
}

/// Explains a term, or lists all.
///
/// # Errors
///
/// Where there is no such term, and where standard output fails.
pub(super) fn run(arguments: &ExplainArguments) -> anyhow::Result<()> {
    let texts = arguments.language.texts();
    if arguments.term.is_empty() {
        return print(explain::list(&texts).as_bytes());
    }
    let asked = arguments.term.join(" ");
    let term = terms::find(&asked)
        .with_context(|| format!("no term {asked:?}: tracer explain lists them all"))?;
    print(explain::term(term, &texts, &explain::settings()).as_bytes())
}
