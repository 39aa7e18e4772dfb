//! `cargo xtask crates`: tracer from the crates as they would be published, by stable Rust alone.
//!
//! Neither rustup nor bpf-linker is on PATH, and cargo has a home of its own, so that nothing of
//! this machine helps. What is installed then has to trace a connection.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::process::{self, say};
use crate::workspace;

/// Members of the workspace that are not published.
const PRIVATE: [&str; 4] = ["--exclude", "tracer-tests", "--exclude", "xtask"];

/// Packs the crates, installs tracer from them and traces with it.
pub(crate) fn check() -> Result<()> {
    process::require_root()?;
    let directory = workspace::target()?.join("crates");
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    say("packing the crates");
    let mut pack = crate::cargo::plain();
    pack.current_dir(workspace::root()).args(["package", "--workspace", "--no-verify", "--locked"]);
    pack.args(PRIVATE).args(["--allow-dirty", "--target-dir"]).arg(&directory);
    process::silently(&mut pack, None)?;
    let sources = directory.join("sources");
    unpack(&directory.join("package"), &sources)?;
    say("installing tracer from them (some minutes)");
    let tracer = install(&directory, &sources)?;
    say(format_args!("tracing with {}", tracer.display()));
    trace(&tracer)
}

/// Unpacks the crates as a workspace in which they find each other; cargo would look for them
/// among those that are published.
fn unpack(packages: &Path, sources: &Path) -> Result<()> {
    const SCRIPT: &str = "mkdir \"$2\"; for crate in \"$1\"/*.crate; do
        tar -xzf \"$crate\" -C \"$2\"; done";
    process::silently(
        Command::new("sh").args(["-ec", SCRIPT, "sh"]).args([packages, sources]),
        None,
    )?;
    let version = concat!("-", env!("CARGO_PKG_VERSION"));
    let mut manifest = "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n".to_owned();
    manifest += "[patch.crates-io]\n";
    for entry in fs::read_dir(sources)? {
        let directory = entry?.file_name().to_string_lossy().into_owned();
        let name = directory.strip_suffix(version).context("a crate of another version")?;
        manifest += &format!("{name} = {{ path = {directory:?} }}\n");
    }
    let write = |name: &str, bytes: &[u8]| {
        let path = sources.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    write("Cargo.toml", manifest.as_bytes())?;
    write("Cargo.lock", &fs::read(workspace::root().join("Cargo.lock"))?)
}

fn install(directory: &Path, sources: &Path) -> Result<PathBuf> {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).args(["--print", "sysroot"]).output();
    let output = output.context("cannot start rustc")?;
    let sysroot = PathBuf::from(String::from_utf8(output.stdout)?.trim_end());
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new(sysroot.join("bin/cargo"));
        cargo.current_dir(sources).args(arguments);
        cargo.env("PATH", format!("{}/bin:/usr/bin:/bin", sysroot.display()));
        cargo.env("CARGO_HOME", directory.join("home"));
        cargo.env("CARGO_TARGET_DIR", directory.join("build"));
        for variable in ["RUSTUP_TOOLCHAIN", "RUSTC_BOOTSTRAP", crate::cargo::TOOLCHAIN] {
            cargo.env_remove(variable);
        }
        cargo
    };
    // The lock file without what only the other members use.
    process::silently(&mut cargo(&["update", "--workspace"]), None)?;
    let package = concat!("tracer-", env!("CARGO_PKG_VERSION"));
    // Unoptimized, which takes a third of the time and needs the same.
    let mut install = cargo(&["install", "--debug", "--locked", "--path", package, "--root"]);
    process::show(install.arg(directory.join("installed")))?;
    Ok(directory.join("installed/bin/tracer"))
}

/// A connection over the loopback is in what tracer writes.
fn trace(tracer: &Path) -> Result<()> {
    let mut command = process::as_root(tracer);
    command.args(["--format", "json", "--no-snapshot", "--duration", "60s"]);
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start tracer")?;
    let seen = connection_is_seen(&mut child);
    // Where sudo is around it, nobody reading any more ends it.
    child.kill().ok();
    child.wait()?;
    seen
}

fn connection_is_seen(tracer: &mut Child) -> Result<()> {
    let output = tracer.stdout.take().context("tracer has no standard output")?;
    let mut lines = BufReader::new(output).lines();
    let first = lines.next().context("tracer has written nothing")??;
    ensure!(first.contains("\"kind\":\"hello\""), "tracer begins with {first}");
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    drop(TcpStream::connect(address)?);
    let port = format!("\"port\":{}", address.port());
    for line in lines {
        let line = line?;
        if line.contains("ESTABLISHED") && line.contains(&port) {
            return Ok(());
        }
    }
    bail!("tracer has not seen the connection to {address}")
}
