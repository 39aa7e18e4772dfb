//! `cargo xtask`: sets up what tracer needs, then builds, runs, tests and checks it.
//!
//! A plain `cargo build` does as long as the eBPF half has not changed: that wants a second compiler,
//! the compiler's library source and a linker of its own. Everything that needs a decision lives in
//! [`setup`]; the sub-commands only say which cargo commands they stand for.

mod architecture;
mod bench;
mod cargo;
mod check;
mod crates;
mod cross;
mod dist;
mod fuzz;
mod messages;
mod object;
mod process;
mod run;
mod setup;
mod soak;
mod test;
mod vm;
mod workspace;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::process::ChildFailed;

/// Exit status of a failed set-up, kept apart from cargo's own 101.
const SETUP_FAILED: u8 = 2;

/// Sets up what tracer needs, then builds, runs, tests and checks it.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build target/release/tracer.
    Build,
    /// Build tracer, then run it as root (by sudo where needed).
    Run {
        /// Arguments of tracer.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Run all tests, those on real sockets included, as root (by sudo where needed).
    Test {
        /// Further arguments of `cargo test`, such as a filter.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Measure what tracing costs, beside other tracers, and write docs/benchmarks.md.
    Bench(bench::Options),
    /// Make what is published: a static binary, .deb, .rpm, tarball, bill of materials, checksums.
    Dist,
    /// Make one container image for x86-64 and aarch64, in target/image.
    Image {
        /// Images for one architecture each, as `dist` makes them; what is missing is built here.
        archives: Vec<PathBuf>,
    },
    /// Give bytes of all kinds to the readers of files and records, until one fails.
    Fuzz(fuzz::Options),
    /// Trace real software under changing load for a while, and check that nothing grows or leaks.
    Soak(soak::Options),
    /// Run the live tests on other kernels, in emulated machines, and write docs/kernels.md.
    Vm(vm::Options),
    /// Check the structure, formatting, lints of both halves, documentation, and the eBPF half's
    /// object.
    Check,
    /// Install tracer from its crates as they would be published, by stable Rust alone, and trace.
    Crates,
    /// Compile the object of the eBPF half that builds use, which then need no second compiler.
    Object {
        /// Only check that it is what its sources compile to, in two directories.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match perform(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(report(&error)),
    }
}

fn perform(task: Task) -> Result<()> {
    match task {
        Task::Build => setup::prepare()?.build(cargo::Progress::Shown),
        Task::Run { arguments } => run::run(&setup::prepare()?, &arguments),
        Task::Test { arguments } => {
            setup::programs::ensure()?;
            let receivers = setup::receivers::ensure()?;
            let debian = setup::debian_root::ensure()?;
            test::test(&setup::prepare()?, &receivers, &debian, &arguments)
        }
        Task::Bench(options) if options.prepared => bench::measure(&options),
        Task::Bench(options) => {
            setup::programs::ensure_peers();
            bench::run(&setup::prepare()?, &options)
        }
        Task::Dist => {
            setup::programs::ensure_packagers()?;
            dist::make(&setup::prepare()?).map(drop)
        }
        Task::Image { archives } => {
            dist::image_of_all(&archives)?;
            // For its test.
            setup::programs::ensure_images()
        }
        Task::Fuzz(options) => fuzz::run(&setup::prepare()?, &options),
        Task::Soak(options) if options.prepared => soak::watch(&options),
        Task::Soak(options) => {
            setup::programs::ensure_soak()?;
            soak::run(&setup::prepare()?, &options)
        }
        Task::Vm(options) => {
            setup::programs::ensure()?;
            vm::vm(&setup::prepare_ebpf()?, &options)
        }
        Task::Check => {
            check::structure()?;
            check::check(&setup::prepare_ebpf()?)
        }
        Task::Crates => crates::check(),
        Task::Object { check: true } => object::check(setup::prepare_ebpf()?.ebpf()?),
        Task::Object { check: false } => object::renew(setup::prepare_ebpf()?.ebpf()?),
    }
}

/// Says what failed, unless the failed command has said it already, and returns the exit status.
fn report(error: &anyhow::Error) -> u8 {
    match error.downcast_ref() {
        Some(ChildFailed { status }) => *status,
        None => {
            eprintln!("xtask: {error:#}");
            SETUP_FAILED
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_after_the_dashes_are_left_alone() {
        let line = ["xtask", "test", "--", "handshake", "--", "--nocapture"];
        let cli = Cli::try_parse_from(line).unwrap();
        let Task::Test { arguments } = cli.task else {
            panic!("not parsed as `test`");
        };
        assert_eq!(arguments, ["handshake", "--", "--nocapture"]);
    }

    #[test]
    fn a_failed_child_passes_its_status_through() {
        assert_eq!(report(&ChildFailed { status: 101 }.into()), 101);
        assert_eq!(report(&anyhow::anyhow!("no compiler")), SETUP_FAILED);
    }
}
