//! `cargo xtask bench`: what tracing costs, beside other tracers, in one table.
//!
//! Figures of one machine say little: all that is compared is measured in turns in the same run.
//! It all happens in network namespaces of its own, and these, the files and what must be mounted
//! in a mount namespace of its own, which ends with the run. Nothing here fails because a figure
//! is bad; what cannot be measured has a line that says why.

pub(crate) mod accounts;
pub(crate) mod command;
mod document;
mod figures;
mod idle;
mod in_kernel;
mod latency;
mod machine;
pub(crate) mod namespace;
mod one_core;
mod snapshot;
mod start;
mod table;
mod tax;
mod throughput;
pub(crate) mod tool;
mod watch;
pub(crate) mod web;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use self::figures::{Figures, Unit};
use self::table::Row;
use crate::cargo::Cargo;
use crate::process::{self, ChildFailed, say};
use crate::workspace;

/// Transitions of a connection within one host, both ends.
const TRANSITIONS: usize = 10;

#[derive(Args)]
pub(crate) struct Options {
    /// How often each variant is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// A smoke run of a minute, whose figures mean little; printed, but not written to docs/.
    #[arg(long)]
    quick: bool,
    /// Everything is set up: measure, as root, and write the document to standard output.
    #[arg(long, hide = true)]
    pub(crate) prepared: bool,
}

/// How much is measured.
struct Scale {
    rounds: usize,
    /// Connections of one run.
    connections: usize,
    /// Sockets to look at.
    crowd: usize,
    /// How long nginx is asked.
    asking: Duration,
    /// How long an idle tracer is looked at.
    idle: Duration,
}

impl Scale {
    fn of(options: &Options) -> Self {
        let rounds = usize::from(options.rounds);
        if options.quick {
            let [asking, idle] = [1, 2].map(Duration::from_secs);
            return Self {
                rounds: rounds.min(1),
                connections: 10_000,
                crowd: 10_000,
                asking,
                idle,
            };
        }
        let [asking, idle] = [3, 10].map(Duration::from_secs);
        Self { rounds, connections: 60_000, crowd: 100_000, asking, idle }
    }
}

/// What all measurements need.
struct Bench {
    scale: Scale,
    tracer: PathBuf,
    /// The load generator.
    load: PathBuf,
    /// For output of tools: in memory, so that no disk is measured.
    directory: PathBuf,
}

/// Run as root by [`apart`]: `$1` is the directory for files, the rest is what to run. Without
/// tracefs the peers say so themselves.
const APART: &str = "set -e; mkdir -p /run/netns; mount -t tmpfs tmpfs /run/netns; \
    mount -t tmpfs tmpfs \"$1\"; shift; mountpoint -q /sys/kernel/tracing \
    || mount -t tracefs tracefs /sys/kernel/tracing || true; exec \"$@\"";

/// Builds, measures as root and writes the document.
pub(crate) fn run(cargo: &Cargo, options: &Options) -> Result<()> {
    process::require_root()?;
    cargo.build_with(&["load"])?;
    let mut command = apart("bench")?;
    command.args(["--rounds", &options.rounds.to_string()]);
    command.args(options.quick.then_some("--quick"));
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().context("benchmarks need the command unshare (util-linux)")?;
    if !output.status.success() {
        return Err(ChildFailed { status: 1 }.into());
    }
    let text = String::from_utf8(output.stdout).context("the document")?;
    ensure!(!text.is_empty(), "nothing was measured");
    print!("{text}");
    if !options.quick {
        let path = workspace::root().join("docs/benchmarks.md");
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        say(format_args!("written to {}", path.display()));
    }
    Ok(())
}

/// This program again, as root, in a mount namespace of its own, with `TASK --prepared` and a
/// directory in memory, `target/TASK`.
pub(crate) fn apart(task: &str) -> Result<Command> {
    let directory = workspace::target()?.join(task);
    fs::create_dir_all(&directory).context("cannot make a directory for the output of tools")?;
    let xtask = env::current_exe().context("cannot find the path of xtask itself")?;
    let mut command = process::as_root("unshare");
    command.args(["--mount", "sh", "-c", APART, task]).arg(&directory).arg(&xtask);
    command.args([task, "--prepared"]);
    Ok(command)
}

