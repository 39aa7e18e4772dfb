//! The command `tracer diagnose`: observes for a while and says what is wrong.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use rustix::thread::CapabilitySet;

use super::{
    console::{ColorArgument, columns, print},
    filter::{FilterArguments, FilterWords},
    header::{header, options},
    language::LanguageArgument,
    live::BUFFER_SIZE,
    options::{FormatName, PodsArgument, StacksArgument, duration},
    signals::{self, Hangup, Signals},
    threads,
};
use crate::diagnose::{Observation, Outcome};
use tracer_event::{
    finding::{Kind, Problem, Severity},
    header::{Degraded, Header, Mode},
};
use tracer_kernel::{confine, enricher::Host, feature, load, privileges, time};
use tracer_model::filter::Filter;
use tracer_output::{
    report,
    text::{Palette, write_not_available},
    wrap::broken,
};
use tracer_texts::Texts;

/// How long to observe and how to report.
#[derive(Args, Debug)]
#[command(after_help = after_help())]
pub(super) struct DiagnoseArguments {
    /// How long to observe, such as 2s, 30s or 5m; growth is found by comparing
    #[arg(long = "for", default_value = "5s", value_parser = duration, allow_hyphen_values = true, value_name = "TIME")]
    time: Duration,
    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "text|json")]
    format: FormatName,
    /// Exit with status 1 for findings of at least this severity: info, warning or critical
    #[arg(long, default_value = "warning", value_name = "SEVERITY", value_parser = severity())]
    fail_on: Severity,
    /// Only the sentence and the first remedy of each finding
    #[arg(long)]
    brief: bool,
    #[command(flatten)]
    language: LanguageArgument,
    #[command(flatten)]
    color: ColorArgument,
    #[command(flatten)]
    pods: PodsArgument,
    #[command(flatten)]
    stacks: StacksArgument,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    words: FilterWords,
}

/// What there is to find, which only the program knows.
fn after_help() -> String {
    let mut text = String::from("Findings (more in docs/findings.md):\n");
    let kinds = Problem::kinds();
    let width = kinds.iter().map(|kind| kind.code.len()).max().unwrap_or(0);
    for Kind { code, what, .. } in kinds {
        let what = broken(what.trim_end_matches('.'), Some(76 - width));
        let what = what.join(&format!("\n{:1$}", "", width + 4));
        let _ = writeln!(text, "  {code:width$}  {what}");
    }
    text.push_str(
        "\nExit status: 0 healthy, 1 findings, 2 errors. Nothing is changed: remedies are commands \
         to copy.",
    );
    text
}

fn severity() -> impl TypedValueParser<Value = Severity> {
    let values = [
        PossibleValue::new("info").help("Anything found"),
        PossibleValue::new("warning").help("What will fail if it continues"),
        PossibleValue::new("critical").help("What fails now"),
    ];
    PossibleValuesParser::new(values).map(|name| match name.as_str() {
        "info" => Severity::Info,
        "warning" => Severity::Warning,
        _ => Severity::Critical,
    })
}

/// Observes, reports; findings make the status 1.
///
/// # Errors
///
/// Without privileges or BTF, or where standard output fails.
pub(super) fn run(arguments: &DiagnoseArguments) -> anyhow::Result<ExitCode> {
    ensure!(
        !(arguments.brief && matches!(arguments.format, FormatName::Json)),
        "--brief shortens the text, and --format json has none: use only one of them"
    );
    let DiagnoseArguments { filter, words, .. } = arguments;
    if filter.explain(words, Filter::of_namespace)? {
        return Ok(ExitCode::SUCCESS);
    }
    let filter = filter.on_this_host(words)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (header, outcome) = runtime.block_on(observed(arguments, filter))?;
    for (netns, reason) in &outcome.refused {
        tracing::warn!("network namespace {netns} is left out: {reason} (CAP_SYS_ADMIN)");
    }
    write(arguments, &header, &outcome)?;
    let failed = outcome.diagnosis.is_at_least(arguments.fail_on);
    Ok(ExitCode::from(u8::from(failed)))
}

