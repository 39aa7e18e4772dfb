//! The command `tracer explain`: what terms mean.

use anyhow::bail;
use clap::Args;

use super::{candidates, console::print, language::LanguageArgument};
use crate::explain;
use tracer_texts::terms::{self, Term};

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
    let term = terms::find(&asked).map_or_else(|| only_one_like(&asked), Ok)?;
    print(explain::term(term, &texts, &explain::settings()).as_bytes())
}

/// Names shown at most.
const NAMED: usize = 4;

fn only_one_like(asked: &str) -> anyhow::Result<&'static Term> {
    match terms::like(asked)[..] {
        [] => bail!("no term {asked:?}: tracer explain lists them all"),
        [only] => Ok(only),
        ref like => {
            let names: Vec<&str> = like.iter().take(NAMED).map(|term| term.name).collect();
            bail!("no term {asked:?}; see {}: tracer explain lists them all", names.join(", "))
        }
    }
}