/// Measures, and writes the document to standard output.
pub(crate) fn measure(options: &Options) -> Result<()> {
    ensure!(process::is_root(), "--prepared is for `cargo xtask bench` itself");
    let target = workspace::target()?;
    let bench = Bench {
        scale: Scale::of(options),
        tracer: workspace::tracer()?,
        load: target.join("release/load"),
        directory: target.join("bench"),
    };
    let rows = measure_all(&bench);
    print!("{}", document::write(&machine::describe(&bench), &rows, &bench));
    Ok(())
}

fn measure_all(bench: &Bench) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut part = |what: &str, measured: &dyn Fn() -> Result<Vec<Row>>| {
        say(format_args!("measuring {what}"));
        rows.extend(measured().unwrap_or_else(|error| vec![Row::failed(what, &error)]));
    };
    part("connections per second", &|| Ok(connections(bench)));
    part("connections on one core", &|| Ok(one_core::measure(bench)));
    part("the tax on system calls", &|| tax::measure(bench));
    part("losses beside other work", &|| Ok(throughput::beside_other_work(bench)));
    part("requests to nginx", &|| web::measure(bench));
    part("the time to start", &|| start::measure(bench));
    part("latency", &|| latency::measure(bench));
    part("looks at many sockets", &|| snapshot::measure(bench));
    part("an idle tracer", &|| idle::measure(bench));
    rows
}

/// Throughput and time in the kernel, and both costs taken together.
fn connections(bench: &Bench) -> Vec<Row> {
    let throughput::Throughput { mut rows, cpu } = throughput::measure(bench);
    say("measuring the time in the kernel");
    match in_kernel::measure(bench) {
        Ok(in_kernel::InKernel { rows: more, time }) => {
            rows.extend(more);
            rows.extend(totals(&cpu, &time));
        }
        Err(error) => rows.push(Row::failed("time per event in the kernel", &error)),
    }
    rows
}

/// All of a tool's processor time for each event: its own, and that of its programs, which is
/// charged to whatever they interrupt.
fn totals(cpu: &[(String, Figures)], in_kernel: &[(String, Figures)]) -> Vec<Row> {
    let sum = |label: &String, programs: &Figures| -> Figures {
        let own = cpu.iter().find(|(other, _)| other == label);
        let own = own.map_or(Err("no such run".to_owned()), |(_, figures)| figures.clone());
        let middle = |figures: &[f64]| figures::median(figures).unwrap_or(f64::NAN);
        Ok(vec![middle(&own?) + middle(&programs.clone()?)])
    };
    let all: Vec<(&String, Figures)> =
        in_kernel.iter().map(|(label, programs)| (label, sum(label, programs))).collect();
    let peer = all.iter().find(|(label, _)| *label == "tcpstates");
    let to = peer.map_or(Err("no such run".to_owned()), |(_, figures)| figures.clone());
    let rows = all.iter().map(|(label, figures)| {
        Row::new("CPU per event, kernel and user", label, Unit::Nanoseconds, figures)
            .compared(figures, &to, "tcpstates")
            .verdict()
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_what_the_tool_and_its_programs_take() {
        let named = |label: &str, values: &[f64]| (label.to_owned(), Ok(values.to_vec()));
        let cpu = [named("tracer", &[500.0, 700.0, 600.0]), named("tcpstates", &[2_600.0])];
        let in_kernel = [named("tracer", &[200.0]), named("tcpstates", &[1_400.0])];
        let rows = table::markdown(&totals(&cpu, &in_kernel));
        assert!(rows.contains("| **tracer** | 800 ns |  | 0.20 × tcpstates |"), "{rows}");
        let without = table::markdown(&totals(&cpu[..1], &in_kernel));
        assert!(without.contains("| **tcpstates** | not measured: no such run |"), "{without}");
    }
}
