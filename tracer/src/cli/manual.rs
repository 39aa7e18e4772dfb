//! The hidden command `tracer manual`: writes tracer(1) and a page for each command, for packages.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::{Args, Command};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use jiff::Timestamp;

use super::examples;
use tracer_output::text;

/// Where to.
#[derive(Args, Debug)]
pub(super) struct ManualArguments {
    /// A directory, which is created if it does not exist
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
}

/// Writes all pages of a command line.
///
/// # Errors
///
/// Where a file cannot be written.
pub(super) fn run(arguments: &ManualArguments, whole: &Command) -> anyhow::Result<()> {
    let ManualArguments { directory } = arguments;
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    for (name, page) in pages(whole).context("cannot make the manual pages")? {
        let path = directory.join(format!("{name}.1"));
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Each page, by its name.
fn pages(whole: &Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let shown: Vec<&Command> =
        whole.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    let names: Vec<String> =
        shown.iter().map(|command| format!("tracer-{}", command.get_name())).collect();
    let mut pages = vec![("tracer".to_owned(), page(whole.clone(), &names)?)];
    for (command, name) in shown.into_iter().zip(&names) {
        pages.push((name.clone(), page(command.clone(), &["tracer".to_owned()])?));
    }
    Ok(pages)
}

fn page(command: Command, others: &[String]) -> io::Result<Vec<u8>> {
    let name = match command.get_name() {
        "tracer" => "tracer".to_owned(),
        name => format!("tracer-{name}"),
    };
    let examples = examples::of(command.get_name());
    let notes = command.get_after_help().is_some();
    let called = name.replace('-', " ");
    let man = Man::new(command.display_name(name.clone()).bin_name(called))
        .title(name.to_uppercase())
        .date(date())
        .source(concat!("tracer ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if notes {
        man.render_extra_section(&mut page)?;
    }
    if matches!(&*name, "tracer" | "tracer-trace") {
        legend(&mut page)?;
    }
    sections(examples, others, &mut page)?;
    Ok(page)
}

/// Of the release, where a package is made; else of today.
fn date() -> String {
    let released = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|time| time.parse().ok());
    let time = released.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.unwrap_or_else(Timestamp::now).strftime("%Y-%m-%d").to_string()
}

/// Of the live view.
fn legend(page: &mut dyn Write) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", ["LEGEND"]);
    for (mark, meaning) in text::LEGEND {
        roff.control("TP", []).text([bold(mark)]).text([roman(meaning)]);
    }
    roff.to_writer(page)
}

/// Names, each with its meaning.
type Entries = &'static [(&'static str, &'static str)];

/// What is true of all commands.
const SECTIONS: &[(&str, Entries)] = &[
    (
        "EXIT STATUS",
        &[
            ("0", "Success; of diagnose: nothing as bad as --fail-on asks for."),
            (
                "1",
                "Problems that diagnose has found, an assertion of exec that does not hold, or a \
                 regression that diff has found (--fail-on).",
            ),
            ("2", "An error: one line on standard error says what and what to do."),
            ("other", "Of exec: the status of the command; 125 to 127 as of env(1)."),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            ("NO_COLOR", "No colours, unless --color always is given."),
            ("TRACER_LOG", "What to log to standard error, such as debug or tracer=trace."),
            ("TZ", "The time zone of the times that are shown."),
            ("OTEL_*", "Where --otlp sends to, and as whom."),
        ],
    ),
    (
        "FILES",
        &[
            ("/etc/tracer/tracer.toml", "The options of tracer daemon."),
            ("/sys/kernel/btf/vmlinux", "The types of the kernel, which say where its fields are."),
            ("/sys/kernel/tracing", "tracefs, which shows accept() on kernels without fexit."),
        ],
    ),
];

/// What ends each page.
fn sections(
    examples: &[examples::Example],
    others: &[String],
    page: &mut dyn Write,
) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    for (line, meaning) in examples {
        roff.control("TP", []).text([bold(*line)]).text([roman(*meaning)]);
    }
    for (title, entries) in SECTIONS {
        roff.control("SH", [*title]);
        for (name, meaning) in *entries {
            roff.control("TP", []).text([bold(*name)]).text([roman(*meaning)]);
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    let count = others.len();
    for (at, other) in others.iter().enumerate() {
        let end = if at + 1 < count { "(1)," } else { "(1)" };
        roff.text([bold(other.as_str()), roman(end)]);
    }
    roff.to_writer(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command::bare;

    #[test]
    fn each_command_has_a_page_with_its_options_and_examples() {
        let shown = bare();
        let pages = pages(&shown).unwrap();
        let shown = shown.get_subcommands().filter(|command| !command.is_hide_set());
        assert_eq!(pages.len(), 1 + shown.count());
        for (name, page) in &pages {
            let page = String::from_utf8(page.clone()).unwrap();
            assert!(
                page.contains(".SH EXAMPLES\n.TP\n\\fBtracer") || name.ends_with("completions"),
                "{page}"
            );
            for section in ["EXIT STATUS", "ENVIRONMENT", "FILES"] {
                assert!(
                    page.contains(&format!(".SH \"{section}\""))
                        || page.contains(&format!(".SH {section}\n")),
                    "{page}"
                );
            }
            assert!(page.contains(&format!("{} \\- ", name.replace('-', "\\-"))), "{page}");
        }
        let trace = pages.iter().find(|(name, _)| name == "tracer-trace").unwrap();
        let trace = String::from_utf8_lossy(&trace.1).into_owned();
        assert!(trace.contains("\\-\\-no\\-snapshot") && trace.contains(".SH LEGEND"), "{trace}");
    }
}
