//! The command `tracer completions`.

use clap::{Args, Command};
use clap_complete::Shell;

use super::console::print;

/// For which shell.
#[derive(Args, Debug)]
pub(super) struct CompletionsArguments {
    /// The shell: bash, zsh, fish, elvish or powershell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Prints the completions of a command line.
///
/// # Errors
///
/// Where standard output fails.
pub(super) fn run(arguments: &CompletionsArguments, whole: &mut Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, whole, "tracer", &mut script);
    print(&script)
}
