//! The command `tracer completions`.

use clap::Args;
use clap_complete::Shell;

use super::{command::Cli, print};

/// For which shell.
#[derive(Args, Debug)]
pub(super) struct CompletionsArguments {
    /// The shell: bash, zsh, fish, elvish or powershell
    #[arg(value_enum, value_name = "SHELL", hide_possible_values = true)]
    shell: Shell,
}

/// Prints the completions.
///
/// # Errors
///
/// Where standard output fails.
pub(super) fn run(arguments: &CompletionsArguments) -> anyhow::Result<()> {
    let mut script = Vec::new();
    let mut command = <Cli as clap::CommandFactory>::command();
    clap_complete::generate(arguments.shell, &mut command, "tracer", &mut script);
    print(&script)
}
