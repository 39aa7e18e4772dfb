//! The configuration file of a daemon: TOML, whose keys are the long options of the command.
//!
//! ```toml
//! output = "/var/log/tracer/tracer.json"
//! remote-port = [443, 5432]
//! no-accept = true
//!
//! [linger]
//! close-wait = "10s"
//! ```
//!
//! Each key is given to clap as the option that it is: both take the same values and no list of
//! keys is kept here. What is wrong is said with file, line and key.

use std::path::Path;

use anyhow::{Context as _, bail};
use clap::{ArgMatches, Command, parser::ValueSource};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::one_line;

/// Options that make no sense in the file.
const COMMAND_LINE_ONLY: [&str; 4] = ["check", "config", "help", "version"];

/// The arguments of `command` that a file adds to those that were given on the command line, which
/// go before it.
///
/// # Errors
///
/// One line for the first mistake in the file, or where it cannot be read.
pub(super) fn arguments(
    path: &Path,
    command: &Command,
    given: &ArgMatches,
) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("cannot read the configuration file {} (--config)", path.display())
    })?;
    let file = File { path, text: &text, command };
    let table = DeTable::parse(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        anyhow::anyhow!("{}: {}", file.place(at), error.message())
    })?;
    let mut arguments = Vec::new();
    for (key, value) in table.get_ref() {
        let option = file.option(key.get_ref().as_ref(), key.span().start, value)?;
        if given.value_source(&option.id) != Some(ValueSource::CommandLine) {
            arguments.extend(option.argument);
        }
    }
    Ok(arguments)
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
    command: &'a Command,
}

struct Given {
    id: String,
    /// None for a switch that is off.
    argument: Option<String>,
}

impl File<'_> {
    fn place(&self, at: usize) -> String {
        let line = self.text.as_bytes()[..at.min(self.text.len())].iter();
        format!("{}:{}", self.path.display(), line.filter(|&&byte| byte == b'\n').count() + 1)
    }

    /// The option that a key is.
    fn option(&self, key: &str, at: usize, value: &Spanned<DeValue<'_>>) -> anyhow::Result<Given> {
        let place = self.place(at);
        let mut options = self.command.get_arguments().filter(|option| {
            option.get_long().is_some_and(|long| !COMMAND_LINE_ONLY.contains(&long))
        });
        let Some(option) = options.find(|option| option.get_long() == Some(key)) else {
            bail!(
                "{place}: {key}: no such key: it must be a long option of tracer daemon; \
                 see tracer daemon --help"
            );
        };
        let argument = match (value.get_ref(), option.get_action().takes_values()) {
            (DeValue::Boolean(on), false) => on.then(|| format!("--{key}")),
            (_, false) => bail!("{place}: {key}: takes true or false"),
            (DeValue::Boolean(_), true) => {
                bail!("{place}: {key}: takes a value, not true or false")
            }
            (value, true) => {
                let Some(words) = words(value) else {
                    bail!("{place}: {key}: takes a string, a number, or a list of them");
                };
                Some(format!("--{key}={words}"))
            }
        };
        // By itself, so that the mistake is this line's.
        let alone = argument.iter().map(String::as_str);
        let parsed = self.command.clone().no_binary_name(true).try_get_matches_from(alone);
        match parsed {
            Err(error) if is_of_value(&error) => bail!("{place}: {key}: {}", one_line(&error)),
            _ => Ok(Given { id: option.get_id().to_string(), argument }),
        }
    }
}

/// Not that other options are missing or contradict it: that is known with all of them only.
fn is_of_value(error: &clap::Error) -> bool {
    use clap::error::ErrorKind::{
        InvalidUtf8, InvalidValue, NoEquals, TooManyValues, ValueValidation,
    };
    matches!(error.kind(), InvalidValue | ValueValidation | TooManyValues | InvalidUtf8 | NoEquals)
}

