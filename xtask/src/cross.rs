//! Building for another architecture than the host's.
//!
//! Where the compiler has no standard library for it (`rustup target add` may get it, Debian's have
//! none), that is built from source with the toolchain of the eBPF half, which has that source. All is
//! linked statically: the machine needs no libraries then, and what is run there is one program.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::architecture::Architecture;
use crate::cargo::Cargo;
use crate::messages::{self, TestProgram};
use crate::process::{self, say};
use crate::setup::{self, programs};
use crate::workspace;

/// Crates of the standard library that are built.
const LIBRARY: &str = "-Zbuild-std=std,panic_unwind,test";

/// Where cargo puts binaries.
pub(crate) fn directory(architecture: Architecture) -> Result<PathBuf> {
    Ok(target_directory()?.join(architecture.target()).join("release"))
}

/// Apart from the host's: another compiler's artefacts would evict them.
fn target_directory() -> Result<PathBuf> {
    Ok(workspace::target()?.join("vm/cross"))
}

/// Sets up what building for it takes.
pub(crate) fn prepare(architecture: Architecture) -> Result<Cargo> {
    if has_library(architecture)? { setup::prepare() } else { setup::prepare_ebpf() }
}

/// The test programs.
pub(crate) fn test_programs(
    cargo: &Cargo,
    architecture: Architecture,
    chosen: &[&str],
) -> Result<Vec<TestProgram>> {
    say(format_args!("building the live tests for {architecture}"));
    let options = ["test", "--package", "tracer-tests", "--no-run"];
    let mut command = command(cargo, architecture, &options)?;
    command.args(chosen.iter().flat_map(|name| ["--test", name]));
    messages::test_programs(&mut command)
}

/// tracer.
pub(crate) fn program(
    cargo: &Cargo,
    architecture: Architecture,
    features: &[&str],
) -> Result<PathBuf> {
    say(format_args!("building tracer for {architecture}"));
    let options = ["build", "--package", "tracer", "--bin", "tracer"];
    process::show(command(cargo, architecture, &options)?.args(features))?;
    Ok(directory(architecture)?.join("tracer"))
}

fn command(cargo: &Cargo, architecture: Architecture, options: &[&str]) -> Result<Command> {
    let (compiler, package) = architecture.cross_compiler();
    programs::ensure_compiler((compiler, package), architecture.cross_library())?;
    let target = architecture.target();
    let variable = target.to_uppercase().replace('-', "_");
    let mut command = if has_library(architecture)? {
        cargo.command(options)
    } else {
        let mut command = cargo.ebpf()?.command(options);
        command.arg(LIBRARY).env("RUSTC_BOOTSTRAP", "1");
        command
    };
    command.args(["--release", "--locked", "--target", target, "--target-dir"]);
    command.arg(target_directory()?);
    command.env("RUSTFLAGS", "-C target-feature=+crt-static -C strip=symbols");
    command.env(format!("CARGO_TARGET_{variable}_LINKER"), compiler);
    Ok(command)
}

/// Whether the user's own compiler has the standard library for it.
fn has_library(architecture: Architecture) -> Result<bool> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", architecture.target()]);
    let output = rustc.stderr(Stdio::inherit()).output().context("cannot start rustc")?;
    let directory = String::from_utf8(output.stdout).context("rustc writes no text")?;
    Ok(output.status.success() && Path::new(directory.trim_end()).is_dir())
}
