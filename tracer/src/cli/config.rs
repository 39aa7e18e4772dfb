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

use std::{io::Read as _, path::Path};

use anyhow::{Context as _, bail, ensure};
use clap::{ArgMatches, Command, parser::ValueSource};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{console::one_line, trusted};
use tracer_event::escape::{escape, harmless};

/// Options that make no sense in the file.
const COMMAND_LINE_ONLY: [&str; 7] =
    ["check", "config", "explain-filter", "help", "legend", "numeric", "version"];
/// A file with each option in it takes less than a hundredth, bytes.
const LONGEST: u64 = 1 << 20;
/// Characters of a mistake that are shown.
const SHOWN: usize = 300;

/// The arguments of `command` that a file adds to those that were given on the command line, which
/// override it.
///
/// # Errors
///
/// One line for the first mistake in the file, or where it cannot be read.
pub(super) fn arguments(
    path: &Path,
    command: &Command,
    given: &ArgMatches,
) -> anyhow::Result<Vec<String>> {
    parse(path, &read(path)?, command, given)
}

/// What is wrong with the text of a daemon's file.
#[cfg(any(test, fuzzing))]
pub(crate) fn mistake(text: &str) -> Option<anyhow::Error> {
    use clap::Args as _;
    let command = super::daemon::DaemonArguments::augment_args(Command::new("daemon"));
    let given = command.clone().no_binary_name(true).get_matches_from([""; 0]);
    parse(Path::new("t.toml"), text, &command, &given).err()
}

/// The same of the text of a file.
fn parse(
    path: &Path,
    text: &str,
    command: &Command,
    given: &ArgMatches,
) -> anyhow::Result<Vec<String>> {
    // A mistake is quoted, and may speak to terminals.
    let said = |error| anyhow::anyhow!("{}", shortened(&harmless(&format!("{error:#}"))));
    options(path, text, command, given).map_err(said)
}

/// A mistake may be in a value of any length.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn options(
    path: &Path,
    text: &str,
    command: &Command,
    given: &ArgMatches,
) -> anyhow::Result<Vec<String>> {
    let file = File { path, text, command };
    let table = DeTable::parse(text).map_err(|error| {
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

/// The text of a configuration file.
fn read(path: &Path) -> anyhow::Result<String> {
    let name = escape(path.as_os_str().as_encoded_bytes());
    let cannot = || format!("cannot read the configuration file {name} (--config)");
    let mut bytes = Vec::new();
    let file = trusted::open(path).with_context(cannot)?;
    file.take(LONGEST + 1).read_to_end(&mut bytes).with_context(cannot)?;
    ensure!(bytes.len() as u64 <= LONGEST, "{}: longer than {} KiB", cannot(), LONGEST >> 10);
    String::from_utf8(bytes).map_err(|error| {
        let line = line(error.as_bytes(), error.utf8_error().valid_up_to());
        anyhow::anyhow!("{name}:{line}: not UTF-8")
    })
}

/// The number of the line in which a byte is.
fn line(text: &[u8], at: usize) -> usize {
    text.iter().take(at).filter(|&&byte| byte == b'\n').count() + 1
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
        format!("{}:{}", self.path.display(), line(self.text.as_bytes(), at))
    }

    /// The option that a key is.
    fn option(&self, key: &str, at: usize, value: &Spanned<DeValue<'_>>) -> anyhow::Result<Given> {
        let place = self.place(at);
        let mut options = self.command.get_arguments().filter(|option| {
            option.get_long().is_some_and(|long| !COMMAND_LINE_ONLY.contains(&long))
        });
        let Some(option) = options.find(|option| option.get_long() == Some(key)) else {
            ensure!(
                key != "verbose" && !COMMAND_LINE_ONLY.contains(&key),
                "{place}: {key}: works on the command line only"
            );
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
            (value, true) => match words(value) {
                Some(words) => Some(format!("--{key}={words}")),
                None => bail!("{place}: {key}: takes a string, a number, or a list of them"),
            },
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
        // Without the radix, which is before it: `0x50` is 80.
        DeValue::Integer(number) => {
            Some(i128::from_str_radix(number.as_str(), number.radix()).ok()?.to_string())
        }
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
    use std::os::unix::fs::PermissionsExt as _;

    use clap::{Args as _, Parser as _};
    use rstest::rstest;

    use super::*;
    use crate::cli::daemon::DaemonArguments;

    fn read(text: &str, given: &[&str]) -> Result<String, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.toml");
        std::fs::write(&path, text).unwrap();
        // Whatever the umask is.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
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
    #[case("port = [443, 0x1bb]", "--port=443,443")]
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
    fn what_is_no_text_or_has_no_end_is_refused() {
        let error = format!("{:#}", super::read(Path::new("/dev/zero")).unwrap_err());
        assert!(
            error.ends_with("/dev/zero (--config): it is a device, and must be a file"),
            "{error}"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(LONGEST + 1).unwrap();
        let error = super::read(file.path()).unwrap_err().to_string();
        assert!(error.ends_with(" (--config): longer than 1024 KiB"), "{error}");
        std::fs::write(file.path(), b"port = 1\noutput = '\xff'\n").unwrap();
        let error = super::read(file.path()).unwrap_err().to_string();
        assert!(error.ends_with(":2: not UTF-8"), "{error}");
    }

    #[test]
    fn a_mistake_does_not_speak_to_the_terminal() {
        for text in
            ["port = \"\\u001b[2J\\n\\u202e\"", "\"\\u001b[2J\\u202e\" = 1", "port = \u{1b}"]
        {
            let error = read(text, &[]).unwrap_err();
            assert!(error.starts_with("t.toml:1: "), "{error}");
            assert!(!error.chars().any(tracer_event::escape::is_unprintable), "{error}");
        }
        let error = read(&format!("port = '{}'", "x".repeat(10_000)), &[]).unwrap_err();
        assert!(error.chars().count() < 400, "{error}");
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
    #[case("config = \"x\"", "t.toml:1: config: works on the command line only")]
    #[case("# a\n# b\nport = \"htp\"", "t.toml:3: port: invalid value 'htp'")]
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
