//! The command `tracer completions`, and what a shell is answered that asks what may follow.
//!
//! The scripts ask the binary itself at each Tab: so namespaces, containers and the like are those
//! that there are now. How they ask may change with a version of clap_complete; a package has
//! scripts of its own binary, and who sources `tracer completions` gets new ones with each shell.

use std::{env, io::Write as _};

use clap::Args;
use clap_complete::{
    Shell,
    env::{CompleteEnv, Shells},
};

use super::console::print;

/// The environment variable by which a script asks; nobody sets it by chance.
const ASKS: &str = "_TRACER_COMPLETE";

/// zsh loads the script at the first Tab, which it would otherwise not answer.
const AT_ONCE: &str = "\
if [ \"$funcstack[1]\" = \"_tracer\" ]; then
    _clap_dynamic_completer_tracer \"$@\"
fi
";

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
pub(super) fn run(arguments: &CompletionsArguments) -> anyhow::Result<()> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    if let Some(shell) = shells.completer(&arguments.shell.to_string()) {
        shell.write_registration(ASKS, "tracer", "tracer", "tracer", &mut script)?;
    }
    if arguments.shell == Shell::Zsh {
        script.write_all(AT_ONCE.as_bytes())?;
    }
    print(&script)
}

/// Answers a shell that asks what may follow in the command line that `command` makes; whether one
/// did.
///
/// # Errors
///
/// Where the shell is unknown, or standard output fails.
pub(super) fn answer(command: impl Fn() -> clap::Command) -> Result<bool, clap::Error> {
    let here = env::current_dir().ok();
    CompleteEnv::with_factory(command).var(ASKS).try_complete(env::args_os(), here.as_deref())
}