async fn observed(
    arguments: &DiagnoseArguments,
    filter: Filter,
) -> anyhow::Result<(Header, Outcome)> {
    let signals = Signals::catch()?;
    let pods = arguments.pods.open()?;
    let tracer = load::load(&load::Request {
        mode: Some(Mode::Btf),
        filter: filter.of_namespace().in_kernel(),
        buffer_size: BUFFER_SIZE,
        diagnostics: false,
        accept: true,
        stacks: arguments.stacks.stacks,
        retransmitted_data: false,
    })?;
    if !tracer.has_iterators {
        bail!("diagnose needs BPF iterators, which this kernel refuses; see tracer -v");
    }
    let (host, unknown) = Host::look(pods);
    let mut degraded = tracer.degraded.clone();
    degraded.extend(unknown);
    let missing = privileges::missing().into_iter().map(|(missing, _)| missing);
    degraded.extend(missing.filter(|one| feature::PROCESSES.is_in(one)));
    privileges::keep_only(privileges::RUN);
    degraded.extend(confine::seal());
    let header = header(tracer.mode, degraded, options(), None);
    let observation = Observation::new(tracer, filter, host).context("cannot set up the reader")?;
    Ok((header, observe(observation, arguments.time, signals).await?))
}

async fn observe(
    observation: Observation,
    duration: Duration,
    mut signals: Signals,
) -> anyhow::Result<Outcome> {
    let (stop, hangup) = (observation.stop(), Hangup::default());
    let waiting = Waiting::begin(duration);
    let mut thread = threads::start("tracer-reader", move || observation.run(duration))?;
    // The other threads have what they need.
    privileges::keep_only(CapabilitySet::empty());
    let outcome = tokio::select! {
        () = signals.end(&hangup) => {
            stop.ask();
            thread.await
        }
        outcome = &mut thread => outcome,
    };
    drop(waiting);
    Ok(outcome.context("the observing thread failed")??)
}

/// Says on a terminal that there is something to wait for; wiped away in the end.
struct Waiting;

impl Waiting {
    fn begin(duration: Duration) -> Option<Self> {
        let mut terminal = io::stderr();
        terminal.is_terminal().then(|| {
            let time = humantime::format_duration(duration);
            // Nobody may be left to read it.
            let _ = write!(terminal, "observing for {time}; Ctrl-C for what is known so far");
            let _ = terminal.flush();
            Self
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Back to the first column, and clear the line.
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}

/// Says what this host lacks: on a terminal as a trace does, elsewhere in the log.
fn warn_of(degraded: &Degraded, palette: Palette, texts: &Texts) {
    let terminal = Some(io::stderr()).filter(io::Stderr::is_terminal);
    let Some(width) = terminal.and_then(columns) else {
        let Degraded { feature, reason, lost, remedy } = degraded;
        tracing::warn!("{feature} not available ({reason}): {lost}; {remedy}");
        return;
    };
    let mut out = Vec::new();
    write_not_available(degraded, Some(texts), (palette, Some(width)), &mut out);
    // Nobody may be left to read it.
    let _ = io::stderr().write_all(&out);
}

fn write(arguments: &DiagnoseArguments, header: &Header, outcome: &Outcome) -> anyhow::Result<()> {
    let mut out = Vec::new();
    let diagnosis = &outcome.diagnosis;
    match arguments.format {
        FormatName::Json => report::json(diagnosis, header, time::wall_clock(), &mut out),
        FormatName::Text => {
            let (palette, width) = arguments.color.appearance(Some(io::stdout()));
            let texts = arguments.language.texts();
            header.missing().for_each(|degraded| warn_of(degraded, palette, &texts));
            let write = if arguments.brief { report::brief } else { report::text };
            write(diagnosis, palette, width, Some(&texts), &mut out);
        }
    }
    // A reader that does not read can be left alone.
    signals::release();
    print(&out)
}
