//! The command line: raw arguments, validated into what the rest works with.

mod arguments;

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Parser as _;

use self::arguments::{Cli, Command, FormatName, SocketsArguments, TraceArguments, When};
use crate::{
    kernel::{load, preflight, snapshot::Snapshotter, time},
    sink::{
        Format, Hello,
        json::Json,
        listing,
        output::{Destination, Output},
        text::{Palette, Stories, Text},
    },
    sockets,
    trace::{Running, Stop, Trace},
};

/// Runs the command line; every error is one line on standard error and status 2.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    log_to_stderr(cli.verbose);
    let result = match cli.command {
        None => trace(&cli.trace),
        Some(Command::Trace(arguments)) => trace(&arguments),
        Some(Command::Sockets(arguments)) => list_sockets(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{error:#}")),
    }
}

fn fail(message: &str) -> ExitCode {
    // Nobody may be left to read it.
    let _ = writeln!(io::stderr(), "tracer: {message}");
    ExitCode::from(2)
}

/// clap's own errors take several lines; help and version go to standard output.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let told: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    let message = told.join(" ");
    fail(&format!("{}; see tracer --help", message.trim_start_matches("error: ")))
}

/// Our own diagnostics; silent about details unless asked.
fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info,tracer=debug",
        2 => "debug",
        _ => "trace",
    };
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("TRACER_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level)),
        )
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

fn trace(arguments: &TraceArguments) -> anyhow::Result<()> {
    let filter = arguments.filter.filter()?;
    let destination = Destination::open(arguments.output.as_deref()).with_context(|| {
        let path = arguments.output.as_deref().unwrap_or(std::path::Path::new("-"));
        format!("cannot create the output file {} (--output)", path.display())
    })?;
    let facts = preflight::preflight()?;
    let tracer = load::load(
        &load::Request {
            mode: arguments.mode(),
            filter: filter.in_kernel(),
            buffer_size: arguments.buffer_size()?,
            diagnostics: tracing::enabled!(tracing::Level::DEBUG),
        },
        &facts,
    )?;
    let mut tracer = tracer;
    let logger = tracer.logger.take();
    let hello = Hello {
        version: env!("CARGO_PKG_VERSION"),
        kernel: facts.release,
        mode: tracer.mode,
        degraded: tracer.degraded.clone(),
        options: std::env::args().skip(1).collect(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let ended = Arc::new(tokio::sync::Notify::new());
        let closed = Arc::clone(&ended);
        let output = Output::start(destination, move || closed.notify_one())
            .context("cannot start the writing thread")?;
        let running = Trace {
            tracer,
            filter,
            thresholds: arguments.linger,
            format: format(arguments),
            output,
            hello,
            snapshots: !arguments.no_snapshot,
        }
        .start()
        .context("cannot set up the reader")?;
        if let Some(logger) = logger {
            tokio::spawn(relay(logger));
        }
        wait_for_end(running, arguments.duration, &ended).await
    })
}

fn list_sockets(arguments: &SocketsArguments) -> anyhow::Result<()> {
    let filter = arguments.filter.filter()?;
    let facts = preflight::preflight()?;
    let mut snapshotter = Snapshotter::new(load::load_iterators_only(&facts)?);
    let (sockets, refused) = sockets::list(&mut snapshotter, &filter, arguments.sort);
    for (netns, reason) in refused {
        tracing::warn!("network namespace {netns} is left out: {reason} (CAP_SYS_ADMIN)");
    }
    let mut out = Vec::new();
    match arguments.format {
        FormatName::Json => listing::json(&sockets, time::wall_clock(), &mut out),
        FormatName::Text => {
            let (palette, width) = appearance(arguments.color, true);
            listing::text(&sockets, palette, width, &mut out);
        }
    }
    match io::stdout().write_all(&out) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}

/// Runs the trace until it is over, a signal comes, the time is up or nobody reads the output.
async fn wait_for_end(
    running: Running,
    duration: Option<Duration>,
    ended: &tokio::sync::Notify,
) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot catch SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
    let stop: Arc<Stop> = running.stop();
    let mut thread = tokio::task::spawn_blocking(move || running.run());
    let time_is_up = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = time_is_up => {}
        () = ended.notified() => {}
        result = &mut thread => return result.context("the reading thread failed"),
    }
    stop.ask();
    thread.await.context("the reading thread failed")
}

/// Passes on what the programs in the kernel log.
async fn relay(logger: aya_log::EbpfLogger<&'static dyn log::Log>) {
    // SAFETY: the logger owns its map's descriptor, which stays open and the same as long as it.
    let Ok(mut logger) = (unsafe { tokio::io::unix::AsyncFd::register(logger) }) else { return };
    while let Ok(mut guard) = logger.readable_mut().await {
        guard.get_inner_mut().flush();
        guard.clear_ready();
    }
}

fn format(arguments: &TraceArguments) -> Box<dyn Format + Send> {
    match arguments.format {
        FormatName::Json => Box::new(Json),
        FormatName::Text => {
            let stories = if arguments.summary_only { Stories::Only } else { Stories::Steps };
            let (palette, width) = appearance(arguments.color, arguments.output.is_none());
            Box::new(Text::new(palette, width, jiff::tz::TimeZone::system(), stories))
        }
    }
}

/// Colours, and the columns of the terminal if it is one.
fn appearance(colour: When, to_stdout: bool) -> (Palette, Option<usize>) {
    let terminal = to_stdout && io::stdout().is_terminal();
    let colour = match colour {
        When::Always => true,
        When::Never => false,
        When::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    };
    let palette = if colour { Palette::COLOUR } else { Palette::PLAIN };
    let size = terminal.then(|| rustix::termios::tcgetwinsize(io::stdout()).ok()).flatten();
    (palette, size.map(|size| usize::from(size.ws_col)).filter(|&columns| columns > 0))
}
