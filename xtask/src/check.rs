//! `cargo xtask check`: what a change must pass besides the tests: rules on the structure of the
//! code, then formatting, lints and documentation.
//!
//! All of it uses the profile and the features of the tests, so that build scripts, and with them
//! the eBPF half's build, run only once.

mod circles;
mod front_page;
mod lengths;
mod map;
mod modules;
mod paths;
mod sources;

use std::process::Command;
use std::thread;

use anyhow::{Result, anyhow, bail, ensure};

use crate::cargo::{Cargo, Ebpf};
use crate::process::{self, say};
use crate::{object, setup, workspace};

pub(crate) fn check(cargo: &Cargo) -> Result<()> {
    let ebpf = cargo.ebpf()?;
    workspace::alone(|| setup::lints::ensure(ebpf))?;
    lock_file_is_committed()?;
    say("checking the formatting");
    process::show(&mut cargo.command(&["fmt", "--all", "--check"]))?;
    thread::scope(|scope| {
        // Compiles one crate after the other, in directories of its own.
        let object = scope.spawn(|| object::check(ebpf));
        let others = lints_and_documentation(cargo, ebpf);
        let object = object.join().unwrap_or_else(|_| Err(anyhow!("the object was not checked")));
        others.and(object)
    })
}

fn lints_and_documentation(cargo: &Cargo, ebpf: &Ebpf) -> Result<()> {
    say("checking the lints");
    process::show(&mut lints(cargo))?;
    say("checking the lints of the eBPF half");
    process::show(&mut ebpf_lints(ebpf)?)?;
    say("checking the documentation");
    process::show(&mut documentation(cargo))
}

/// What neither rustfmt nor Clippy looks at; all that is wrong with it at once.
pub(crate) fn structure() -> Result<()> {
    say("checking the structure");
    let root = workspace::root();
    let rules = [map::check, lengths::check, circles::check, front_page::check];
    let broken = rules.iter().filter_map(|rule| rule(root).err());
    let broken: Vec<String> = broken.map(|error| format!("{error:#}")).collect();
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

/// A fresh lock file would pick releases that this compiler cannot build.
fn lock_file_is_committed() -> Result<()> {
    let root = workspace::root();
    // A source archive has no index to ask.
    if !root.join(".git").exists() {
        return Ok(());
    }
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "--error-unmatch", "Cargo.lock"]);
    if let Err(error) = process::silently(&mut git, None) {
        bail!("Cargo.lock is not in the repository; `git add Cargo.lock` ({error})");
    }
    Ok(())
}

fn lints(cargo: &Cargo) -> Command {
    let options = ["clippy", "--workspace", "--all-targets", "--release", "--locked"];
    let mut command = cargo.command(&options);
    command.args(workspace::FEATURES);
    command.args(["--", "--deny", "warnings"]);
    command
}

/// The eBPF half as it is compiled: the same flags, and `core` from source.
fn ebpf_lints(ebpf: &Ebpf) -> Result<Command> {
    let mut command =
        ebpf.command(&["clippy", "--package", "tracer-ebpf", "--package", "tracer-wire"]);
    command.args([
        "--release",
        "--locked",
        "--bins",
        "--lib",
        "-Zbuild-std=core",
        "--target",
        "bpfel-unknown-none",
    ]);
    // Another compiler's artefacts would evict those of the host's.
    command.arg("--target-dir").arg(workspace::target()?.join("ebpf"));
    command.env("RUSTC_BOOTSTRAP", "1");
    command.env("CARGO_ENCODED_RUSTFLAGS", tracer_object::ARCHITECTURE);
    command.args(["--", "--deny", "warnings"]);
    Ok(command)
}

fn documentation(cargo: &Cargo) -> Command {
    let options = ["doc", "--workspace", "--no-deps", "--release", "--locked"];
    let mut command = cargo.command(&options);
    command.args(workspace::FEATURES);
    // The binary tracer would overwrite the library's pages; on examples see `Cargo::build`.
    command.args(["--lib", "--bin", "xtask", "--examples"]);
    command.env("RUSTDOCFLAGS", "--deny warnings");
    command
}