/// A value as one writes it behind an option: lists with commas, tables as `key=value`.
fn words(value: &DeValue<'_>) -> Option<String> {
    let join = |words: Option<Vec<String>>| words.map(|words| words.join(","));
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(on) => Some(on.to_string()),
        DeValue::Datetime(_) => None,
        DeValue::Array(list) => join(list.iter().map(|item| words(item.get_ref())).collect()),
        DeValue::Table(table) => {
            let pair = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                Some(format!("{}={}", key.get_ref(), words(value.get_ref())?))
            };
            join(table.iter().map(pair).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Parser as _};
    use rstest::rstest;

    use super::*;
    use crate::cli::daemon::DaemonArguments;

    fn read(text: &str, given: &[&str]) -> Result<String, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.toml");
        std::fs::write(&path, text).unwrap();
        let command = DaemonArguments::augment_args(Command::new("daemon"));
        let given = command.clone().no_binary_name(true).get_matches_from(given);
        arguments(&path, &command, &given)
            .map(|arguments| arguments.join(" "))
            .map_err(|error| error.to_string().replace(&*path.to_string_lossy(), "t.toml"))
    }

    #[rstest]
    #[case("", "")]
    #[case("# nothing\n", "")]
    #[case("port = 443", "--port=443")]
    #[case("port = [443, 5432]", "--port=443,5432")]
    #[case("format = \"json\"\nno-accept = true", "--format=json --no-accept")]
    #[case("problems = false", "")]
    #[case(
        "[linger]\nclose-wait = \"10s\"\ntime-wait = \"off\"",
        "--linger=close-wait=10s,time-wait=off"
    )]
    #[case("linger = \"close-wait=10s\"", "--linger=close-wait=10s")]
    fn keys_are_long_options(#[case] text: &str, #[case] arguments: &str) {
        assert_eq!(read(text, &[]).as_deref(), Ok(arguments));
    }

    const SHIPPED: &str = include_str!("../../../deploy/systemd/tracer.toml");

    /// The keys that it only shows, as lines that set them.
    fn shown() -> impl Iterator<Item = &'static str> {
        let key = |line: &&str| line.starts_with(|start: char| start.is_ascii_lowercase());
        SHIPPED.lines().filter_map(|line| line.strip_prefix('#')).filter(key)
    }

    #[test]
    fn the_configuration_that_is_shipped_is_valid() {
        let arguments = read(SHIPPED, &[]).unwrap();
        let argv = ["tracer", "daemon"].into_iter().chain(arguments.split(' '));
        crate::cli::command::Cli::try_parse_from(argv).unwrap();
        for line in shown() {
            read(line, &[]).unwrap();
        }
    }

    #[test]
    fn the_configuration_that_is_shipped_has_every_key() {
        let table = DeTable::parse(SHIPPED).unwrap().into_inner();
        let set = table.keys().map(|key| key.get_ref().to_string());
        let shown = shown().filter_map(|line| Some(line.split_once(" =")?.0.to_owned()));
        let mut keys: Vec<String> = set.chain(shown).collect();
        let command = DaemonArguments::augment_args(Command::new("daemon"));
        let options = command.get_arguments().filter_map(clap::Arg::get_long);
        let mut options: Vec<_> =
            options.filter(|long| !COMMAND_LINE_ONLY.contains(long)).collect();
        keys.sort_unstable();
        options.sort_unstable();
        assert_eq!(keys, options);
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let read = read("port = [443]\nremote-port = 80", &["--port", "9"]);
        assert_eq!(read.as_deref(), Ok("--remote-port=80"));
    }

    #[rstest]
    #[case("\nprot = 1", "t.toml:2: prot: no such key")]
    #[case("config = \"x\"", "t.toml:1: config: no such key")]
    #[case("# a\n# b\nport = \"http\"", "t.toml:3: port: invalid value 'http'")]
    #[case("port = 99999", "t.toml:1: port: invalid value '99999'")]
    #[case("problems = 1", "t.toml:1: problems: takes true or false")]
    #[case("format = true", "t.toml:1: format: takes a value")]
    #[case("format = 1979-05-27", "t.toml:1: format: takes a string")]
    #[case("[linger]\nsleeping = \"10s\"", "t.toml:1: linger: invalid value")]
    #[case("port = \n", "t.toml:1: ")]
    #[case("port = 1\nport = 2", "t.toml:2: duplicate key")]
    fn mistakes_are_told_with_line_and_key(#[case] text: &str, #[case] message: &str) {
        let error = read(text, &[]).unwrap_err();
        assert!(error.starts_with(message) && !error.contains('\n'), "{error}");
    }
}
