//! The few things asked of rustup, none of which changes a toolchain that the user has.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::process;

/// Enough for rustup to fetch one small manifest.
const CHECK_PATIENCE: Duration = Duration::from_secs(15);
/// Where downloads seem unreachable, an attempt often hangs instead of failing.
const DOUBTFUL_PATIENCE: Duration = Duration::from_secs(120);
/// A slow line is no reason to end rustup; it says nothing while it downloads one component.
const PATIENCE: Duration = Duration::from_secs(300);

/// Components of the toolchain that compiles the eBPF half; clippy is for `cargo xtask check`.
const COMPONENTS: [&str; 2] = ["rust-src", "clippy"];

/// Finds a toolchain's directory without starting rustup.
pub(crate) fn directory(toolchain: &str) -> Option<PathBuf> {
    let home = env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".rustup")))?;
    let architecture = env::consts::ARCH;
    ["", "-unknown-linux-gnu", "-unknown-linux-musl"]
        .map(|host| match host {
            "" => toolchain.to_owned(),
            host => format!("{toolchain}-{architecture}{host}"),
        })
        .into_iter()
        .map(|name| home.join("toolchains").join(name))
        .find(|directory| directory.exists())
}

/// Whether rustup can download, tried by its own means, proxies and mirrors included.
///
/// It asks for news of the installed channels. Without one it asks nothing and says yes, which
/// costs a failing attempt its patience and no more.
pub(crate) fn can_download() -> bool {
    let answer = process::listen(rustup().arg("check"), Some(CHECK_PATIENCE));
    // 100 says that there are updates (rustup 1.29).
    answer.is_ok_and(|(status, _)| matches!(status.code(), Some(0 | 100)))
}

/// Installs a toolchain with all that the eBPF half needs of it.
pub(crate) fn install(toolchain: &str, downloads: bool) -> Result<()> {
    let mut command = rustup();
    // Without `--no-self-update`, rustup also replaces itself, and has been seen to go back to an
    // older version.
    command.args(["toolchain", "install", toolchain, "--profile", "minimal", "--no-self-update"]);
    for component in COMPONENTS {
        command.args(["--component", component]);
    }
    process::silently(&mut command, Some(patience(downloads)))
}

/// Adds what a toolchain lacks, at the version it has.
pub(crate) fn add_components(toolchain: &str, downloads: bool) -> Result<()> {
    let mut command = rustup();
    command.args(["component", "add", "--toolchain", toolchain]).args(COMPONENTS);
    process::silently(&mut command, Some(patience(downloads)))
}

/// Makes a directory usable as a toolchain.
pub(crate) fn link(toolchain: &str, directory: &str) -> Result<()> {
    process::silently(rustup().args(["toolchain", "link", toolchain, directory]), None)
}

fn patience(downloads: bool) -> Duration {
    if downloads { PATIENCE } else { DOUBTFUL_PATIENCE }
}

fn rustup() -> Command {
    let mut command = Command::new("rustup");
    // A backtrace would bury the error.
    command.env("RUST_BACKTRACE", "0");
    command
}
