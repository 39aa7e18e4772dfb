//! Calling cargo, always in the same environment, so that nothing is built twice because of it.

mod linking;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tracer_object::Compiler;

use crate::process::{self, say};
use crate::workspace;

/// The variable by which tracer's build script learns which rustup toolchain compiles the eBPF
/// half.
pub(crate) const TOOLCHAIN: &str = "TRACER_EBPF_TOOLCHAIN";

/// Which packages and targets a build takes.
///
/// Cargo unifies features over the packages it is called for, and over their development
/// dependencies where examples are among the targets. There are no examples: the last option is
/// here because with it the features are those of the tests, so that one compilation of all the
/// dependencies, and of the eBPF half, serves every sub-command.
const TRACER: [&str; 4] = ["--workspace", "--bin", "tracer", "--examples"];

/// A build that takes longer than this really compiles something.
const NOTICEABLE: Duration = Duration::from_millis(1500);

/// How much a build shows.
#[derive(Clone, Copy)]
pub(crate) enum Progress {
    /// Cargo's own progress.
    Shown,
    /// Nothing, unless something must be compiled.
    Hidden,
}

/// Cargo, and all that compiling the eBPF half needs where it is to be compiled.
pub(crate) struct Cargo {
    ebpf: Option<Ebpf>,
}

/// What compiles the eBPF half.
pub(crate) struct Ebpf {
    /// Name of the rustup toolchain.
    pub(crate) toolchain: String,
    /// That toolchain's directory.
    pub(crate) sysroot: PathBuf,
    path: OsString,
}

impl Ebpf {
    /// `linker` is the directory of bpf-linker.
    pub(crate) fn new(toolchain: String, sysroot: PathBuf, linker: &Path) -> Result<Self> {
        let user = env::var_os("PATH").unwrap_or_default();
        let directories = [linker.to_owned()].into_iter().chain(env::split_paths(&user));
        let path = env::join_paths(directories).context("cannot extend PATH")?;
        Ok(Self { toolchain, sysroot, path })
    }

    /// The same, for the object that travels with the source.
    pub(crate) fn compiler(&self) -> Compiler {
        Compiler::new(&self.toolchain, &self.path)
    }

    /// The cargo of that toolchain.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut rustup = Command::new("rustup");
        rustup.args(["run", &self.toolchain, "cargo"]).args(arguments);
        self.environment(&mut rustup).current_dir(workspace::root());
        rustup
    }

    /// Lets a command find all of it.
    pub(crate) fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("PATH", &self.path).env(TOOLCHAIN, &self.toolchain)
    }
}

impl Cargo {
    /// `ebpf` is left out where the eBPF half's object is there already.
    pub(crate) fn new(ebpf: Option<Ebpf>) -> Self {
        Self { ebpf }
    }

    /// What compiles the eBPF half.
    pub(crate) fn ebpf(&self) -> Result<&Ebpf> {
        self.ebpf.as_ref().context("nothing that compiles the eBPF half has been set up")
    }

    /// The cargo that the user called, with the first arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.environment(plain(), arguments)
    }

    /// A program that calls cargo itself.
    pub(crate) fn program(&self, program: &Path, arguments: &[&str]) -> Command {
        self.environment(Command::new(program), arguments)
    }

    fn environment(&self, mut cargo: Command, arguments: &[&str]) -> Command {
        cargo.args(arguments).current_dir(workspace::root());
        if let Some(ebpf) = &self.ebpf {
            ebpf.environment(&mut cargo);
        }
        cargo
    }

    /// Builds target/release/tracer and, beside it, other binaries of the workspace.
    pub(crate) fn build_with(&self, binaries: &[&str]) -> Result<()> {
        let mut command = self.command(&["build", "--release", "--locked"]);
        command.args(TRACER).args(binaries.iter().flat_map(|binary| ["--bin", binary]));
        process::show(&mut command)
    }

    /// Builds target/release/tracer with these features, and of the same parts
    /// target/static/tracer, which needs no library of the machine where it runs; returns the
    /// latter's path.
    ///
    /// All that is compiled for the tests serves here too: only the last step, the few lines of
    /// the binary and the linking, is done once more, in seconds ([`linking`]).
    pub(crate) fn build_static(&self, features: &[&str]) -> Result<PathBuf> {
        let mut build = self.command(&["build", "--release", "--locked"]);
        build.args(TRACER).args(features);
        linking::link(build, &workspace::target()?.join("static/tracer"))
    }

    /// Builds target/release/tracer.
    pub(crate) fn build(&self, progress: Progress) -> Result<()> {
        let mut command = self.command(&["build", "--release", "--locked"]);
        command.args(TRACER);
        show(&mut command, progress)
    }

    /// Builds target/quick/tracer, by the profile in .cargo/config.toml, and of the workspace only
    /// what is in it.
    pub(crate) fn build_quick(&self, progress: Progress) -> Result<()> {
        let what = ["build", "--profile", "quick", "--locked", "--package", "tracer"];
        show(self.command(&what).args(["--bin", "tracer"]), progress)
    }
}

/// The cargo that the user called, in the user's own environment.
pub(crate) fn plain() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn show(build: &mut Command, progress: Progress) -> Result<()> {
    match progress {
        Progress::Shown => process::show(build),
        Progress::Hidden => hide_unless_long(build.arg("--quiet")),
    }
}

fn hide_unless_long(command: &mut Command) -> Result<()> {
    let mut child = command.spawn().context("cannot start cargo")?;
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > NOTICEABLE {
            say("compiling tracer");
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    process::wait(&mut child)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Cargo keeps each warning of a build script as a line above its progress: a first build was 57
    /// of them.
    #[test]
    fn build_scripts_leave_the_progress_alone() {
        let crates = fs::read_dir(workspace::root().join("crates")).unwrap();
        let scripts = crates.map(|entry| entry.unwrap().path().join("build.rs"));
        let texts: Vec<String> =
            scripts.filter_map(|script| fs::read_to_string(script).ok()).collect();
        assert!(!texts.is_empty());
        let says = ["cargo:warning", "cargo::warning"];
        assert!(!texts.iter().any(|text| says.iter().any(|said| text.contains(said))), "{texts:?}");
    }
}
