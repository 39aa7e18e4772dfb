//! The command `tracer diagnose`: observes for a while and says what is wrong.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};

use super::{
    appearance,
    arguments::{DiagnoseArguments, FormatName},
    signals::Signals,
};
use crate::{
    diagnose::{Observation, Outcome},
    kernel::{load, preflight, time},
    model::filter::Filter,
    sink::{Hello, Mode, report},
};

/// Enough for what happens on a busy host while a look is taken.
const BUFFER_SIZE: u32 = 8 << 20;

/// Observes, reports; findings make the status 1.
///
/// # Errors
///
/// Without privileges or BTF, or where standard output fails.
pub(super) fn run(arguments: &DiagnoseArguments) -> anyhow::Result<ExitCode> {
    let filter = arguments.filter.filter()?;
    let facts = preflight::preflight()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (hello, outcome) = runtime.block_on(async {
        let signals = Signals::catch()?;
        let of_namespace = Filter { netns: filter.netns, ..Filter::default() };
        let request = load::Request {
            mode: Some(Mode::Btf),
            filter: of_namespace.in_kernel(),
            buffer_size: BUFFER_SIZE,
            diagnostics: false,
        };
        let tracer = load::load(&request, &facts)?;
        if !tracer.has_iterators {
            bail!("diagnose needs BPF iterators, which this kernel refuses; see tracer -v");
        }
        let hello = Hello {
            version: env!("CARGO_PKG_VERSION"),
            kernel: facts.release.clone(),
            mode: tracer.mode,
            degraded: tracer.degraded.clone(),
            options: std::env::args().skip(1).collect(),
        };
        let observation = Observation::new(tracer, filter).context("cannot set up the reader")?;
        let outcome = observe(observation, arguments.time, signals).await?;
        anyhow::Ok((hello, outcome))
    })?;
    for (netns, reason) in &outcome.refused {
        tracing::warn!("network namespace {netns} is left out: {reason} (CAP_SYS_ADMIN)");
    }
    write(arguments, &hello, &outcome)?;
    let failed = outcome.diagnosis.is_at_least(arguments.fail_on.into());
    Ok(ExitCode::from(u8::from(failed)))
}

async fn observe(
    observation: Observation,
    duration: Duration,
    signals: Signals,
) -> anyhow::Result<Outcome> {
    let stop = observation.stop();
    let waiting = Waiting::begin(duration);
    let mut thread = tokio::task::spawn_blocking(move || observation.run(duration));
    let outcome = tokio::select! {
        () = signals.any() => {
            stop.ask();
            thread.await
        }
        outcome = &mut thread => outcome,
    };
    drop(waiting);
    outcome.context("the observing thread failed")
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

fn write(arguments: &DiagnoseArguments, hello: &Hello, outcome: &Outcome) -> anyhow::Result<()> {
    let mut out = Vec::new();
    let diagnosis = &outcome.diagnosis;
    match arguments.format {
        FormatName::Json => report::json(diagnosis, hello, time::wall_clock(), &mut out),
        FormatName::Text => {
            for degraded in &hello.degraded {
                tracing::warn!(
                    "{} not available ({}): {}; {}",
                    degraded.feature,
                    degraded.reason,
                    degraded.lost,
                    degraded.remedy
                );
            }
            let (palette, width) = appearance(arguments.color, Some(io::stdout()));
            report::text(diagnosis, palette, width, &mut out);
        }
    }
    match io::stdout().write_all(&out) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}
