//! The tarball, for machines without packages; the binary alone; the checksums of it all.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::Release;
use super::io::{output, write};
use super::tree::{self, install};
use crate::{process, workspace};

/// What of the repository is in the tarball as it is.
const FILES: [&str; 6] =
    ["README.md", "SECURITY.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "deploy"];

pub(super) fn make(release: &Release) -> Result<()> {
    let name = release.name();
    install(&release.binary, &release.directory.join(&name), 0o755)?;
    let workshop = release.workshop("archive")?;
    let root = workshop.join(&name);
    install(&release.binary, &root.join("tracer"), 0o755)?;
    for (shell, file) in [("bash", "tracer.bash"), ("fish", "tracer.fish"), ("zsh", "_tracer")] {
        tree::completions(release, shell, &root.join("completions").join(file))?;
    }
    let mut copy = Command::new("cp");
    copy.current_dir(workspace::root()).arg("--recursive").args(FILES).arg(&root);
    process::silently(&mut copy, None)?;
    let mut manual = Command::new("cp");
    manual.arg("--recursive").arg(&release.manual).arg(root.join("man"));
    process::silently(&mut manual, None)?;
    let mut tar = release.command("tar");
    tar.args(["--create", "--sort=name", "--owner=root:0", "--group=root:0", "--mode=go=rX,u+w"]);
    tar.arg(format!("--mtime=@{}", release.epoch)).arg("--use-compress-program=gzip -9 -n");
    tar.arg("--file").arg(release.directory.join(format!("{name}.tar.gz")));
    process::silently(tar.arg("--directory").arg(&workshop).arg(&name), None)?;
    release.remove("archive")
}

/// SHA256SUMS, for `sha256sum --check`.
pub(super) fn checksums(release: &Release) -> Result<()> {
    let mut names: Vec<_> = fs::read_dir(&release.directory)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    names.sort();
    let mut sums = Command::new("sha256sum");
    let sums = output(sums.current_dir(&release.directory).args(&names))?;
    write(&release.directory.join("SHA256SUMS"), sums + "\n")
}
