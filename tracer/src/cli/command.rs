//! The commands that there are, and what `--help` shows of them.

use std::ffi::OsString;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};

use super::{
    completions::CompletionsArguments,
    daemon::DaemonArguments,
    demo::{DemoArguments, LabArguments},
    diagnose::DiagnoseArguments,
    diff::DiffArguments,
    examples,
    exec::ExecArguments,
    explain::ExplainArguments,
    features::FeaturesArguments,
    filter::FilterWords,
    manual::ManualArguments,
    pair::PairArguments,
    record::RecordArguments,
    replay::ReplayArguments,
    report::ReportArguments,
    sockets::SocketsArguments,
    top::TopArguments,
    trace::{TraceArguments, TraceCommand},
};
use crate::demo::player;
use tracer_kernel::stacks;
use tracer_model::filter::parse;

/// Follow every TCP connection of this host from handshake to the end of TIME_WAIT.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    hide_possible_values = true
)]
pub(super) struct Cli {
    /// Log more of what tracer does; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = LAST)]
    pub(super) verbose: u8,
    /// Show numbers instead of names, as in ss: it always does, without --resolve
    #[arg(short = 'n', long, global = true, hide = true)]
    numeric: bool,
    #[command(flatten)]
    pub(super) trace: TraceArguments,
    #[command(flatten)]
    pub(super) words: FilterWords,
    /// Trace the sockets of a command only: the same as tracer exec
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) program: Vec<OsString>,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show every state change live; the default
    Trace(Box<TraceCommand>),
    /// Run a command and trace its sockets only, as tracer -- COMMAND
    Exec(Box<ExecArguments>),
    /// Find problems, their causes and remedies
    Diagnose(Box<DiagnoseArguments>),
    /// List all TCP sockets and their owners
    Sockets(Box<SocketsArguments>),
    /// Show a live full-screen view
    Top(Box<TopArguments>),
    /// Write an HTML report with charts, findings and remedies
    Report(Box<ReportArguments>),
    /// Record all that happens to a file
    Record(Box<RecordArguments>),
    /// Replay a recording of `tracer record` or `--format json`
    Replay(Box<ReplayArguments>),
    /// Join recordings of several hosts: both ends of connections
    Pair(Box<PairArguments>),
    /// Compare two recordings: what changed beyond noise
    Diff(DiffArguments),
    /// Run as a service, with options from a TOML file
    Daemon(Box<DaemonArguments>),
    /// Play a textbook scenario of TCP on this kernel and explain it
    Demo(Box<DemoArguments>),
    /// Explain a state, flag, close reason, finding or timer
    Explain(ExplainArguments),
    /// Show what this kernel and these privileges allow
    Features(FeaturesArguments),
    /// Print the JSON Schema of `--format json`
    Schema,
    /// Print a completion script for a shell
    Completions(CompletionsArguments),
    /// Print the help of a command
    #[command(hide = true)]
    Help {
        /// Which; without it, that of tracer
        command: Option<String>,
    },
    /// Print the version
    #[command(hide = true)]
    Version,
    /// Write the manual pages into a directory
    #[command(hide = true)]
    Manual(ManualArguments),
    /// Play a scenario for another tracer process
    #[command(hide = true, name = player::COMMAND)]
    Lab(LabArguments),
    /// Read the symbols of programs for another tracer process
    #[command(hide = true, name = stacks::COMMAND)]
    Symbols,
}

impl Command {
    /// What `tracer` alone does, and `tracer -- COMMAND`.
    ///
    /// # Errors
    ///
    /// Where the first word is neither a command nor the beginning of a filter.
    pub(super) fn of(
        trace: TraceArguments,
        words: FilterWords,
        program: Vec<OsString>,
    ) -> Result<Self, String> {
        match words.words.first() {
            Some(word) if Cli::command().find_subcommand(word).is_some() => {
                Err(format!("{word:?} is a command: its options follow it, as in tracer {word} -v"))
            }
            Some(word) if !parse::begins(word) => Err(format!(
                "{word:?} is not a command, and no filter begins with it; see tracer --help"
            )),
            _ if program.is_empty() => Ok(Self::Trace(Box::new(TraceCommand { trace, words }))),
            _ => Ok(Self::Exec(Box::new(ExecArguments::new(trace, words, program)))),
        }
    }

    /// Whether it reads the signals that ask for the end.
    pub(super) fn reads_signals(&self) -> bool {
        matches!(
            self,
            Self::Trace(_)
                | Self::Diagnose(_)
                | Self::Top(_)
                | Self::Report(_)
                | Self::Record(_)
                | Self::Replay(_)
                | Self::Diff(_)
                | Self::Daemon(_)
                | Self::Exec(_)
                | Self::Demo(_)
        )
    }
}

/// Behind the options of a command's own, before --help.
const LAST: usize = 900;

/// The help of `tracer` alone fits a screen: the options are those of `tracer trace`.
const TEMPLATE: &str = "\
{about-with-newline}
Usage: tracer [COMMAND] [OPTIONS]

Commands:
{subcommands}{after-help}";

const AFTER: &str = "\
Options: tracer trace --help. Tracing needs root, or CAP_BPF and CAP_PERFMON.";

/// Lines are no longer than this, however wide the terminal is.
const WIDTH: usize = 80;

/// The command line. The help of an option says what its values are, if it matters.
pub(super) fn bare() -> clap::Command {
    let quiet = |argument: clap::Arg| {
        let takes_values = argument.get_action().takes_values();
        argument.hide_possible_values(takes_values)
    };
    let hide = |command: clap::Command| command.mut_args(quiet);
    hide(Cli::command()).mut_subcommands(hide)
}

/// The command line, each help with its examples.
pub(super) fn command() -> clap::Command {
    let bare = bare().max_term_width(WIDTH).after_help(AFTER);
    let names: Vec<String> =
        bare.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let whole = names.iter().fold(bare, |whole, name| whole.mut_subcommand(name, examples::add));
    // The commands leave no room for an example: it stands in the manual page.
    whole.help_template(TEMPLATE)
}

/// The help of a command, or of `tracer` itself.
///
/// # Errors
///
/// Where there is no such command.
pub(super) fn help(of: Option<&str>) -> anyhow::Result<String> {
    let mut whole = command();
    whole.build();
    let Some(name) = of else { return Ok(whole.render_help().to_string()) };
    let command = whole.find_subcommand_mut(name);
    let command =
        command.with_context(|| format!("{name:?} is not a command; see tracer --help"))?;
    Ok(command.render_help().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The help of each command, `tracer` itself first.
    fn helps() -> Vec<(String, String)> {
        let mut whole = command().term_width(WIDTH);
        whole.build();
        let mut helps = vec![("tracer".to_owned(), whole.clone().render_help().to_string())];
        for command in whole.get_subcommands_mut() {
            helps.push((command.get_name().to_owned(), command.render_help().to_string()));
        }
        helps
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_help_of_tracer_fits_a_screen() {
        let (_, help) = helps().swap_remove(0);
        // One of the 24 lines is the next prompt's.
        assert!(help.trim_end().lines().count() <= 23, "{help}");
        assert_eq!(help, command().term_width(WIDTH).render_long_help().to_string());
    }

    #[test]
    fn no_help_is_wider_than_a_screen() {
        for (name, help) in helps() {
            let wide = help.lines().find(|line| line.chars().count() > WIDTH);
            assert_eq!(wide, None, "{name}");
        }
    }
}
