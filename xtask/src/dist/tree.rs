//! The files of a package where they are installed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::Release;
use super::io::{make_directory, output, write};
use crate::process;
use crate::workspace;

/// What differs between distributions.
pub(super) struct Places {
    /// Where zsh looks for completions of packages.
    pub(super) zsh: &'static str,
}

/// Shells and where their completions go; zsh's are elsewhere.
const BASH: &str = "usr/share/bash-completion/completions/tracer";
const FISH: &str = "usr/share/fish/vendor_completions.d/tracer.fish";

const CONFIGURATION: &str = "etc/tracer/tracer.toml";
const UNIT: &str = "usr/lib/systemd/system/tracer.service";
/// What is copied to where it takes effect by whoever wants it.
const EXAMPLES: [(&str, &str); 2] = [
    ("deploy/logrotate/tracer", "logrotate"),
    ("deploy/systemd/restricted.conf", "restricted.conf"),
];
const DOCUMENTS: &str = "usr/share/doc/tracer";

/// Lays the tree of an installed package under `root`.
pub(super) fn lay(release: &Release, places: &Places, root: &Path) -> Result<()> {
    let source = workspace::root();
    install(&release.binary, &root.join("usr/bin/tracer"), 0o755)?;
    install(&source.join("deploy/systemd/tracer.toml"), &root.join(CONFIGURATION), 0o644)?;
    install(&source.join("deploy/systemd/tracer.service"), &root.join(UNIT), 0o644)?;
    for (shell, path) in [("bash", BASH), ("fish", FISH), ("zsh", places.zsh)] {
        completions(release, shell, &root.join(path))?;
    }
    let pages = root.join("usr/share/man/man1");
    make_directory(&pages)?;
    for page in fs::read_dir(&release.manual)? {
        let page = page?;
        let name = page.file_name().to_string_lossy().into_owned();
        install(&page.path(), &pages.join(&name), 0o644)?;
        compress(&pages.join(name))?;
    }
    for name in ["README.md", "SECURITY.md", "LICENSE-MIT"] {
        install(&source.join(name), &root.join(DOCUMENTS).join(name), 0o644)?;
    }
    for (from, to) in EXAMPLES {
        install(&source.join(from), &root.join(DOCUMENTS).join("examples").join(to), 0o644)?;
    }
    let changes = root.join(DOCUMENTS).join("changelog");
    install(&source.join("CHANGELOG.md"), &changes, 0o644)?;
    compress(&changes)
}

/// Copies a file with these permissions, whatever they were.
pub(super) fn install(from: &Path, to: &Path, mode: u32) -> Result<()> {
    make_directory(to.parent().unwrap_or(to))?;
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    set_mode(to, mode)
}

pub(super) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the permissions of {}", path.display()))
}

/// Writes the completions of a shell, which the binary itself makes.
pub(super) fn completions(release: &Release, shell: &str, path: &Path) -> Result<()> {
    let mut tracer = Command::new(&release.binary);
    let mut script = output(tracer.args(["completions", shell]).stderr(Stdio::inherit()))?;
    script.push('\n');
    make_directory(path.parent().unwrap_or(path))?;
    write(path, script)?;
    set_mode(path, 0o644)
}

/// Replaces a file by `FILE.gz`, without name and time in it.
pub(super) fn compress(path: &Path) -> Result<()> {
    process::silently(Command::new("gzip").args(["--best", "--no-name", "--force"]).arg(path), None)
}
