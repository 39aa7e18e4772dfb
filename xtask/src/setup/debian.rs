//! Debian's package manager, as far as xtask needs it.

use anyhow::Result;

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
