//! The command `tracer report`: gathers for a while, or reads what was recorded, then writes a
//! page.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use jiff::tz::TimeZone;

use super::{
    filter::{FilterArguments, behind_files, warn_of_absent},
    header::host_name,
    language::LanguageArgument,
    live::Live,
    options::duration,
    recording,
    signals::interruptible,
};
use crate::replay::pace::Speed;
use tracer_event::escape::escape;
use tracer_kernel::{preflight, time};
use tracer_model::{filter::Filter, linger::Thresholds};
use tracer_output::page::{Options, Page, Written};

/// How long is gathered where nothing else is asked for.
const DURATION: Duration = Duration::from_secs(60);

/// What to gather, or where it was recorded, and where to write it.
#[derive(Args, Debug)]
#[command(
    after_help = "The report is one file, which can be read offline, sent and printed. Ctrl-C ends \
    earlier and writes it. Sockets that exist already are counted as well."
)]
pub(super) struct ReportArguments {
    /// Report on these recordings (tracer --format json) instead of this host; then a filter as in
    /// ss and tcpdump, such as: comm nginx and dport :443
    #[arg(value_name = "FILE|FILTER")]
    files: Vec<PathBuf>,
    /// How long to observe, such as 30s, 5m or 1h [default: 60s]
    #[arg(short, long, value_parser = duration, allow_hyphen_values = true, value_name = "TIME")]
    duration: Option<Duration>,
    /// Write to FILE, which is overwritten
    #[arg(short, long, default_value = "tracer-report.html", value_name = "FILE")]
    output: PathBuf,
    /// Flag sockets that are stuck in a state, such as close-wait=30s,time-wait=off
    #[arg(long, value_name = "STATE=TIME,…")]
    linger: Option<Thresholds>,
    #[command(flatten)]
    language: LanguageArgument,
    #[command(flatten)]
    filter: FilterArguments,
}

/// Gathers, then writes the page.
///
/// # Errors
///
/// For each thing that can be wrong one line that names it.
pub(super) fn run(arguments: &ReportArguments) -> anyhow::Result<()> {
    let (files, words) = behind_files(&arguments.files)?;
    let in_kernel = |filter: &Filter| match files {
        [] => filter.clone(),
        _ => Filter::default(),
    };
    if arguments.filter.explain(&words, in_kernel)? {
        return Ok(());
    }
    let filter = arguments.filter.filter(&words)?;
    if let Some(one) = filter.expression().conditions().iter().find(|one| one.is_of_moment()) {
        bail!(
            "{one}: a report counts the sockets of all states, and needs all that happens to them"
        )
    }
    let given =
        [("--duration", arguments.duration.is_some()), ("--linger", arguments.linger.is_some())];
    if !files.is_empty() {
        for (option, is_given) in given {
            ensure!(!is_given, "{option} cannot be used with recordings");
        }
        return of_recordings(files, arguments, filter);
    }
    preflight::privileges()?;
    warn_of_absent(&filter);
    let output = PageFile::create(&arguments.output)?;
    let duration = arguments.duration.unwrap_or(DURATION);
    let linger = arguments.linger.unwrap_or_default();
    let live = Live::new(filter.clone(), linger, Some(duration));
    announce(arguments, duration);
    let (page, written) = output.page(host_name(), filter, arguments.language);
    live.run(|_| Ok(vec![Box::new(page)]))?;
    tell(arguments, &written)
}

/// The page of what was recorded.
fn of_recordings(
    files: &[PathBuf],
    arguments: &ReportArguments,
    filter: Filter,
) -> anyhow::Result<()> {
    let ReportArguments { output, .. } = arguments;
    let size = recording::size(files, Some(output))?;
    let output = PageFile::create(output)?;
    let names: Vec<String> =
        files.iter().map(|file| escape(file.as_os_str().as_bytes()).into()).collect();
    let (page, written) = output.page(names.join(", "), filter.clone(), arguments.language);
    let bar = recording::bar(!io::stdout().is_terminal(), size);
    recording::replay(files.to_vec(), filter, Speed::Max, &bar, |_| Ok(vec![Box::new(page)]))?;
    tell(arguments, &written)
}

/// A person who waits wants to know for how long.
fn announce(arguments: &ReportArguments, duration: Duration) {
    if io::stderr().is_terminal() {
        let time = humantime::format_duration(duration);
        let path = arguments.output.display();
        // Who has closed it does not want to know.
        let _ = writeln!(io::stderr(), "gathering for {time} (Ctrl-C: until now), then {path}");
    }
}

/// The file of the page, made before anything is gathered: what cannot be written is said at once.
struct PageFile(File);

impl PageFile {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let name = path.to_owned();
        let file = interruptible(move || File::create(name))?
            .with_context(|| format!("cannot create the report {} (--output)", path.display()))?;
        Ok(Self(file))
    }

    /// The sink, and what it will say at the end.
    fn page(
        self,
        title: String,
        filter: Filter,
        language: LanguageArgument,
    ) -> (Page, Receiver<io::Result<Written>>) {
        let (sender, written) = mpsc::channel();
        let page = Page::new(Options {
            title,
            zone: TimeZone::system(),
            ticks: time::ticks(),
            filter,
            texts: Some(language.texts()),
            file: Box::new(self.0),
            written: sender,
        });
        (page, written)
    }
}

/// How it went.
fn tell(
    arguments: &ReportArguments,
    written: &Receiver<io::Result<Written>>,
) -> anyhow::Result<()> {
    let path = arguments.output.display();
    let result = written.recv().ok().context("nothing was reported: no trace has begun")?;
    let Written { bytes, findings } =
        result.with_context(|| format!("cannot write the report {path} (--output)"))?;
    // Only of a file: a device or a pipe has no such end.
    ensure!(arguments.output.exists(), "the report {path} has been deleted while it was gathered");
    let s = if findings == 1 { "" } else { "s" };
    let size = bytes.div_ceil(1024);
    // The report is written, whether anybody reads this or not.
    let _ = writeln!(io::stdout(), "{path}: {findings} finding{s}, {size} KiB");
    Ok(())
}
