//! Worked examples: at the end of each help, and in each manual page.

use std::fmt::Write as _;

use clap::Command;

/// What to type, and what it does.
pub(super) type Example = (&'static str, &'static str);

macro_rules! examples {
    ($($command:literal: $($line:literal => $meaning:literal),+;)+) => {
        &[$(($command, &[$(($line, $meaning)),+])),+]
    };
}

/// The examples of each command.
const EXAMPLES: &[(&str, &[Example])] = examples![
    "tracer": "tracer --port 443 --duration 10s" => "only port 443, for ten seconds";
    "trace":
        "tracer --remote-port 5432 --summary-only" => "one line per connection",
        "tracer --comm nginx --linger close-wait=5s" => "flags connections that nginx leaks",
        "tracer --linger close-wait=5s --stacks" => "and the code that created them",
        "tracer --format json -o trace.json -d 10s" => "a recording, for tracer replay";
    "exec":
        "tracer exec -- curl -s localhost" => "curl's, no others",
        "tracer exec --format ladder -- curl -s localhost" => "as segments",
        "tracer exec --quiet -- curl -s localhost" => "the summary";
    "diagnose":
        "tracer diagnose" => "current problems",
        "tracer diagnose --for 1m --stacks" => "growth, and the code that leaks",
        "tracer diagnose --port 443 --fail-on critical" => "for scripts: see the status";
    "sockets":
        "tracer sockets --state close-wait --sort age" => "the oldest leaked connections",
        "tracer sockets --port 443 --netns host" => "of one port, without containers",
        "tracer sockets --format json | jq .process" => "for machines";
    "top":
        "tracer top" => "all of this host",
        "tracer top --port 443" => "only this port";
    "report":
        "tracer report --duration 5m -o report.html" => "about the next five minutes",
        "tracer report trace.json -o report.html" => "about a recording";
    "record":
        "tracer record -o trace.rec" => "until Ctrl-C, for tracer replay",
        "tracer record -o trace.rec --compress -d 10m" => "a twentieth of the size of JSON",
        "tracer record -o trace.rec dport :443" => "only what a filter wants";
    "replay":
        "tracer replay trace.json" => "as text, at once",
        "tracer replay trace.json --speed 10x --format ladder" => "drawn, ten times as fast",
        "tracer replay trace.json --port 443 --summary-only" => "one line per connection";
    "pair":
        "tracer pair web.rec db.rec" => "what only both ends prove",
        "tracer pair web.rec db.rec --all" => "all connections between them",
        "tracer pair web.rec db.rec --format json" => "for machines";
    "diff":
        "tracer diff before.json after.json" => "what changed beyond noise",
        "tracer diff old.json new.json --fail-on regression" => "for CI: see the status",
        "tracer diff a.json b.json --format json | jq ." => "for machines";
    "daemon":
        "tracer daemon --check --config tracer.toml" => "is the configuration valid?",
        "tracer daemon --config tracer.toml" => "with this one",
        "tracer daemon --prometheus 9498" => "metrics at 127.0.0.1:9498";
    "features":
        "tracer features" => "what works, what does not, and why",
        "tracer features --format json | jq ." => "for machines";
    "demo":
        "tracer demo" => "handshake and teardown, explained",
        "tracer demo --list" => "what else there is",
        "tracer demo last-ack-lost" => "why there is TIME_WAIT",
        "tracer demo --step" => "a course that asks what comes next",
        "tracer demo --step --lang ko" => "the same in Korean";
    "explain":
        "tracer explain" => "the state machine, and all terms",
        "tracer explain TIME_WAIT" => "what it is, and what this kernel does",
        "tracer explain why-three --lang ko" => "why three segments, in Korean";
    "schema": "tracer schema > schema.json" => "for a validator";
    "completions":
        "source <(tracer completions bash)" => "for this shell",
        "tracer completions zsh > _tracer" => "in a directory of $fpath";
];

/// The examples of a command.
pub(super) fn of(name: &str) -> &'static [Example] {
    EXAMPLES.iter().find(|(command, _)| *command == name).map_or(&[], |(_, examples)| examples)
}

/// Puts the examples of a command before what its help ends with.
pub(super) fn add(command: Command) -> Command {
    let examples = of(command.get_name());
    if examples.is_empty() {
        return command;
    }
    let width = examples.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    let mut text = String::new();
    if let [(line, meaning)] = examples {
        let _ = writeln!(text, "Example: {line}  {meaning}");
    } else {
        text.push_str("Examples:\n");
        for (line, meaning) in examples {
            let _ = writeln!(text, "  {line:width$}  {meaning}");
        }
    }
    if let Some(after) = command.get_after_help() {
        let _ = write!(text, "\n{after}");
    }
    command.after_help(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::command::{Cli, command};

    /// The words of an example up to what the shell does with the output.
    fn words(line: &str) -> impl Iterator<Item = &str> {
        let line = line.strip_prefix("source <(").map_or(line, |line| line.trim_end_matches(')'));
        line.split(' ').take_while(|word| !["|", ">"].contains(word))
    }

    #[test]
    fn every_command_has_examples_that_are_right() {
        let whole = command();
        let hidden = |command: &&Command| !command.is_hide_set();
        let names = whole.get_subcommands().filter(hidden).map(Command::get_name);
        for name in names.chain(["tracer"]) {
            assert!(!of(name).is_empty(), "{name}");
            let width = of(name).iter().map(|(line, _)| line.len()).max().unwrap();
            for (line, meaning) in of(name) {
                assert!(width + meaning.len() <= 76, "{line}: does not fit a line");
                assert_eq!(words(line).next(), Some("tracer"), "{line}");
                if let Err(error) = Cli::try_parse_from(words(line)) {
                    panic!("{line}: {error}");
                }
            }
        }
    }
}
