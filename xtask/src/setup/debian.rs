//! Debian's package manager, as far as xtask needs it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::process::{self, say};

/// A compiler with its library source. These are the packages that Debian keeps recent for its
/// browsers; the plain `rustc` of a stable Debian is too old.
pub(crate) const COMPILER: [&str; 4] = ["rustc-web", "rust-web-src", "cargo-web", LINTS];

/// Clippy for that compiler.
pub(crate) const LINTS: &str = "rust-web-clippy";

/// Where those packages put their toolchain.
pub(crate) const PREFIX: &str = "/usr";

pub(crate) fn is_available() -> bool {
    process::find("apt-get").is_some()
}

/// Installs packages, and never removes one to make room.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    say(format_args!("installing {} with apt-get", packages.join(" ")));
    if apt_get_install(packages).is_ok() {
        return Ok(());
    }
    // A fresh machine has no package lists, an old one names packages that the mirror dropped.
    // Should one of many sources fail, the packages may still come from another.
    let _ = apt_get(&["update"]);
    apt_get_install(packages)
}

/// Fetches a package into a directory without installing it; where it is.
pub(super) fn download(package: &str, directory: &Path) -> Result<PathBuf> {
    let fetch = || {
        // Needs no right but to write there.
        let mut command = Command::new("apt-get");
        command.args(["download", package]).current_dir(directory);
        process::silently(&mut command, None)
    };
    if fetch().is_err() {
        let _ = apt_get(&["update"]);
        fetch()?;
    }
    let prefix = format!("{package}_");
    let files = fs::read_dir(directory)?.flatten().map(|entry| entry.path());
    let is_it = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
    };
    files.into_iter().find(is_it).with_context(|| format!("apt-get has fetched no {package}"))
}

fn apt_get_install(packages: &[&str]) -> Result<()> {
    let options = ["install", "--yes", "--no-install-recommends", "--no-remove"];
    apt_get(&[&options, packages].concat())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = process::as_root("apt-get");
    // Another installation may be running: wait for its lock.
    command.args(["-o", "DPkg::Lock::Timeout=120"]).args(arguments);
    process::silently(command.env("DEBIAN_FRONTEND", "noninteractive"), None)
}
