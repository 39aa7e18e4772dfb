//! Building for another architecture than the host's.
//!
//! rustup may have no standard library for it and Debian's compilers have none, so it is built from
//! source with the toolchain of the eBPF half, which has that source. All is linked statically: the
//! machine needs no libraries then, and what is run there is one program.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use super::architecture::Architecture;
use crate::cargo::Cargo;
use crate::messages::{self, TestProgram};
use crate::process::{self, say};
use crate::setup::programs;
use crate::workspace;

/// Crates of the standard library that are built.
const LIBRARY: &str = "-Zbuild-std=std,panic_unwind,test";

/// Where cargo puts binaries.
pub(super) fn directory(architecture: Architecture) -> Result<PathBuf> {
    Ok(target_directory()?.join(architecture.target()).join("release"))
}

/// Apart from the host's: another compiler's artefacts would evict them.
fn target_directory() -> Result<PathBuf> {
    Ok(workspace::target()?.join("vm/cross"))
}

/// The test programs.
pub(super) fn test_programs(
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

/// The program under test.
pub(super) fn program(cargo: &Cargo, architecture: Architecture) -> Result<PathBuf> {
    say(format_args!("building tracer for {architecture}"));
    let options = ["build", "--package", "tracer", "--bin", "tracer"];
    process::show(&mut command(cargo, architecture, &options)?)?;
    Ok(directory(architecture)?.join("tracer"))
}

fn command(cargo: &Cargo, architecture: Architecture, options: &[&str]) -> Result<Command> {
    let (compiler, package) = architecture.cross_compiler();
    programs::ensure_compiler((compiler, package), architecture.cross_library())?;
    let target = architecture.target();
    let variable = target.to_uppercase().replace('-', "_");
    let mut command = cargo.ebpf()?.command(options);
    command.args(["--release", "--locked", LIBRARY, "--target", target, "--target-dir"]);
    command.arg(target_directory()?);
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-C target-feature=+crt-static");
    command.env(format!("CARGO_TARGET_{variable}_LINKER"), compiler);
    Ok(command)
}
