//! `cargo xtask soak`: traces nginx, PostgreSQL, curl and a leaking server under changing load, and
//! fails where something grows, leaks, or is not as the kernel says.
//!
//! Like the benchmarks it happens in a network and a mount namespace of its own. What it prints is
//! a line for each sample, and then a line for each promise: kept, or not.

mod lives;
mod load;
mod postgres;
mod samples;

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use self::lives::{Lives, Told};
use self::load::Load;
use self::samples::{Sample, Verdict};
use crate::bench::tool::{Running, Tool};
use crate::bench::{apart, namespace::Namespace};
use crate::cargo::Cargo;
use crate::process::{self, say};
use crate::workspace;

#[derive(Args)]
pub(crate) struct Options {
    /// How long the load lasts.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    minutes: u32,
    /// Everything is set up: run it, as root.
    #[arg(long, hide = true)]
    pub(crate) prepared: bool,
}

/// Sockets in CLOSE_WAIT are flagged after this.
const LINGER: [&str; 2] = ["--linger", "close-wait=10s"];
/// For all that was asked for to be done, and for the looks that follow.
const SETTLING: Duration = Duration::from_secs(5);
/// The picture of a moment is compared so often: sockets end while it is taken.
const COMPARISONS: usize = 20;

/// Builds, and runs it as root.
pub(crate) fn run(cargo: &Cargo, options: &Options) -> Result<()> {
    process::require_root()?;
    cargo.build_with(&["load", "fault"])?;
    let mut command = apart("soak")?;
    command.args(["--minutes", &options.minutes.to_string()]).stdin(Stdio::null());
    process::show(&mut command)
}

/// Runs it.
pub(crate) fn watch(options: &Options) -> Result<()> {
    ensure!(process::is_root(), "--prepared is for `cargo xtask soak` itself");
    let directory = workspace::target()?.join("soak");
    let namespace = Namespace::new()?;
    let (mut running, lives) = trace(&namespace, &directory)?;
    say("starting nginx, PostgreSQL and a server that leaks");
    let load = Load::start(&namespace, &directory)?;
    let samples = soak(&mut running, &lives, &load, options)?;
    thread::sleep(SETTLING);
    let mut verdicts = samples::judge(&samples);
    verdicts.push(compare(&namespace, &lives));
    verdicts.push(flagged(&lives));
    let held = samples::held(running.pid());
    running.finish().context("the tracer does not end in order")?;
    verdicts.push(samples::left(&held));
    verdicts.push(ended(&lives));
    drop(load);
    conclude(&verdicts)
}

fn trace(namespace: &Namespace, directory: &Path) -> Result<(Running, Lives)> {
    let inode = namespace.inode.to_string();
    let arguments = [&["--format", "json", "--netns", &inode], &LINGER[..]].concat();
    let tracer = Tool::tracer(&workspace::tracer()?, "tracer", &arguments);
    let mut running = Running::start(&tracer, Stdio::piped(), directory)?;
    running.wait_until_attached()?;
    let stdout = running.stdout().context("a pipe")?;
    Ok((running, Lives::read(stdout)))
}

/// Loads, and takes a sample now and then.
fn soak(
    running: &mut Running,
    lives: &Lives,
    load: &Load<'_>,
    options: &Options,
) -> Result<Vec<Sample>> {
    let whole = Duration::from_secs(60 * u64::from(options.minutes));
    // Twelve at least, so that halves can be compared.
    let interval = (whole / 12).min(Duration::from_secs(60));
    let over = AtomicBool::new(false);
    let begun = Instant::now();
    println!("{}", Sample::HEADER);
    thread::scope(|scope| {
        let loading = scope.spawn(|| load.go_on(whole / 3, &over));
        let mut samples = Vec::new();
        let mut taken = || -> Result<()> {
            while begun.elapsed() < whole {
                thread::sleep(interval);
                running.is_running()?;
                let sample = Sample::take(running.pid(), lives, begun.elapsed())?;
                println!("{sample}");
                samples.push(sample);
            }
            Ok(())
        };
        let taken = taken();
        over.store(true, Ordering::Relaxed);
        match loading.join() {
            Ok(load) => load.context("the load")?,
            Err(_) => bail!("the load has failed"),
        }
        taken.map(|()| samples)
    })
}

/// The table is the kernel's.
fn compare(namespace: &Namespace, lives: &Lives) -> Verdict {
    const PROMISE: &str = "the table is what ss shows";
    let mut differences = Vec::new();
    for _ in 0..COMPARISONS {
        let before = lives.table();
        let kernel = match lives::kernel(namespace) {
            Ok(kernel) => kernel,
            Err(error) => return Verdict::new(PROMISE, false, format!("{error:#}")),
        };
        thread::sleep(Duration::from_millis(500));
        differences = lives::differences(&before, &kernel, &lives.table());
        if differences.is_empty() {
            return Verdict::new(PROMISE, true, format!("{} sockets", kernel.len()));
        }
        thread::sleep(Duration::from_millis(500));
    }
    let some = differences[..differences.len().min(3)].join("; ");
    Verdict::new(PROMISE, false, format!("{} differ: {some}", differences.len()))
}

fn flagged(lives: &Lives) -> Verdict {
    let Told { flagged, .. } = lives.told();
    Verdict::new("the leaking server is flagged", flagged > 0, format!("{flagged} times"))
}

fn ended(lives: &Lives) -> Verdict {
    let Told { summary, lost, .. } = lives.told();
    let text = format!("{lost} lost by its own account");
    Verdict::new("the last line is a summary", summary, text)
}

fn conclude(verdicts: &[Verdict]) -> Result<()> {
    println!();
    for verdict in verdicts {
        println!("{verdict}");
    }
    let broken = verdicts.iter().filter(|verdict| !verdict.kept).count();
    ensure!(broken == 0, "{broken} promises are not kept");
    Ok(())
}
