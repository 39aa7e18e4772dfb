//! A clean Debian of its own, in which the tests install the package: for namespaces without, for a
//! machine with a service manager.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{self, say};
use crate::workspace;

/// The release whose package is tried.
const SUITE: &str = "bookworm";

/// What a machine that boots into it has besides.
const SERVICES: &str = "--include=systemd,systemd-sysv,dbus,logrotate,iproute2,kmod";

/// Makes the one without services unless it is there; returns its root.
pub(crate) fn ensure() -> Result<PathBuf> {
    workspace::alone(|| made(&format!("debian-{SUITE}"), None))
}

/// Makes the one with systemd unless it is there; returns its root.
pub(crate) fn ensure_with_systemd() -> Result<PathBuf> {
    workspace::alone(|| made(&format!("debian-{SUITE}-systemd"), Some(SERVICES)))
}

fn made(name: &str, more: Option<&str>) -> Result<PathBuf> {
    let cache = workspace::cache()?;
    let root = cache.join(name);
    if root.exists() {
        return Ok(root);
    }
    say(format_args!("making a clean Debian {SUITE} for the tests (once, about a minute)"));
    let unfinished = cache.join(format!("{name}.unfinished"));
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    process::silently(process::as_root("rm").arg("-rf").arg(&unfinished), None)?;
    let mut debootstrap = process::as_root("debootstrap");
    debootstrap.arg("--variant=minbase").args(more).arg(SUITE).arg(&unfinished).args(mirror());
    process::silently(&mut debootstrap, None)
        .with_context(|| format!("the tests need a Debian {SUITE}, made by debootstrap"))?;
    process::silently(process::as_root("mv").arg(&unfinished).arg(&root), None)?;
    Ok(root)
}

/// The mirror that this machine has its packages from, where it is one of Debian.
fn mirror() -> Option<String> {
    let mut apt = Command::new("apt-get");
    let format = "$(REPO_URI) $(SUITE) $(CODENAME) $(COMPONENT)";
    let output = apt.args(["indextargets", "--format", format, "Origin: Debian"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [uri, _, codename, "main"] = words[..] else { return None };
        (codename == SUITE && uri.starts_with("http")).then(|| uri.to_owned())
    })
}
