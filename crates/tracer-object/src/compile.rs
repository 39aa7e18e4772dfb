//! Compiling the eBPF half: cargo of a toolchain that has the source of `core`, with bpf-linker.
//!
//! The same sources and the same compiler make the same bytes, whatever the directory and the
//! user's settings: no path of the machine is in them.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::strip::without_dwarf;

const TARGET: &str = "bpfel-unknown-none";
const PACKAGE: &str = "tracer-ebpf";
const BINARY: &str = "tracer-programs";

/// aya-ebpf has the registers of an architecture by this name, which no program here reads: one
/// object serves all that are little-endian.
pub const ARCHITECTURE: &str = "--cfg=bpf_target_arch=\"x86_64\"";

/// What compiles the eBPF half.
#[derive(Clone, Debug)]
pub struct Compiler {
    toolchain: String,
    path: OsString,
}

impl Compiler {
    /// A toolchain of rustup, and the `PATH` with bpf-linker.
    #[must_use]
    pub fn new(toolchain: &str, path: &OsStr) -> Self {
        Self { toolchain: toolchain.to_owned(), path: path.to_owned() }
    }

    /// Compiles the eBPF half of the workspace `root`; `target` is for what cargo keeps.
    ///
    /// # Errors
    ///
    /// What cargo said.
    pub fn compile(&self, root: &Path, target: &Path) -> Result<Vec<u8>> {
        let mut cargo = self.command("rustup", &["run", &self.toolchain, "cargo"]);
        cargo.current_dir(root);
        cargo.args(["build", "--package", PACKAGE, "--bins", "--release", "--locked", "--quiet"]);
        cargo.args(["--target", TARGET, "-Z", "build-std=core", "--target-dir"]).arg(target);
        // Unstable flags on a stable compiler, as Debian's is.
        cargo.env("RUSTC_BOOTSTRAP", "1");
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.flags(root)?.join("\x1f"));
        // What the build around this one was told is not for this one.
        let alien = |name: &str| {
            name.starts_with("CARGO_PROFILE_") || name.starts_with("RUSTC_W") || name == "RUSTC"
        };
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(alien)) {
            cargo.env_remove(name);
        }
        run(cargo.env_remove("CARGO_INCREMENTAL"))?;
        let path = target.join(TARGET).join("release").join(BINARY);
        let object = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        without_dwarf(&object).with_context(|| format!("{} is no ELF object", path.display()))
    }

    /// Its versions, as the stamp has them.
    ///
    /// # Errors
    ///
    /// The compiler or the linker cannot be started.
    pub fn version(&self) -> Result<String> {
        let rustc = run(&mut self.command("rustup", &["run", &self.toolchain, "rustc", "-V"]))?;
        Ok(format!("{rustc}, {}", run(&mut self.command("bpf-linker", &["--version"]))?))
    }

    fn flags(&self, root: &Path) -> Result<Vec<String>> {
        let sysroot = ["run", &self.toolchain, "rustc", "--print", "sysroot"];
        let sysroot = run(&mut self.command("rustup", &sysroot))?;
        let library = Path::new(&sysroot).join("lib/rustlib/src/rust");
        let mut paths = vec![(root.to_owned(), "/tracer"), (library.clone(), "/rust")];
        // Debian's is a link.
        paths.extend(fs::canonicalize(&library).ok().map(|path| (path, "/rust")));
        paths.extend(registries().into_iter().map(|path| (path, "/registry")));
        let remap = |(path, name): &(PathBuf, &str)| {
            format!("--remap-path-prefix={}={name}", path.display())
        };
        // Line tables give the verifier's log source lines.
        let fixed = [ARCHITECTURE, "-Cdebuginfo=2", "-Clink-arg=--btf"].map(str::to_owned);
        Ok(fixed.into_iter().chain(paths.iter().map(remap)).collect())
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("PATH", &self.path);
        command
    }
}

/// Where cargo unpacks crates: a directory for each registry.
fn registries() -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let entries = home.and_then(|home| fs::read_dir(home.join("registry/src")).ok());
    entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// What a command prints, without the end of its last line.
fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name} failed ({}):\n{}", output.status, said.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
