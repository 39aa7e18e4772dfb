//! Debian's package manager, as far as xtask needs it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::process::{self, say};
use crate::workspace;

/// A compiler with its library source. These are the packages that Debian keeps recent for its
/// browsers; the plain `rustc` of a stable Debian is too old.
pub(crate) const COMPILER: [&str; 4] = ["rustc-web", "rust-web-src", "cargo-web", LINTS];

/// Clippy for that compiler.
pub(crate) const LINTS: &str = "rust-web-clippy";

/// Where those packages put their toolchain.
pub(crate) const PREFIX: &str = "/usr";

/// Where Debian's packages come from, and by whose keys they are signed.
pub(crate) const MIRROR: &str = "http://deb.debian.org";
pub(crate) const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

const INSTALL: [&str; 4] = ["install", "--yes", "--no-install-recommends", "--no-remove"];

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
    apt_get_install(packages).or_else(|error| {
        say("apt-get cannot install them: trying the release's backports");
        install_from_backports(packages).map_err(|_| error)
    })
}

/// Where a machine has a package of the backports, the release's own may want it removed. The
/// machine's own lists and settings stay as they are.
fn install_from_backports(packages: &[&str]) -> Result<()> {
    let system = fs::read_to_string("/etc/os-release")?;
    let release = system.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let release = release.context("not a release of Debian")?;
    let root = workspace::cache()?.join("backports");
    fs::create_dir_all(root.join("lists/partial"))?;
    let suite = |(archive, suite)| {
        format!("deb [signed-by={KEYS}] {MIRROR}/{archive} {release}{suite} main\n")
    };
    let suites = [("debian", ""), ("debian-security", "-security"), ("debian", "-backports")];
    fs::write(root.join("sources.list"), suites.map(suite).concat())?;
    let option = |name, place: &str| ["-o".into(), format!("{name}={place}")];
    let place = |name| root.join(name).display().to_string();
    let options = [
        option("Dir::Etc::sourcelist", &place("sources.list")),
        option("Dir::Etc::sourceparts", "-"),
        option("Dir::State::lists", &place("lists")),
    ];
    let options: Vec<&str> = options.iter().flatten().map(String::as_str).collect();
    apt_get(&[&options[..], &["update"]].concat())?;
    let target = format!("{release}-backports");
    apt_get(&[&options[..], &INSTALL, &["--target-release", &target], packages].concat())
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
    apt_get(&[&INSTALL, packages].concat())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = process::as_root("apt-get");
    // Another installation may be running: wait for its lock.
    command.args(["-o", "DPkg::Lock::Timeout=120"]).args(arguments);
    process::silently(command.env("DEBIAN_FRONTEND", "noninteractive"), None)
}
